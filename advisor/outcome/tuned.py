"""The model that a run hands over: a folder that can also predict."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from advisor.progress import Progress, Silent

if TYPE_CHECKING:
    from collections.abc import Iterable

    import pandas as pd

    from advisor.outcome.bundle import Bundle

    _Folder = Path
else:
    _Folder = type(Path())  # before Python 3.12 only the system's own kind of path can be derived from


class TunedModel(_Folder):
    """A tuned model's folder. Wherever a path is wanted it is one; and it predicts.

    Example:
        `result.best.predict(["photo.jpg"])`, `result.best / "report.json"`, `advisor.load(result.best)`.
    """

    @property
    def path(self) -> Path:
        """The folder as a plain path."""
        return Path(self)

    def with_segments(self, *parts: str) -> Path:
        """What lies in the folder is a plain path (from Python 3.12 on)."""
        return Path(*parts)

    def __truediv__(self, name: str | Path) -> Path:  # type: ignore[override]
        return Path(self) / name

    def load(self, *, device: str = "cpu") -> Bundle:
        """The network, its classes, and how pixels are prepared.

        Args:
            device: `auto`, `cpu` or `cuda`.

        Raises:
            BundleError: the folder is not a bundle, or is damaged.
        """
        from advisor.outcome.bundle import load

        return load(self, device=device)

    def predict(
        self,
        inputs: str | Path | Iterable[str | Path],
        *,
        device: str = "auto",
        limit: int | None = None,
        least: float = 0.0,
        progress: Progress | None = None,
    ) -> pd.DataFrame:
        """Predict images.

        Args:
            inputs: one or several image files, folders (searched for images), patterns, or locations of a dataset
                format such as `photos.csv` or `digits:`.
            device: `auto`, `cpu` or `cuda`.
            limit: at most this many images.
            least: probability below which no label is given.
            progress: told how far it is.

        Returns:
            One row per image, in order: `path`, `label`, `probability`, `error`, then a column of probability per
            class; see `advisor.predict`.

        Raises:
            UsageError: nothing of the inputs is there, or a folder holds no images.
            BundleError: the model cannot be loaded.
        """
        from advisor.outcome.predict import predict

        given = [inputs] if isinstance(inputs, str | Path) else inputs
        return predict(self, given, device=device, limit=limit, least=least, progress=progress or Silent())
