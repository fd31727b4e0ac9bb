"""A complete plugin package from nothing: it installs, passes its own tests, and shows where one's own goes."""

from __future__ import annotations

import hashlib
import json
import re
from importlib import resources
from string import Template
from typing import TYPE_CHECKING

from advisor.errors import UNSEEN, UsageError
from advisor.version import __version__

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from importlib.resources.abc import Traversable
    from pathlib import Path

KINDS = ("backbone", "head", "dataset", "recipe")
_SUMMARIES = {
    "backbone": "A pretrained network for transfer-advisor.",
    "head": "A classifier for transfer-advisor.",
    "dataset": "Labelled images for transfer-advisor.",
    "recipe": "A recipe for transfer-advisor.",
}


# What would begin something else in Markdown: a code span, a cell, a tag, a link, an emphasis.
_MARKDOWN = str.maketrans({"\\": "\\\\", "`": "'", "|": "\\|", "<": "&lt;", "[": "\\[", "*": "\\*"})


def new_plugin(name: str, parent: Path, *, kind: str = "backbone", licence: str = "MIT") -> Path:
    """Write a plugin package; the folder made.

    Args:
        name: of the plugin and of what it offers: lower-case letters, digits and hyphens.
        parent: where the folder `advisor-NAME` is made.
        kind: what it offers, one of `KINDS`.
        licence: SPDX identifier of its code.

    Raises:
        UsageError: the name is no name, or the folder is there already.
    """
    name = name.removeprefix("advisor-")
    words = words_for(name, summary=_SUMMARIES[kind], licence=licence)
    folder = parent / words["distribution"]
    require_new(folder)
    if kind == "backbone":
        weights = _seeded_weights()
        words["sha256"] = hashlib.sha256(weights).hexdigest()
    write_template(resources.files("advisor.packaging") / "plugin-templates" / "common", folder, words)
    write_template(resources.files("advisor.packaging") / "plugin-templates" / kind, folder, words)
    module = folder / "src" / words["module"]
    (module / "py.typed").touch()
    if kind == "backbone":
        (module / "weights.safetensors").write_bytes(weights)
    return folder


def words_for(name: str, *, summary: str, licence: str) -> dict[str, str]:
    """What templates are filled with.

    Raises:
        UsageError: the name is no name.
    """
    if not re.fullmatch("[a-z][a-z0-9]*(-[a-z0-9]+)*", name):
        raise UsageError(
            f"`{name}` cannot name a plugin.",
            ways=["lower-case letters, digits and single hyphens, a letter first"],
            hint=f"advisor plugins new {re.sub('[^a-z0-9]+', '-', name.lower()).strip('-0123456789') or 'my-backbone'}",
        )
    module = f"advisor_{name.replace('-', '_')}"
    core = ".".join(__version__.split(".")[:2])
    return {"name": name, "distribution": f"advisor-{name}", "module": module, "summary": summary,
            "licence": licence, "core": core}  # fmt: skip


def require_new(
    folder: Path,
    *,
    ways: Sequence[str] = ("give another name", "give another place with --into", "move or delete it"),
    hint: str = "--into another-folder",
) -> None:
    """Refuse to write over anything.

    Args:
        folder: or file, that must not be there.
        ways: out, for the command that writes it.
        hint: likewise.
    """
    if folder.exists():
        raise UsageError(
            f"`{folder}` is there already; nothing was written.",
            ways=ways,
            hint=hint,
        )


def write_template(source: Traversable, folder: Path, words: Mapping[str, str]) -> None:
    """Fill in the templates of a folder, each in its place in the package."""
    module = folder / "src" / words["module"]
    places = {
        "pyproject.toml.txt": folder / "pyproject.toml",
        "module.py.txt": module / "__init__.py",
        "recipe.toml": module / f"{words['name']}.toml",
        "test_plugin.py.txt": folder / "tests" / f"test_{words['name'].replace('-', '_')}.py",
    }
    for entry in source.iterdir():
        place = places.get(entry.name, folder / entry.name)
        place.parent.mkdir(parents=True, exist_ok=True)
        place.write_text(filled(entry.read_text("utf-8"), words, place.suffix), "utf-8")


def filled(template: str, words: Mapping[str, str], suffix: str) -> str:
    """A template with its words in place, each written so that it stays a word.

    They come from names of folders and from cards of other people's networks: none may end a string of Python or TOML,
    where a licence could go on as code, nor a line or a cell of Markdown.

    Args:
        template: whose words in Python and TOML stand between double quotes.
        words: by their names in the template.
        suffix: of the file that it becomes.
    """
    lines = {name: one_line(word) for name, word in words.items()}
    written = {name: in_markdown(line) if suffix == ".md" else quoted(line)[1:-1] for name, line in lines.items()}
    return Template(template).substitute(written)


def in_markdown(text: str) -> str:
    """Text on one line in which Markdown sees nothing but text, in a cell and in a code span, too."""
    return one_line(text).translate(_MARKDOWN)


def one_line(text: str) -> str:
    """Text without line ends and whatever else cannot be seen."""
    return UNSEEN.sub(" ", text).strip()


def quoted(text: str) -> str:
    """Text between double quotes, as Python, TOML and YAML all read it."""
    return json.dumps(text, ensure_ascii=False)


def _seeded_weights() -> bytes:
    """Weights of a very small real network, drawn from a seed, as a safetensors file."""
    import timm
    import torch
    from safetensors.torch import save

    with torch.random.fork_rng():
        torch.manual_seed(0)
        network = timm.create_model("test_resnet", pretrained=False)
    return bytes(save({name: value.contiguous() for name, value in network.state_dict().items()}))
