"""Which files are images that can be read here, and what to say of those that are not."""

from __future__ import annotations

from collections import Counter
from functools import cache
from importlib.metadata import version
from importlib.util import find_spec
from pathlib import PurePosixPath
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterable

ARCHIVES = frozenset({".zip", ".tar", ".gz", ".tgz", ".bz2", ".xz", ".7z", ".rar"})
TABLES = frozenset({".csv", ".tsv", ".parquet", ".pq", ".jsonl", ".ndjson"})
# Pillow opens these, but they are documents, films, vector drawings, or boxes whose content it cannot read.
_NO_IMAGES = frozenset({"BUFR", "EPS", "GRIB", "HDF5", "IPTC", "MPEG", "PDF", "WMF"})
_OTHERS = frozenset({".gbr", ".fit"})  # far more often plans of circuits and records of sports than images
_USUAL = (".jpg", ".png", ".webp", ".tif", ".bmp", ".gif", ".avif", ".jp2", ".ppm", ".heic")

_CONVERT = "convert them to JPEG or PNG"
_DEPTH = "write them as 16-bit PNG or TIFF"
_REINSTALL = "reinstall Pillow, whose usual builds read it"
_HEIC = ("a HEIC image", "install the extra `heic`: pip install 'transfer-advisor[heic]'")
# What a file of an ending is that may not be read here, and the way out.
_UNREAD: dict[str, tuple[str, str]] = {
    **dict.fromkeys((".heic", ".heics", ".heif", ".heifs", ".hif"), _HEIC),
    **dict.fromkeys((".avif", ".avifs"), ("an AVIF image", _REINSTALL)),
    **dict.fromkeys((".jp2", ".j2k", ".jpx", ".j2c", ".jpc", ".jpf"), ("a JPEG 2000 image", _REINSTALL)),
    ".jxl": ("a JPEG XL image", _CONVERT),
    **dict.fromkeys(
        (".cr2", ".cr3", ".nef", ".nrw", ".arw", ".dng", ".orf", ".rw2", ".raf", ".pef", ".srw", ".raw"),
        ("raw camera data", "export them from your photo program as JPEG or TIFF"),
    ),
    **dict.fromkeys((".svg", ".svgz", ".ai", ".eps", ".ps", ".wmf", ".emf"), ("a vector drawing", _CONVERT)),
    **dict.fromkeys((".pdf", ".djvu"), ("a document", "save its pages as PNG")),
    **dict.fromkeys(
        (".mp4", ".mov", ".avi", ".mkv", ".webm", ".m4v", ".mpg", ".mpeg", ".wmv", ".mts", ".3gp"),
        ("a film", "save the frames that you want as JPEG or PNG"),
    ),
    **dict.fromkeys((".dcm", ".dicom"), ("a DICOM file", _DEPTH)),
    **dict.fromkeys((".nii", ".mha", ".mhd", ".nrrd"), ("a volume", "write its slices as 16-bit PNG or TIFF")),
    **dict.fromkeys(
        (".czi", ".lif", ".nd2", ".oib", ".oif", ".svs", ".ndpi", ".mrxs", ".vsi"),
        ("a microscope's or scanner's own container", _DEPTH),
    ),
    **dict.fromkeys((".exr", ".hdr"), ("an image of unlimited range", _DEPTH)),
    **dict.fromkeys((".xcf", ".kra", ".afphoto", ".psb"), ("a drawing program's own file", _CONVERT)),
    **dict.fromkeys((".npy", ".npz", ".mat", ".h5", ".hdf", ".hdf5"), ("an array", "write each image as PNG or TIFF")),
}
_BRANDS = {
    **dict.fromkeys((b"heic", b"heix", b"heim", b"heis", b"hevc", b"hevx", b"mif1", b"msf1"), ".heic"),
    **dict.fromkeys((b"avif", b"avis"), ".avif"),
    b"crx ": ".cr3",
}
_STARTS: tuple[tuple[bytes, str], ...] = (
    (b"%PDF", ".pdf"), (b"%!PS", ".eps"), (b"\xc5\xd0\xd3\xc6", ".eps"), (b"<svg", ".svg"),
    (b"\xff\x0a", ".jxl"), (b"\x00\x00\x00\x0cJXL ", ".jxl"), (b"\x00\x00\x00\x0cjP  ", ".jp2"),
    (b"\xff\x4f\xff\x51", ".jp2"), (b"\x76\x2f\x31\x01", ".exr"), (b"#?RADIANCE", ".hdr"), (b"\x89HDF", ".hdf5"),
    (b"\x93NUMPY", ".npy"), (b"\x1aE\xdf\xa3", ".mkv"), (b"gimp xcf", ".xcf"), (b"\x00\x00\x01\xba", ".mpg"),
    (b"FUJIFILMCCD-RAW", ".raf"),
)  # fmt: skip
_TEXTS: tuple[tuple[bytes, str], ...] = (
    (b"version https://git-lfs", "a pointer of Git LFS, not the image: git lfs pull brings it"),
    (b"<!doctype html", "a web page, as a failed download leaves it"),
    (b"<html", "a web page, as a failed download leaves it"),
    (b"pk\x03\x04", "a ZIP archive; unpack it"),
    (b"\x1f\x8b", "a compressed file; unpack it"),
)


@cache
def register() -> tuple[str, ...]:
    """Let Pillow know every format that can be read here.

    Returns:
        Their names, for `Image.open`: documents, films and vector drawings are not among them.
    """
    from PIL import Image

    Image.init()
    if find_spec("pillow_heif") is not None:
        from pillow_heif import register_heif_opener

        register_heif_opener(thumbnails=False)
    return tuple(name for name in Image.ID if name not in _NO_IMAGES)


def decoders() -> str:
    """What decodes image files here, with versions: another one may give other pixels."""
    import PIL

    more = f"-heif{version('pillow-heif')}" if find_spec("pillow_heif") is not None else ""
    return f"pillow{PIL.__version__}{more}"


@cache
def readable_suffixes() -> frozenset[str]:
    """Endings of files that are read as images here, in small letters with their dot, such as `.jpg`."""
    from PIL import Image

    names = {*register(), "MPO"}  # which Pillow opens as a JPEG
    return frozenset(end for end, name in Image.registered_extensions().items() if name in names) - _OTHERS


def usual_suffixes() -> tuple[str, ...]:
    """The readable endings that people know, for messages."""
    return tuple(suffix for suffix in _USUAL if suffix in readable_suffixes())


def is_image_name(name: str) -> bool:
    """Whether a file's name says that it is an image that can be read here; hidden files are none."""
    return not name.startswith(".") and ending(name) in readable_suffixes()


def way_out(suffix: str) -> str:
    """What to do with files of an ending, such as `.nef`, that hold images or films and are not read; or nothing."""
    return "" if suffix in readable_suffixes() else _UNREAD.get(suffix, ("", ""))[1]


def ending(name: str) -> str:
    """The ending of a file's name in lower case."""
    return PurePosixPath(name).suffix.lower()


def unread_pictures(names: Iterable[str]) -> str:
    """One sentence on pictures whose endings are not read, by ending, with the way out; empty where there are none."""
    counts = Counter(end for name in names if way_out(end := ending(name)))
    if not counts:
        return ""
    named = ", ".join(f"{end} ({count})" for end, count in counts.most_common())
    ways = dict.fromkeys(way_out(end) for end, _ in counts.most_common())
    total = sum(counts.values())
    what = "1 picture is not read" if total == 1 else f"{total} pictures are not read"
    return f"{what}, of the ending{'s' if len(counts) > 1 else ''} {named}: {'; '.join(ways)}."


def by_ending(names: Iterable[str], most: int = 5) -> str:
    """Counts of files by ending, the most frequent first: `.txt 12, .json 3, without ending 1`."""
    counts = Counter(ending(name) or "without ending" for name in names)
    more = len(counts) - most
    named = ", ".join(f"{end} {count}" for end, count in counts.most_common(most))
    return f"{named} and {more} more endings" if more > 0 else named


def kind_of(data: bytes) -> str:
    """What the first bytes of a file say that it is, in words and with what to do; empty where they say nothing."""
    suffix = _suffix_of(data)
    if suffix:
        kind, way = _UNREAD[suffix]
        return f"{kind} that is damaged" if suffix in readable_suffixes() else f"{kind}; {way}"
    start = data[:64].lstrip().lower()
    return next((words for text, words in _TEXTS if start.startswith(text)), "")


def _suffix_of(data: bytes) -> str:
    if data[4:8] == b"ftyp":
        brands = [data[8:12], *(data[place : place + 4] for place in range(16, min(len(data), 64), 4))]
        known = [_BRANDS[brand] for brand in brands if brand in _BRANDS]
        return ".avif" if ".avif" in known else known[0] if known else ".mp4"
    if data[128:132] == b"DICM":
        return ".dcm"
    start = data[:256].lstrip()
    if start.startswith(b"<?xml") and b"<svg" in data[:2048]:
        return ".svg"
    return next((suffix for text, suffix in _STARTS if start.startswith(text)), "")
