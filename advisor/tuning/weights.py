"""Weights of a run's best trainings, on disk until one of them is handed over."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from advisor.data.cache import disk_errors, write_whole

if TYPE_CHECKING:
    from collections.abc import Collection
    from pathlib import Path

    from torch import Tensor

    from advisor.network.transfer import TransferNetwork


@dataclass(frozen=True)
class KeptWeights:
    """One file per trial, which appears whole or not at all."""

    folder: Path

    def keep(self, number: int, network: TransferNetwork) -> None:
        """Write a trial's model.

        Raises:
            AdvisorError: the disk is full or may not be written.
        """
        from safetensors.torch import save

        with disk_errors(self.folder):
            self.folder.mkdir(parents=True, exist_ok=True)
            state = {name: tensor.detach().cpu().contiguous() for name, tensor in network.state_dict().items()}
            write_whole(self._file(number), save(state))

    def load(self, number: int) -> dict[str, Tensor] | None:
        """The weights of a trial; None where they are not here, perhaps because another machine trained it."""
        from safetensors.torch import load_file

        try:
            return load_file(self._file(number))
        except FileNotFoundError:
            return None

    def drop_all_but(self, numbers: Collection[int]) -> None:
        """Delete what was beaten."""
        for file in self.folder.glob("trial-*.safetensors"):
            if int(file.stem.removeprefix("trial-")) not in numbers:
                file.unlink(missing_ok=True)

    def _file(self, number: int) -> Path:
        return self.folder / f"trial-{number}.safetensors"
