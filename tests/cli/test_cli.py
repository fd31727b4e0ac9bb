"""The command as a person meets it: exit codes, JSON on stdout, talk on stderr, every kind of bad input."""

import json
import shutil

import numpy as np
import pytest
from conftest import draw

from advisor.cli.main import build_parser, main
from advisor.plugins import load_catalog
from advisor.recipe import load_plan

LISTINGS = ["plugins", "backbones", "heads", "datasets", "recipes", "recipes --keys"]


@pytest.fixture
def run(capsys, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)

    def _run(*words):
        code = main([str(word) for word in words])
        out, err = capsys.readouterr()
        assert "Traceback" not in err
        return code, out, err

    return _run


def failed(result, code, *fragments):
    got, out, err = result
    assert got == code, err
    assert out == ""
    assert err.startswith("error: ") or "\nerror: " in err
    assert "hint: " in err
    for fragment in fragments:
        assert fragment in err, err


def test_the_whole_way(run, tiny, tiny_folder, tmp_path):
    code, out, err = run("recommend", tiny_folder, "--backbone", tiny, "--no-report")
    assert code == 0
    for words in (
        "Scenario",
        "Why",
        "A linear classifier at every stage",
        "Runner-up",
        "What would change this",
        "advisor tune",
    ):
        assert words in out
    assert "Decoding images: 72/72" in err
    text = (tmp_path / "advisor.toml").read_text()
    assert text.startswith("# Written by `advisor recommend`")
    code, out, err = run("tune", "--trials", 2, "--budget", "60s", "--no-report")
    assert code == 0, err
    assert "probe" in err
    assert "of images it had never seen" in out
    best = tmp_path / "runs" / "shapes" / "best"
    code, out, _ = run("predict", best, tiny_folder / "across" / "00.png", "--top", 2)
    assert code == 0
    assert out.split()[1] == "across"
    assert len(out.split()) == 5


def test_json_is_one_document_on_stdout(run, tiny, tiny_folder, tmp_path):
    code, out, err = run("recommend", tiny_folder, "--backbone", tiny, "--json", "-q", "--no-report")
    assert (code, err) == (0, "")
    assert json.loads(out)["verdict"]["scenario"] in (1, 2, 3, 4)
    code, out, err = run("tune", "--trials", 1, "--json", "-q", "--no-report")
    assert (code, err) == (0, "")
    best = json.loads(out)["best"]
    (tmp_path / "broken.png").write_bytes(b"x")
    code, out, err = run("predict", best, tiny_folder / "down", "broken.png", "--json", "-q")
    rows = json.loads(out)
    assert len(rows) == 25
    assert rows[-1] == {"path": "broken.png", "error": "not an image"}
    assert code == 0
    assert run("predict", best, "broken.png", "-q")[0] == 1
    code, out, err = run("profile", tiny_folder, "--backbone", tiny, "--json", "-q")
    assert json.loads(out)["images"] == 72


@pytest.mark.parametrize("words", LISTINGS)
def test_listings(run, words):
    code, out, err = run(*words.split())
    assert (code, err) == (0, "")
    assert len(out.splitlines()) > 2
    code, out, err = run(*words.split(), "--json")
    rows = json.loads(out)
    assert rows
    assert len({tuple(row) for row in rows}) == 1


def test_backbone_patterns(run):
    _, out, _ = run("backbones", "timm/test_*", "--json")
    assert any(row["name"].startswith("timm/test_resnet") for row in json.loads(out))
    failed(run("backbones", "timm/no-such-*"), 1, "No backbone is named like")


def test_every_command_has_help_and_every_option_an_explanation():
    parser = build_parser()
    (subparsers,) = [action for action in parser._actions if hasattr(action, "choices") and action.choices]
    assert set(subparsers.choices) == {
        "recommend", "tune", "predict", "profile", "plugins", "backbones", "heads", "datasets", "recipes", "reference", "export", "eject",
        "cache", "explain", "completion", "doctor", "report",
    }  # fmt: skip
    for command in subparsers.choices.values():
        assert command.description
        assert all(action.help for action in command._actions)


def test_wrong_words(run):
    failed(run("recomend", "x"), 2, "There is no `recomend`", "did you mean `recommend`?")
    failed(run("recommend"), 2, "required: data")
    failed(run("recommend", "x", "--colour"), 2, "--colour")
    failed(run("recommend", "--bakbone", "lite0"), 2, "no option `--bakbone`", "did you mean `--backbone`?")
    failed(run("plugins", "new", "x", "--knd=head"), 2, "no option `--knd`", "did you mean `--kind`?")
    failed(run("plugins", "nwe"), 2, "did you mean `new`?")
    failed(run("recommend", "x", "--codes", "meen"), 2, "There is no `meen`", "did you mean `mean`?")
    failed(run("recommend", "x", "--out", "p.toml"), 2, "no option `--out`", "did you mean `--output`?")
    failed(run("recommend", "x", "--seed", "y"), 2, "`y` is not a whole number")
    code, out, _ = run()
    assert code == 2
    assert "advisor recommend ./data" in out
    assert run("--version")[1].startswith("transfer-advisor ")


def empty(root):
    root.mkdir()


def one_class(root):
    (root / "cats").mkdir(parents=True)
    draw(0, 0).save(root / "cats" / "1.png")


def one_image(root):
    for kind, (name, count) in enumerate((("cats", 10), ("dogs", 1))):
        (root / name).mkdir(parents=True)
        for seed in range(count):
            draw(kind, seed).save(root / name / f"{seed}.png")


def a_file(root):
    draw(0, 0).save(root, "PNG")


def broken_class(root):
    one_image(root)
    for number in range(5):
        (root / "dogs" / f"{number}.png").write_bytes(b"broken")


@pytest.mark.parametrize(
    ("make", "code", "fragments"),
    [
        (empty, 1, ["There are no images in"]),
        (one_class, 1, ["only one class, `cats`"]),
        (one_image, 1, ["`dogs` (1)", "--skip-small-classes"]),
        (a_file, 2, ["is a file, not a folder"]),
        (broken_class, 1, ["`dogs` (0)", "repair the 5 unreadable files", "dogs/0.png: not an image"]),
        (lambda root: None, 2, ["Nothing here can read", "./data (folder)", "digits:"]),
    ],
)
@pytest.mark.parametrize("command", ["recommend", "profile"])
def test_unusable_data(run, tmp_path, tiny, make, code, fragments, command):
    make(tmp_path / "data")
    failed(run(command, tmp_path / "data", "--backbone", tiny), code, *fragments)
    assert not (tmp_path / "advisor.toml").exists()


def test_other_wrong_arguments(run, tiny, tiny_folder, tmp_path):
    failed(
        run("recommend", tiny_folder, "--backbone", "lit0"), 1, "There is no backbone `lit0`", "did you mean `lite0`?"
    )
    failed(run("recommend", tiny_folder, "--backbone", tiny, "--device", "cuda:0"), 1, "no usable NVIDIA GPU")
    failed(run("recommend", tiny_folder, "--backbone", tiny, "--device", "gpu"), 2, "`gpu` is not a device")
    failed(run("recommend", tiny_folder, "-o", tmp_path / "none" / "plan.toml"), 2, "There is no folder")
    failed(run("recommend", tiny_folder, "--images", 0), 2, "--images must be at least 16")
    failed(run("tune"), 2, "There is no file `advisor.toml`", "advisor recommend")
    (tmp_path / "my-plan.toml").touch()
    failed(run("tune", "my-paln.toml"), 2, "There is no file", "did you mean `my-plan.toml`?")
    failed(run("predict", "shaps", "x.jpg"), 1, "is not a tuned model", "did you mean `shapes`?")
    failed(run("recommend", "shaps"), 2, "did you mean `shapes`?")
    failed(run("recommend", "digts:"), 2, "did you mean `digits:`?")
    failed(run("recommend", tiny_folder, "--backbones", "tny"), 1, f"did you mean `{tiny}`?")
    failed(run("backbones", "lite22"), 1, "did you mean `lite2`?")
    failed(run("recommend", tiny_folder, "--backbone", tiny, "--device", "cdua"), 2, "did you mean `cuda`?")
    failed(run("tune", tiny_folder), 2, "cannot be read")
    failed(run("predict", tmp_path, "x.jpg"), 1, "is not a tuned model")


def test_a_plan_with_mistakes(run, tmp_path):
    (tmp_path / "advisor.toml").write_text("schema = 1\nname = 'x'\n[optimizer]\nlr = 'fast'\nmomentum = 0.9\n")
    failed(
        run("tune"),
        2,
        "4 problems in advisor.toml",
        "optimizer.lr: found",
        "optimizer.momentum: unknown",
        "data.location",
    )


def test_a_run_folder_of_another_dataset(run, tiny, tiny_folder, tmp_path):
    run("recommend", tiny_folder, "--backbone", tiny, "-q", "--no-report")
    run("tune", "--trials", 1, "-q", "--no-report")
    other = tmp_path / "elsewhere" / "shapes"
    shutil.copytree(tiny_folder, other)
    draw(0, 500).save(other / "across" / "new.png")
    run("recommend", other, "--backbone", tiny, "-q", "--no-report")
    failed(run("tune", "--trials", 1, "-q", "--no-report"), 1, "holds a run of another dataset", "--name shapes-2")
    assert run("tune", "--trials", 1, "-q", "--name", "shapes-2", "--no-report")[0] == 0


def test_bad_files_among_good_ones_are_named_and_the_rest_goes_on(run, tiny, tiny_folder):
    whole = (tiny_folder / "down" / "00.png").read_bytes()
    (tiny_folder / "down" / "cut.png").write_bytes(whole[:-200])
    (tiny_folder / "down" / "empty.jpg").touch()
    code, out, _ = run("profile", tiny_folder, "--backbone", tiny)
    assert code == 0
    assert "2 files cannot be read and are left out" in out
    assert "down/empty.jpg: the file is empty" in out
    assert "down/cut.png" in out


def test_class_names_are_shown_as_they_are(run, tiny, tmp_path):
    names = ["[red]fire[/red]", "<b>bold</b>", "日本 café", 'it\'s "quoted"']
    for kind, name in enumerate(names):
        folder = tmp_path / "odd" / name.replace("/", "∕")
        folder.mkdir(parents=True)
        for seed in range(12):
            draw(kind, 30 * kind + seed).save(folder / f"[bold]{seed}.png")
    code, out, err = run("recommend", tmp_path / "odd", "--backbone", tiny, "--no-report")
    assert code == 0, err
    code, out, err = run("tune", "--trials", 1, "--no-report")
    assert code == 0, err
    code, out, _ = run("profile", tmp_path / "odd", "--backbone", tiny)
    assert "[red]fire[∕red]" in out
    code, out, _ = run("predict", "runs/odd/best", tmp_path / "odd", "--top", 4)
    assert code == 0
    for name in names:
        assert name.replace("/", "∕") in out
    assert "[bold]0.png" in out


def test_shuffled_labels_and_black_images_get_sensible_words(run, tiny, tmp_path):
    from PIL import Image

    for name in ("a", "b"):
        (tmp_path / "black" / name).mkdir(parents=True)
        for size in range(30):
            Image.new("RGB", (20 + size, 20)).save(tmp_path / "black" / name / f"{size}.png")
    code, out, err = run("recommend", tmp_path / "black", "--backbone", tiny, "--no-report")
    assert code == 0, err
    assert "Check the labels first" in out
    assert "nan" not in out.lower().replace("finance", "")
    rng = np.random.default_rng(0)
    for seed in range(60):
        folder = tmp_path / "shuffled" / "ab"[rng.integers(2)]
        folder.mkdir(parents=True, exist_ok=True)
        draw(int(rng.integers(3)), seed).save(folder / f"{seed}.png")
    code, out, err = run("recommend", tmp_path / "shuffled", "--backbone", tiny, "--no-report")
    assert code == 0, err
    assert "Check the labels first" in out


def test_profile_looks_at_labels_unless_told_not_to(run, tiny, tiny_folder):
    (tiny_folder / "across" / "00.png").rename(tiny_folder / "down" / "wrong.png")
    code, out, _ = run("profile", tiny_folder, "--backbone", tiny, "--json", "-q")
    assert code == 0
    found = json.loads(out)
    assert [entry["path"] for entry in found["suspects"]] in ([], ["down/wrong.png"])
    assert len(found["classes"]) == 3
    code, out, _ = run("profile", tiny_folder, "--backbone", tiny, "--without-network", "--json", "-q")
    assert code == 0
    assert "suspects" not in json.loads(out)


def test_several_backbones_a_pilot_and_a_page_that_shows_both(run, tiny, tiny_folder):
    code, out, err = run("recommend", tiny_folder, "--backbones", f"{tiny},nosuch", "--pilot", "--no-report")
    assert code == 0, err
    assert "nosuch is left out" in err
    assert "Of those tied" in out
    assert "A pilot of" in out
    code, out, _ = run("recommend", tiny_folder, "--backbones", tiny, "--json", "-q", "--no-report")
    assert json.loads(out)["backbones"][0]["name"] == tiny


def test_codes_reach_the_probes_the_page_and_the_plan(run, tiny, tiny_folder):
    code, out, err = run(
        "recommend", tiny_folder, "--backbone", tiny, "--codes", "mean+std", "--pilot", "-o", "p.toml", "--no-report"
    )
    assert code == 0, err
    assert "mean and deviation of each channel" in out
    assert load_plan("p.toml", load_catalog()).recipe.get("features.codes") == "mean+std"


def test_reference_says_what_it_needs(run, tiny, tiny_folder):
    failed(run("reference", tiny, tiny_folder), 1, "500 are needed")
