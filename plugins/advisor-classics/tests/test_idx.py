import gzip
import io
import struct

import numpy as np
import pytest
from advisor_classics.idx import IDX, open_idx
from PIL import Image

from advisor import open_dataset
from advisor.errors import DatasetError
from advisor.plugins import load_catalog


def write(folder, part, images, labels):
    head = bytes((0, 0, 8, 3)) + struct.pack(">3I", *images.shape)
    with gzip.open(folder / f"{part}-images-idx3-ubyte.gz", "wb") as file:
        file.write(head + images.tobytes())
    (folder / f"{part}-labels-idx1-ubyte").write_bytes(
        bytes((0, 0, 8, 1)) + struct.pack(">I", len(labels)) + bytes(labels)
    )


@pytest.fixture
def folder(tmp_path):
    rng = np.random.default_rng(0)
    write(tmp_path, "train", rng.integers(0, 255, (6, 5, 7), dtype=np.uint8), [0, 1, 2, 0, 1, 2])
    write(tmp_path, "t10k", rng.integers(0, 255, (2, 5, 7), dtype=np.uint8), [2, 1])
    return tmp_path


def test_parts_become_splits_and_pixels_survive(folder):
    dataset = open_dataset(str(folder))
    assert dataset.format == "idx"
    assert dataset.classes == ("0", "1", "2")
    assert dataset.frame["split"].tolist().count("test") == 2
    assert dataset.frame[["width", "height"]].iloc[0].tolist() == [7, 5]
    listing = open_idx(str(folder))
    image = np.asarray(Image.open(io.BytesIO(listing.read("train/00004.png"))))
    assert (image == np.random.default_rng(0).integers(0, 255, (6, 5, 7), dtype=np.uint8)[4]).all()


def test_an_ordinary_folder_is_not_taken(tmp_path):
    (tmp_path / "cats").mkdir()
    assert load_catalog().dataset_for(str(tmp_path)).name == "folder"
    assert load_catalog().datasets["idx"].item.recognise(str(tmp_path / "nowhere")) == 0


def test_a_cut_or_mismatched_file_is_named(folder):
    labels = folder / "train-labels-idx1-ubyte"
    whole = labels.read_bytes()
    labels.write_bytes(whole[:-1])
    with pytest.raises(DatasetError, match="train-labels-idx1-ubyte"):
        open_idx(str(folder))
    labels.write_bytes(whole[:4] + struct.pack(">I", 5) + whole[8:-1])
    with pytest.raises(DatasetError, match=r"6 images and .* 5 labels"):
        open_idx(str(folder))
    images = folder / "t10k-images-idx3-ubyte.gz"
    images.write_bytes(images.read_bytes()[:20])
    labels.write_bytes(whole)
    with pytest.raises(DatasetError, match="t10k-images"):
        open_idx(str(folder))


@pytest.mark.parametrize("shape", [(2**31, 2**31, 4), (2**32 - 1,) * 3, (6, 0, 7)])
def test_a_header_that_lies_is_named(folder, shape):
    data = bytes((0, 0, 8, 3)) + struct.pack(">3I", *shape)
    (folder / "train-images-idx3-ubyte.gz").write_bytes(gzip.compress(data))
    with pytest.raises(DatasetError, match="train-images"):
        open_idx(str(folder))


def test_a_damaged_stream_is_named_and_what_is_not_there_is_missing(folder):
    listing = open_idx(str(folder))
    for path in ("train/00006.png", "train/4.png", "train/-0001.png", f"train/{'9' * 5000}.png"):
        with pytest.raises(FileNotFoundError):
            listing.read(path)
    images = folder / "train-images-idx3-ubyte.gz"
    data = bytearray(images.read_bytes())
    data[12:40] = bytes(255 for _ in range(28))
    images.write_bytes(data)
    with pytest.raises(DatasetError, match="train-images"):
        open_idx(str(folder))
    write(folder, "train", np.zeros((0, 5, 7), np.uint8), [])
    write(folder, "t10k", np.zeros((0, 5, 7), np.uint8), [])
    with pytest.raises(DatasetError, match="hold no image"):
        open_idx(str(folder))
    assert IDX.recognise("a\0b") == 0
