import gzip
import io
import json
import tarfile

import pytest
from advisor_webdataset.shards import find_shards, open_shards, recognise
from PIL import Image

from advisor import open_dataset
from advisor.errors import DatasetError, UsageError
from advisor.testing import DatasetFormatSuite, PluginSuite


@pytest.fixture
def advisor_plugins():
    return ["webdataset"]


def png(level):
    buffer = io.BytesIO()
    Image.new("RGB", (18, 14), (level, 60, 60)).save(buffer, "PNG")
    return buffer.getvalue()


def shard(file, samples):
    """A tar of samples, each a key and its parts by extension."""
    with tarfile.open(file, "w") as archive:
        for key, parts in samples:
            for extension, data in parts.items():
                member = tarfile.TarInfo(f"{key}.{extension}")
                member.size = len(data)
                archive.addfile(member, io.BytesIO(data))


@pytest.fixture
def folder(tmp_path):
    root = tmp_path / "shards"
    root.mkdir()
    for number in range(3):
        shard(root / f"train-{number:03d}.tar",
              [(f"{number}/{i}", {"cls": str(i % 2).encode(), "png": png(40 * number + i)}) for i in range(8)])  # fmt: skip
    shard(root / "test-000.tar", [(f"t/{i}", {"png": png(200 + i), "cls": str(i % 2).encode()}) for i in range(4)])
    return root


class TestPlugin(PluginSuite):
    @pytest.fixture
    def plugin(self):
        return "webdataset"


class TestDatasetFormat(DatasetFormatSuite):
    @pytest.fixture
    def dataset_format(self, advisor_catalog):
        return advisor_catalog.datasets["webdataset"].item

    @pytest.fixture(params=["", "/train-{000..002}.tar"])
    def location(self, request, folder):
        return f"{folder}{request.param}"


def test_samples_splits_and_numbered_classes(folder):
    (folder / "classes.txt").write_text("cat\ndog\n")
    dataset = open_dataset(str(folder))
    assert dataset.format == "webdataset"
    assert dataset.name == "shards"
    assert dataset.classes == ("cat", "dog")
    assert dataset.frame["split"].value_counts().to_dict() == {"train": 24, "test": 4}
    listing = open_shards(str(folder))
    assert listing.read("train-001.tar/1/3.png") == png(43)
    assert listing.read("test-000.tar/t/0.png") == png(200)


def test_patterns(folder):
    assert [path.name for path in find_shards(f"{folder}/train-{{000..001}}.tar")] == ["train-000.tar", "train-001.tar"]
    assert [path.name for path in find_shards(f"{folder}/{{test,train}}-000.tar")] == ["test-000.tar", "train-000.tar"]
    assert len(find_shards(f"{folder}/*.tar")) == 4
    assert recognise(str(folder / "train-009.tar")) == 0
    with pytest.raises(UsageError, match="no WebDataset shards"):
        open_shards(f"{folder}/val-{{0..3}}.tar")


def test_labels_from_json_and_text(tmp_path):
    file = tmp_path / "a.tar"
    shard(file, [("1", {"png": png(1), "json": json.dumps({"species": "owl", "label": 3}).encode()}),
                 ("2", {"jpg": png(2), "json": json.dumps({"species": "auk", "label": 4}).encode()})])  # fmt: skip
    assert open_shards(str(file)).labels == ["3", "4"]
    assert open_shards(f"{file}?label=json.species").labels == ["owl", "auk"]
    with pytest.raises(UsageError, match="no label is named"):
        open_shards(f"{file}?label=")
    shard(file, [("1", {"png": png(1), "txt": b"owl\n"}), ("2", {"png": png(2), "txt": b"an owl\non a tree"})])
    with pytest.raises(DatasetError, match=r"sample `a\.tar/2` has no label"):
        open_shards(str(file))


def test_dots_in_folders_do_not_end_a_key(tmp_path):
    shard(tmp_path / "a.tar", [("v1.0/one", {"png": png(1), "cls": b"a"}), ("v1.0/two", {"png": png(2), "cls": b"b"})])
    assert open_shards(str(tmp_path / "a.tar")).paths == ["a.tar/v1.0/one.png", "a.tar/v1.0/two.png"]


def test_compressed_broken_and_empty_shards_are_named(tmp_path, folder):
    whole = (folder / "train-000.tar").read_bytes()
    (tmp_path / "a.tar.gz").write_bytes(gzip.compress(whole))
    with pytest.raises(DatasetError, match="is compressed"):
        open_shards(str(tmp_path / "a.tar.gz"))
    (tmp_path / "b.tar").write_bytes(b"this is no archive" * 100)
    with pytest.raises(DatasetError, match="no tar file"):
        open_shards(str(tmp_path / "b.tar"))
    shard(tmp_path / "c.tar", [("1", {"txt": b"words"})])
    with pytest.raises(DatasetError, match="hold no image"):
        open_shards(str(tmp_path / "c.tar"))


def test_nothing_is_unpacked(folder, tmp_path, monkeypatch):
    """Profiling writes decoded squares into the cache, and not one image file anywhere."""
    from advisor.data.prepare import prepare
    from advisor.plugins import load_catalog
    from advisor.progress import Silent
    from advisor.types import InputSpec

    home = tmp_path / "cache"
    monkeypatch.setenv("ADVISOR_CACHE", str(home))
    prepared = prepare(str(folder), InputSpec(32), catalog=load_catalog(), seed=0, progress=Silent())
    assert prepared.profile.images == 28
    assert not [path for path in tmp_path.rglob("*") if path.suffix in {".png", ".jpg", ".cls"}]
