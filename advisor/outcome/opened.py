"""A run while it is open: its plan, its folder, its search, and what runs the trials."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from pathlib import Path

    from advisor.recipe import Plan
    from advisor.tuning.network_runner import NetworkRunner
    from advisor.tuning.study import Search


@dataclass(frozen=True)
class OpenRun:
    """A run while it is open.

    Attributes:
        plan: that is searched.
        folder: of the run; holds `study.db` and `weights/`.
        search: begun.
        runner: of the search, with the networks and the images.
    """

    plan: Plan
    folder: Path
    search: Search
    runner: NetworkRunner
