"""`advisor completion`: a real shell completes with what it prints."""

import json
import shutil
import subprocess

import pytest
import shtab

from advisor.cli.completion import SHELLS
from advisor.cli.main import main

ASK = """
source {script}
COMP_WORDS=({words} "$1"); COMP_CWORD=$((${{#COMP_WORDS[@]}} - 1))
_shtab_advisor
printf '%s\\n' "${{COMPREPLY[@]}}"
"""


@pytest.fixture
def printed(capsys):
    def _printed(*words):
        assert main(["completion", *words]) == 0
        out, err = capsys.readouterr()
        assert err == ""
        return out

    return _printed


@pytest.fixture
def complete(printed, tmp_path):
    """What bash offers for the last word of a line."""
    script = tmp_path / "advisor.bash"
    script.write_text(printed("bash"))

    def _complete(line, cwd=tmp_path):
        *words, last = line.split(" ")
        told = subprocess.run(
            ["bash", "--norc", "-c", ASK.format(script=script, words=" ".join(words)), "bash", last],
            cwd=cwd, capture_output=True, text=True, check=True,
        )  # fmt: skip
        assert told.stderr == ""
        return told.stdout.split()

    return _complete


@pytest.mark.skipif(shutil.which("bash") is None, reason="needs bash")
def test_bash_completes_commands_options_values_and_files(complete, tmp_path):
    assert complete("advisor rec") == ["recommend", "recipes"]
    assert complete("advisor recommend --back") == ["--backbone", "--backbones"]
    assert complete("advisor recommend ./data --codes m") == ["mean", "mean+std"]
    assert {"new", "check"} <= set(complete("advisor plugins "))
    assert complete("advisor plugins new --ki") == ["--kind"]
    assert "lite0" in complete("advisor recommend ./data --backbone l")
    assert "lp-ft" in complete("advisor tune --recipe l")
    assert complete("advisor export runs/x/best --to hub") == ["hub-folder"]
    (tmp_path / "photos").mkdir()
    (tmp_path / "plan.toml").touch()
    assert complete("advisor tune pl") == ["plan.toml"]
    assert sorted(complete("advisor recommend p")) == ["photos", "plan.toml"]
    assert complete("advisor tune --runs p") == ["photos"]
    assert "--json" in complete("advisor completion --")


def test_a_command_of_a_plugin_is_completed(install, printed):
    install("shout", """
        from advisor import hookimpl
        from advisor.types import Command

        @hookimpl
        def advisor_commands():
            yield Command(name="shout", summary="Shouts; it's (very) [loud].", run=lambda words: 0)
    """)  # fmt: skip
    assert "shout" in printed("bash")
    assert "shout" in printed("fish")


@pytest.mark.parametrize("shell", SHELLS)
def test_every_shell_gets_a_script_with_every_command(printed, shell):
    text = printed(shell)
    for word in ("recommend", "explain", "cache", "completion"):
        assert word in text
    assert json.loads(printed(shell, "--json")) == {"shell": shell, "script": text[:-1]}


def test_the_shells_are_those_that_the_library_knows():
    assert set(SHELLS) == set(shtab.SUPPORTED_SHELLS)
