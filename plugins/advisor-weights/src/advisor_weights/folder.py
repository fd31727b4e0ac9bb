"""The folder and its manifest `weights.toml`: one table per checkpoint."""

from __future__ import annotations

import os
import tomllib
from dataclasses import asdict, dataclass, fields
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

from advisor.errors import BackboneError
from advisor.types import Backbone, InputSpec, Weights

if TYPE_CHECKING:
    from torch import nn

MANIFEST = "weights.toml"


@dataclass(frozen=True)
class Entry:
    """One checkpoint.

    Attributes:
        name: of the backbone.
        file: its weights, in the folder.
        sha256: of that file.
        architecture: timm's name.
        licence: SPDX identifier of the weights.
        source: where they came from.
        trained_on: the source data.
        size: side of the input, pixels.
        crop_pct: input size over the size that the shorter side is resized to.
        mean: of each channel.
        std: of each channel.
        interpolation: `bicubic` or `bilinear`.
    """

    name: str
    file: str
    sha256: str
    architecture: str
    licence: str
    source: str
    trained_on: str
    size: int
    crop_pct: float
    mean: tuple[float, float, float]
    std: tuple[float, float, float]
    interpolation: str

    def backbone(self) -> Backbone:
        """What it offers; nothing is read."""
        return Backbone(
            name=self.name,
            create=partial(_create, self, weights_dir()),
            input=InputSpec(self.size, self.crop_pct, self.mean, self.std, self.interpolation),
            weights=Weights(self.source, self.sha256, self.licence, self.trained_on),
            architecture=self.architecture,
            summary=f"{self.architecture} from {self.file}",
        )


def weights_dir() -> Path:
    """The folder: `ADVISOR_WEIGHTS`, or `advisor/weights` where a person's data is kept."""
    if own := os.environ.get("ADVISOR_WEIGHTS"):
        return Path(own)
    from platformdirs import user_data_path

    return user_data_path("advisor") / "weights"


def read_manifest(folder: Path) -> list[Entry]:
    """The checkpoints of a folder, by name; none where there is no manifest.

    Raises:
        BackboneError: the manifest is broken.
    """
    file = folder / MANIFEST
    if not file.is_file():
        return []
    try:
        tables = tomllib.loads(file.read_text("utf-8"))
        return [_entry(name, table) for name, table in sorted(tables.items())]
    except (tomllib.TOMLDecodeError, UnicodeDecodeError, TypeError, KeyError, ValueError) as error:
        raise BackboneError(
            f"`{file}` cannot be read: {error}.",
            ways=["mend it by hand: a table per checkpoint", "move it away and add the files again"],
            hint="advisor weights add FILE --architecture resnet50",
        ) from error


def write_manifest(folder: Path, entries: list[Entry]) -> None:
    """Write the whole manifest, or leave the old one."""
    import tomlkit

    from advisor.data.cache import write_whole

    tables = {}
    for entry in sorted(entries, key=lambda one: one.name):
        table = asdict(entry)
        name = table.pop("name")
        tables[name] = {key: list(value) if isinstance(value, tuple) else value for key, value in table.items()}
    write_whole(folder / MANIFEST, tomlkit.dumps(tables))


def _entry(name: str, table: dict[str, Any]) -> Entry:
    known = {field.name for field in fields(Entry)} - {"name"}
    if set(table) != known:
        odd = ", ".join(sorted(set(table) ^ known))
        raise ValueError(f"[{name}] lacks or does not know: {odd}")
    values: dict[str, Any] = {key: tuple(value) if isinstance(value, list) else value for key, value in table.items()}
    return Entry(name=name, **values)


def _create(entry: Entry, folder: Path, pretrained: bool) -> nn.Module:  # noqa: FBT001 - the hook's signature
    from advisor_weights.checkpoints import build, load

    network = build(entry.architecture)
    if pretrained:
        load(network, folder / entry.file, entry.sha256)
    return network
