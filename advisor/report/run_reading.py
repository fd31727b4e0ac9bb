"""A run's folder read and checked, damaged or not; neither its images nor its study are needed, nor torch."""

from __future__ import annotations

import csv
import json
import math
from pathlib import Path
from typing import TYPE_CHECKING, Any

from advisor.errors import RunError, closest, closest_path
from advisor.report.run_folder import (
    METRICS,
    Change,
    Choice,
    Evidence,
    Explained,
    Figures,
    JudgedImage,
    Moment,
    Rival,
    RunFolder,
    Trial,
)

if TYPE_CHECKING:
    from collections.abc import Callable

REPORT, EVIDENCE, PREDICTIONS, EXPLANATION = "best/report.json", "evidence.json", "predictions.csv", "explanation.json"
_UNREADABLE = (OSError, ValueError, KeyError, TypeError, AttributeError, IndexError, csv.Error)


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
        figures = _figures(json.loads((folder / REPORT).read_text("utf-8")))
    except _UNREADABLE as error:
        raise RunError(
            f"`{folder / REPORT}` is damaged: {_reason(error)}.",
            ways=["go on with the run: it is written again, and no trial is repeated"],
            hint=again,
        ) from error
    missing: list[str] = []

    def part(name: str, read: Callable[[Path], Any], what: str, *, wanted: bool = True) -> Any:  # noqa: ANN401
        path = folder / name
        if not path.is_file():
            if wanted:
                missing.append(f"{name} is missing, so this report goes without {what}.")
            return None
        try:
            return read(path)
        except _UNREADABLE as error:
            missing.append(f"{name} is damaged ({_reason(error)}), so this report goes without {what}.")
            return None

    return RunFolder(
        folder=folder,
        figures=figures,
        evidence=part(EVIDENCE, _evidence, "trials, learning curves, pictures and the forecast"),
        tested=part(PREDICTIONS, _tested, "confusions, calibration and abstaining"),
        explained=part(EXPLANATION, _explained, "the explanation", wanted=False),
        missing=tuple(missing),
        timm=bool(part("best/config.json", lambda path: "architecture" in json.loads(path.read_text("utf-8")),
                       "what loads the model", wanted=False)),
        model_bytes=_size(folder / "best" / "model.safetensors"),
    )  # fmt: skip


def _figures(found: Any) -> Figures:  # noqa: ANN401 - JSON of any shape
    data, search, choice, winner = found["dataset"], found["search"], found["choice"], found["winner"]
    measure = "average_precision" if data["several_labels"] else "recall"
    low, high = found["test_interval_95"]
    return Figures(
        metric=METRICS[found["metric"]],
        test=_finite(found["test_accuracy"]),
        test_interval=(float(low), float(high)),
        test_balanced=_finite(found.get("test_balanced_accuracy")),
        test_images=int(found["test_images"]),
        per_class={
            str(name): (int(entry["images"]), float(entry[measure])) for name, entry in found["test_per_class"].items()
        },
        multilabel=bool(data["several_labels"]),
        validation=float(found["validation_accuracy"]),
        validation_images=int(found["validation_images"]),
        folds=int(found["validation_folds"]),
        probe=_finite(found["probe_validation_accuracy"]),
        temperature=float(found["temperature"]),
        classes=tuple(map(str, data["classes"])),
        splits={str(part): int(count) for part, count in data["splits"].items()},
        backbone={str(key): str(value) for key, value in found["backbone"].items()},
        winner=int(winner["number"]),
        winner_kind=str(winner["kind"]),
        winner_values=dict(winner["values"]),
        choice=Choice(
            chosen=int(choice["chosen"]),
            best=int(choice["best"]),
            behind=float(choice["behind"]),
            behind_se=float(choice["behind_standard_error"]),
            optimism=float(choice["optimism"]),
            sure=int(choice["judged_under_every_seed"]),
            rivals=tuple(
                Rival(int(one["trial"]), str(one["kind"]), float(one["accuracy"]), float(one["first_seed"]),
                      int(one["seeds"]))
                for one in choice["rivals"]
            ),
        ),
        trials=int(search["trials_run"]),
        seconds=float(search["seconds"]),
        budget=float(search["budget"]),
        ended=str(search["ended"]),
        facts={"location": str(data["location"]), "digest": str(data["digest"]),
               **{key: str(found[key]) for key in ("recipe", "scenario", "seed", "device")}},
        versions={str(key): str(value) for key, value in found["versions"].items()},
        plugins=tuple(
            f"{name} {entry['version']} ({entry['distribution']})" for name, entry in found["plugins"].items()
            if entry["distribution"] != "transfer-advisor"
        ),
    )  # fmt: skip


def _evidence(path: Path) -> Evidence:
    found = json.loads(path.read_text("utf-8"))
    trials = [_trial(one) for one in found["trials"]]
    forecast = found["forecast"]
    expected = tuple(_finite(forecast.get(key)) for key in ("accuracy", "low", "high"))
    mistakes = [(_one_tested(one), str(one["picture"])) for one in found["mistakes"]]
    return Evidence(
        stages=tuple(map(str, found.get("stages", ()))),
        trials=tuple(sorted(trials, key=lambda trial: (trial.ended, trial.number))),
        importances={str(key): float(value) for key, value in found["importances"].items()},
        mistakes=tuple((one, uri if uri.startswith("data:image/") else "") for one, uri in mistakes),
        forecast=(a, b, c) if (a := expected[0]) is not None and (b := expected[1]) is not None
        and (c := expected[2]) is not None else None,
    )  # fmt: skip


def _trial(found: Any) -> Trial:  # noqa: ANN401
    curve = [(int(epoch), _finite(seconds), _finite(accuracy)) for epoch, _, seconds, accuracy in found["curve"]]
    return Trial(
        number=int(found["number"]),
        kind=str(found["kind"]),
        state=str(found["state"]),
        values=dict(found["values"]),
        accuracy=_finite(found["accuracy"]),
        seconds=_finite(found["seconds"]),
        tap=None if found["tap"] is None else int(found["tap"]),
        frozen=None if found["frozen"] is None else int(found["frozen"]),
        trained=_finite(found.get("trained")),
        reason=str(found["reason"]),
        ended=_finite(found["ended"]) or 0.0,
        curve=tuple(Moment(epoch, s, a) for epoch, s, a in curve if s is not None and a is not None),
    )


def _tested(path: Path) -> tuple[JudgedImage, ...]:
    with path.open(newline="", encoding="utf-8") as file:
        return tuple(_one_tested(row) for row in csv.DictReader(file, strict=True))


def _one_tested(row: Any) -> JudgedImage:  # noqa: ANN401
    path, label, predicted = (row[key] for key in ("path", "label", "predicted"))
    probability, own = _finite(row["probability"]), _finite(row["own"])
    if probability is None or own is None or not all(isinstance(text, str) for text in (path, label, predicted)):
        raise ValueError("a row is incomplete")
    return JudgedImage(path, label, predicted, min(1.0, max(0.0, probability)), own)


def _explained(path: Path) -> Explained:
    found = json.loads(path.read_text("utf-8"))
    curve: dict[str, list[tuple[int, float]]] = {}
    for row in found["curve"]:
        accuracy = _finite(row["accuracy"])
        if accuracy is not None:
            curve.setdefault(str(row["way"]), []).append((int(row["steps"]), accuracy))
    return Explained(
        changes=tuple(
            Change(str(one["key"]), one["winner"], one["other"], float(one["gain"]), float(one["gain_se"]))
            for one in found["ablations"]
        ),
        left_out=tuple(map(str, found["left_out"])),
        curve={way: tuple(points) for way, points in curve.items()},
        winner_steps=None if found["winner_steps"] is None else int(found["winner_steps"]),
        scratch_steps=None if found["scratch_steps"] is None else int(found["scratch_steps"]),
    )


def _finite(value: Any) -> float | None:  # noqa: ANN401
    """A number; None where there is none."""
    if value is None:
        return None
    number = float(value)
    return number if math.isfinite(number) else None


def _reason(error: BaseException) -> str:
    if isinstance(error, KeyError):
        return f"there is no {error} in it"
    return (str(error) or type(error).__name__).splitlines()[0].rstrip(".")


def _size(path: Path) -> int:
    return path.stat().st_size if path.is_file() else 0
