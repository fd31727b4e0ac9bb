"""`advisor plugins`: list the installed plugins."""

from __future__ import annotations

from typing import TYPE_CHECKING

from advisor.cli.command import CliCommand, Options
from advisor.cli.commands import plugins_check, plugins_new
from advisor.cli.console import page, print_json
from advisor.errors import ExitCode

if TYPE_CHECKING:
    from advisor.report.listings import PluginRow


def run(options: Options) -> ExitCode:
    """List every plugin with what it offers and whether it works."""
    from advisor.plugins import load_catalog

    catalog = load_catalog()
    rows: list[PluginRow] = [
        {
            "name": plugin.name,
            "distribution": plugin.distribution,
            "version": plugin.version,
            "status": plugin.status,
            "hooks": [hook.removeprefix("advisor_") for hook in plugin.hooks],
            "commands": [name for name, offer in catalog.commands.items() if offer.plugin == plugin],
            "reason": plugin.reason,
        }
        for plugin in catalog.plugins
    ]
    if options.json:
        print_json(rows)
    else:
        from advisor.cli import pages

        pages.plugins(page(), rows)
    return ExitCode.OK


COMMAND = CliCommand(
    "plugins",
    "list the installed plugins, start a new one, or check one",
    Options,
    run,
    actions=(plugins_new.COMMAND, plugins_check.COMMAND),
)
