"""Reading checkpoints, and telling whether they are what they are said to be."""

from __future__ import annotations

import hashlib
from typing import TYPE_CHECKING, Any

from advisor.errors import BackboneError, closest
from advisor.network.weights import read_state_dict, read_tensors

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

    from torch import Tensor, nn


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


def load(network: nn.Module, path: Path, sha256: str = "") -> None:
    """Load a checkpoint that has to be this network's, its classifier apart.

    Args:
        network: to be filled.
        path: of the file.
        sha256: of the file; not checked where empty.

    Raises:
        BackboneError: it is missing, not the declared one, no file of tensors, or another architecture's.
    """
    state = read_state_dict(path, sha256) if sha256 else read_tensors(path)
    state = {name.removeprefix("module.").removeprefix("_orig_mod."): value for name, value in state.items()}
    classes = _classes(network, state)
    if classes:
        network.reset_classifier(classes)  # type: ignore[operator]
    own = network.state_dict()
    missing = [name for name in own if name not in state]
    wrong = [name for name in own if name in state and state[name].shape != own[name].shape]
    foreign = [name for name in state if name not in own]
    if missing or wrong or foreign:
        raise BackboneError(
            f"`{path.name}` is not a checkpoint of this architecture: {len(missing)} tensors are missing, "
            f"{len(wrong)} have another shape, {len(foreign)} are foreign"
            f" (for example `{(missing + wrong + foreign)[0]}`).",
            ways=["name the architecture that it was made for with --architecture"],
            hint="advisor backbones 'timm/*'",
        )
    network.load_state_dict(state, strict=True)


def _classes(network: Any, state: Mapping[str, Tensor]) -> int:  # noqa: ANN401 - timm networks carry more than nn.Module
    """Classes of the checkpoint's own classifier where they are not the architecture's; else 0."""
    name = network.pretrained_cfg.get("classifier")
    weight = state.get(f"{name}.weight") if isinstance(name, str) else None
    if weight is None or weight.shape[0] == network.num_classes:
        return 0
    return int(weight.shape[0])
