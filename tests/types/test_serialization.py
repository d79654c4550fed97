"""Decoding of JSON that people, or attackers, may have edited."""

import json
import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, ClassVar, Literal

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ghostify.types import GhostifyError, GhostSpec
from ghostify.types.serialization import Serializable, decode, encode, parse_json


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
        ('{"a": "\\ud800"}', "not JSON"),
        (b"\xff\xfe\xff", "not JSON"),
    ],
)
def test_hostile_text_gives_a_line(text, message):
    with pytest.raises(GhostifyError, match=message) as caught:
        parse_json(text)
    assert "\n" not in str(caught.value)
