"""The commands of the core, a module each, in the order in which `advisor --help` lists them.

`advisor --help` imports all of these modules, so they import only what is light; the rest they import in `run`.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from advisor.cli.commands import (
    backbones,
    cache,
    completion,
    datasets,
    doctor,
    eject,
    explain,
    export,
    heads,
    plugins,
    predict,
    profile,
    recipes,
    recommend,
    reference,
    report,
    tune,
)

if TYPE_CHECKING:
    from advisor.cli.command import AnyCommand

COMMANDS: tuple[AnyCommand, ...] = (
    recommend.COMMAND,
    tune.COMMAND,
    report.COMMAND,
    explain.COMMAND,
    predict.COMMAND,
    profile.COMMAND,
    reference.COMMAND,
    export.COMMAND,
    eject.COMMAND,
    cache.COMMAND,
    plugins.COMMAND,
    backbones.COMMAND,
    heads.COMMAND,
    datasets.COMMAND,
    recipes.COMMAND,
    doctor.COMMAND,
    completion.COMMAND,
)
