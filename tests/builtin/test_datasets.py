"""The folder format on disk: what is listed, what a location may say, and when other formats are asked."""

import pytest
from conftest import draw

from advisor.builtin.datasets import folder_of, open_folder, recognise
from advisor.data.dataset import open_dataset
from advisor.errors import DatasetError, UsageError
from advisor.plugins import load_catalog


def fill(folder, kind=0, count=3, first=0):
    folder.mkdir(parents=True, exist_ok=True)
    for number in range(count):
        draw(kind, first + number).save(folder / f"{folder.name}{number}.png")


class Told:
    """A progress that keeps what it is told, in order."""

    def __init__(self):
        self.lines = []

    def say(self, text):
        self.lines.append(text)

    def task(self, label, total, *, seconds=0.0):
        from advisor.progress import Silent

        self.lines.append(label)
        return Silent().task(label, total)


def test_junk_on_disk_is_not_listed(tmp_path):
    for name in ("a", "b", "a/@eaDir/x", "a/.ipynb_checkpoints", "b/thumbs", "#recycle/a", "a/deeper"):
        fill(tmp_path / name)
    (tmp_path / "a" / "Thumbs.db").write_bytes(b"x")
    (tmp_path / "a" / "._a0.png").write_bytes(b"x")
    (tmp_path / "a" / "loop").symlink_to(tmp_path / "a")
    fill(tmp_path.parent / "elsewhere")
    (tmp_path / "b" / "linked").symlink_to(tmp_path.parent / "elsewhere")
    listing = open_folder(str(tmp_path))
    assert {path.rpartition("/")[0] for path in listing.paths} == {"a", "a/deeper", "b", "b/linked"}
    assert listing.ignored == ["#recycle", "a/@eaDir", "a/Thumbs.db", "b/thumbs"]
    assert "@eaDir/" in " ".join(listing.reading)


def test_the_reading_is_told_before_any_image_is_read(tmp_path):
    for name in ("train/a", "train/b", "test"):
        fill(tmp_path / name, first=50 * len(name))
    (tmp_path / "train" / "a" / "x.nef").write_bytes(b"x")
    told = Told()
    dataset = open_dataset(str(tmp_path), progress=told)
    assert told.lines[:3] == [*dataset.reading, told.lines[2]]
    assert dataset.reading[0] == "Read as train/ with 2 classes: a, b."
    assert "test/ (3 images): unlabelled" in dataset.reading[1]
    assert told.lines[2].startswith("1 picture is not read, of the ending .nef")
    assert told.lines[3] == "Listing images"
    quiet = Told()
    open_dataset(str(tmp_path), progress=quiet, tell=False)
    assert quiet.lines == ["Listing images"]


def test_a_location_may_choose_the_layout(tmp_path):
    for name in ("train", "test"):
        fill(tmp_path / name)
    assert recognise(f"{tmp_path}?layout=classes") == 1.0
    dataset = open_dataset(f"{tmp_path}?layout=classes")
    assert dataset.classes == ("test", "train")
    assert dataset.name == tmp_path.name
    assert folder_of(f"{tmp_path}?layout=classes") == str(tmp_path)
    for wrong in ("layout=clases", "layout=", "layout=classes&x=1"):
        with pytest.raises(UsageError, match="means nothing for a folder") as error:
            open_dataset(f"{tmp_path}?{wrong}")
        assert "classes, parts, inner, names" in str(error.value)
    assert recognise(f"{tmp_path}/none?layout=classes") == 0.0


def test_a_location_may_decide_on_classes_that_look_like_one(tmp_path):
    for name in ("Ant", "ant", "bee"):
        fill(tmp_path / name)
    with pytest.raises(DatasetError, match=r"differ only in capital letters") as error:
        open_dataset(str(tmp_path))
    assert f"{tmp_path}?alike=keep" in str(error.value)
    assert recognise(f"{tmp_path}?alike=merge") == 1.0
    assert open_dataset(f"{tmp_path}?alike=merge").classes == ("Ant", "bee")
    assert open_dataset(f"{tmp_path}?layout=classes&alike=keep").classes == ("Ant", "ant", "bee")
    with pytest.raises(UsageError, match="means nothing for a folder"):
        open_dataset(f"{tmp_path}?alike=maybe")


def test_a_folder_whose_name_has_a_question_mark(tmp_path):
    odd = tmp_path / "what?layout=classes"
    for name in ("a", "b"):
        fill(odd / name)
    assert open_dataset(str(odd)).classes == ("a", "b")


@pytest.mark.parametrize("name", ["data.zip", "images.tar", "images.tar.gz", "readme.pdf", "cover.jpg"])
def test_what_is_left_beside_class_folders_does_not_make_it_another_format(tmp_path, name):
    for label in ("a", "b"):
        fill(tmp_path / label)
    (tmp_path / name).write_bytes(b"x")
    assert load_catalog().dataset_for(str(tmp_path)).name == "folder"
    assert open_dataset(str(tmp_path)).classes == ("a", "b")


def test_one_class_is_refused_before_anything_is_told(tmp_path):
    fill(tmp_path / "a")
    told = Told()
    with pytest.raises(DatasetError, match="only one class"):
        open_dataset(str(tmp_path), progress=told)
    assert not told.lines
