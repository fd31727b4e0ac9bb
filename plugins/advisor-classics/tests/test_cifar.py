import io

import numpy as np
import pytest
from advisor_classics.cifar import open_cifar, recognise
from PIL import Image

from advisor import open_dataset
from advisor.errors import DatasetError, UsageError
from advisor.testing import DatasetFormatSuite

RNG = np.random.default_rng(0)


def records(labels):
    return np.concatenate([np.array([*label, *RNG.integers(0, 256, 3072)], np.uint8) for label in labels])


@pytest.fixture
def advisor_plugins():
    return ["classics"]


@pytest.fixture
def ten(tmp_path):
    folder = tmp_path / "cifar-10-batches-bin"
    folder.mkdir()
    for number in range(1, 6):
        records([(0,), (1,), (2,)]).tofile(folder / f"data_batch_{number}.bin")
    records([(2,), (0,)]).tofile(folder / "test_batch.bin")
    (folder / "batches.meta.txt").write_text("airplane\nautomobile\nbird\n\n")
    return folder


@pytest.fixture
def hundred(tmp_path):
    folder = tmp_path / "cifar-100-binary"
    folder.mkdir()
    records([(0, 3), (1, 2), (0, 1), (1, 0)]).tofile(folder / "train.bin")
    records([(0, 3)]).tofile(folder / "test.bin")
    (folder / "fine_label_names.txt").write_text("apple\nbaby\nbear\nbee\n")
    (folder / "coarse_label_names.txt").write_text("insects\nothers\n")
    return folder


class TestDatasetFormat(DatasetFormatSuite):
    @pytest.fixture
    def dataset_format(self, advisor_catalog):
        return advisor_catalog.datasets["cifar"].item

    @pytest.fixture(params=["ten", "hundred"])
    def location(self, request):
        return str(request.getfixturevalue(request.param))


class TestDigits(DatasetFormatSuite):
    @pytest.fixture
    def dataset_format(self, advisor_catalog):
        return advisor_catalog.datasets["digits"].item


def test_names_splits_and_pixels(ten):
    dataset = open_dataset(str(ten))
    assert dataset.format == "cifar"
    assert dataset.classes == ("airplane", "automobile", "bird")
    assert dataset.frame["split"].value_counts().to_dict() == {"train": 15, "test": 2}
    raw = np.fromfile(ten / "test_batch.bin", np.uint8).reshape(2, 3073)[1, 1:].reshape(3, 32, 32)
    image = np.asarray(Image.open(io.BytesIO(open_cifar(str(ten)).read("test_batch.bin/00001.png"))))
    assert (image.transpose(2, 0, 1) == raw).all()


def test_either_label_of_the_hundred(hundred):
    assert open_cifar(str(hundred)).labels == ["bee", "bear", "baby", "apple", "bee"]
    assert open_cifar(f"{hundred}?label=coarse").labels == ["insects", "others", "insects", "others", "insects"]
    assert recognise(f"{hundred}?label=coarse") > 0.9
    with pytest.raises(UsageError, match="no `fien` labels"):
        open_cifar(f"{hundred}?label=fien")


def test_a_file_cut_short_is_named(ten):
    file = ten / "data_batch_3.bin"
    file.write_bytes(file.read_bytes()[:-1])
    with pytest.raises(DatasetError, match=r"data_batch_3\.bin"):
        open_cifar(str(ten))


def test_an_image_that_is_not_there_is_missing(ten):
    listing = open_cifar(str(ten))
    for path in ("data_batch_1.bin/99999.png", "data_batch_1.bin/1.png", f"data_batch_1.bin/{'9' * 5000}.png"):
        with pytest.raises(FileNotFoundError):
            listing.read(path)
