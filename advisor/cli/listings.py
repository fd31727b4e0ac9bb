"""Commands that need no images: what is installed, kept, offered or wrong. One function per command."""

from __future__ import annotations

import fnmatch
from typing import TYPE_CHECKING, Any

from advisor.cli.console import page, print_json
from advisor.cli.talk import Talk
from advisor.errors import BackboneError, ExitCode, closest
from advisor.plugins import load_catalog

if TYPE_CHECKING:
    import argparse


def cache(args: argparse.Namespace) -> ExitCode:
    """`advisor cache`."""
    import time
    from dataclasses import asdict

    from advisor.cli import pages
    from advisor.data.cache import cache_dir, cache_entries, clear_cache

    freed = None
    if args.clear:
        freed = clear_cache("" if args.clear == "all" else args.clear, args.older_than)
    now, where = time.time(), cache_dir("").resolve()
    old = 0.0 if args.older_than is None or args.clear else args.older_than
    entries = [entry for entry in cache_entries() if now - entry.used >= old]
    if args.json:
        total = sum(entry.bytes for entry in entries)
        print_json({"folder": str(where), "freed": freed, "bytes": total, "entries": [asdict(e) for e in entries]})
    else:
        pages.cache(page(), entries, str(where), now, freed)
    return ExitCode.OK


def plugins(args: argparse.Namespace) -> ExitCode:
    """`advisor plugins`, and what it does to one of them."""
    if args.action == "new":
        return _new_plugin(args)
    if args.action == "check":
        return _check_plugins(args)
    catalog = load_catalog()
    rows = [
        {"name": p.name, "distribution": p.distribution, "version": p.version, "status": p.status,
         "hooks": [hook.removeprefix("advisor_") for hook in p.hooks],
         "commands": [name for name, offer in catalog.commands.items() if offer.plugin == p], "reason": p.reason}
        for p in catalog.plugins
    ]  # fmt: skip
    if args.json:
        print_json(rows)
    else:
        from advisor.cli import pages

        pages.plugins(page(), rows)
    return ExitCode.OK


def _new_plugin(args: argparse.Namespace) -> ExitCode:
    from pathlib import Path

    from advisor.packaging.new import new_plugin

    folder = new_plugin(args.name, Path(args.into), kind=args.kind, licence=args.licence)
    files = sorted(str(path.relative_to(folder)) for path in folder.rglob("*") if path.is_file())
    name = folder.name.removeprefix("advisor-")
    if args.json:
        print_json({"name": name, "folder": str(folder), "files": files})
        return ExitCode.OK
    print(f"{folder}/ is a complete plugin:\n")
    print("\n".join(f"  {file}" for file in files))
    print(f"\nInstall it and check it:\n\n  pip install -e {folder}\n  advisor plugins check {name}\n"
          f"\nIts README.md says what to put in.")  # fmt: skip
    return ExitCode.OK


def _check_plugins(args: argparse.Namespace) -> ExitCode:
    from dataclasses import asdict

    from advisor.discovery import CORE
    from advisor.testing.packages import examine

    found = load_catalog(on_warning=lambda _line: None).plugins if not args.target else ()
    targets = [args.target] if args.target else [p.name for p in found if p.distribution != CORE]
    findings = []
    for target in targets:
        for finding in examine(target, args.location):
            findings.append(finding)
            if not args.json and not args.quiet:
                mark = f"FAILS   {finding.about}: {finding.check}\n        {finding.flaw}" if finding.flaw else (
                    f"holds   {finding.about}: {finding.check}"
                )  # fmt: skip
                print(mark, flush=True)
    failed = [finding for finding in findings if finding.flaw]
    if args.json:
        print_json([asdict(finding) for finding in findings])
    elif failed:
        print(f"\n{len(failed)} of {len(findings)} checks fail.")
    else:
        print(f"\nAll {len(findings)} checks hold.")
    return ExitCode.COULD_NOT if failed else ExitCode.OK


def backbones(args: argparse.Namespace) -> ExitCode:
    """`advisor backbones`."""
    from advisor.types import BackboneFamily

    catalog = load_catalog()
    rows: list[dict[str, Any]] = []
    known = list(catalog.backbones)
    for name, offer in sorted(catalog.backbones.items()):
        item = offer.item
        if isinstance(item, BackboneFamily):
            # Asking a family for its names may import a whole library.
            if not args.pattern:
                rows.append({"name": f"{name}<name>", "input": "", "weights": "", "summary": item.summary,
                             "from": offer.plugin.origin})  # fmt: skip
            elif args.pattern.startswith(name) or args.pattern.startswith("*"):
                known += (names := item.names())
                rows += [{"name": full, "input": "", "weights": "hub", "summary": "", "from": offer.plugin.origin}
                         for full in names if fnmatch.fnmatch(full, args.pattern)]  # fmt: skip
        elif fnmatch.fnmatch(name, args.pattern or "*"):
            rows.append({"name": name, "input": item.input.size,
                         "weights": f"{item.weights.trained_on}, {item.weights.licence}",
                         "summary": item.summary, "from": offer.plugin.origin})  # fmt: skip
    if not rows:
        raise BackboneError(
            f"No backbone is named like `{args.pattern}`.",
            ways=["patterns match whole names: timm/*resnet*"],
            hint=closest(args.pattern, known) or "advisor backbones 'timm/*resnet18*'",
        )
    return _listing(args, "backbones", rows)


def heads(args: argparse.Namespace) -> ExitCode:
    """`advisor heads`."""
    rows = [
        {"name": name, "summary": offer.item.summary,
         "parameters": [f"head.{name}.{param.name}" for param in offer.item.params], "from": offer.plugin.origin}
        for name, offer in sorted(load_catalog().heads.items())
    ]  # fmt: skip
    return _listing(args, "heads", rows)


def datasets(args: argparse.Namespace) -> ExitCode:
    """`advisor datasets`."""
    rows = [
        {
            "name": name,
            "example": offer.item.example,
            "summary": offer.item.summary,
            "from": offer.plugin.origin,
        }
        for name, offer in sorted(load_catalog().datasets.items())
    ]
    return _listing(args, "datasets", rows)


def recipes(args: argparse.Namespace) -> ExitCode:
    """`advisor recipes`."""
    from advisor.recipe import KEYS, load_recipe

    catalog = load_catalog()
    rows: list[dict[str, Any]]
    if args.keys:
        rows = [{"key": path, "default": key.default, "help": key.help} for path, key in KEYS.items()]
        rows += [{"key": f"head.{name}.{param.name}", "default": param.default, "help": param.help}
                 for name, offer in sorted(catalog.heads.items()) for param in offer.item.params]  # fmt: skip
        return _listing(args, "keys", rows)
    loaded = {name: load_recipe(name, catalog) for name in sorted(catalog.recipes)}
    rows = [
        {"name": name, "scenario": recipe.scenario, "summary": recipe.summary,
         "from": catalog.recipes[name].plugin.origin}
        for name, recipe in loaded.items()
    ]  # fmt: skip
    return _listing(args, "recipes", rows)


def doctor(args: argparse.Namespace) -> ExitCode:
    """`advisor doctor`."""
    from dataclasses import asdict

    from advisor.cli import pages
    from advisor.doctor.examination import PROBLEM, examine

    Talk(quiet=args.quiet).say("Looking at the installation; the import of torch takes some seconds.")
    found, out = [], page()
    for one in examine():
        found.append(one)
        if not args.json:
            pages.finding(out, one)
    if args.json:
        print_json([asdict(one) for one in found])
    else:
        pages.diagnosis(out, found)
    return ExitCode.COULD_NOT if any(one.state == PROBLEM for one in found) else ExitCode.OK


def completion(args: argparse.Namespace) -> ExitCode:
    """`advisor completion`."""
    from advisor.cli.completion import script
    from advisor.cli.main import build_parser

    text = script(build_parser(), args.shell, load_catalog())
    if args.json:
        print_json({"shell": args.shell, "script": text})
    else:
        print(text)
    return ExitCode.OK


def _listing(args: argparse.Namespace, title: str, rows: list[dict[str, Any]]) -> ExitCode:
    from advisor.cli import pages

    if args.json:
        print_json(rows)
    else:
        pages.table(page(), title, rows)
    return ExitCode.OK
