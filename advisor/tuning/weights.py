"""Weights of a run's best trainings, on disk until one of them is handed over."""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import TYPE_CHECKING

from advisor.data.cache import disk_errors, write_whole
from advisor.records.trial import Member

if TYPE_CHECKING:
    from collections.abc import Collection, Mapping, Sequence
    from pathlib import Path

    from torch import Tensor

    from advisor.network.transfer import TransferNetwork


@dataclass(frozen=True)
class KeptWeights:
    """One file per training, which appears whole or not at all.

    Attributes:
        folder: of the files.
        study: a key of the study, so that no trial of another is taken for one of this.
    """

    folder: Path
    study: str

    def keep(self, number: int, network: TransferNetwork, seed: int = 0) -> None:
        """Write a trial's model, that of its first seed or of a further one.

        Raises:
            AdvisorError: the disk is full or may not be written.
        """
        from safetensors.torch import save

        with disk_errors(self.folder):
            self.folder.mkdir(parents=True, exist_ok=True)
            state = {name: tensor.detach().cpu().contiguous() for name, tensor in network.state_dict().items()}
            write_whole(self._file(number, seed), save(state))

    def load(self, number: int, seed: int = 0) -> dict[str, Tensor] | None:
        """The weights of a trial; None where they are not here, perhaps because another machine trained it."""
        from safetensors.torch import load_file

        try:
            return load_file(self._file(number, seed))
        except FileNotFoundError:
            return None

    def members(self) -> set[Member]:
        """The trainings whose weights are here."""
        return {Member(int(name[1]), int(name[2] or 0)) for _, name in self._named() if name}

    def drop_all_but(self, numbers: Collection[int]) -> None:
        """Delete what was beaten, under all its seeds."""
        for file, name in self._named():
            if name is None or int(name[1]) not in numbers:
                file.unlink(missing_ok=True)

    def _named(self) -> list[tuple[Path, re.Match[str] | None]]:
        """Every file of weights, with its trial and its seed where it is this study's."""
        pattern = re.compile(rf"{re.escape(self.study)}-trial-(\d+)(?:-seed-(\d+))?")
        return [(file, pattern.fullmatch(file.stem)) for file in sorted(self.folder.glob("*.safetensors"))]

    def _file(self, number: int, seed: int) -> Path:
        again = f"-seed-{seed}" if seed else ""
        return self.folder / f"{self.study}-trial-{number}{again}.safetensors"


def average_weights(states: Sequence[Mapping[str, Tensor]]) -> dict[str, Tensor] | None:
    """The mean of each tensor over some models; what is alike in all, as is all that was frozen, stays to the bit.

    Args:
        states: of models of one architecture, at least one.

    Returns:
        A state; None where names or shapes differ. Counters are those of the first.
    """
    import torch

    first = states[0]
    shapes = {name: tensor.shape for name, tensor in first.items()}
    if any({name: tensor.shape for name, tensor in state.items()} != shapes for state in states):
        return None
    out = {}
    for name, tensor in first.items():
        others = [state[name] for state in states]
        alike = not tensor.is_floating_point() or all(torch.equal(tensor, other) for other in others)
        out[name] = tensor if alike else torch.stack([other.double() for other in others]).mean(0).to(tensor.dtype)
    return out
