"""JSON files with a checksum."""

import json
import os
from dataclasses import dataclass

import pytest

from ghostify import GhostifyError
from ghostify.io.checksummed_json import checksummed, json_digest, read_checksummed
from ghostify.types.serialization import Serializable


@dataclass(frozen=True)
class Record(Serializable):
    name: str
    count: int = 0


@pytest.fixture
def file(tmp_path):
    return tmp_path / "a.json"


@pytest.mark.parametrize("name", ["a", "ü→", os.fsdecode(b"\xe9")])
def test_round_trip(file, name):
    record = Record(name, 2)
    file.write_text(checksummed(record.to_dict()), encoding="utf-8", errors="backslashreplace")
    assert read_checksummed(file, Record) == record


def test_the_order_of_keys_and_the_layout_do_not_matter(file):
    content = json.loads(checksummed({"name": "a", "count": 2}))
    file.write_text(json.dumps(dict(reversed(content.items())), indent=3))
    assert read_checksummed(file, Record) == Record("a", 2)


@pytest.mark.parametrize(
    "change",
    [{"count": 3}, {"name": "b"}, {"digest": "0"}, {"digest": None}, {"count": 2.5}],
)
def test_what_was_changed_is_refused(file, change):
    file.write_text(json.dumps(json.loads(checksummed({"name": "a", "count": 2})) | change))
    with pytest.raises(GhostifyError, match=r"a\.json is damaged: "):
        read_checksummed(file, Record)


@pytest.mark.parametrize("text", ["[]", "3", '"text"', "null", "{}", '{"name": "a"}'])
def test_other_files_are_refused(file, text):
    file.write_text(text)
    with pytest.raises(GhostifyError, match=r"a\.json is damaged: "):
        read_checksummed(file, Record)


def test_each_level_down_to_the_third_has_lines_of_its_own():
    text = checksummed({"a": {"b": {"c": {"d": 1}}}})
    assert text.splitlines()[:4] == ["{", '  "a": {', '    "b": {', '      "c": {"d": 1}']
    assert json_digest({"a": 1, "b": 2}) == json_digest({"b": 2, "a": 1}) != json_digest({"a": 1})
