"""A run's folder read and checked, damaged or not; neither its images nor its study are needed, nor torch."""

from __future__ import annotations

import json
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, TypeVar

from advisor.errors import RunError, closest, closest_path
from advisor.records.evidence import EvidenceRecord, Explanation, read_predictions
from advisor.records.plain import UNREADABLE, Plain, reason
from advisor.records.run import RunRecord

if TYPE_CHECKING:
    from collections.abc import Callable

    from advisor.records.evidence import JudgedImage
    from advisor.records.trial import TrialRecord

REPORT, EVIDENCE, PREDICTIONS, EXPLANATION = "best/report.json", "evidence.json", "predictions.csv", "explanation.json"
_T = TypeVar("_T")


@dataclass(frozen=True)
class RunFolder:
    """All that a run left.

    Attributes:
        folder: of it.
        record: what it came to.
        evidence: None where it is missing or damaged.
        tested: every test image; None likewise.
        explanation: None where nobody asked for it, or likewise.
        missing: what could not be read and why, in sentences.
        timm: whether timm alone loads the model.
        model_bytes: of its file; 0 where it is gone.
    """

    folder: Path
    record: RunRecord
    evidence: EvidenceRecord | None = field(repr=False)
    tested: tuple[JudgedImage, ...] | None = field(repr=False)
    explanation: Explanation | None = field(repr=False)
    missing: tuple[str, ...]
    timm: bool
    model_bytes: int

    @property
    def trials(self) -> tuple[TrialRecord, ...]:
        """Those that are known, in the order in which they ended."""
        return self.evidence.trials if self.evidence else ()

    @property
    def winner(self) -> TrialRecord | None:
        """The trial that is handed over, where it is known."""
        return next((trial for trial in self.trials if trial.number == self.record.winner.number), None)


def find_run(run: str | Path, runs: str | Path = "runs") -> Path:
    """The folder of a run.

    Args:
        run: its folder, its `best` folder, or its name.
        runs: the folder of run folders.

    Raises:
        RunError: there is none.
    """
    given = Path(run)
    for folder in (given, given.parent, Path(runs) / run):
        if folder == given.parent and given.name != "best":
            continue
        if (folder / REPORT).is_file() or (folder / "plan.toml").is_file():
            return folder
    known = sorted(path.parent.name for path in Path(runs).glob("*/plan.toml"))
    if given.is_dir():
        raise RunError(
            f"`{given}` is no run's folder: it holds neither {REPORT} nor plan.toml.",
            ways=[f"runs in {runs}: {', '.join(known)}" if known else f"there are no runs in {runs}"],
            hint=f"advisor report {Path(runs) / known[0]}" if known else "advisor tune",
        )
    raise RunError(
        f"There is no run `{run}`, neither that folder nor one of that name in {runs}.",
        ways=[f"runs there: {', '.join(known)}" if known else f"there are no runs in {runs}"],
        hint=closest(str(run), known) or closest_path(given) or "advisor tune",
    )


def read_run(folder: Path) -> RunFolder:
    """Read what a run left. Only `best/report.json` must be there; what else is missing is named.

    Raises:
        RunError: nothing was handed over, or its figures are damaged.
    """
    again = f"advisor tune --resume {folder}"
    if not (folder / REPORT).is_file():
        raise RunError(
            f"`{folder}` has handed nothing over yet: no trial has finished, or it was stopped before its end.",
            ways=["go on with it; what was finished is kept"],
            hint=again,
        )
    try:
        record = RunRecord.from_dict(_json(folder / REPORT))
    except UNREADABLE as error:
        raise RunError(
            f"`{folder / REPORT}` is damaged: {reason(error)}.",
            ways=["go on with the run: it is written again, and no trial is repeated"],
            hint=again,
        ) from error
    missing: list[str] = []

    def part(name: str, read: Callable[[Path], _T], what: str, *, wanted: bool = True) -> _T | None:
        path = folder / name
        if not path.is_file():
            if wanted:
                missing.append(f"{name} is missing, so this report goes without {what}.")
            return None
        try:
            return read(path)
        except UNREADABLE as error:
            missing.append(f"{name} is damaged ({reason(error)}), so this report goes without {what}.")
            return None

    evidence = part(
        EVIDENCE,
        lambda path: EvidenceRecord.from_dict(_json(path)),
        "trials, learning curves, pictures and the forecast",
    )
    tested = part(PREDICTIONS, read_predictions, "confusions, calibration and abstaining")
    explanation = part(EXPLANATION, lambda path: Explanation.from_dict(_json(path)), "the explanation", wanted=False)
    timm = part(
        "best/config.json", lambda path: "architecture" in Plain(_json(path)), "what loads the model", wanted=False
    )
    model_bytes = _size(folder / "best" / "model.safetensors")
    return RunFolder(folder, record, evidence, tested, explanation, tuple(missing), bool(timm), model_bytes)


def _json(path: Path) -> object:
    return json.loads(path.read_text("utf-8"))


def _size(path: Path) -> int:
    return path.stat().st_size if path.is_file() else 0
