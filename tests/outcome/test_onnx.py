"""One ONNX file with the preprocessing inside."""

import importlib.util
import json

import numpy as np
import onnx
import onnxruntime
import pytest
from PIL import Image

import advisor
from advisor.cli.main import main
from advisor.errors import BundleError, MissingExtraError, UsageError
from advisor.outcome.export import export_onnx, gate
from advisor.outcome.export import onnx as module

KINDS = {
    "whole": {},
    "tapped": {"features.tap": 0.6, "features.codes": "mean+std"},
    "stages together, mirrored": {
        "features.also": "0.2 0.6",
        "features.mirrored": True,
        "freeze.depth": 1.0,
        "head.name": "ridge",
    },
}


@pytest.mark.parametrize("kind", KINDS)
def test_the_file_answers_as_predict_does_to_images_of_any_size(tuned, tiny_folder, tmp_path, capsys, kind):
    folder = tuned(tiny_folder, **KINDS[kind])
    assert main(["export", str(folder), "--to", "onnx", "--name", "m", "--into", str(tmp_path), "--json"]) == 0
    told = json.loads(capsys.readouterr().out)
    assert told["agreement"]["max_difference"] <= 1e-4
    assert told["agreement"]["same_label"] == told["agreement"]["images"] == 64
    assert [path.name for path in tmp_path.glob("m*")] == ["m.onnx"]  # one file, with its weights
    session = onnxruntime.InferenceSession(tmp_path / "m.onnx")
    files = []
    for place, size in enumerate([(40, 48), (64, 64), (200, 31), (71, 300)]):
        pixels = np.random.default_rng(place).integers(0, 256, (*size, 3), dtype=np.uint8)
        files.append(tmp_path / f"{place}.png")
        Image.fromarray(pixels).save(files[-1])
    expected = advisor.predict(folder, files, device="cpu").filter(like="p(").to_numpy()
    for file, row in zip(files, expected, strict=True):
        pixels = np.asarray(Image.open(file))[None]
        (found,) = session.run(None, {"images": np.concatenate([pixels] * 3)})
        assert found.shape == (3, 3)
        np.testing.assert_allclose(found, np.stack([row] * 3), atol=1e-5)
    model = onnx.load(tmp_path / "m.onnx")
    onnx.checker.check_model(model)
    known = {entry.key: entry.value for entry in model.metadata_props}
    assert json.loads(known["classes"]) == ["across", "blobs", "down"]
    assert "RGB" in known["input"]
    assert {opset.domain for opset in model.opset_import} <= {"", "ai.onnx"}  # every runtime knows these


def test_names_of_strangers_arrive_as_they_are(hostile_run, tmp_path):
    file = export_onnx(hostile_run, tmp_path / "m.onnx", images=4).path
    known = {entry.key: entry.value for entry in onnx.load(file).metadata_props}
    assert tuple(json.loads(known["classes"])) == advisor.load(hostile_run).classes
    assert known["classes"].isascii()


def test_where_an_image_has_several_labels_each_has_its_own_probability(tuned, tiny_folder, tmp_path):
    files = sorted(tiny_folder.rglob("*.png"))
    tags = [f"{file.parent.name}{'|odd' if int(file.stem) % 2 else ''}" for file in files]
    lines = ["path,tags", *(f"{file},{tag}" for file, tag in zip(files, tags, strict=True))]
    (tmp_path / "tags.csv").write_text("\n".join(lines))
    folder = tuned(tmp_path / "tags.csv", **{"head.name": "sigmoid"})
    assert not advisor.load(folder).task.exclusive
    made = export_onnx(folder, tmp_path / "m.onnx", images=12)
    assert made.agreement.real
    pixels = np.stack([np.asarray(Image.open(file)) for file in files])
    (found,) = onnxruntime.InferenceSession(made.path).run(None, {"images": pixels})
    expected = advisor.predict(folder, files, device="cpu").filter(like="p(").to_numpy()
    np.testing.assert_allclose(found, expected, atol=1e-4)
    assert np.abs(found.sum(1) - 1).max() > 0.05
    known = {entry.key: entry.value for entry in onnx.load(made.path).metadata_props}
    assert "each by itself" in known["output"]


def test_what_cannot_be_written_is_refused(tuned, tiny_folder, tmp_path, monkeypatch):
    folder = tuned(tiny_folder)
    with pytest.raises(UsageError, match=r"does not end in \.onnx"):
        export_onnx(folder, tmp_path / "m.pt2")
    (tmp_path / "there.onnx").touch()
    with pytest.raises(UsageError, match="there already"):
        export_onnx(folder, tmp_path / "there.onnx")
    monkeypatch.setattr(gate, "TOLERANCE", -1.0)
    with pytest.raises(BundleError, match="The ONNX file was not written"):
        export_onnx(folder, tmp_path / "into" / "m.onnx", images=3)
    assert list((tmp_path / "into").iterdir()) == []
    monkeypatch.setattr(module, "find_spec", lambda name: None if name != "onnx" else importlib.util.find_spec(name))
    with pytest.raises(MissingExtraError, match=r"needs onnxscript and onnxruntime, which are not installed") as caught:
        export_onnx(folder, tmp_path / "m.onnx")
    assert caught.value.hint == "pip install 'transfer-advisor[onnx]'"
