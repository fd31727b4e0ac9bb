"""No form of a model leaves unless it answers as the model does."""

from dataclasses import replace

import numpy as np
import pytest
import torch
from made import png
from torch import nn

from advisor.errors import BundleError
from advisor.outcome.bundle import Bundle
from advisor.outcome.export import gate
from advisor.task import SingleLabel
from advisor.types import InputSpec

CLASSES = ("auk", "bee", "cat")


class Mean(nn.Module):
    """A real network of no weights: each class is a channel's brightness."""

    def forward(self, images):
        return images.mean((2, 3))


@pytest.fixture
def bundle(tmp_path):
    config = {"advisor": {**SingleLabel(CLASSES).to_config(), "temperature": 1.0}}
    return Bundle(tmp_path, Mean(), CLASSES, InputSpec(16, 0.9), config)


@pytest.fixture
def pictures():
    rng = np.random.default_rng(0)
    return gate.Pictures(tuple(rng.integers(0, 256, (20, 24, 3), np.uint8) for _ in range(5)), "images of x", real=True)


def shifted(bundle, by):
    def answer(pixels):
        found = gate.expected_of(bundle, pixels).copy()
        found[0, 0] += by
        found[0, 1] -= by
        return found

    return answer


def test_the_model_agrees_with_itself(bundle, pictures):
    found = gate.agreement(bundle, pictures, lambda pixels: gate.expected_of(bundle, pixels), "The file")
    assert (found.images, found.same_label, found.max_difference, found.real) == (5, 5, 0.0, True)


@pytest.mark.parametrize("by", [5e-5, -5e-5])
def test_rounding_is_allowed_and_told(bundle, pictures, by):
    found = gate.agreement(bundle, pictures, shifted(bundle, by), "The file")
    assert found.max_difference == pytest.approx(5e-5, rel=0.01)
    assert "Compared with the model on 5 images of x: the same class for 5" in str(found)


@pytest.mark.parametrize("by", [2e-4, 0.3])
def test_more_than_rounding_is_refused_with_the_difference(bundle, pictures, by):
    with pytest.raises(BundleError, match="The file was not written") as caught:
        gate.agreement(bundle, pictures, shifted(bundle, by), "The file")
    assert f"up to {by:.2g}" in caught.value.message
    assert caught.value.hint
    assert len(caught.value.ways) == 2


@pytest.mark.parametrize(
    "answer",
    [lambda _: np.zeros((1, 2), np.float32), lambda _: np.zeros(3, np.float32), lambda _: np.full((1, 3), np.nan),
     lambda _: np.array([[np.inf, 0, 0]])],
)  # fmt: skip
def test_what_is_no_answer_is_refused(bundle, pictures, answer):
    with pytest.raises(BundleError, match="something else than 3 probabilities"):
        gate.agreement(bundle, pictures, answer, "The file")


def test_one_image_that_differs_is_enough(bundle, pictures):
    calls = []

    def answer(pixels):
        calls.append(1)
        return shifted(bundle, 0.2 if len(calls) == 4 else 0.0)(pixels)

    with pytest.raises(BundleError):
        gate.agreement(bundle, pictures, answer, "The file")


def test_images_of_the_set_are_spread_over_it(bundle, tmp_path):
    for kind in ("a", "b"):
        (tmp_path / "set" / kind).mkdir(parents=True)
        for n in range(6):
            (tmp_path / "set" / kind / f"{n}.png").write_bytes(png(8 + n))
    found = gate.pictures_for(bundle, str(tmp_path / "set"), 4)
    assert (len(found.pixels), found.real) == (4, True)
    assert found.source == f"images of {tmp_path / 'set'}"
    assert len(gate.pictures_for(bundle, str(tmp_path / "set"), 99).pixels) == 12


def test_broken_files_are_left_out(bundle, tmp_path):
    for kind in ("a", "b"):
        (tmp_path / "set" / kind).mkdir(parents=True)
        (tmp_path / "set" / kind / "good.png").write_bytes(png())
        (tmp_path / "set" / kind / "bad.png").write_bytes(b"x")
    assert len(gate.pictures_for(bundle, str(tmp_path / "set"), 99).pixels) == 2


def test_where_the_set_is_gone_images_are_drawn_and_it_is_said(bundle, tmp_path):
    found = gate.pictures_for(bundle, str(tmp_path / "nowhere"), 6)
    assert (len(found.pixels), found.real) == (6, False)
    assert "drawn at random, since those of the run cannot be had" in found.source
    assert len({pixels.shape for pixels in found.pixels}) == 4
    again = gate.pictures_for(bundle, str(tmp_path / "nowhere"), 6)
    assert all(np.array_equal(a, b) for a, b in zip(found.pixels, again.pixels, strict=True))


def test_an_agreement_is_plain_data_and_its_notes_are_read_with_it(bundle, pictures):
    found = gate.agreement(bundle, pictures, lambda pixels: gate.expected_of(bundle, pixels), "The file")
    noted = replace(found, notes=("And one thing more.",))
    assert str(noted).endswith("allowed). And one thing more.")
    assert noted.to_dict()["tolerance"] == gate.TOLERANCE


def test_any_network_that_takes_what_the_model_takes_answers_alike(bundle, pictures):
    doubled = gate.answered(bundle, lambda images: bundle.network(images) * 1.0, np.stack(pictures.pixels))
    np.testing.assert_array_equal(doubled, gate.expected_of(bundle, np.stack(pictures.pixels)))
    assert doubled.shape == (5, 3)
    np.testing.assert_allclose(doubled.sum(1), 1, atol=1e-6)


def test_calibration_is_a_part_of_the_answer(bundle, pictures):
    sharper = replace(bundle, config={"advisor": {**bundle.config["advisor"], "temperature": 4.0}})
    plain, sharp = (gate.expected_of(one, pictures.pixels[0][None]) for one in (bundle, sharper))
    assert sharp.max() > plain.max()
    assert torch.tensor(sharp).argmax() == torch.tensor(plain).argmax()
