"""A tuned model in other forms."""

import importlib
import json
import subprocess
import sys
import tomllib

import pytest
import timm
import torch

import advisor
from advisor.cli.main import main
from advisor.errors import UsageError
from advisor.outcome.export import export_hub_folder, export_plugin, export_program
from advisor.recipe import Plan, Recipe
from advisor.tuning.study import Search


@pytest.fixture
def best(monkeypatch, tiny, tiny_folder, tmp_path):
    """Bundles by what they are: `whole`, which timm loads, and `tapped`, which it does not."""
    monkeypatch.setattr(Search, "_add_probes", lambda self: None)

    def make(kind):
        values = {
            "features.tap": {"whole": 1.0, "tapped": 0.6}[kind], "head.name": "linear", "freeze.depth": 0.4,
            "train.epochs": 1, "train.batch_size": 16, "search.folds": 1, "search.seeds": 1,
        }  # fmt: skip
        found = Plan(Recipe("test", values=values), str(tiny_folder), tiny)
        return advisor.tune(found, runs=tmp_path / "runs", name=kind, trials=1, budget="60s", device="cpu").best

    return make


@pytest.mark.parametrize("kind", ["whole", "tapped"])
def test_a_plugin_of_a_tuned_network_is_a_backbone_like_any_other(best, tmp_path, capsys, kind, tiny_folder):
    folder = best(kind)
    assert advisor.load(folder).timm_loads_it == (kind == "whole")
    name = f"my-{kind}"
    assert main(["export", str(folder), "--as", "plugin", "--name", name, "--into", str(tmp_path)]) == 0
    made = tmp_path / f"advisor-{name}"
    assert f"pip install {made}" in capsys.readouterr().out
    code = main(["plugins", "check", str(made), "--json"])
    flaws = [finding for finding in json.loads(capsys.readouterr().out) if finding["flaw"]]
    assert code == 0, flaws
    card = (made / "README.md").read_text()
    assert "across, blobs, down" in card
    assert "tuned from | `tiny`" in card
    network = advisor.load_backbone(folder)
    images = torch.rand(2, 3, 64, 64)
    with torch.inference_mode():
        torch.testing.assert_close(network.eval()(images), advisor.load(folder).network(images), atol=1e-5, rtol=1e-4)


@pytest.mark.parametrize("kind", ["whole", "tapped"])
def test_a_program_answers_as_the_model_does_for_any_number_of_images(best, tmp_path, kind):
    folder = best(kind)
    file = export_program(folder, tmp_path / "model.pt2")
    code = (
        "import json, sys, torch\n"
        "extra = {'advisor.json': ''}\n"
        "program = torch.export.load(sys.argv[1], extra_files=extra)\n"
        "torch.manual_seed(0)\n"
        "print(json.dumps([json.loads(extra['advisor.json'])['classes'],"
        " [program.module()(torch.rand(n, 3, 64, 64)).tolist() for n in (1, 5)]]))\n"
        "assert 'advisor' not in sys.modules and 'timm' not in sys.modules\n"
    )
    done = subprocess.run([sys.executable, "-c", code, str(file)], capture_output=True, text=True, check=True)
    classes, answers = json.loads(done.stdout.strip().splitlines()[-1])
    model = advisor.load(folder)
    assert classes == list(model.classes)
    torch.manual_seed(0)
    with torch.inference_mode():
        for found, count in zip(answers, (1, 5), strict=True):
            torch.testing.assert_close(
                torch.tensor(found), model.network(torch.rand(count, 3, 64, 64)), atol=1e-4, rtol=1e-3
            )
    with pytest.raises(UsageError, match="there already"):
        export_program(folder, file)
    with pytest.raises(UsageError, match=r"does not end in \.pt2"):
        export_program(folder, tmp_path / "model.onnx")


def test_a_folder_for_the_hub_has_a_card_and_loads(best, tmp_path):
    made = export_hub_folder(best("whole"), tmp_path / "my-shapes")
    card = (made / "README.md").read_text()
    assert card.startswith("---\nlicense: mit\nlibrary_name: timm\n")
    assert 'timm.create_model("hf-hub:OWNER/my-shapes", pretrained=True)' in card
    assert timm.create_model(f"local-dir:{made}", pretrained=True).num_classes == 3
    with pytest.raises(UsageError, match="there already"):
        export_hub_folder(best("whole"), made)


CODE = 'MIT", summary=print("ran"), licence="\n"""\nprint("ran")\n"""'


def test_no_name_or_licence_becomes_code_or_breaks_what_is_written(best, tiny_folder, tmp_path, capsys, monkeypatch):
    for old, new in {"across": 'a "quoted" {x} $name', "blobs": "two\nlines | `tick` <b>", "down": "---\n```"}.items():
        (tiny_folder / old).rename(tiny_folder / new)
    folder = best("whole")
    report = json.loads((folder / "report.json").read_text())
    report["backbone"] |= {"licence": CODE, "trained_on": CODE}
    report["dataset"]["location"] = f"data/{CODE}"
    (folder / "report.json").write_text(json.dumps(report))
    made = export_plugin(folder, tmp_path, name="my-shapes", licence='MIT"\n[tool.x]\ny = "')
    project = tomllib.loads((made / "pyproject.toml").read_text())
    assert set(project) == {"build-system", "project", "tool"}
    assert set(project["tool"]) == {"setuptools"}
    assert len(project["project"]["description"].splitlines()) == 1
    monkeypatch.syspath_prepend(str(made / "src"))
    (backbone,) = importlib.import_module("advisor_my_shapes").advisor_backbones()
    assert "ran" not in capsys.readouterr().out.splitlines()
    assert backbone.weights.licence == CODE.replace("\n", " ")
    (row,) = [line for line in (made / "README.md").read_text().splitlines() if line.startswith("| classes")]
    assert row == "| classes | --- ''', a \"quoted\" {x} $name, two lines \\| 'tick' &lt;b> |"
    card = (export_hub_folder(folder, tmp_path / 'a"b') / "README.md").read_text()
    head, _, rest = card.removeprefix("---\n").partition("\n---\n")
    assert [line.partition(":")[0] for line in head.splitlines()[:4]] == [
        "license",
        "library_name",
        "pipeline_tag",
        "tags",
    ]
    assert json.loads(head.splitlines()[0].partition(": ")[2]) == CODE.replace("\n", " ").lower()
    assert rest.count("\n---\n") == 0
    assert 'create_model("hf-hub:OWNER/a\\"b", pretrained=True)' in rest


def test_only_the_model_s_own_files_leave_and_a_report_without_figures_is_said(best, tmp_path, capsys):
    folder = best("whole")
    (folder / "notes").mkdir()
    (folder / "secret.txt").write_text("mine")
    hub, plugin = export_hub_folder(folder, tmp_path / "hub"), export_plugin(folder, tmp_path, name="a")
    own = {"config.json", "model.safetensors", "best.toml", "report.json"}
    assert {file.name for file in hub.iterdir()} == own | {"README.md"}
    assert {file.name for file in (plugin / "src" / "advisor_a" / "model").iterdir()} == own
    assert export_program(folder, tmp_path / "new" / "model.pt2").is_file()
    assert [file.name for file in (tmp_path / "new").iterdir()] == ["model.pt2"]
    (folder / "report.json").write_text("{}")
    assert main(["export", str(folder), "--as", "plugin", "--name", "b", "--into", str(tmp_path)]) == 1
    assert "has no report that can be read" in capsys.readouterr().err


def test_a_form_and_a_name_are_needed(tmp_path, capsys):
    assert main(["export", "runs/x/best", "--as", "plugin"]) == 2
    assert "needs a name" in capsys.readouterr().err
    assert main(["export", "runs/x/best", "--name", "a"]) == 2
    assert main(["export", str(tmp_path), "--as", "plugin", "--name", "a"]) == 1
    assert "is not a tuned model" in capsys.readouterr().err
