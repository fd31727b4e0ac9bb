"""Checks of options that refuse a bad one before minutes of work, and a parser that takes no option for another."""

import argparse
import os

import pytest
from hypothesis import given
from hypothesis import strategies as st

from advisor.cli import arguments
from advisor.cli.command import Options
from advisor.cli.parsing import Parser
from advisor.errors import UsageError
from advisor.recipe.schema import MAX_SEED


def message(act, *words, **options):
    with pytest.raises(UsageError) as caught:
        act(*words, **options)
    assert caught.value.hint
    return str(caught.value)


@given(st.integers(0, MAX_SEED))
def test_every_seed_that_libraries_take_is_one(value):
    assert arguments.seed(str(value)) == value


@pytest.mark.parametrize("text", ["-1", str(MAX_SEED + 1), "1.5", "one", "", "1e3", "٣٣x"])
def test_other_seeds_are_refused(text):
    with pytest.raises(argparse.ArgumentTypeError, match=r"whole number|not in 0 to"):
        arguments.seed(text)


def test_numbers_that_are_too_small_are_refused_with_one_that_is_not():
    assert "--trials must be at least 1.\nhint: --trials 20" in message(
        arguments.require_at_least, "--trials", 0, 1, 20
    )
    arguments.require_at_least("--trials", None, 1, 20)
    arguments.require_at_least("--trials", 1, 1, 20)


@pytest.mark.parametrize("images", [-1, 0, 15])
def test_a_sample_too_small_to_measure_is_refused(images):
    assert "fewer measure nothing" in message(arguments.require_enough_images, images)
    arguments.require_enough_images(16)


def test_a_file_that_can_be_written_is_let_through_and_not_made(tmp_path):
    arguments.require_writable(tmp_path / "plan.toml", "the plan", "-o advisor.toml")
    assert not list(tmp_path.iterdir())
    (tmp_path / "old.toml").touch()
    arguments.require_writable(tmp_path / "old.toml", "the plan", "-o advisor.toml")


def test_a_folder_in_the_place_of_a_file_is_refused(tmp_path):
    said = message(arguments.require_writable, tmp_path, "the plan", "-o advisor.toml")
    assert f"`{tmp_path}` is a folder; the plan is a file.\nhint: -o {tmp_path}/advisor.toml" == said


def test_a_folder_that_is_not_there_is_refused_with_what_makes_it(tmp_path):
    said = message(arguments.require_writable, tmp_path / "no" / "a.toml", "the plan", "-o advisor.toml")
    assert said.endswith(f"hint: mkdir -p {tmp_path / 'no'}")


def test_a_file_that_may_not_be_written_is_refused(tmp_path, monkeypatch):
    monkeypatch.setattr(os, "access", lambda *_: False)  # root may write everywhere
    said = message(arguments.require_writable, tmp_path / "a.toml", "the plan", "-o advisor.toml")
    assert "may not be written" in said
    assert "-o /a/folder/of/yours/advisor.toml" in said


@pytest.fixture
def parser():
    made = Parser(prog="tool")
    made.add_argument("file", nargs="?")
    made.add_argument("--backbone", choices=("lite0", "resnet"))
    made.add_argument("--backbones")
    made.add_argument("-q", "--quiet", action="store_true")
    return made


def test_an_option_is_written_out_whole(parser):
    said = message(parser.parse_args, ["--quie"])
    assert "`tool` has no option `--quie`" in said
    assert "did you mean `--quiet`?" in said
    assert parser.parse_args(["--quiet"]).quiet


@pytest.mark.parametrize("words", [["--colour", "red"], ["--colour=red"], ["a.png", "--colour"]])
def test_an_option_that_is_not_known_is_named_with_those_that_are(parser, words):
    said = message(parser.parse_args, words)
    assert "no option `--colour`" in said
    assert "--backbone, --backbones, --quiet" in said


def test_what_follows_two_dashes_is_no_option(parser):
    assert parser.parse_args(["--", "--odd-name.png"]).file == "--odd-name.png"


def test_a_choice_that_is_none_is_named_with_a_close_one(parser):
    said = message(parser.parse_args, ["--backbone", "lite1"])
    assert "There is no `lite1`." in said
    assert "known: lite0, resnet" in said
    assert "did you mean `lite0`?" in said
    assert "tool --help" in message(parser.parse_args, ["--backbone", "zzz"])


def test_what_argparse_finds_is_a_sentence(parser):
    assert message(parser.parse_args, ["a", "b"]).startswith("Unrecognized arguments: b.\nhint: tool --help")
    assert message(parser.parse_args, ["--backbone"]).startswith("Argument --backbone: expected one argument.")


def test_options_of_a_subcommand_are_its_own():
    whole = Parser(prog="tool")
    whole.add_argument("--version", action="store_true")
    sub = whole.add_subparsers().add_parser("go")
    sub.add_argument("--fast", action="store_true")
    assert whole.parse_args(["go", "--fast"]).fast
    assert "`tool go` has no option `--version`" in message(whole.parse_args, ["go", "--version"])
    assert "`tool` has no option `--fast`" in message(whole.parse_args, ["--fast", "go"])


def test_options_are_attributes_of_their_class():
    options = Options(argparse.Namespace(json=True, quiet=False, verbose=False, more=3))
    assert options.json is True
    assert vars(options)["more"] == 3
