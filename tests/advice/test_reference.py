import pytest
from conftest import TINY, draw

from advisor.advice.reference import measure_reference
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


def test_too_few_images_and_networks_without_batchnorm_are_refused(install, tiny, tiny_folder, many):
    with pytest.raises(DatasetError, match="500 are needed"):
        measure_reference(tiny, str(tiny_folder))
    install("vit", TINY.format(name="vit", architecture="test_vit").replace("size=64", "size=160"))
    with pytest.raises(BackboneError, match="no BatchNorm"):
        measure_reference("vit", many)
