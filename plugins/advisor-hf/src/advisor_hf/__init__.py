"""Image sets of Hugging Face `datasets`."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from advisor import hookimpl
from advisor.types import DatasetFormat

if TYPE_CHECKING:
    from collections.abc import Iterator

    from advisor.types import Listing

PREFIX = "hf:"
_SAVED = ("dataset_dict.json", "state.json")  # one of them stands in a folder that save_to_disk wrote


@hookimpl
def advisor_datasets() -> Iterator[DatasetFormat]:
    """The format."""
    yield DatasetFormat(
        name="hf",
        recognise=recognise,
        open=open_set,
        example="hf:owner/birds",
        summary="a set of Hugging Face `datasets`: a folder that save_to_disk wrote, or hf:<name on the hub>",
    )


def recognise(location: str) -> float:
    """How sure we are: our prefix, or a folder that `save_to_disk` wrote."""
    if location.startswith(PREFIX):
        return float(len(location) > len(PREFIX))
    return 0.95 if is_saved(Path(location.partition("?")[0])) else 0.0


def is_saved(folder: Path) -> bool:
    """Whether `save_to_disk` wrote it."""
    try:
        return any((folder / name).is_file() for name in _SAVED)
    except OSError:  # a name that is too long for a file
        return False


def open_set(location: str) -> Listing:
    """List the images of a set; see `advisor_hf.reading.read_set`."""
    from advisor_hf.reading import read_set

    return read_set(location)
