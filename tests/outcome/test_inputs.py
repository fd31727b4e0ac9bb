"""Which images there are to predict, from whatever is given."""

import re
from pathlib import Path

import pytest
from made import png

from advisor.errors import UsageError
from advisor.outcome.inputs import find_images
from advisor.plugins import load_catalog


@pytest.fixture(scope="module")
def catalog():
    return load_catalog(only=[])


@pytest.fixture
def photos(tmp_path, monkeypatch):
    """A folder of images at two depths, among other files."""
    for name in ("b.png", "a.png", "deep/c.png", "notes.txt", "deep/d.JPG"):
        file = tmp_path / "photos" / name
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_bytes(png())
    monkeypatch.chdir(tmp_path)
    return tmp_path / "photos"


@pytest.fixture
def paths(catalog):
    return lambda *given, say=lambda _line: None: [image.path for image in find_images(given, catalog, say)]


def test_a_file_is_named_as_it_was_given_and_a_folder_is_searched_in_order(photos, paths):
    assert paths("photos/b.png") == ["photos/b.png"]
    assert paths("photos") == [f"photos/{name}" for name in ("a.png", "b.png", "deep/c.png", "deep/d.JPG")]
    assert paths("photos/deep", "photos/a.png")[-1] == "photos/a.png"


def test_an_image_that_is_given_twice_is_predicted_twice(photos, paths):
    assert paths("photos/a.png", "photos/a.png") == ["photos/a.png"] * 2


def test_what_is_found_can_be_read(photos, catalog):
    assert [image.read() for image in find_images(["photos"], catalog)] == [png()] * 4


def test_a_pattern_matches_at_every_depth_and_each_image_once(photos, paths):
    assert paths("photos/**/*.png") == ["photos/a.png", "photos/b.png", "photos/deep/c.png"]
    assert paths("photos/*") == ["photos/a.png", "photos/b.png", "photos/deep/c.png", "photos/deep/d.JPG"]
    assert paths(str(photos / "?.png")) == [str(photos / "a.png"), str(photos / "b.png")]


def test_a_file_whose_name_looks_like_a_pattern_is_that_file(photos, paths):
    (photos / "x[1].png").write_bytes(png())
    assert paths("photos/x[1].png") == ["photos/x[1].png"]


@pytest.mark.parametrize("pattern", ["photos/*.gif", "photos/*.txt", "nowhere/*"])
def test_a_pattern_of_no_image_is_refused(photos, paths, pattern):
    with pytest.raises(UsageError, match=re.escape(f"Nothing that `{pattern}` matches is an image")) as caught:
        paths(pattern)
    assert "photos/**/*.jpg" in caught.value.hint


def test_a_folder_without_images_is_refused(tmp_path, paths):
    with pytest.raises(UsageError, match="There are no images in") as caught:
        paths(str(tmp_path))
    assert caught.value.hint


def test_one_thing_that_is_not_there_is_refused(photos, paths):
    with pytest.raises(UsageError, match="`photoss` is neither a file nor a folder"):
        paths("photoss")


def test_beside_others_it_is_an_image_that_cannot_be_read(photos, catalog):
    there, gone = find_images(["photos/a.png", "photos/gone.png"], catalog)
    assert there.read() == png()
    assert gone.path == "photos/gone.png"
    with pytest.raises(FileNotFoundError):
        gone.read()


def test_how_a_folders_classes_are_read_does_not_matter(photos, paths):
    assert paths("photos?layout=classes") == paths("photos")


def test_a_folder_that_is_really_called_so_is_that_folder(photos, paths, tmp_path):
    odd = tmp_path / "photos?layout=classes"
    odd.mkdir()
    (odd / "z.png").write_bytes(png())
    assert paths("photos?layout=classes") == ["photos?layout=classes/z.png"]


def test_images_are_found_when_they_are_asked_for(photos, catalog):
    found = find_images(["photos/a.png", "nowhere/*"], catalog)
    assert next(found).path == "photos/a.png"
    with pytest.raises(UsageError):
        next(found)


def test_nothing_given_is_nothing_found(paths):
    assert paths() == []


def test_pictures_that_are_not_read_are_said_once_a_folder(photos, paths):
    lines = []
    (photos / "raw.NEF").write_bytes(b"x")
    paths("photos", say=lines.append)
    assert len(lines) == 1
    assert lines[0].startswith("In `photos`, ")


@pytest.mark.parametrize("name", ["ü ñ.png", "a\nb.png", "-x.png", "quote'\".png", "\udcff.png"])
def test_names_of_any_kind_are_found(tmp_path, catalog, name):
    try:
        (tmp_path / name).write_bytes(png())
    except OSError:
        pytest.skip("this file system knows no such name")
    (image,) = find_images([str(tmp_path)], catalog)
    assert Path(image.path).name == name
    assert image.read() == png()
