"""Decoding of JSON that people, or attackers, may have edited."""

import json
import os
import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Annotated, Any, ClassVar, Literal, TypedDict

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ghostify.types import GhostifyError, GhostSpec
from ghostify.types.constraints import Length, NonNegativeInt, PositiveInt, Range, Share
from ghostify.types.serialization import Like, Serializable, decode, encode, parse_json


@dataclass(frozen=True)
class Inner:
    number: float
    whole: int = 0


@dataclass(frozen=True)
class Outer(Serializable):
    _format: ClassVar[str] = "outer/1"

    inner: Inner
    optional: Inner | None = None
    pair: tuple[int, str] = (1, "a")
    many: tuple[tuple[float, ...], ...] = ()
    by_name: Mapping[str, Inner] = field(default_factory=dict)
    by_ghost: Mapping[GhostSpec, float] = field(default_factory=dict)
    choice: Literal["on", "off"] = "on"
    either: str | tuple[int, ...] = "same"
    flag: bool = False
    anything: Any = None


FULL = Outer(
    Inner(0.5, 2),
    optional=Inner(1),
    many=((1.0, 2.0), ()),
    by_name={"a.b": Inner(2.5)},
    by_ghost={GhostSpec(2, 3): 0.25, GhostSpec(4, 1): 1.5},
    either=(1, 2),
    anything={"deep": [1, None]},
)


@pytest.mark.parametrize("record", [FULL, Outer(Inner(1.0)), Outer(Inner(float("inf")))])
def test_round_trip(record):
    assert Outer.from_json(record.to_json()) == record
    assert Outer.from_dict(record.to_dict()) == record
    assert json.loads(json.dumps(record.to_dict())) == record.to_dict()


def test_mappings_by_dataclass_are_lists_of_records():
    assert encode({GhostSpec(2, 3): 0.5}) == [{"ratio": 2, "dw_size": 3, "value": 0.5}]


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"inner": None}, "`inner` (=None) must be an object"),
        ({"inner": {}}, "inner: 'number' is missing"),
        ({"inner": {"number": True}}, "`inner.number` (=True) must be a number"),
        ({"inner": {"number": "1"}}, "`inner.number` (='1') must be a number"),
        ({"inner": {"number": 10**400}}, "must be a number"),
        ({"inner": {"number": 1, "whole": True}}, "`inner.whole` (=True) must be an integer"),
        ({"inner": {"number": 1, "whole": 1.0}}, "`inner.whole` (=1.0) must be an integer"),
        ({"inner": {"number": 1, "whole": 2**63}}, "must be an integer of 64 bits"),
        ({"optional": {"numbr": 1}}, "optional: unknown key 'numbr'; did you mean number?"),
        ({"pair": [1]}, "`pair` (=[1]) must be a list of 2 entries"),
        ({"pair": [1, 2]}, "`pair[1]` (=2) must be a string"),
        ({"pair": "1a"}, "`pair` (='1a') must be a list"),
        ({"many": [[1], [2, "x"]]}, "`many[1][1]` (='x') must be a number"),
        ({"by_name": []}, "`by_name` (=[]) must be an object"),
        ({"by_name": {"a.b": 3}}, "`by_name['a.b']` (=3) must be an object"),
        ({"by_name": {3: {"number": 1}}}, "(=3) must be a string"),
        ({"by_ghost": {"s=2": 1}}, "must be a list of records"),
        ({"by_ghost": [{"ratio": 2, "value": None}]}, "`by_ghost[0].value` (=None) must be"),
        ({"by_ghost": [{"ratio": 1, "value": 1}]}, "by_ghost[0]: "),
        ({"by_ghost": [{"value": 1}, {"value": 1}]}, "by_ghost[1]: s=2, d=3 appears twice"),
        ({"choice": "maybe"}, "`choice` (='maybe') must be one of 'on', 'off'"),
        ({"choice": ["on"]}, "`choice` (=['on']) must be one of"),
        ({"either": [1, "x"]}, "`either[1]` (='x') must be an integer"),
        ({"either": None}, "`either` (=None) must be a list"),
        ({"flag": 1}, "`flag` (=1) must be true or false"),
        ({"flags": True}, "unknown key 'flags'; did you mean flag?"),
        ({"format": "outer/2"}, "`format` must be 'outer/1'"),
    ],
)
def test_wrong_entries_are_named(change, message):
    with pytest.raises(GhostifyError, match=re.escape(message)) as caught:
        Outer.from_dict(FULL.to_dict() | change)
    assert str(caught.value).startswith("invalid outer: ")
    assert "\n" not in str(caught.value)


class Entry(TypedDict):
    number: PositiveInt
    inner: Inner


class Loose(Entry, total=False):
    share: Share | None


@dataclass(frozen=True)
class Bounded(Serializable):
    sizes: Annotated[tuple[NonNegativeInt, ...], Length(1, 2)] = (0,)
    shares: Mapping[str, Share] = field(default_factory=dict)
    level: Annotated[float, Range(-1)] = 0.0
    entries: tuple[Loose, ...] = ()
    kept: Annotated[Mapping[str, Any], Like(Loose)] | None = None


def test_constrained_types():
    entry = {"number": 1, "inner": {"number": 0.5}}
    data = {
        "sizes": [0, 3], "shares": {"a": 0, "b": 1.0}, "level": -1, "entries": [entry],
        "kept": entry | {"share": None},
    }  # fmt: skip
    found = Bounded.from_dict(data)
    assert found.entries == ({"number": 1, "inner": Inner(0.5)},)
    assert found.kept == data["kept"]
    assert Bounded.from_json(found.to_json()) == found


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"sizes": []}, "`sizes` (=[]) must be a list of 1 to 2 entries"),
        ({"sizes": [1, 2, 3]}, "`sizes` (=[1, 2, 3]) must be a list of 1 to 2 entries"),
        ({"sizes": [1, -1]}, "`sizes[1]` (=-1) must be at least 0"),
        ({"sizes": [True]}, "`sizes[0]` (=True) must be an integer of 64 bits"),
        ({"shares": {"a": 1.01}}, "`shares['a']` (=1.01) must be from 0 to 1"),
        ({"shares": {"a": -0.01}}, "`shares['a']` (=-0.01) must be from 0 to 1"),
        ({"level": -1.01}, "`level` (=-1.01) must be at least -1"),
        ({"entries": [{}]}, "entries[0]: 'number' is missing"),
        ({"entries": [{"number": 1}]}, "entries[0]: 'inner' is missing"),
        ({"entries": [[1]]}, "`entries[0]` (=[1]) must be an object"),
        ({"kept": {"number": 0, "inner": {}}}, "`kept.number` (=0) must be at least 1"),
        ({"kept": {"number": 1, "inner": {}}}, "kept.inner: 'number' is missing"),
        ({"kept": {"numbr": 1}}, "kept: unknown key 'numbr'; did you mean number?"),
    ],
)
def test_values_out_of_their_range_are_named(change, message):
    with pytest.raises(GhostifyError, match=re.escape(f"invalid bounded: {message}")):
        Bounded.from_dict(change)


def test_numbers_that_are_rounded_or_undefined():
    assert decode(Share, 1.00001) == 1.00001
    assert decode(Share, float("nan")) != decode(Share, float("nan"))


@pytest.mark.parametrize("data", [None, 3, "text", [], {}, [{}]])
def test_other_data(data):
    with pytest.raises(GhostifyError, match="invalid outer: `format` must be"):
        Outer.from_dict(data)
    with pytest.raises(GhostifyError):
        decode(Inner, data)


def test_long_values_are_abridged():
    with pytest.raises(GhostifyError) as caught:
        decode(Inner, {"number": "x" * 10_000})
    assert len(str(caught.value)) < 200


json_values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(),
    lambda inner: st.lists(inner) | st.dictionaries(st.text(), inner),
)


@given(st.sampled_from(sorted(FULL.to_dict())), json_values)
def test_any_json_gives_a_record_or_a_line(key, value):
    message = ""
    try:
        Outer.from_dict(FULL.to_dict() | {key: value})
    except GhostifyError as error:
        message = str(error)
    assert "\n" not in message


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("{", "not JSON: .*line 1"),
        ("", "not JSON"),
        ('{"a": 1, "a": 2}', "not JSON: key 'a' appears twice"),
        ("[" * 100_000 + "]" * 100_000, "not JSON"),
        ("9" * 5_000, "not JSON"),
        (b"\xff\xfe\xff", "not JSON"),
    ],
)
def test_hostile_text_gives_a_line(text, message):
    with pytest.raises(GhostifyError, match=message) as caught:
        parse_json(text)
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize("encoding", ["utf-8", "utf-8-sig", "utf-16"])
def test_a_byte_order_mark(encoding):
    """Editors of some systems write one."""
    text = FULL.to_json()
    assert Outer.from_json(text.encode(encoding)) == FULL
    assert Outer.from_json(text.encode(encoding).decode(encoding)) == FULL
    assert Outer.from_json("\ufeff" + text) == FULL


def test_names_that_are_not_utf8_survive(tmp_path):
    record = Outer(Inner(1), by_name={os.fsdecode(b"caf\xe9"): Inner(2)})
    record.save(tmp_path / "a.json")
    assert Outer.load(tmp_path / "a.json") == record
