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
    """One file per trial, which appears whole or not at all.

    Attributes:
        folder: of the files.
        study: a key of the study, so that no trial of another is taken for one of this.
    """

    folder: Path
    study: str

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
        kept = {self._file(number) for number in numbers}
        for file in self.folder.glob("*.safetensors"):
            if file not in kept:
                file.unlink(missing_ok=True)

    def _file(self, number: int) -> Path:
        return self.folder / f"{self.study}-trial-{number}.safetensors"
