"""A tuned model in other forms."""

import ast
import importlib
import json
import subprocess
import sys
import tomllib

import pytest
import timm
import torch
from huggingface_hub import ModelCard

import advisor
from advisor.cli.main import main
from advisor.errors import BundleError, UsageError
from advisor.outcome.bundle import load
from advisor.outcome.export import export_hub_folder, export_plugin, export_program, export_timm_folder, gate
from advisor.outcome.export.gate import agreement, expected_of, pictures_for


@pytest.fixture
def best(tuned, tiny_folder):
    """Bundles by what they are: `whole`, which timm loads, and `tapped` and `together`, which it does not."""
    kinds = {
        "whole": {},
        "tapped": {"features.tap": 0.6},
        "together": {"features.tap": 0.8, "features.also": "0.2 0.6"},
    }
    return lambda kind: tuned(tiny_folder, **kinds[kind])


@pytest.mark.parametrize("kind", ["whole", "tapped", "together"])
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


@pytest.mark.parametrize("kind", ["whole", "tapped", "together"])
def test_a_program_answers_as_the_model_does_for_any_number_of_images(best, tmp_path, kind):
    folder = best(kind)
    file = export_program(folder, tmp_path / "model.pt2").path
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
    folder = best("whole")
    made = export_hub_folder(folder, tmp_path / "my-shapes").path
    card = (made / "README.md").read_text()
    assert 'timm.create_model("hf-hub:OWNER/my-shapes", pretrained=True)' in card
    assert timm.create_model(f"local-dir:{made}", pretrained=True).num_classes == 3
    with pytest.raises(UsageError, match="there already"):
        export_hub_folder(folder, made)


CODE = 'MIT", summary=print("ran"), licence="\n"""\nprint("ran")\n"""'


def test_no_name_or_licence_becomes_code_or_breaks_what_is_written(best, tiny_folder, tmp_path, capsys, monkeypatch):
    for old, new in {"across": 'a "quoted" {x} $name', "blobs": "two\nlines | `tick` <b>", "down": "---\n```"}.items():
        (tiny_folder / old).rename(tiny_folder / new)
    folder = best("whole")
    report = json.loads((folder / "report.json").read_text())
    report["backbone"] |= {"licence": CODE, "trained_on": CODE}
    report["dataset"]["location"] = f"data/{CODE}"
    (folder / "report.json").write_text(json.dumps(report))
    made = export_plugin(folder, tmp_path, name="my-shapes", licence='MIT"\n[tool.x]\ny = "').path
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
    card = (export_hub_folder(folder, tmp_path / 'a"b').path / "README.md").read_text()
    assert ModelCard(card).data.license == CODE.replace("\n", " ").lower()
    rest = card.removeprefix("---\n").partition("\n---\n")[2]
    assert rest.count("\n---\n") == 0
    assert 'create_model("hf-hub:OWNER/a\\"b", pretrained=True)' in rest


def test_only_the_model_s_own_files_leave_and_a_report_without_figures_is_said(best, tmp_path, capsys):
    folder = best("whole")
    (folder / "notes").mkdir()
    (folder / "secret.txt").write_text("mine")
    hub, plugin = export_hub_folder(folder, tmp_path / "hub").path, export_plugin(folder, tmp_path, name="a").path
    own = {"config.json", "model.safetensors", "best.toml", "report.json"}
    assert {file.name for file in hub.iterdir()} == own | {"README.md"}
    assert {file.name for file in (plugin / "src" / "advisor_a" / "model").iterdir()} == own
    assert export_program(folder, tmp_path / "new" / "model.pt2").path.is_file()
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


def test_a_folder_for_timm_alone(best, tmp_path, capsys):
    folder = best("whole")
    assert (
        main(["export", str(folder.parent), "--to", "timm-folder", "--name", "t", "--into", str(tmp_path), "--json"])
        == 0
    )
    told = json.loads(capsys.readouterr().out)
    assert sorted(path.name for path in (tmp_path / "t").iterdir()) == ["config.json", "model.safetensors"]
    assert "advisor" not in json.loads((tmp_path / "t" / "config.json").read_text())
    assert told["agreement"]["real"] is True
    assert told["agreement"]["same_label"] == told["agreement"]["images"] == 64
    assert told["agreement"]["max_difference"] <= 1e-5
    assert "timm's own transform" in told["agreement"]["notes"][0]
    network = timm.create_model(f"local-dir:{tmp_path / 't'}", pretrained=True).eval()
    images = torch.rand(2, 3, 64, 64)
    with torch.inference_mode():
        torch.testing.assert_close(network(images), load(folder).network(images), atol=1e-5, rtol=1e-4)


@pytest.mark.parametrize(
    ("values", "why"),
    [
        ({"features.tap": 0.6}, "reads stage"),
        ({"features.also": "0.4"}, "reads stages 2 and 5 together"),
        ({"head.name": "cosine"}, "head `cosine` is more than one linear layer"),
        ({"features.codes": "relu"}, "reads `relu`"),
    ],
)
def test_timm_cannot_express_everything_and_that_is_said(tuned, tiny_folder, tmp_path, values, why):
    with pytest.raises(BundleError, match=why):
        export_timm_folder(tuned(tiny_folder, **values), tmp_path / "t")
    assert not (tmp_path / "t").exists()


def test_what_answers_otherwise_is_refused_and_leaves_nothing(best, tmp_path, monkeypatch):
    folder = best("whole")
    bundle = load(folder)
    pictures = pictures_for(bundle, json.loads((folder / "report.json").read_text())["dataset"]["location"], 5)
    assert pictures.real
    assert len(pictures.pixels) == 5
    off = 1.5e-4 * torch.tensor([1.0, -1.0, 0.0]).numpy()
    with pytest.raises(
        BundleError, match=r"differ from the model's by up to 0.00015, and 0.0001 is allowed \(5 images of"
    ):
        agreement(bundle, pictures, lambda pixels: expected_of(bundle, pixels) + off, "It")
    with pytest.raises(BundleError, match="something else than 3 probabilities"):
        agreement(bundle, pictures, lambda pixels: expected_of(bundle, pixels) * float("nan"), "It")
    with pytest.raises(BundleError, match="something else than 3 probabilities"):
        agreement(bundle, pictures, lambda pixels: expected_of(bundle, pixels)[:, :2], "It")
    monkeypatch.setattr(gate, "TOLERANCE", -1.0)
    for write in (
        lambda: export_program(folder, tmp_path / "into" / "m.pt2"),
        lambda: export_hub_folder(folder, tmp_path / "into" / "hub"),
        lambda: export_timm_folder(folder, tmp_path / "into" / "timm"),
        lambda: export_plugin(folder, tmp_path / "into", name="mine"),
    ):
        with pytest.raises(BundleError, match="was not written"):
            write()
    assert list((tmp_path / "into").iterdir()) == []


def test_where_the_images_are_gone_drawn_ones_stand_in_and_that_is_said(best, tmp_path, tiny_folder):
    folder = best("whole")
    tiny_folder.rename(tiny_folder.with_name("elsewhere"))
    found = export_program(folder, tmp_path / "m.pt2", images=6).agreement
    assert not found.real
    assert found.images == 6
    assert "drawn at random" in str(found)
    assert "Nothing here can read" in str(found)


def test_a_damaged_bundle_or_none_is_named(best, tmp_path, capsys):
    folder = best("tapped")
    config = json.loads((folder / "config.json").read_text())
    config["advisor"]["input"]["size"] = "__import__('os').abort()"
    (folder / "config.json").write_text(json.dumps(config))
    for form in (["--to", "onnx"], ["--to", "program"], ["--to", "timm-folder"], ["--as", "plugin"]):
        assert main(["export", str(folder), *form, "--name", "a", "--into", str(tmp_path / "into")]) == 1
        assert "cannot be loaded" in capsys.readouterr().err
    (folder / "report.json").write_text("{}")
    config["advisor"]["input"]["size"] = 64
    (folder / "config.json").write_text(json.dumps(config))
    for form in (["--to", "onnx"], ["--to", "program"], ["--to", "hub-folder"], ["--as", "plugin"]):
        assert main(["export", str(folder), *form, "--name", "a", "--into", str(tmp_path / "into")]) == 1
        assert "no report that can be read" in capsys.readouterr().err
    assert not (tmp_path / "into").exists()


def test_a_card_and_a_package_of_a_real_run_with_names_of_strangers(hostile_run, tmp_path):
    made = export_plugin(hostile_run, tmp_path, name="mine", images=8).path
    card = (export_hub_folder(hostile_run, tmp_path / "hub", images=8).path / "README.md").read_text()
    ast.parse((made / "src" / "advisor_mine" / "__init__.py").read_text())
    for text in (card, (made / "README.md").read_text()):
        assert "<script" not in text
        assert "\u202e" not in text
        assert "two lines" in text
        assert "lines" not in {line.strip("| ") for line in text.splitlines()}
