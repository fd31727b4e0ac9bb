"""Which smaller inputs are tried, and what they say."""

import numpy as np
import pytest
from conftest import TINY

from advisor.advice import input_sizes
from advisor.advice.input_sizes import measure_sizes, sizes_below
from advisor.advice.inspection import inspect
from advisor.data.prepare import prepare
from advisor.network.opening import open_network
from advisor.network.transfer import pick_device
from advisor.plugins import load_catalog
from advisor.progress import Silent
from advisor.testing.samples import tiny_images


@pytest.mark.parametrize(
    ("largest", "own", "tokens", "sizes"),
    [
        (224, 400, False, [64, 96, 128, 160, 192]),
        (224, 28, False, [64, 96]),
        (224, 8, False, [64]),  # scikit-learn's digits
        (224, 1, False, [64]),
        (224, 8, True, [128]),
        (224, 400, True, [128, 160, 192]),
        (96, 400, False, [64]),
        (64, 8, False, []),
        (128, 8, True, []),
    ],
)
def test_the_smallest_size_of_the_ladder_is_always_tried(largest, own, tokens, sizes):
    assert sizes_below(largest, own, tokens=tokens) == sizes


def test_the_networks_own_size_is_not_passed_again(install, tmp_path, monkeypatch):
    install("larger", TINY.format(name="larger", architecture="test_resnet").replace("size=64", "size=128"))
    catalog = load_catalog()
    backbone = catalog.backbone("larger")
    folder = tiny_images(tmp_path / "many")
    prepared = prepare(str(folder), backbone.input, catalog=catalog, seed=0, progress=Silent())
    network = open_network(backbone, pick_device("cpu"))
    seen = inspect(prepared, backbone, network, catalog=catalog, images=100, seed=0, progress=Silent())
    passed, original = {}, input_sizes.features_of

    def features_of(read, rows, spec, *others):
        passed[spec.size] = len(rows)
        return original(read, rows, spec, *others)

    monkeypatch.setattr(input_sizes, "features_of", features_of)
    curve = measure_sizes(prepared, backbone, network, seen.stages, seen.measured, progress=Silent())
    whole = len(seen.measured.rows)
    assert passed == {64: whole, 96: whole, 128: 32}  # a few, for the seconds
    assert [point.size for point in curve.points] == [64, 96, 128]
    assert curve.points[-1].accuracy == pytest.approx(seen.curve.best.accuracy)
    assert np.isfinite([point.behind_se for point in curve.points]).all()
    assert min(point.behind for point in curve.points) == 0
    assert curve.start in {64, 96, 128}
