"""What a plugin has to be as a package, and checking all that it offers."""

from __future__ import annotations

import contextlib
import importlib.metadata
import subprocess
import sys
import tempfile
import tomllib
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from advisor.discovery import GROUP, distribution_of
from advisor.errors import PluginError, closest
from advisor.plugins import load_catalog
from advisor.testing import backbones, datasets, heads, recipes
from advisor.testing.checking import Finding, Flaw, ask, run_checks
from advisor.types import BackboneFamily

if TYPE_CHECKING:
    from collections.abc import Iterator

    from advisor.types import DatasetFormat, Offer

_HEAVY = ("torch", "timm", "torchvision", "pandas", "numpy", "scipy", "sklearn", "PIL", "datasets")
_PATIENCE = 120  # seconds for an import


@dataclass(frozen=True)
class Package:
    """An installed plugin.

    Attributes:
        name: of its entry point.
        module: that the entry point names.
        distribution: that brought it.
        metadata: of that distribution, by key, first values.
        requires: its requirements.
    """

    name: str
    module: str
    distribution: str
    metadata: dict[str, str]
    requires: tuple[str, ...]


def find(name: str) -> Package:
    """The installed plugin of an entry point, or the first of a distribution.

    Raises:
        PluginError: there is none.
    """
    return find_all(name)[0]


def find_all(name: str) -> list[Package]:
    """The installed plugins of an entry point's or a distribution's name, sorted by theirs.

    Raises:
        PluginError: there is none.
    """
    entries = sorted(importlib.metadata.entry_points(group=GROUP), key=lambda entry: entry.name)
    if found := [_package(entry) for entry in entries if name in {entry.name, distribution_of(entry)[0]}]:
        return found
    names = [entry.name for entry in entries]
    raise PluginError(
        f"There is no plugin `{name}` installed, and no folder of that name with a pyproject.toml.",
        ways=[f"installed: {', '.join(sorted(names)) or 'none'}", "give the folder of a plugin's source"],
        hint=closest(name, names) or "advisor plugins",
    )


def _package(entry: importlib.metadata.EntryPoint) -> Package:
    """What is known of an entry point's distribution; nothing where its metadata cannot be read."""
    metadata: dict[str, str] = {}
    requires: tuple[str, ...] = ()
    if entry.dist is not None:
        with contextlib.suppress(UnicodeDecodeError, OSError, LookupError):
            metadata = {str(key): str(value) for key, value in entry.dist.metadata.json.items()}
            requires = tuple(entry.dist.requires or ())
    return Package(entry.name, entry.module, distribution_of(entry)[0], metadata, requires)


def imports_nothing_heavy(package: Package) -> None:
    """Importing it imports no torch and no other heavy library, so that `advisor --help` stays quick."""
    code = (
        f"import sys; sys.path[:0] = {sys.path!r}\n"
        f"import {package.module}\n"
        f"print('HEAVY', *[name for name in {_HEAVY!r} if name in sys.modules])"
    )
    command = [sys.executable, "-c", code]
    command = [sys.executable, "-c", code]
    done = subprocess.run(command, capture_output=True, text=True, check=False, timeout=_PATIENCE)  # noqa: S603
    if done.returncode:
        raise Flaw(f"it cannot be imported: {(done.stderr.strip().splitlines() or ['no reason given'])[-1]}")
    heavy = done.stdout.rpartition("HEAVY")[2].split()
    ask(not heavy, f"it imports {', '.join(heavy)}; import them inside the functions that need them")


def is_active(package: Package) -> None:
    """It loads beside everything else that is installed, without a warning, and implements a hook."""
    said: list[str] = []
    plugins = {plugin.key: plugin for plugin in load_catalog(on_warning=said.append).plugins}
    mine = plugins[f"{package.distribution}:{package.name}"]
    about = [line for line in said if mine.origin in line]
    ask(not about, " ".join(about))
    ask(mine.status == "active", f"it is {mine.status}: {mine.reason or 'by ADVISOR_PLUGINS or ADVISOR_DISABLE'}")
    ask(mine.hooks, "it implements no hook")


def is_described(package: Package) -> None:
    """Its metadata state a licence, a summary, a README, and that it needs transfer-advisor."""
    known = package.metadata
    licence = known.get("license_expression") or known.get("license") or "License ::" in known.get("classifier", "")
    ask(licence, 'no licence: [project] license = "MIT"')
    ask(known.get("summary"), 'no summary: [project] description = "…"')
    ask(known.get("description"), 'no README: [project] readme = "README.md"')
    ask(any(one.startswith("transfer-advisor") for one in package.requires), "it does not require transfer-advisor")


CHECKS = (imports_nothing_heavy, is_active, is_described)


def examine(target: str, location: str = "") -> Iterator[Finding]:
    """Check a plugin and everything that it offers.

    Args:
        target: name of its entry point or distribution, or the folder of its source.
        location: images for its dataset formats; by default what they give as examples.

    Raises:
        PluginError: there is no such plugin.
    """
    with contextlib.ExitStack() as stack:
        if (Path(target) / "pyproject.toml").is_file():
            names, distribution = stack.enter_context(_installed_from(Path(target)))
            packages = [one for name in names for one in find_all(name) if one.distribution == distribution]
        else:
            packages = find_all(target)
        for package in packages:
            yield from run_checks(f"plugin {package.name}", package, CHECKS)
            yield from _offers(package, location)


def _offers(package: Package, location: str) -> Iterator[Finding]:
    catalog = load_catalog(on_warning=lambda _line: None, only=[package.name])
    for name, backbone in catalog.backbones.items():
        if _is_of(backbone, package) and not isinstance(backbone.item, BackboneFamily):
            yield from run_checks(f"backbone {name}", backbone.item, backbones.CHECKS)
    for name, head in catalog.heads.items():
        if _is_of(head, package):
            yield from run_checks(f"head {name}", head.item, heads.CHECKS)
    for name, dataset_format in catalog.datasets.items():
        if _is_of(dataset_format, package):
            yield from _format(name, dataset_format.item, location)
    for name, recipe_file in catalog.recipes.items():
        if _is_of(recipe_file, package):
            yield from run_checks(f"recipe {name}", recipes.Cookbook(recipe_file.item, catalog), recipes.CHECKS)


def _is_of(offer: Offer[object], package: Package) -> bool:
    return (offer.plugin.distribution, offer.plugin.name) == (package.distribution, package.name)


def _format(name: str, dataset_format: DatasetFormat, location: str) -> Iterator[Finding]:
    place = location or dataset_format.example
    missing = ":" not in place and not Path(place.partition("?")[0]).exists()
    if missing or not dataset_format.recognise(place):
        flaw = f"its example `{place}` is not here to be tried: give images that it reads with --location"
        if location:
            flaw = f"it does not recognise `{place}`" if not missing else f"there is nothing at `{place}`"
        yield Finding(f"dataset {name}", "There are images to try it on", flaw)
        return
    yield from run_checks(f"dataset {name}", datasets.Place(dataset_format, place), datasets.CHECKS)


@contextlib.contextmanager
def _installed_from(folder: Path) -> Iterator[tuple[list[str], str]]:
    """The plugins of a source folder as if they were installed; names of their entry points, and the distribution's.

    Raises:
        PluginError: its pyproject.toml is broken or names no entry point.
    """
    try:
        project = tomllib.loads((folder / "pyproject.toml").read_text("utf-8")).get("project", {})
    except (tomllib.TOMLDecodeError, UnicodeDecodeError, OSError) as error:
        raise PluginError(
            f"`{folder / 'pyproject.toml'}` cannot be read: {error}.", hint="advisor plugins new my-backbone"
        ) from error
    entries = project.get("entry-points", {}).get(GROUP, {})
    if not entries:
        raise PluginError(
            f"`{folder / 'pyproject.toml'}` has no entry point in the group `{GROUP}`.",
            ways=['add [project.entry-points.advisor] with a line such as my-backbone = "advisor_my_backbone"'],
            hint="advisor plugins new my-backbone",
        )
    name, version = str(project.get("name", folder.name)), str(project.get("version", "0"))
    stated = project.get("readme", "")
    readme = folder / str(stated.get("file", "") if isinstance(stated, dict) else stated)
    body = readme.read_text("utf-8") if readme.is_file() else ""
    licence = project.get("license", "")
    lines = [
        "Metadata-Version: 2.4",
        f"Name: {name}",
        f"Version: {version}",
        f"Summary: {project.get('description', '')}",
    ]
    lines += [f"License-Expression: {licence if isinstance(licence, str) else ' '.join(map(str, licence.values()))}"]
    lines += [f"Requires-Dist: {one}" for one in project.get("dependencies", [])]
    with tempfile.TemporaryDirectory() as site:
        info = Path(site) / f"{name.replace('-', '_')}-{version}.dist-info"
        info.mkdir()
        (info / "METADATA").write_text("\n".join(lines) + f"\n\n{body}", "utf-8")
        (info / "entry_points.txt").write_text(
            f"[{GROUP}]\n" + "".join(f"{key} = {value}\n" for key, value in entries.items()), "utf-8"
        )
        root = folder / "src" if (folder / "src").is_dir() else folder
        added = [site, str(root.resolve())]
        sys.path[:0] = added
        try:
            yield sorted(entries), name
        finally:
            for path in added:
                sys.path.remove(path)
