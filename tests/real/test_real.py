"""Real images, real ImageNet weights. What the verdicts say about sets whose side is known."""

import numpy as np
import pytest
from PIL import Image

import advisor
from advisor.plugins import load_catalog

pytestmark = pytest.mark.real
IMAGES = 60  # enough to tell the sides apart


def advise(folder):
    return advisor.recommend(folder, images=IMAGES)


def a_part_of(folder, place):
    """Links to some images of a set, all classes among them: reading all of it would tell nothing more."""
    frame = advisor.open_dataset(folder).frame
    each = -(-2 * IMAGES // frame["label"].nunique())
    for _, rows in frame.groupby("label"):
        for number, path in enumerate(rows["path"].iloc[:: -(-len(rows) // each)]):
            link = place / folder.name / str(rows["label"].iloc[0]) / f"{number}{(folder / path).suffix}"
            link.parent.mkdir(parents=True, exist_ok=True)
            link.symlink_to(folder / path)
    return place / folder.name


@pytest.mark.parametrize(
    ("name", "side"),
    [
        ("clothing_small", "similar"),
        ("furniture_renders", "similar"),
        ("satellite_landcover", "different"),
        ("letters_fonts", "different"),
        ("mnist_5k", "different"),
    ],
)
def test_known_sides(shared_data, tmp_path, name, side):
    found = advise(a_part_of(shared_data / name, tmp_path))
    assert found.distance.side == side
    assert (found.verdict.scenario in (3, 4)) == (side == "different")
    low, high = found.distance.interval
    assert low <= found.distance.different <= high


@pytest.mark.parametrize("change", ["gray", "small"])
def test_gray_and_small_copies_stay_similar(shared_data, tmp_path, change):
    for file in sorted((shared_data / "clothing_small" / "train").rglob("*.jpg"))[::12]:
        image = Image.open(file)
        if change == "gray":
            image = image.convert("L")
        else:
            image.thumbnail((64, 64))
        target = tmp_path / file.parent.name / f"{file.stem}.png"
        target.parent.mkdir(exist_ok=True)
        image.save(target)
    assert advise(tmp_path).distance.side == "similar"


def test_noise_is_different(tmp_path):
    rng = np.random.default_rng(0)
    for number in range(60):
        target = tmp_path / "ab"[number % 2] / f"{number}.png"
        target.parent.mkdir(exist_ok=True)
        Image.fromarray(rng.integers(0, 255, (96, 96, 3), dtype=np.uint8)).save(target)
    assert advise(tmp_path).distance.side == "different"


def test_an_earlier_layer_is_better_on_satellite_patches(shared_data, tmp_path):
    found = advise(a_part_of(shared_data / "satellite_landcover", tmp_path))
    assert found.curve.best.stage < len(found.curve.points)
    assert found.curve.best.gain > 0


def test_a_tuned_real_network_is_loaded_by_timm_alone(tmp_path, monkeypatch):
    import timm
    import torch
    from conftest import draw

    from advisor.recipe import Plan, Recipe
    from advisor.tuning.study import Search

    monkeypatch.setattr(Search, "_add_probes", lambda self: None)  # let the fine-tuned network win
    for kind, name in enumerate(("across", "blobs", "down")):
        (tmp_path / "data" / name).mkdir(parents=True)
        for seed in range(24):
            draw(kind, seed, (64, 64)).save(tmp_path / "data" / name / f"{seed}.png")
    values = {"freeze.depth": 0.9, "features.tap": 1.0, "train.epochs": 1, "search.trials": 1}
    result = advisor.tune(
        Plan(Recipe("x", values=values), str(tmp_path / "data"), "lite0"), runs=tmp_path, device="cpu"
    )
    model = timm.create_model(f"local-dir:{result.best}", pretrained=True).eval()
    images = torch.randn(2, 3, 224, 224)
    assert result.timm_loads_it
    with torch.no_grad():
        torch.testing.assert_close(model(images), advisor.load(result.best).network(images), rtol=1e-4, atol=1e-2)


def test_lite0_recognises_what_it_was_trained_on():
    """The loaded weights are a working ImageNet classifier: it is surer of a photograph than of noise."""
    import torch
    from sklearn.datasets import load_sample_image

    from advisor.data.views import clean_view

    backbone = load_catalog().backbone("lite0")
    network = backbone.create(True).eval()
    photo = Image.fromarray(load_sample_image("flower.jpg")).resize((256, 256))
    pixels = torch.from_numpy(np.asarray(photo).copy())[None]
    with torch.no_grad():
        confidence = network(clean_view(pixels, backbone.input)).softmax(1)
    assert confidence.argmax().item() == 985 or confidence.max() > 0.3  # 985: daisy


def test_jpeg_copies_stay_similar_and_scrambled_ones_do_not(shared_data, tmp_path):
    import torch

    from advisor.advice.distance import scramble_phases

    for number, file in enumerate(sorted((shared_data / "clothing_small" / "train").rglob("*.jpg"))[::14]):
        image = Image.open(file).convert("RGB")
        for kind in ("q20", "scrambled"):
            (tmp_path / kind / file.parent.name).mkdir(parents=True, exist_ok=True)
        image.save(tmp_path / "q20" / file.parent.name / file.name, quality=20)
        pixels = torch.from_numpy(np.array(image.resize((224, 224)))).permute(2, 0, 1)[None].float()
        scrambled = scramble_phases(pixels, number)[0].permute(1, 2, 0).clamp(0, 255).numpy().astype(np.uint8)
        Image.fromarray(scrambled).save(tmp_path / "scrambled" / file.parent.name / f"{file.stem}.png")
    assert advise(tmp_path / "q20").distance.side == "similar"
    assert advise(tmp_path / "scrambled").distance.side == "different"
