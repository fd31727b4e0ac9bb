from types import SimpleNamespace

import numpy as np
import pytest
import torch

from advisor.data.dataset import open_dataset
from advisor.data.pixels import store_pixels
from advisor.errors import BackboneError
from advisor.network.features import FeatureStore, compute_features, numerics
from advisor.network.stages import stages_of
from advisor.network.sweep import Sweeper, channel_moments
from advisor.network.weights import load_by_position, read_state_dict
from advisor.plugins import load_catalog
from advisor.progress import Silent


@pytest.fixture
def parts(tiny, tiny_folder):
    backbone = load_catalog().backbone(tiny)
    network = backbone.create(True).eval()
    stages = stages_of(network, torch.zeros(1, 3, 64, 64))
    pixels = store_pixels(open_dataset(str(tiny_folder)), backbone.input)
    return backbone, network, stages, pixels


def compute(parts, rows, store):
    backbone, network, stages, pixels = parts
    return compute_features(
        Sweeper(network, stages), pixels, np.array(rows), backbone.input, store=store,
        device=torch.device("cpu"), progress=Silent(),
    )  # fmt: skip


def test_features_are_computed_once_and_survive_the_process(parts, monkeypatch):
    backbone, network, stages, pixels = parts
    store = FeatureStore.open(pixels, network, stages, backbone.input)
    first = compute(parts, [5, 3, 9], store)
    calls = []
    original = Sweeper.__call__
    monkeypatch.setattr(
        Sweeper, "__call__", lambda self, images, **kw: calls.append(len(images)) or original(self, images, **kw)
    )
    again = FeatureStore.open(pixels, network, stages, backbone.input)
    both = compute(parts, [9, 5, 3, 11], again)
    assert calls == [1]
    for one, two in zip(first, both, strict=True):
        np.testing.assert_array_equal(one[[2, 0, 1]], two[:3])


def test_other_weights_are_another_store(parts):
    backbone, network, stages, pixels = parts
    one = FeatureStore.open(pixels, network, stages, backbone.input).folder
    with torch.no_grad():
        next(network.parameters()).add_(1e-6)
    assert FeatureStore.open(pixels, network, stages, backbone.input).folder != one


def test_another_torch_or_precision_is_another_store(parts, monkeypatch):
    backbone, network, stages, pixels = parts

    def folder():
        return FeatureStore.open(pixels, network, stages, backbone.input).folder

    one = folder()
    with monkeypatch.context() as patch:
        patch.setattr(torch, "__version__", "99.0")
        assert folder() != one
    assert folder() == one

    class OnGpu:
        def parameters(self):
            return iter([SimpleNamespace(device=torch.device("cuda:0"))])

    monkeypatch.setattr(torch.cuda, "get_device_name", lambda _device: "a GPU")
    known = set()
    for fast in (False, True):
        monkeypatch.setattr(torch.backends.cudnn, "allow_tf32", fast)
        known.add(numerics(OnGpu()))
    assert len(known | {numerics(network)}) == 3


def test_a_damaged_chunk_is_noticed_and_made_again(parts):
    backbone, network, stages, pixels = parts
    first = compute(parts, [1, 2, 3], FeatureStore.open(pixels, network, stages, backbone.input))
    store = FeatureStore.open(pixels, network, stages, backbone.input)
    (file,) = store.folder.glob("*.npz")
    data = bytearray(file.read_bytes())
    place = data.index(first[2][1].tobytes())  # in the vectors themselves, where nothing else looks
    data[place] ^= 64
    file.write_bytes(data)
    assert store.known() == set()
    assert not file.exists()
    for one, two in zip(first, compute(parts, [1, 2, 3], store), strict=True):
        np.testing.assert_array_equal(one, two)


def test_a_half_written_chunk_is_not_read(parts):
    backbone, network, stages, pixels = parts
    store = FeatureStore.open(pixels, network, stages, backbone.input)
    store.folder.mkdir(parents=True)
    (store.folder / ".123.partial").write_bytes(b"half")
    assert store.known() == set()
    assert len(compute(parts, [1, 2], store)[0]) == 2


def test_moments_on_a_grid_of_positions_are_those_of_all():
    torch.manual_seed(0)
    features = torch.randn(4, 5, 14, 14) * 3 + 1
    mean, variance = channel_moments(features)
    torch.testing.assert_close(mean, features.mean((2, 3)), atol=1e-5, rtol=1e-5)
    torch.testing.assert_close(variance, features.var((2, 3), correction=0), atol=1e-4, rtol=1e-4)
    smooth = torch.nn.functional.interpolate(features, size=(56, 56), mode="bilinear")
    grid, everything = channel_moments(smooth)[0], smooth.mean((2, 3))
    assert (grid - everything).abs().max() < 0.2


def test_weight_files_are_checked_before_they_are_read(tmp_path):
    file = tmp_path / "weights.pth"
    torch.save({"a": torch.zeros(2)}, file)
    import hashlib

    sha = hashlib.sha256(file.read_bytes()).hexdigest()
    assert torch.equal(read_state_dict(file, sha)["a"], torch.zeros(2))
    file.write_bytes(file.read_bytes() + b"x")
    with pytest.raises(BackboneError, match="SHA-256"):
        read_state_dict(file, sha)
    with pytest.raises(BackboneError, match="cannot be read"):
        read_state_dict(tmp_path / "missing.pth", sha)


def test_weights_of_another_architecture_are_refused_whole():
    network = torch.nn.Sequential(torch.nn.Linear(2, 3), torch.nn.Linear(3, 1))
    before = network[0].weight.clone()
    state = {f"x{i}": value for i, value in enumerate(network.state_dict().values())}
    load_by_position(network, state)
    for wrong in (dict(list(state.items())[:3]), {**state, "x1": torch.zeros(5)}, {**state, "x9": torch.zeros(1)}):
        with pytest.raises(BackboneError, match="not those of this architecture"):
            load_by_position(network, wrong)
    assert torch.equal(network[0].weight, before)
