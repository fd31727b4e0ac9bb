"""A folder of checkpoints as backbones, and the command that looks after it."""

from __future__ import annotations

from typing import TYPE_CHECKING

from advisor import hookimpl
from advisor.types import Backbone, Command
from advisor_weights.folder import read_manifest, weights_dir

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence


@hookimpl
def advisor_backbones() -> Iterator[Backbone]:
    """Every checkpoint in the folder's manifest."""
    for entry in read_manifest(weights_dir()):
        yield entry.backbone()


@hookimpl
def advisor_commands() -> Iterator[Command]:
    """`advisor weights`."""
    yield Command(name="weights", run=_run, summary="add, verify and list checkpoints of one's own")


def _run(arguments: Sequence[str]) -> int:
    from advisor_weights.command import run

    return run(arguments)
