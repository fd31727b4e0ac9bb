"""WebDataset shards: tar files of images and labels."""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING

from advisor import hookimpl
from advisor.types import DatasetFormat
from advisor_webdataset.shards import open_shards, recognise

if TYPE_CHECKING:
    from collections.abc import Iterator


@hookimpl
def advisor_datasets() -> Iterator[DatasetFormat]:
    """The shards."""
    yield DatasetFormat(
        name="webdataset",
        recognise=recognise,
        open=open_shards,
        images=partial(open_shards, labelled=False),
        example="'shards/train-{000..015}.tar'",
        summary="WebDataset shards: tar files of images with .cls, .json or .txt labels, read in place",
    )
