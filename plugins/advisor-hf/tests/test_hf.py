import datasets
import numpy as np
import pytest
from advisor_hf import open_set, recognise
from PIL import Image

from advisor import open_dataset
from advisor.errors import DatasetError, UsageError
from advisor.testing import DatasetFormatSuite, PluginSuite


@pytest.fixture
def advisor_plugins():
    return ["hf"]


def made(count, names=("owl", "auk")):
    rng = np.random.default_rng(count)
    images = [Image.fromarray(rng.integers(0, 255, (12, 15, 3), dtype=np.uint8)) for _ in range(count)]
    features = datasets.Features(
        {"img": datasets.Image(), "species": datasets.ClassLabel(names=list(names)), "place": datasets.Value("string")}
    )
    rows = {"img": images, "species": [i % 2 for i in range(count)], "place": [f"p{i % 3}" for i in range(count)]}
    return datasets.Dataset.from_dict(rows, features=features)


@pytest.fixture
def saved(tmp_path):
    parts = {"train": made(12), "validation": made(6), "test": made(4)}
    datasets.DatasetDict(parts).save_to_disk(tmp_path / "birds")
    return str(tmp_path / "birds")


class TestPlugin(PluginSuite):
    @pytest.fixture
    def plugin(self):
        return "hf"


class TestDatasetFormat(DatasetFormatSuite):
    @pytest.fixture
    def dataset_format(self, advisor_catalog):
        return advisor_catalog.datasets["hf"].item

    @pytest.fixture(params=["", "hf:"])
    def location(self, request, saved):
        return request.param + saved


def test_names_splits_and_pixels(saved):
    dataset = open_dataset(saved)
    assert dataset.format == "hf"
    assert dataset.name == "birds"
    assert dataset.classes == ("auk", "owl")
    assert dataset.frame["split"].value_counts().to_dict() == {"train": 12, "val": 6, "test": 4}
    assert dataset.frame[["width", "height"]].iloc[0].tolist() == [15, 12]
    assert open_set(saved).labels[:3] == ["owl", "auk", "owl"]


def test_another_label_column_and_a_single_split(tmp_path):
    made(9).save_to_disk(tmp_path / "one")
    listing = open_set(f"hf:{tmp_path}/one?label=place")
    assert set(listing.labels) == {"p0", "p1", "p2"}
    assert not listing.splits
    with pytest.raises(DatasetError, match="no label column `plaice`"):
        open_set(f"hf:{tmp_path}/one?label=plaice")
    with pytest.raises(UsageError, match="did you mean `label`"):
        open_set(f"hf:{tmp_path}/one?lable=place")


def test_a_folder_that_load_dataset_reads(tmp_path):
    (tmp_path / "parquet").mkdir()
    made(8).to_parquet(tmp_path / "parquet" / "train-00000.parquet")
    assert len(open_set(f"hf:{tmp_path}/parquet").paths) == 8


def test_labels_that_are_hidden_are_said(tmp_path):
    part = made(4).map(lambda row: {"species": -1})
    datasets.DatasetDict({"train": made(8), "test": part}).save_to_disk(tmp_path / "hidden")
    with pytest.raises(DatasetError, match=r"split `test` .* without a label"):
        open_set(str(tmp_path / "hidden"))


def test_splits_that_number_their_classes_differently_or_lack_a_column(tmp_path):
    datasets.DatasetDict({"train": made(4), "test": made(2, ("auk", "owl"))}).save_to_disk(tmp_path / "two")
    assert open_set(str(tmp_path / "two")).labels == ["owl", "auk", "owl", "auk", "auk", "owl"]
    datasets.DatasetDict({"train": made(4), "test": made(2).remove_columns("species")}).save_to_disk(tmp_path / "less")
    with pytest.raises(DatasetError, match=r"split `test` .* has no column `species`"):
        open_set(str(tmp_path / "less"))


def test_cells_and_columns_that_hold_nothing(saved, tmp_path):
    with pytest.raises(DatasetError, match="no image column `species`"):
        open_set(f"{saved}?image=species")
    made(4).map(lambda row: {"place": ""}).save_to_disk(tmp_path / "nameless")
    with pytest.raises(DatasetError, match="images without a label"):
        open_set(f"{tmp_path}/nameless?label=place")
    cells = [None, None]
    features = datasets.Features({"img": datasets.Image(), "label": datasets.Value("string")})
    datasets.Dataset.from_dict({"img": cells, "label": ["a", "b"]}, features=features).save_to_disk(tmp_path / "empty")
    listing = open_set(str(tmp_path / "empty"))
    for path in (*listing.paths, "all/0000002", "all/7"):
        with pytest.raises(OSError, match=r"cell is empty|no image"):
            listing.read(path)
    (tmp_path / "none").mkdir()
    (tmp_path / "none" / "dataset_dict.json").write_text('{"splits": []}')
    with pytest.raises(DatasetError, match="no splits"):
        open_set(str(tmp_path / "none"))
    assert recognise("a" * 5000) == 0


def test_a_set_that_is_nowhere_is_said_at_once(monkeypatch):
    import time

    began = time.monotonic()
    with pytest.raises(DatasetError, match="cannot be had"):
        open_set("hf:nobody/nothing-of-this-name")
    assert time.monotonic() - began < 5


def test_what_is_recognised(tmp_path):
    assert recognise("hf:owner/birds") == 1
    assert recognise("hf:") == 0
    assert recognise(str(tmp_path)) == 0
