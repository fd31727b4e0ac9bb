"""Importing what a network needs, which takes seconds, while a person sees that something happens."""

from __future__ import annotations

import sys
from importlib import import_module
from typing import TYPE_CHECKING

from advisor.errors import AdvisorError

if TYPE_CHECKING:
    from advisor.progress import Progress

_HEAVY = ("torch", "timm", "pandas")


def load_libraries(progress: Progress) -> None:
    """Import them.

    Raises:
        AdvisorError: one of them cannot be imported.
    """
    names = [name for name in _HEAVY if name not in sys.modules]
    with progress.task("Loading libraries", len(names)) as advance:
        for name in names:
            try:
                import_module(name)
            except (ImportError, OSError) as error:
                raise AdvisorError(
                    f"{name} cannot be imported: {(str(error) or type(error).__name__).splitlines()[0]}",
                    ways=[
                        "see what else is wrong: advisor doctor",
                        "install torch and torchvision again, from one index",
                    ],
                    hint="advisor doctor",
                ) from error
            advance(1)


def quiet_libraries() -> None:
    """Hide warnings that a person at the command line can do nothing about."""
    import warnings

    warnings.filterwarnings("ignore", message="Image size .* exceeds limit", category=Warning)
    warnings.filterwarnings("ignore", module=r"(PIL|timm|torch|sklearn|optuna)\b.*")
