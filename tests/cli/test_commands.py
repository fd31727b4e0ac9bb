"""The table of commands: each module is in it, and its options are what its parser yields."""

import argparse
import sys
from pathlib import Path
from typing import get_args, get_origin, get_type_hints

import pytest

from advisor.cli import commands
from advisor.cli.command import CliCommand, Options
from advisor.cli.commands import COMMANDS
from advisor.cli.main import build_parser, main
from advisor.errors import AdvisorError, ExitCode

FROM_MAIN = {"parser", "began"}  # options that no word on the command line sets


def every_command(among=COMMANDS, before=()):
    """Words that call it, and the command; those below others included."""
    for command in among:
        words = (*before, command.name)
        yield words, command
        yield from every_command(command.actions, words)


EVERY = {" ".join(words): command for words, command in every_command()}


def own_actions(words):
    """What the parser of a command takes, without help and without the commands below it."""
    parser = build_parser()
    for word in words:
        (subparsers,) = (action for action in parser._actions if isinstance(action, argparse._SubParsersAction))
        parser = subparsers.choices[word]
    without = (argparse._HelpAction, argparse._SubParsersAction)
    return [action for action in parser._actions if not isinstance(action, without)]


def hints(command):
    return get_type_hints(command.options, localns={"argparse": argparse})


def value_for(action):
    """A word that the action takes."""
    if action.choices is not None:
        return next(iter(action.choices))
    return "1d" if action.dest == "older_than" else "1"


def fits(value, hint):
    if get_origin(hint) is list:
        return isinstance(value, list) and all(isinstance(one, get_args(hint)) for one in value)
    return isinstance(value, hint)


def test_every_module_is_in_the_table():
    files = {path.stem for path in Path(commands.__file__).parent.glob("*.py")} - {"__init__"}
    assert {name.replace(" ", "_") for name in EVERY} == files
    assert len({command.name for command in COMMANDS}) == len(COMMANDS)


@pytest.mark.parametrize("name", EVERY)
def test_options_are_those_of_the_parser_with_their_types(name):
    command, actions = EVERY[name], own_actions(name.split())
    annotated = hints(command)
    assert set(annotated) - FROM_MAIN == {action.dest for action in actions}
    positional = [value_for(action) for action in actions if not action.option_strings and action.nargs != "?"]
    needed = ["--to", "onnx"] if name == "export" else []
    given = [
        word
        for action in actions
        if action.option_strings and action.dest not in {"form", *needed}
        for word in (action.option_strings[-1], *([] if action.nargs == 0 else [value_for(action)]))
    ]
    for words in ([*name.split(), *positional, *needed], [*name.split(), *positional, *needed, *given]):
        parsed = build_parser().parse_args(words, argparse.Namespace(began=0.0))
        assert parsed.command is command
        options = command.options(parsed)
        for key, hint in annotated.items():
            assert fits(getattr(options, key), hint), (key, getattr(options, key), hint)


@pytest.mark.parametrize("name", EVERY)
def test_help_is_printed_and_names_the_command(name, capsys):
    with pytest.raises(SystemExit) as ending:
        main([*name.split(), "--help"])
    assert ending.value.code == 0
    assert EVERY[name].summary in " ".join(capsys.readouterr().out.split())


def replaced(monkeypatch, run):
    """Put a command in the place of all others."""
    monkeypatch.setattr("advisor.cli.main.COMMANDS", (CliCommand("work", "do some work", Options, run),))


def test_a_command_gets_its_options_and_its_exit_code_is_returned(monkeypatch):
    def run(options):
        assert options.json is False
        return ExitCode.COULD_NOT if options.quiet else ExitCode.OK

    replaced(monkeypatch, run)
    assert main(["work"]) == 0
    assert main(["work", "-q"]) == 1


def test_what_a_command_raises_becomes_a_sentence_and_an_exit_code(monkeypatch, capsys):
    def run(_options):
        raise errors.pop(0)

    replaced(monkeypatch, run)
    errors = [AdvisorError("There is no tea.", hint="boil water"), KeyboardInterrupt(), KeyError("kettle")]
    assert main(["work"]) == ExitCode.COULD_NOT
    assert capsys.readouterr().err == "error: There is no tea.\nhint: boil water\n"
    assert main(["work"]) == ExitCode.INTERRUPTED
    assert capsys.readouterr().err == "Stopped.\n"
    assert main(["work"]) == ExitCode.COULD_NOT
    said = capsys.readouterr().err
    assert said.startswith("error: internal error: KeyError: 'kettle'\nhint: ")
    assert "-v" in said
    errors.append(KeyError("kettle"))
    with pytest.raises(KeyError):
        main(["work", "-v"])


def test_what_is_printed_beside_json_goes_to_stderr(monkeypatch, capsys):
    def run(_options):
        sys.stdout.write("a library's talk\n")
        return ExitCode.OK

    replaced(monkeypatch, run)
    assert main(["work", "--json"]) == 0
    assert capsys.readouterr() == ("", "a library's talk\n")
