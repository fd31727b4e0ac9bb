"""Plain data read with a type at each step."""

import json
import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from advisor.records.plain import UNREADABLE, Plain, finite, listed, reason, rounded

from .conftest import JSON

READERS = ["text", "number", "maybe", "whole", "maybe_whole", "scalar", "flag", "table", "tables", "texts", "list_of",
           "rows", "pair", "shares", "counts", "words", "scalars"]  # fmt: skip


@given(JSON)
@pytest.mark.parametrize("name", READERS)
def test_whatever_stands_there_is_read_or_refused_in_words(name, value):
    read = getattr(Plain({"key": value}), name)
    try:
        read("key")
    except (TypeError, ValueError, KeyError) as error:
        words = reason(error)
        assert words
        assert "\n" not in words
        assert len(words) <= 200


@pytest.mark.parametrize("name", [name for name in READERS if name not in {"maybe", "maybe_whole", "flag"}])
def test_what_is_missing_is_named(name):
    with pytest.raises(KeyError, match="wanted") as raised:
        getattr(Plain({}), name)("wanted")
    assert reason(raised.value) == "there is no 'wanted' in it"


@pytest.mark.parametrize("data", [None, [], "x", 3])
def test_what_is_no_table_is_refused(data):
    with pytest.raises(TypeError, match="is no table"):
        Plain(data)


def test_values_come_out_with_their_types():
    data = Plain({
        "text": "a", "number": 0.5, "digits": "3", "on": True, "list": ["a", 2], "table": {"a": 1, "b": 2.0},
        "rows": [[1, 2], []], "pair": [1, 2.5], "nothing": None,
    })  # fmt: skip
    assert data.text("text") == data.text("missing", "a") == data.text("nothing", "a") == "a"
    assert data.number("digits") == data.whole("digits") == 3
    assert data.maybe("nothing") is data.maybe_whole("missing") is None
    assert data.scalar("on") is data.flag("on") is data.flag("missing", default=True) is True
    assert data.texts("list") == ("a", "2")
    assert data.texts("missing", ()) == ()
    assert data.shares("table") == data.counts("table") == {"a": 1, "b": 2}
    assert data.rows("rows") == [[1, 2], []]
    assert data.pair("pair") == (1, 2.5)
    assert "text" in data
    assert "nothing" not in data
    assert "missing" not in data


@pytest.mark.parametrize(
    ("name", "value", "words"),
    [
        ("whole", 3.5, "key is 3.5, no whole number"),
        ("counts", {"a": 0.5}, "a is 0.5, no whole number"),
        ("number", "much", "'much' is no number"),
        ("number", None, "key is nothing, no number"),
        ("number", math.nan, "key is nan, no number"),
        ("number", True, "True is no number"),
        ("number", 10**400, "is no number"),
        ("text", None, "key is nothing, no text"),
        ("texts", [["a"]], r"key is \['a'\], no text"),
        ("texts", "abc", "'abc' is no list"),
        ("flag", 1, "key is 1, neither true nor false"),
        ("scalar", {}, "key is {}, neither a text nor a number"),
        ("pair", [1], "key is no pair of numbers"),
        ("pair", [1, None], "key is no pair of numbers"),
        ("tables", [3], "3 is no table"),
    ],
)
def test_the_error_says_what_is_wrong(name, value, words):
    with pytest.raises((TypeError, ValueError), match=words):
        getattr(Plain({"key": value}), name)("key")


def test_a_reason_is_one_line_for_every_error_of_a_file(tmp_path):
    deep = tmp_path / "deep.json"
    deep.write_text("[" * 100_000)
    for read in (lambda: json.loads(deep.read_text()), lambda: json.loads("{"), (tmp_path / "no").read_text):
        with pytest.raises(UNREADABLE) as raised:
            read()
        assert reason(raised.value).count("\n") == 0
        assert not reason(raised.value).endswith(".")


@given(st.floats() | st.integers() | st.none())
def test_a_number_is_finite_or_nothing(value):
    number = finite(value) if not isinstance(value, int) or abs(value) < 10**300 else 0.0
    assert number is None or math.isfinite(number)


def test_a_list_is_copied():
    data = [1, 2]
    listed(data).append(3)
    assert data == [1, 2]


@given(JSON)
def test_rounding_twice_changes_nothing_and_keeps_the_shape(data):
    once = rounded(data)
    assert json.dumps(rounded(once)) == json.dumps(once)
    assert type(once) is type(data)


def test_rounding_keeps_six_digits_and_whole_numbers():
    assert rounded({"a": [0.123456789, 1234567, True], "b": (1e-9 / 3,)}) == {
        "a": [0.123457, 1234567, True], "b": [3.33333e-10],
    }  # fmt: skip
