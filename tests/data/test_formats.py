"""What is read as an image, and what is said of the rest."""

import io

import pytest
from conftest import draw
from PIL import Image

from advisor.data import formats
from advisor.data.dataset import open_dataset
from advisor.data.decode import UnreadableImageError, decode_square, read_header
from advisor.data.formats import unread_pictures

HEIC_HEAD = b"\x00\x00\x00\x18ftypheic\x00\x00\x00\x00mif1heic" + bytes(4000)


def encoded(form, **options):
    file = io.BytesIO()
    draw(1, 3).convert("RGB").save(file, form, **options)
    return file.getvalue()


@pytest.mark.parametrize(
    ("form", "suffix"),
    [("AVIF", ".avif"), ("JPEG2000", ".jp2"), ("PPM", ".ppm"), ("TGA", ".tga"), ("PCX", ".pcx"), ("QOI", ".qoi"),
     ("SGI", ".sgi"), ("DDS", ".dds"), ("ICO", ".ico"), ("MPO", ".mpo"), ("WEBP", ".webp")],
)  # fmt: skip
def test_whatever_pillow_reads_is_read_under_any_name(form, suffix):
    assert formats.is_image_name(f"photo{suffix.upper()}")
    assert decode_square(encoded(form), 32).std() > 5


@pytest.mark.parametrize("name", ["a.pdf", "a.eps", "a.mpg", "a.h5", "a.wmf", ".hidden.jpg", "a.txt", "a", "a.svg"])
def test_documents_films_and_hidden_files_are_no_images(name):
    assert not formats.is_image_name(name)


def test_a_document_is_not_opened_as_an_image():
    with pytest.raises(UnreadableImageError, match="a vector drawing; convert"):
        read_header(encoded("EPS"))
    with pytest.raises(UnreadableImageError, match="a document"):
        read_header(encoded("PDF"))


def test_heic_is_read_where_the_extra_is_installed():
    pytest.importorskip("pillow_heif")
    formats.register()
    assert decode_square(encoded("HEIF", quality=90), 32).std() > 5
    with pytest.raises(UnreadableImageError, match="a HEIC image that is damaged"):
        read_header(HEIC_HEAD)


@pytest.fixture
def without_heic(monkeypatch):
    """An installation without pillow-heif."""
    monkeypatch.setattr(formats, "find_spec", lambda name: None)
    for function in (formats.register, formats.readable_suffixes):
        function.cache_clear()
    for kind in ("HEIF",):
        if kind in Image.ID:
            monkeypatch.setattr(Image, "ID", [name for name in Image.ID if name != kind])
    monkeypatch.setattr(Image, "EXTENSION", {end: name for end, name in Image.EXTENSION.items() if name != "HEIF"})
    yield
    for function in (formats.register, formats.readable_suffixes):
        function.cache_clear()


def test_without_the_extra_heic_is_named_and_counted(without_heic, tmp_path):
    with pytest.raises(UnreadableImageError, match=r"a HEIC image; .*pip install 'transfer-advisor\[heic\]'"):
        read_header(HEIC_HEAD)
    for label in ("cats", "dogs"):
        (tmp_path / label).mkdir()
        for seed in range(3):
            draw(0, seed).save(tmp_path / label / f"{seed}.png")
            (tmp_path / label / f"{seed}.HEIC").write_bytes(HEIC_HEAD)
        (tmp_path / label / "fake.jpg").write_bytes(HEIC_HEAD)
    dataset = open_dataset(str(tmp_path))
    assert len(dataset.frame) == 6
    assert {reason.split(";")[0] for _, reason in dataset.broken} == {"a HEIC image"}
    assert "6 pictures are not read, of the ending .heic (6)" in unread_pictures(dataset.ignored)


@pytest.mark.parametrize(
    ("data", "words"),
    [
        (b"<!DOCTYPE html><html>not found</html>", "a web page"),
        (b"version https://git-lfs.github.com/spec/v1\n", "git lfs pull"),
        (bytes(128) + b"DICM" + bytes(40), "DICOM"),
        (b"\x00\x00\x00\x18ftypisom" + bytes(40), "a film"),
        (b"PK\x03\x04" + bytes(40), "ZIP"),
        (b"just text", "^not an image$"),
    ],
)
def test_what_a_file_is_instead_is_said(data, words):
    with pytest.raises(UnreadableImageError, match=words):
        read_header(data)


def test_every_ending_that_is_not_read_has_a_way_out():
    assert formats.way_out(".nef").startswith("export them")
    assert formats.way_out(".jpg") == formats.way_out(".txt") == ""
    assert set(formats.usual_suffixes()) <= formats.readable_suffixes()
