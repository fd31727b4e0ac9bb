"""What each command refuses, before it imports anything heavy or does any work, and how it says so."""

import json

import pytest
from made import png

from advisor.cli.commands import export, predict
from advisor.cli.main import main
from advisor.errors import ExitCode, UsageError


@pytest.fixture(autouse=True)
def _folder(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)


def refused(capsys, *words):
    """What stderr says of words that are wrong."""
    assert main(list(words)) == ExitCode.USAGE
    out, err = capsys.readouterr()
    assert out == ""
    assert err.startswith("error: ")
    assert "internal error" not in err
    return err


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (["tune", "--trials", "0"], "--trials must be at least 1."),
        (["tune", "--workers", "0"], "--workers must be at least 1."),
        (["tune", "--memory", "much"], "`much` is not a size."),
        (["tune", "--memory", "4"], "`4` is not a size."),
        (["tune", "--cache-limit", "0GB"], "less than a byte"),
        (["tune", "--trials", "many"], "Argument --trials: invalid int value: 'many'."),
        (["recommend", "x", "--images", "3"], "--images must be at least 16"),
        (["recommend", "x", "--seed", "-1"], "not in 0 to"),
        (["recommend", "x", "--codes", "max"], "There is no `max`."),
        (["recommend", "x", "-o", "report.HTML"], "is where a report would go; the plan is TOML."),
        (["recommend", "x", "-o", "no/such/a.toml"], "There is no folder `no/such`"),
        (["recommend"], "the following arguments are required: data."),
        (["profile", "x", "--images", "1"], "--images must be at least 16"),
        (["predict", "m", "a.png", "--top", "0"], "--top must be at least 1."),
        (["predict", "m", "a.png", "--limit", "0"], "--limit must be at least 1."),
        (["predict", "m", "a.png", "--least", "1.5"], "--least is a probability, from 0 to 1."),
        (["predict", "m", "a.png", "--least", "-0.1"], "--least is a probability"),
        (["predict", "m", "a.png", "--format", "csv", "--json"], "Use one of the three."),
        (["predict", "m", "a.png", "--format", "csv", "-o", "x.csv"], "Use one of the three."),
        (["predict", "m", "a.png", "--format", "parquet"], "There is no `parquet`."),
        (["export", "run"], "one of the arguments --as --to is required."),
        (["export", "run", "--to", "onnx"], "The export needs a name."),
        (["export", "run", "--to", "onnx", "--name", "x", "--images", "0"], "leaves nothing to compare on."),
        (["export", "run", "--to", "tflite", "--name", "x"], "There is no `tflite`."),
        (["export", "run", "--to", "onnx", "--as", "plugin"], "not allowed with argument"),
        (["cache", "--clear", "everything"], "There is no `everything`."),
        (["cache", "--older-than", "soon"], "`soon` is not an age; write 12h, 30d or 8w."),
        (["cache", "--older-than", "-3d"], "xpected one argument"),
        (["plugins", "new", "x", "--kind", "spoon"], "There is no `spoon`."),
        (["plugins", "new", "3x"], "`3x` cannot name a plugin."),
        (["completion", "cmd"], "There is no `cmd`."),
        (["completion"], "required: shell."),
    ],
    ids=" ".join,
)
def test_wrong_options_are_one_sentence_with_a_hint(capsys, words, said):
    text = refused(capsys, *words)
    assert said.lower() in text.lower()
    assert "hint: " in text


def test_wrong_options_make_no_file(capsys, tmp_path):
    for words in (["recommend", "x", "--images", "3"], ["tune", "--trials", "0"], ["export", "r", "--to", "onnx"]):
        refused(capsys, *words)
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize("name", ["report.txt", "report", "report.md"])
def test_a_report_is_html(capsys, tmp_path, name):
    (tmp_path / "run").mkdir()
    (tmp_path / "run" / "plan.toml").touch()
    assert "should end with .html" in refused(capsys, "report", "run", "-o", name)


def test_a_run_that_is_not_there_is_named_with_those_that_are(capsys, tmp_path):
    (tmp_path / "runs" / "birds").mkdir(parents=True)
    (tmp_path / "runs" / "birds" / "plan.toml").touch()
    assert main(["report", "brids"]) == ExitCode.COULD_NOT
    err = capsys.readouterr().err
    assert "runs there: birds" in err
    assert "did you mean `birds`?" in err


def test_a_backbone_of_no_such_name_is_hinted_at(capsys):
    assert main(["backbones", "lite00"]) == ExitCode.COULD_NOT
    assert "did you mean `lite0`?" in capsys.readouterr().err
    assert main(["backbones", "lite*", "--json"]) == ExitCode.OK
    assert all(row["name"].startswith("lite") for row in json.loads(capsys.readouterr().out))


@pytest.mark.parametrize("name", ["heads", "datasets", "recipes"])
def test_lists_say_where_each_thing_is_from(capsys, name):
    assert main([name, "--json"]) == ExitCode.OK
    rows = json.loads(capsys.readouterr().out)
    assert rows
    assert [row["name"] for row in rows] == sorted(row["name"] for row in rows)
    assert all(row["from"] and row["summary"] for row in rows)


def test_keys_of_heads_are_among_the_keys(capsys):
    main(["heads", "--json"])
    parameters = {key for row in json.loads(capsys.readouterr().out) for key in row["parameters"]}
    main(["recipes", "--keys", "--json"])
    rows = json.loads(capsys.readouterr().out)
    assert parameters <= {row["key"] for row in rows}
    assert all(row["help"] for row in rows)


@pytest.mark.parametrize(
    ("text", "paths"),
    [
        ("a.png\nb c.png\n", ["a.png", "b c.png"]),
        ("a.png\r\nb.png", ["a.png", "b.png"]),
        ("a\n.png\0b.png\0", ["a\n.png", "b.png"]),
    ],
)
def test_paths_come_from_stdin_one_a_line_or_ended_by_zeros(monkeypatch, text, paths):
    import io

    monkeypatch.setattr("sys.stdin", io.StringIO(text))
    assert predict._paths(["first.png", "-"]) == ["first.png", *paths]


def test_an_empty_stdin_is_nothing_to_predict(monkeypatch):
    import io

    monkeypatch.setattr("sys.stdin", io.StringIO("\n\n"))
    with pytest.raises(UsageError, match="stdin named no images"):
        predict._paths(["-"])


def test_an_ending_is_added_once(tmp_path):
    assert export._with_ending(tmp_path / "x", ".onnx").name == "x.onnx"
    assert export._with_ending(tmp_path / "x.onnx", ".onnx").name == "x.onnx"
    assert export._with_ending(tmp_path / "x.v2", ".onnx").name == "x.v2.onnx"


@pytest.mark.parametrize("form", ["plugin", "hub-folder", "timm-folder", "onnx", "program"])
def test_the_next_step_names_what_was_written_and_may_be_copied(tmp_path, form):
    step = export._next_step(form, tmp_path / "my birds")
    assert "my birds" in step
    shell = form in {"plugin", "hub-folder"}
    assert (f"'{tmp_path}/my birds'" in step) or not shell


def test_pip_is_given_a_folder_and_not_a_name_of_the_index():
    from pathlib import Path

    assert export._next_step("plugin", Path("advisor-birds")).startswith("pip install ./advisor-birds\n")


def test_a_model_that_is_none_is_said_before_images_are_looked_for(capsys, tmp_path):
    (tmp_path / "a.png").write_bytes(png())
    assert main(["predict", "nowhere", "a.png", "-q"]) == ExitCode.COULD_NOT
    assert "`nowhere` is not a tuned model: config.json is missing." in capsys.readouterr().err


def test_without_words_there_is_help_and_a_version_alone_is_one(capsys):
    assert main([]) == ExitCode.USAGE
    assert "COMMAND" in capsys.readouterr().out
    assert main(["--version"]) == ExitCode.OK
    assert capsys.readouterr().out.startswith("transfer-advisor 0.")


def test_a_command_that_is_none_is_named_with_a_close_one(capsys):
    assert main(["recomend"]) == ExitCode.USAGE
    assert "did you mean `recommend`?" in capsys.readouterr().err
