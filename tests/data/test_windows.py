"""Signatures and likeness of pictures, on small drawn ones."""

import numpy as np
import pytest
import torch

from advisor.data.windows import COARSE, _averaging, _exchanged, alike, plainness, signatures, windows


def picture(seed, side=64):
    """A smooth picture (side, side, 3) with structure at several scales."""
    rng = np.random.default_rng(seed)
    y, x = np.mgrid[:side, :side] / side
    waves = [rng.uniform(20, 60) * np.sin(2 * np.pi * (rng.uniform(-4, 4) * x + rng.uniform(-4, 4) * y) + rng.uniform(0, 6))
             for _ in range(8)]  # fmt: skip
    gray = np.clip(128 + sum(waves) / 2, 0, 255)
    return torch.from_numpy(np.stack([gray, gray * 0.8, 255 - gray], -1)).float()


def turned():
    one = picture(0)
    return {
        "itself": one, "mirrored": one.flip(1), "upside down": one.flip(0), "turned": one.rot90(1, (0, 1)),
        "turned twice": one.rot90(2, (0, 1)), "transposed": one.transpose(0, 1),
    }  # fmt: skip


def test_the_first_window_is_the_whole_picture_and_all_lie_within_it():
    every = windows()
    assert every[0].tolist() == [1.0, 0.0, 0.0]
    assert bool((every[:, 1:] >= 0).all())
    assert bool((every[:, :1] + every[:, 1:] <= 1 + 1e-6).all())
    assert len(torch.unique(every, dim=0)) == len(every)


@pytest.mark.parametrize("name", turned())
def test_a_signature_is_the_same_however_a_picture_is_turned(name):
    one, other = (signatures(each[None], whole_only=True)[0, 0] for each in (picture(0), turned()[name]))
    torch.testing.assert_close(one, other, atol=1e-4, rtol=1e-3)


@pytest.mark.parametrize(("factor", "shift"), [(0.5, 0.0), (1.0, 40.0), (0.3, 100.0)])
def test_a_signature_does_not_see_brightness_and_contrast(factor, shift):
    one, other = (signatures(each[None], whole_only=True) for each in (picture(0), picture(0) * factor + shift))
    torch.testing.assert_close(one, other, atol=1e-4, rtol=1e-3)


def test_signatures_have_unit_length_for_every_window_and_the_first_is_the_wholes():
    found = signatures(torch.stack([picture(0), picture(1)]))
    assert found.shape[:2] == (2, len(windows()))
    torch.testing.assert_close(found.square().sum(2).sqrt(), torch.ones(found.shape[:2]), atol=1e-3, rtol=0)
    torch.testing.assert_close(found[:, :1], signatures(torch.stack([picture(0), picture(1)]), whole_only=True))


def test_other_pictures_have_other_signatures():
    found = signatures(torch.stack([picture(seed) for seed in range(6)]), whole_only=True)[:, 0]
    products = found @ found.T
    products.fill_diagonal_(0)
    assert float(products.max()) < 0.97


@pytest.mark.parametrize("level", [0.0, 77.0, 255.0])
def test_a_flat_picture_has_no_infinite_signature(level):
    found = signatures(torch.full((1, 32, 32, 3), level))
    assert torch.isfinite(found).all()
    assert float(found.square().sum(2).max()) <= 1 + 1e-5


@pytest.mark.parametrize("name", turned())
def test_a_turned_copy_is_alike_in_whole_and_in_detail(name):
    whole, detail = alike(picture(0)[None], turned()[name][None], torch.tensor([0]))
    assert float(whole) > 0.99
    assert float(detail) > 0.9


def test_other_pictures_are_not_alike_and_nothing_is_looked_at_twice():
    first = torch.stack([picture(seed) for seed in range(4)])
    second = torch.stack([picture(seed + 50) for seed in range(4)])
    whole, detail = alike(first, second, torch.zeros(4, dtype=torch.long))
    assert bool((whole < 0.9).all())
    assert bool((detail < 0.75).all())


def test_a_window_finds_the_crop_that_it_is_of():
    side = 80
    large = picture(3, side)
    share, x, y = windows()[40].tolist()
    top, left, size = round(y * side), round(x * side), round(share * side)
    crop = large[top : top + size, left : left + size]
    small = torch.nn.functional.interpolate(crop.permute(2, 0, 1)[None], size=(side, side), mode="bilinear")[0]
    whole, _ = alike(large[None], small.permute(1, 2, 0)[None], torch.tensor([40]))
    assert float(whole) > 0.97


def test_drawings_are_plain_and_noise_is_not():
    drawing = torch.full((64, 64, 3), 255.0)
    drawing[20:30, 10:50] = 0.0
    noise = torch.from_numpy(np.random.default_rng(0).uniform(0, 255, (64, 64, 3))).float()
    plain = plainness(torch.stack([drawing, noise, torch.full((64, 64, 3), 9.0)]))
    assert float(plain[0]) > 0.9
    assert float(plain[1]) < 0.3
    assert float(plain[2]) == 1.0
    assert bool((plain <= 1).all())


@pytest.mark.parametrize(("share", "start"), [(1.0, 0.0), (0.5, 0.25), (0.8, 0.2)])
def test_averages_over_a_window_have_weights_that_sum_to_one(share, start):
    maps = _averaging(torch.tensor([share]), torch.tensor([start]), 32, COARSE)[0]
    assert maps.shape == (COARSE, 32)
    torch.testing.assert_close(maps.sum(1), torch.ones(COARSE))
    middle = float((maps @ (torch.arange(32) + 0.5)).mean()) / 32
    assert middle == pytest.approx(start + share / 2, abs=1e-3)


def test_beyond_the_edge_there_is_nothing():
    maps = _averaging(torch.tensor([1.0]), torch.tensor([0.75]), 8, 4)[0]
    assert float(maps[0].sum()) == pytest.approx(1)
    assert maps[1:].sum().item() == 0


def test_places_that_turns_exchange_are_in_one_group_each():
    groups = _exchanged()
    assert groups.shape == (64, 10)
    assert ((groups > 0).sum(1) == 1).all()
    torch.testing.assert_close(groups.sum(0), torch.ones(10))
    grid = (groups > 0).float().argmax(1).reshape(8, 8)
    for other in (grid.flip(0), grid.flip(1), grid.T, grid.rot90(1, (0, 1))):
        assert torch.equal(grid, other)
