"""Reading checkpoints, and telling whether they are what they are said to be."""

from __future__ import annotations

import hashlib
from typing import TYPE_CHECKING, NoReturn

from advisor.errors import BackboneError, closest
from advisor.network.weights import check_file, read_checkpoint
from advisor_weights.fitting import compare, fit, nearest, require_finite

if TYPE_CHECKING:
    from pathlib import Path

    from torch import nn

    from advisor.network.weights import Checkpoint
    from advisor_weights.fitting import Difference


def sha256_of(path: Path) -> str:
    """Of a file's content."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def build(architecture: str) -> nn.Module:
    """A network of timm's with random weights.

    Raises:
        BackboneError: timm knows no such architecture.
    """
    import timm

    if not timm.is_model(architecture):
        raise BackboneError(
            f"timm has no architecture `{architecture}`.",
            ways=["give timm's name of it with --architecture"],
            hint=closest(architecture, timm.list_models()) or "advisor backbones 'timm/resnet*'",
        )
    network: nn.Module = timm.create_model(architecture, pretrained=False)
    return network


def load(network: nn.Module, path: Path, sha256: str = "", architecture: str = "") -> tuple[str, ...]:
    """Load a checkpoint that has to be this network's, its classifier apart.

    Args:
        network: to be filled; its classifier becomes the checkpoint's, or none.
        path: of the file.
        sha256: of the file; not checked where empty.
        architecture: of the network, to look for one that fits better; not looked for where empty.

    Returns:
        What was done to make it fit, in sentences for people.

    Raises:
        BackboneError: it is missing, not the declared one, no file of tensors, or another architecture's.
    """
    if sha256:
        check_file(path, sha256)
    return fill(network, path, read_checkpoint(path), architecture)


def fill(network: nn.Module, path: Path, checkpoint: Checkpoint, architecture: str = "") -> tuple[str, ...]:
    """The same from a file that has been read.

    Raises:
        BackboneError: it is another architecture's.
    """
    fitted = fit(network, checkpoint.tensors)
    if fitted.difference.count:
        _refuse(path, fitted.difference, architecture, checkpoint)
    require_finite(fitted.state, path.name)
    if fitted.classes != network.num_classes:
        network.reset_classifier(fitted.classes)  # type: ignore[operator]
    if (head := compare(network, fitted.state)).count:
        _refuse(path, head, "", checkpoint)
    network.load_state_dict(fitted.state, strict=True)
    return (*checkpoint.notes, *fitted.notes)


def _refuse(path: Path, difference: Difference, architecture: str, checkpoint: Checkpoint) -> NoReturn:
    """Say how a checkpoint differs, and which architecture it fits better."""
    stem = path.name.partition(".")[0]
    better = nearest(architecture, checkpoint.tensors, stem, difference.count) if architecture else None
    ways = ["name the architecture that it was made for with --architecture"]
    hint = "advisor backbones 'timm/*'"
    channels = [
        there[1]
        for _, there, own in difference.shapes
        if len(there) == len(own) == 4 and own[1] == 3 and there[::2] == own[::2]
    ]
    if channels and difference.count == 1:
        ways = [f"its first layer takes {channels[0]} channels: write the file again with the three of a colour image"]
        hint = "images are read as red, green and blue"
    elif better:
        name, rest = better
        ways.insert(0, f"`{name}` fits{f' better: {rest}' if rest.count else ''}")
        hint = f"--architecture {name}"
    raise BackboneError(
        f"`{path.name}` does not fit {f'`{architecture}`' if architecture else 'its architecture'}: {difference}.",
        ways=ways,
        hint=hint,
    )
