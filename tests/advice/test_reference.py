import numpy as np
import pytest
from conftest import TINY, draw
from PIL import Image

from advisor.advice.distance import read_sources, write_sources
from advisor.advice.recommend import recommend
from advisor.advice.reference import measure_reference
from advisor.cli.main import main
from advisor.errors import BackboneError, DatasetError


@pytest.fixture
def many(tmp_path):
    for kind, name in enumerate(("across", "blobs", "down")):
        (tmp_path / "val" / name).mkdir(parents=True)
        for seed in range(170):
            draw(kind, seed).save(tmp_path / "val" / name / f"{seed}.png")
    return str(tmp_path / "val")


def test_constants_lie_between_the_two_anchors_and_read_back(tiny, many):
    import math

    found = measure_reference(tiny, many)
    late = found.reference.late
    low, high = sorted(math.log(value) for value in found.late)
    assert low <= late.middle <= high
    assert late.scale > 0
    from advisor.types import Reference, Vote

    pasted = eval(found.to_python(), {"Reference": Reference, "Vote": Vote})  # noqa: S307 - what a person would paste
    assert pasted.late.middle == pytest.approx(late.middle, rel=0.01)


def test_too_few_images_and_networks_without_a_classifier_are_refused(install, tiny, tiny_folder, many):
    with pytest.raises(DatasetError, match="500 are needed"):
        measure_reference(tiny, str(tiny_folder))
    install(
        "bare",
        TINY.format(name="bare", architecture="test_resnet").replace(
            "timm.create_model(", "timm.create_model(num_classes=0, model_name="
        ),
    )
    with pytest.raises(BackboneError, match="no classifier"):
        measure_reference("bare", many)


@pytest.fixture
def vit(install):
    """A network without BatchNorm, and the same with the statistics of its stages once they are written."""
    source = TINY.format(name="vit", architecture="test_vit").replace("size=64", "size=160")
    install("vit", source)
    return source


def test_without_batchnorm_the_stages_are_described_in_a_file_and_the_distance_reads_it(install, vit, many, tmp_path):
    file = tmp_path / "stages.npz"
    assert main(["reference", "vit", many, "--statistics", str(file), "-q"]) == 0
    assert [len(source.mean) for source in read_sources(file.read_bytes())] == [64] * 6
    statistics = f"statistics=__import__('pathlib').Path({str(file)!r}).read_bytes, input="
    install("knowing", vit.replace('"vit"', '"knowing"').replace("input=", statistics, 1))
    near = recommend(many, backbone="knowing", images=64).distance
    assert not near.borrowed
    far = tmp_path / "noise"
    noise = np.random.default_rng(0)
    for name in ("a", "b"):
        (far / name).mkdir(parents=True)
        for number in range(20):
            Image.fromarray(noise.integers(0, 256, (64, 64, 3), dtype=np.uint8)).save(far / name / f"{number}.png")
    apart = recommend(str(far), backbone="knowing").distance
    assert near.late.value < 0.1 < apart.late.value


def test_statistics_of_another_network_are_refused_in_words(install, vit, tiny_folder, tmp_path):
    for number, (data, words) in enumerate(((b"no archive", "cannot be read"), (write_sources([]), "of 0 stages"))):
        file = tmp_path / f"{number}.npz"
        file.write_bytes(data)
        statistics = f"statistics=__import__('pathlib').Path({str(file)!r}).read_bytes, input="
        install(f"odd{number}", vit.replace('"vit"', f'"odd{number}"').replace("input=", statistics, 1))
        with pytest.raises(BackboneError, match=words):
            recommend(str(tiny_folder), backbone=f"odd{number}")
