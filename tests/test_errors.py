"""What a person reads when something is wrong: sentences, ways out, hints, and nothing that a terminal would obey."""

import os
import string

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from advisor import errors
from advisor.errors import (
    AdvisorError,
    ExitCode,
    MissingExtraError,
    RecipeError,
    UsageError,
    closest,
    closest_path,
    printable,
    words_of,
)


def subclasses(kind):
    return {kind} | {deeper for child in kind.__subclasses__() for deeper in subclasses(child)}


OWN = sorted(
    (kind for kind in subclasses(AdvisorError) if kind.__module__ == errors.__name__), key=lambda k: k.__name__
)


def test_the_tree_in_the_docstring_names_every_error():
    assert len(OWN) >= 9
    for kind in OWN:
        assert f"{kind.__name__} " in errors.__doc__


@pytest.mark.parametrize("kind", OWN, ids=lambda kind: kind.__name__)
def test_what_a_person_typed_is_exit_code_two_and_all_else_one(kind):
    assert kind.exit_code == (2 if issubclass(kind, UsageError) else 1)
    assert isinstance(kind.exit_code, ExitCode)


def test_a_recipe_that_does_not_validate_is_a_wrong_command():
    assert issubclass(RecipeError, UsageError)


def test_a_message_is_a_sentence_then_the_ways_out_then_the_hint():
    error = AdvisorError("It broke.", ways=["mend it", "buy another"], hint="advisor --help")
    assert str(error).splitlines() == ["It broke.", "  - mend it", "  - buy another", "hint: advisor --help"]
    assert error.args == ("It broke.",)  # so that a log has the sentence alone


def test_without_ways_and_hint_the_sentence_stands_alone():
    error = AdvisorError("It broke.")
    assert str(error) == "It broke."
    assert error.ways == ()
    assert error.hint == ""


def test_ways_may_be_any_sequence_and_are_kept():
    ways = ["a", "b"]
    error = AdvisorError("x", ways=ways)
    ways.append("c")
    assert error.ways == ("a", "b")


@pytest.mark.parametrize("part", ["message", "way", "hint"])
def test_no_part_of_an_error_commands_the_terminal(part):
    evil = "a\x1b[31mb\u202ec\x07"
    given_parts = {"message": "m", "way": "w", "hint": "h"} | {part: evil}
    error = AdvisorError(given_parts["message"], ways=[given_parts["way"]], hint=given_parts["hint"])
    shown = str(error)
    assert "\\x1b[31mb\\u202ec\\x07" in shown
    assert not {"\x1b", "\u202e", "\x07"} & set(shown)
    # What the program reads stays as it was.
    assert evil in {error.message, *error.ways, error.hint}


@pytest.mark.parametrize(
    ("missing", "sentence", "way"),
    [
        (["onnx"], "Export needs onnx, which is not installed.", "which brings it"),
        (["onnx", "onnxruntime"], "Export needs onnx and onnxruntime, which are not installed.", "which brings them"),
    ],
)
def test_a_missing_extra_is_named_in_the_number_it_has(missing, sentence, way):
    error = MissingExtraError("Export", missing, "onnx")
    assert error.message == sentence
    assert error.ways[0].endswith(way)
    assert error.hint == "pip install 'transfer-advisor[onnx]'"
    assert error.exit_code == 1


def test_every_problem_of_a_recipe_has_a_line_and_commands_no_terminal():
    error = RecipeError("2 problems in x.toml", problems=["name: is missing", "a\nb: unknown"], hint="h")
    assert str(error).splitlines() == ["2 problems in x.toml:", "  name: is missing", "  a\\nb: unknown", "hint: h"]
    assert error.message == "2 problems in x.toml: name: is missing; a\nb: unknown"


# -- close matches


def test_a_mistyped_word_finds_the_closest_and_another_finds_nothing():
    assert closest("linaer", ["ridge", "linear"]) == "did you mean `linear`?"
    assert closest("zebra", ["ridge", "linear"]) == ""
    assert closest("anything", []) == ""
    assert closest("", ["ridge"]) == ""


def test_known_words_may_be_an_iterator_and_a_mapping():
    assert closest("ridg", iter(["ridge"])) == "did you mean `ridge`?"
    assert closest("ridg", {"ridge": 1}) == "did you mean `ridge`?"


@given(st.text(string.ascii_lowercase, min_size=5, max_size=12), st.data())
@settings(max_examples=40)
def test_one_slip_in_a_word_is_always_understood(word, data):
    place = data.draw(st.integers(0, len(word) - 1))
    typed = word[:place] + word[place + 1 :]
    assert closest(typed, [word]) == f"did you mean `{word}`?"


# -- what may be printed


@given(st.text())
def test_printable_text_has_nothing_that_a_terminal_obeys_and_stays_so(text):
    shown = printable(text)
    assert errors.UNSEEN.search(shown) is None
    assert printable(shown) == shown
    shown.encode("utf-8")  # half a surrogate pair, as a file system may give, would raise


@given(st.text(st.characters(codec="utf-8", categories=["L", "N", "P", "S", "Zs", "M"])))
def test_what_people_write_is_shown_as_it_is(text):
    assert printable(text) == text


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("a\nb", "a\\nb"), ("\x1b]0;x\x07", "\\x1b]0;x\\x07"), ("\x7f", "\\x7f"), ("\x9b1m", "\\x9b1m"),
        ("\u2028", "\\u2028"), ("\u2066", "\\u2066"), ("\udcff", "\\udcff"), ("é 日本 🐦‍🔥", "é 日本 🐦‍🔥"),
    ],
)  # fmt: skip
def test_what_is_written_out(text, shown):
    assert printable(text) == shown


# -- a stranger's error in words


class WordlessError(Exception):
    def __str__(self):
        raise RuntimeError("even this fails")


class NotTextError(Exception):
    def __str__(self):
        return 3  # noqa: PLE0307 - as strangers do


@pytest.mark.parametrize(
    ("error", "words"),
    [
        (ValueError("bad"), "ValueError: bad"),
        (ValueError(), "ValueError: no reason given"),
        (ValueError("\n\n  \n"), "ValueError: no reason given"),
        (ValueError("\n\nfirst\nsecond"), "ValueError: first"),
        (RuntimeError("Errors in loading:\n\tsize mismatch\n\tmore"), "RuntimeError: Errors in loading: size mismatch"),
        (RuntimeError("Nothing follows:"), "RuntimeError: Nothing follows:"),
        (WordlessError(), "WordlessError: no reason given"),
        (NotTextError(), "NotTextError: no reason given"),
        (KeyError("name"), "KeyError: 'name'"),
        (OSError(2, "No such file", "a\x1b.png"), "FileNotFoundError: [Errno 2] No such file: 'a\\x1b.png'"),
        (SystemExit(3), "SystemExit: 3"),
    ],
    ids=lambda value: type(value).__name__ if isinstance(value, BaseException) else "",
)
def test_a_strangers_error_is_its_kind_and_its_first_line(error, words):
    assert words_of(error) == words


@given(st.text())
@settings(max_examples=60)
def test_a_strangers_words_are_one_short_line(text):
    said = words_of(ValueError(text))
    assert said.startswith("ValueError: ")
    assert len(said.splitlines()) == 1
    assert errors.UNSEEN.search(said) is None


def test_long_words_are_cut_and_say_so():
    said = words_of(ValueError("x" * 5000))
    assert said == "ValueError: " + "x" * 300 + "…"
    assert words_of(ValueError("x" * 300)) == "ValueError: " + "x" * 300


# -- paths


def test_a_path_with_one_mistyped_part_finds_what_was_meant(tmp_path, monkeypatch):
    (tmp_path / "runs" / "digits" / "best").mkdir(parents=True)
    monkeypatch.chdir(tmp_path)
    assert closest_path("runs/digts/best") == "did you mean `runs/digits/best`?"
    assert closest_path("./runs/digits/bst") == "did you mean `runs/digits/best`?"
    assert closest_path(tmp_path / "rns") == f"did you mean `{tmp_path / 'runs'}`?"
    for nothing_like_it in ("photos", "runs/digits/elsewhere", "digts:", "", "/", "rns/digits/worst"):
        assert closest_path(nothing_like_it) == ""


def test_what_exists_is_not_proposed_to_itself(tmp_path):
    (tmp_path / "data").mkdir()
    assert closest_path(tmp_path / "data") == ""


def test_of_several_close_folders_the_one_that_holds_the_rest_is_meant(tmp_path):
    (tmp_path / "digits1").mkdir()
    (tmp_path / "digits2" / "best").mkdir(parents=True)
    assert closest_path(tmp_path / "digits" / "best") == f"did you mean `{tmp_path / 'digits2' / 'best'}`?"


def test_a_file_in_the_middle_of_a_path_is_no_folder(tmp_path):
    (tmp_path / "plan.toml").write_text("")
    assert closest_path(tmp_path / "plan.toml" / "x") == ""


@pytest.mark.skipif(os.getuid() == 0, reason="the superuser reads every folder")
def test_a_folder_that_may_not_be_read_has_nothing_to_propose(tmp_path):
    (tmp_path / "closed" / "inside").mkdir(parents=True)
    (tmp_path / "closed").chmod(0)
    try:
        assert closest_path(tmp_path / "closed" / "insde") == ""
    finally:
        (tmp_path / "closed").chmod(0o700)
