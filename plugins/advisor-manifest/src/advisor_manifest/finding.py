"""From the names in a table to files: spellings that mean the same are understood, others are asked about."""

from __future__ import annotations

import os
import re
from collections import Counter
from dataclasses import dataclass, field
from itertools import islice
from pathlib import Path
from typing import TYPE_CHECKING

from advisor.data.formats import is_image_name
from advisor.data.layout.names import is_skipped
from advisor.errors import UsageError, closest_path
from advisor_manifest.location import Place

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence


_SAMPLE = 64  # names that are looked for first; where all are there, no other is
_MOST = 200_000  # files that are looked through for a near hit
_URL = re.compile(r"[a-zA-Z][a-zA-Z0-9+.\-]+://")


@dataclass(frozen=True)
class Trouble:
    """Why a table's images were not found.

    Attributes:
        message: one sentence, with the folder that was searched and a near hit.
        ways: out of it.
        options: what to say behind the `?` so that they are found; empty where nothing near was.
    """

    message: str
    ways: tuple[str, ...] = ()
    options: dict[str, str] = field(default_factory=dict)


@dataclass(frozen=True)
class Located:
    """Where the images of a table are.

    Attributes:
        paths: for each row, from the table's folder on; of a missing image where it would be.
        reading: how names were understood, for people.
        trouble: where they were not found.
    """

    paths: list[str]
    reading: tuple[str, ...] = ()
    trouble: Trouble | None = None


def locate(given: Sequence[str], place: Place) -> Located:
    """Look for the images that the cells of a table name.

    Backslashes, a leading `/` or `./` and another case are understood where exactly one file fits. Folder and ending
    are taken as said; where they are not and a file is near, that is a trouble with the words to say.

    Args:
        given: cells, without blanks at their ends.
        place: the table, with `folder` and `ending`.

    Raises:
        UsageError: the folder that was named is not there.
    """
    finder = _Finder(place)
    paths = finder.spelled(given)
    missing = [path for path in _spread(paths) if path and not finder.exists(path)]
    if not missing:
        return Located(paths)
    reading: tuple[str, ...] = ()
    if any(finder.same_but_case(path) for path in missing):
        by_case = {path: other for path in set(paths) if path and not finder.exists(path)
                 and (other := finder.same_but_case(path))}  # fmt: skip
        paths = [by_case.get(path, path) for path in paths]
        first = next(iter(sorted(by_case)))
        reading = (
            f"{len(by_case)} names differ from their files in capital letters: `{first}` and `{by_case[first]}`",
        )
    absent = [row for row, path in enumerate(paths) if path and not finder.exists(path)]
    if not absent:
        return Located(paths, reading)
    return Located(paths, reading, finder.trouble(given, paths, absent))


class _Finder:
    """Looks for files, and remembers what it has seen of folders.

    Args:
        place: the table, with the options `folder` and `ending`.
    """

    def __init__(self, place: Place) -> None:
        self._place = place
        self._root = place.file.parent
        self._folder = self._named_folder()
        ending = place.options.get("ending", "")
        self._ending = ending if not ending or ending.startswith(".") else f".{ending}"
        self._names: dict[str, dict[str, list[str]]] = {}

    @property
    def searched(self) -> Path:
        """The folder that names count from."""
        return self._root / self._folder

    def exists(self, path: str) -> bool:
        """Whether a path from the table's folder on is a file."""
        return os.path.isfile(os.path.join(self._root, path))  # noqa: PTH113, PTH118 - a million of them

    def spelled(self, given: Sequence[str]) -> list[str]:
        """Paths from the table's folder on, by all that needs no guess and by what was said."""
        paths = list(given)
        marked = [path for path in paths if "\\" in path]
        if marked and not any(self.exists(path) for path in _spread(marked)):
            paths = [path.replace("\\", "/") for path in paths]
        paths = [re.sub(r"^(\./+)+", "", path) if path.startswith("./") else path for path in paths]
        if any(path.startswith("/") for path in paths):
            rooted = [path for path in paths if path.startswith("/")]
            inside = [path for path in _spread(rooted) if not self.exists(path)
                      and self.exists(self._under(self._ended(path.lstrip("/"))))]  # fmt: skip
            if inside:  # as exports write it that call the root of the dataset `/`
                paths = [path.lstrip("/") if path.startswith("/") and not self.exists(path) else path for path in paths]
        if self._ending:
            paths = [path and self._ended(path) for path in paths]
        return self._in_folder(paths) if "folder" in self._place.options else paths

    def same_but_case(self, path: str) -> str:
        """The one file whose path differs only in capital letters; empty where there is none, or several."""
        parts = path.split("/")
        here = [""] if not path.startswith("/") else ["/"]
        for part in filter(None, parts):
            here = [os.path.join(above, name) for above in here for name in self._children(above).get(part.lower(), [])]  # noqa: PTH118
        files = [one for one in here if self.exists(one)]
        return files[0] if len(files) == 1 else ""

    def trouble(self, given: Sequence[str], paths: Sequence[str], absent: Sequence[int]) -> Trouble | None:
        """What to say of names that no file has; None where some have one and nothing is near: files may be missing.

        Args:
            given: cells.
            paths: what they were read as.
            absent: the rows without a file.
        """
        cells, rows = [given[row] for row in absent], len(paths)
        options, near = self._near(cells)
        if len(cells) < rows and not (options and self._mends(options, given, paths, set(absent))):
            return None
        name = self._place.file.name
        count = f"None of the {rows} images" if len(cells) == rows else f"{len(cells)} of the {rows} images"
        verb = "is" if len(cells) == rows else "are not"
        remote = " They are addresses, and nothing is downloaded." if _URL.match(cells[0]) else ""
        there = f"; there is `{near}`" if near else ""
        message = (
            f"{count} of `{name}` {verb} where the table says: `{cells[0]}` was looked for in "
            f"`{self.searched.resolve()}`{there}.{remote}"
        )
        ways = ["say which folder the names count from, and everything below it is searched: ?folder=images",
                "say what the files end in where the names do not: ?ending=.jpg"]  # fmt: skip
        return Trouble(message, tuple(ways), options)

    def _mends(self, options: dict[str, str], given: Sequence[str], paths: Sequence[str], absent: set[int]) -> bool:
        """Whether some options find most of what is missing, each its own file, and all else where it is now."""
        trial = self._with(options)
        other = trial.spelled(given)
        mended = {path for row, path in enumerate(other) if row in absent and trial.exists(path)}
        kept = all(path == paths[row] for row, path in enumerate(other) if row not in absent)
        return (
            kept
            and 2 * len(mended) > len({paths[row] for row in absent})
            and not mended & {path for row, path in enumerate(paths) if row not in absent}
        )

    def _with(self, options: dict[str, str]) -> _Finder:
        return _Finder(Place(self._place.file, {}, {**self._place.options, **options}))

    def _named_folder(self) -> str:
        named = self._place.options.get("folder", "")
        if not named:
            return ""
        if (self._root / named).is_dir():
            return "" if named in {".", "./"} else named.rstrip("/") or "/"
        if Path(named).is_dir():
            return str(Path(named).resolve())
        raise UsageError(
            f"There is no folder `{named}` in `{self._root.resolve()}`.",
            ways=["`folder` counts from the table's folder on, or from here"],
            hint=closest_path(self._root / named) or f"ls {self._root}",
        )

    def _under(self, path: str) -> str:
        return os.path.join(self._folder, path) if self._folder else path  # noqa: PTH118

    def _ended(self, path: str) -> str:
        """A name with the ending that was said, in the place of another one of images."""
        if not self._ending or path.lower().endswith(self._ending.lower()):
            return path
        stem, dot, _ = path.rpartition(".")
        return (stem if dot and is_image_name(path.rpartition("/")[2]) else path) + self._ending

    def _in_folder(self, paths: list[str]) -> list[str]:
        """Names below the folder that was said: as they stand, without their first parts, or by name alone."""
        bare = [_without_scheme(path) for path in paths]
        sample = _spread([path for path in bare if path])
        deepest = max((path.count("/") for path in sample), default=0)
        hits = [sum(self.exists(self._under(_drop(path, parts))) for path in sample) for parts in range(deepest + 1)]
        parts = max(range(len(hits)), key=lambda one: (hits[one], -one))
        cut = [self._under(_drop(path, parts)) if path else path for path in bare]
        if hits[parts] == len(sample) and (not parts or len(set(cut)) == len(set(bare))):
            return cut
        below: dict[str, list[str]] = {}
        for file in _files_below(self.searched):
            below.setdefault(file.name, []).append(os.path.relpath(file, self._root))
        by_name = {
            path: own[0] for path in set(bare) if path and len(own := below.get(path.rpartition("/")[2], [])) == 1
        }
        if len(set(by_name.values())) == len(by_name) and len(by_name) > len(set(bare)) * hits[parts] / max(
            len(sample), 1
        ):
            return [by_name.get(path, path and self._under(path)) for path in bare]
        return cut if not parts or len(set(cut)) == len(set(bare)) else [path and self._under(path) for path in bare]

    def _children(self, folder: str) -> dict[str, list[str]]:
        """Names in a folder by their lower case."""
        if folder not in self._names:
            names: dict[str, list[str]] = {}
            try:
                for name in os.listdir(os.path.join(self._root, folder)):  # noqa: PTH118, PTH208
                    names.setdefault(name.lower(), []).append(name)
            except OSError:
                names = {}
            self._names[folder] = names
        return self._names[folder]

    def _near(self, cells: list[str]) -> tuple[dict[str, str], str]:
        """The options by which most of some missing images would be found, and a file that is near the first."""
        if not self.searched.is_dir():
            return {}, ""
        files = [os.path.relpath(file, self._root) for file in islice(_files_below(self._root), _MOST)
                 if is_image_name(file.name)]  # fmt: skip
        by_name: dict[str, list[str]] = {}
        for file in files:
            name = file.rpartition("/")[2].lower()
            for key in dict.fromkeys((name, name.rpartition(".")[0])):
                by_name.setdefault(key, []).append(file)
        sample = _spread(cells)
        trials: Counter[tuple[tuple[str, str], ...]] = Counter()
        first = ""
        for cell in sample:
            plain = _without_scheme(cell.replace("\\", "/")).lstrip("/")
            name = plain.rpartition("/")[2].lower()
            near = by_name.get(name) or (by_name.get(name.rpartition(".")[0]) if is_image_name(name) else None)
            if near:
                first = first or near[0]
                trials.update(_options(plain, near[0]))
        for options, _ in trials.most_common(6):
            words = dict(options)
            trial = self._with(words)
            hits = sum(bool(path) and trial.exists(path) for path in trial.spelled(sample))
            if 2 * hits > len(sample):
                return words, first
        return {}, first


def _files_below(folder: Path) -> Iterator[Path]:
    """All files below a folder but hidden ones and a system's own; linked folders are followed once."""
    above: set[str] = set()
    for here, folders, names in os.walk(folder, followlinks=True):
        real = os.path.realpath(here)
        folders[:] = (
            [] if real in above else sorted(name for name in folders if not is_skipped(name, beside_images=False))
        )
        if real not in above:
            yield from (Path(here, name) for name in sorted(names) if not name.startswith("."))
        above.add(real)


def _options(given: str, near: str) -> list[tuple[tuple[str, str], ...]]:
    """What could be said so that a name leads to a file, the least first."""
    ending = os.path.splitext(near)[1]  # noqa: PTH122
    end = (("ending", ending),) if not given.lower().endswith(ending.lower()) else ()
    folder = near.rpartition("/")[0]
    tail = given.rpartition("/")[0]
    while tail and not (f"/{folder}" == f"/{tail}" or f"/{folder}".endswith(f"/{tail}")):
        tail = tail.partition("/")[2]  # parts that the names have and the folders have not
    if tail:
        folder = folder[: len(folder) - len(tail)].rstrip("/")
    choices = [end] if end else []
    choices.append((("folder", folder or "."), *end))
    choices += [
        (("folder", above), *end) for above in dict.fromkeys((near.partition("/")[0] if "/" in near else ".", "."))
    ]
    return list(dict.fromkeys(choices))


def _without_scheme(path: str) -> str:
    """A path without what makes it an address or a place on a drive."""
    if _URL.match(path):
        return _URL.sub("", path).partition("?")[0].partition("#")[0]
    return re.sub(r"^(?:[a-zA-Z]:)?/+", "", path) if re.match(r"^[a-zA-Z]:/|^/", path) else path


def _drop(path: str, parts: int) -> str:
    """A path without its first parts, its name kept."""
    pieces = path.split("/")
    return "/".join(pieces[min(parts, len(pieces) - 1) :])


def _spread(items: Sequence[str]) -> list[str]:
    """Some of many, evenly spread, the first among them."""
    step = max(1, len(items) // _SAMPLE)
    return list(items[::step])
