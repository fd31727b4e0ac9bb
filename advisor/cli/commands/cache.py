"""`advisor cache`: show or clear what is kept between runs."""

from __future__ import annotations

import argparse
import time
from dataclasses import asdict

from advisor.cli.command import CliCommand, Options
from advisor.cli.console import page, print_json
from advisor.data.cache import KINDS, cache_dir, cache_entries, clear_cache
from advisor.errors import ExitCode

_UNITS = {"m": 60, "h": 3600, "d": 24 * 3600, "w": 7 * 24 * 3600}  # seconds
_ALL = "all"


class CacheOptions(Options):
    """What `advisor cache` is given.

    Attributes:
        clear: one of `KINDS`, `all`, or None to clear nothing.
        older_than: seconds.
    """

    clear: str | None
    older_than: float | None


def add_options(parser: argparse.ArgumentParser) -> None:
    """The options of `CacheOptions`."""
    parser.add_argument(
        "--clear",
        nargs="?",
        const=_ALL,
        choices=(_ALL, *KINDS),
        metavar="KIND",
        help=f"remove one kind ({', '.join(KINDS)}) or all (the default)",
    )
    parser.add_argument(
        "--older-than",
        type=_age,
        metavar="AGE",
        help="only what has not been used for this long, such as 12h, 30d or 8w",
    )


def _age(text: str) -> float:
    """An age in seconds."""
    number, unit = text[:-1], text[-1:]
    if unit not in _UNITS or not number.isdigit():
        raise argparse.ArgumentTypeError(f"`{text}` is not an age; write 12h, 30d or 8w")
    return int(number) * float(_UNITS[unit])


def run(options: CacheOptions) -> ExitCode:
    """Clear what is asked for, and print what is there."""
    from advisor.cli import pages

    freed = None
    if options.clear:
        freed = clear_cache("" if options.clear == _ALL else options.clear, options.older_than)
    now, folder = time.time(), str(cache_dir("").resolve())
    least_age = 0.0 if options.older_than is None or options.clear else options.older_than
    entries = [entry for entry in cache_entries() if now - entry.used >= least_age]
    if options.json:
        total = sum(entry.bytes for entry in entries)
        rows = [asdict(entry) for entry in entries]
        print_json({"folder": folder, "freed": freed, "bytes": total, "entries": rows})
    else:
        pages.cache(page(), entries, folder, now, freed)
    return ExitCode.OK


COMMAND = CliCommand(
    "cache", "show what is kept between runs, or clear it; all of it can be made again", CacheOptions, run, add_options
)
