"""Tables of labelled images: CSV, TSV, Parquet and JSON Lines."""

from __future__ import annotations

from typing import TYPE_CHECKING

from advisor import hookimpl
from advisor.types import DatasetFormat
from advisor_manifest.location import recognise

if TYPE_CHECKING:
    from collections.abc import Iterator

    from advisor.types import Listing


@hookimpl
def advisor_datasets() -> Iterator[DatasetFormat]:
    """The table."""
    yield DatasetFormat(
        name="manifest",
        recognise=recognise,
        open=open_manifest,
        images=list_images,
        example="photos.csv",
        summary="a CSV, TSV, Parquet or JSON Lines table with the columns path and label, perhaps split and group",
    )


def open_manifest(location: str) -> Listing:
    """List the images that a table names; see `advisor_manifest.table.read_manifest`."""
    from advisor_manifest.table import read_manifest

    return read_manifest(location)


def list_images(location: str) -> Listing:
    """List an image for each row, whatever its label; see `advisor_manifest.table.read_images`."""
    from advisor_manifest.table import read_images

    return read_images(location)
