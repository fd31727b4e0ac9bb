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


@pytest.mark.parametrize("middle", ["0001", "final", "2024.01.05", "v2"])
def test_dots_in_names_of_samples(tmp_path, middle):
    parts = {"png": png(1), "cls": b"a", "mask.png": png(9)}
    shard(tmp_path / "a.tar", [(f"x/img.{middle}", parts), (f"x/img.{middle}b", {**parts, "png": png(2), "cls": b"b"})])
    listing = open_shards(str(tmp_path / "a.tar"))
    assert listing.paths == [f"a.tar/x/img.{middle}.png", f"a.tar/x/img.{middle}b.png"]
    assert listing.labels == ["a", "b"]
    assert [listing.read(path) for path in listing.paths] == [png(1), png(2)]


def test_what_macos_leaves_is_passed_over(tmp_path):
    shard(tmp_path / "a.tar", [("./._1", {"png": b"\0\5\x16\7", "cls": b"junk"}), ("./1", {"png": png(1), "cls": b"a"}),
                               ("__MACOSX/1", {"png": b"junk", "cls": b"junk"}), ("./2", {"png": png(2), "cls": b"b"}),
                               ("./", {"DS_Store": b"x"})])  # fmt: skip
    (tmp_path / "._a.tar").write_bytes(b"\0\5\x16\7")
    listing = open_shards(str(tmp_path))
    assert listing.labels == ["a", "b"]
    assert [listing.read(path) for path in listing.paths] == [png(1), png(2)]


def test_a_part_is_named_anywhere_in_a_shards_name(tmp_path):
    for name in ("birds.v1.train.000.tar", "birds-validation_0.tar", "2024.test.tar", "latest.tar"):
        shard(tmp_path / name, [("1", {"png": png(1), "cls": b"a"})])
    listing = open_shards(str(tmp_path))
    assert dict(zip(listing.paths, listing.splits, strict=True)) == {
        "2024.test.tar/1.png": "test", "birds-validation_0.tar/1.png": "val", "birds.v1.train.000.tar/1.png": "train",
        "latest.tar/1.png": "",
    }  # fmt: skip


def test_to_predict_no_sample_needs_a_label(tmp_path, advisor_catalog):
    shard(tmp_path / "a.tar", [("1", {"png": png(1)}), ("2", {"png": png(2)})])
    listing = advisor_catalog.datasets["webdataset"].item.images(str(tmp_path / "a.tar"))
    assert [listing.read(path) for path in listing.paths] == [png(1), png(2)]
    with pytest.raises(DatasetError, match="has no label"):
        open_shards(str(tmp_path / "a.tar"))


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


def test_a_mask_beside_an_image_is_not_the_image(tmp_path):
    shard(tmp_path / "a.tar", [
        ("0", {"jpg": png(1), "mask.png": png(2), "cls": b"x"}), ("1", {"depth.png": png(3), "png": png(4), "cls": b"y"}),
        ("2", {"v2.png": png(5), "cls": b"y"}),
    ])  # fmt: skip
    found = open_shards(str(tmp_path))
    assert list(found.paths) == ["a.tar/0.jpg", "a.tar/1.png", "a.tar/2.v2.png"]
    assert found.read("a.tar/0.jpg") == png(1)
    assert found.read("a.tar/1.png") == png(4)


def test_labels_that_only_look_alike_stay_apart_and_marks_at_their_start_do_not_count(tmp_path):
    shard(
        tmp_path / "a.tar", [("0", {"png": png(1), "cls": b"\xef\xbb\xbfcat"}), ("1", {"png": png(2), "cls": b"cat"})]
    )
    assert open_shards(str(tmp_path)).labels == ["cat", "cat"]
    shard(tmp_path / "a.tar", [("0", {"png": png(1), "cls": b"caf\xe9"}), ("1", {"png": png(2), "cls": b"caf\xe8"})])
    with pytest.raises(DatasetError, match=r"`\.cls` of the sample `a\.tar/0` is not in UTF-8"):
        open_shards(str(tmp_path))


@pytest.mark.parametrize("part", [{"json": b"[" * 100_000}, {"json": b"\xff{"}, {"txt": b"a\nb"}])
def test_what_is_no_label_is_said(tmp_path, part):
    shard(tmp_path / "a.tar", [("0", {"png": png(1), **part})])
    with pytest.raises(DatasetError, match=r"`a\.tar/0` (has no label|is not in UTF-8)"):
        open_shards(str(tmp_path))


def test_numbers_without_a_name_stay_numbers(tmp_path):
    many = b"9" * 5000
    samples = [(str(i), {"png": png(i), "cls": label}) for i, label in enumerate((b"0", b"1", b"7", many))]
    shard(tmp_path / "a.tar", samples)
    (tmp_path / "classes.txt").write_bytes(b"\xef\xbb\xbfcat\r\n\r\n")
    assert open_shards(str(tmp_path)).labels == ["cat", "1", "7", many.decode()]
    (tmp_path / "classes.txt").write_bytes(b"caf\xe9")
    with pytest.raises(DatasetError, match="names of the classes, cannot be read"):
        open_shards(str(tmp_path))


def test_names_that_come_twice(tmp_path):
    for part in ("a", "b"):
        (tmp_path / part).mkdir()
        shard(tmp_path / part / "0.tar", [("0", {"png": png(ord(part)), "cls": part.encode()})])
    found = open_shards(f"{tmp_path}/*/0.tar")
    assert list(zip(map(found.read, found.paths), found.labels, strict=True)) == [(png(97), "a"), (png(98), "b")]
    shard(tmp_path / "a" / "0.tar", [("0", {"png": png(1), "cls": b"x"}), ("1", {"png": png(2), "cls": b"x"}),
                                     ("0", {"png": png(3), "cls": b"y"})])  # fmt: skip
    with pytest.raises(DatasetError, match=r"holds `0\.png` twice"):
        open_shards(str(tmp_path / "a"))
