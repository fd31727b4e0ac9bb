"""What a run leaves for those who want to look closer: every test image, every trial, the worst mistakes as pictures.

predictions.csv   one row per test image
evidence.json     all else that a report is made of; it needs neither the images nor the study
"""

from __future__ import annotations

import base64
import io
import json
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd

from advisor.data.cache import write_whole

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from pathlib import Path

    from numpy.typing import NDArray

    from advisor.data.dataset import ImageDataset
    from advisor.data.pixels import PixelStore
    from advisor.recipe import Plan
    from advisor.tuning.study import Search

PREDICTIONS, EVIDENCE = "predictions.csv", "evidence.json"
SEPARATOR = "|"  # of several labels, as `advisor-manifest` reads them
SAID = 0.5  # probability from which on one of several labels is said
_MISTAKES, _SIDE = 24, 128  # pictures and their width and height, pixels
_FORMAT = 1


def said(probabilities: NDArray[np.floating], classes: Sequence[str], *, multilabel: bool, least: float = SAID) -> str:
    """The label of an image, or all labels with `least` probability, the likeliest first; (classes,) probabilities."""
    if not multilabel:
        return classes[int(probabilities.argmax())]
    order = np.argsort(-probabilities, kind="stable")
    return SEPARATOR.join(classes[i] for i in order if probabilities[i] >= least)


def predictions_of(dataset: ImageDataset, rows: NDArray[np.int64], probabilities: NDArray[np.floating]) -> pd.DataFrame:
    """One row per image: what it is, what the model says and how sure it is.

    Args:
        dataset: of the images.
        rows: (n,) places in the pixel store.
        probabilities: (n, classes), calibrated.

    Returns:
        `row`, `path`, `label`, `predicted` (several labels between `|`), `probability` (of the likeliest label),
        `own` (of the given label; the mean over all labels where there are several of each being told right).
    """
    frame = dataset.frame.set_index("row").loc[rows]
    truth = dataset.truth(rows)
    multilabel = dataset.multilabel
    own = np.where(truth, probabilities, 1 - probabilities).mean(1) if multilabel else probabilities[truth]
    return pd.DataFrame({
        "row": rows,
        "path": frame["path"].to_numpy(),
        "label": [SEPARATOR.join(dataset.classes[i] for i in np.flatnonzero(each)) for each in truth],
        "predicted": [said(each, dataset.classes, multilabel=multilabel) for each in probabilities],
        "probability": probabilities.max(1, initial=0.0),
        "own": own,
    })  # fmt: skip


def write_evidence(
    folder: Path,
    search: Search,
    predictions: pd.DataFrame,
    pixels: PixelStore,
    importances: Mapping[str, float],
    stages: Sequence[str],
) -> None:
    """Write both files into a run's folder; `stages` are those of the winner's network, input side first."""
    evidence = {
        "format": _FORMAT,
        "stages": list(stages),
        "trials": [_trial(number, trial) for number, trial in search.everything() if trial.state.is_finished()],
        "importances": dict(importances),
        "mistakes": _mistakes(predictions, pixels),
        "forecast": _forecast(search.plan),
    }
    write_whole(folder / PREDICTIONS, predictions.drop(columns="row").round(6).to_csv(index=False))
    write_whole(folder / EVIDENCE, json.dumps(evidence, ensure_ascii=False))


def _trial(number: int, trial: Any) -> dict[str, Any]:  # noqa: ANN401 - optuna's FrozenTrial, imported late
    own = trial.user_attrs
    return {
        "number": number,
        "kind": own.get("kind", "trial"),
        "state": trial.state.name,
        "scenario": own.get("scenario", ""),
        "values": own.get("values", {}),
        "accuracy": trial.values[0] if trial.values else None,
        "seconds": own.get("seconds"),
        "tap": own.get("tap"),
        "frozen": own.get("frozen"),
        "trained": own["steps"] / own["planned_steps"] if own.get("steps") else None,
        "reason": own.get("reason", ""),
        "ended": trial.datetime_complete.timestamp() if trial.datetime_complete else None,
        "curve": own.get("curve", []),
    }


def _mistakes(predictions: pd.DataFrame, pixels: PixelStore) -> list[dict[str, Any]]:
    """The test images that the model is surest to know and does not, as small pictures."""
    wrong = predictions[predictions["label"] != predictions["predicted"]].sort_values("own", kind="stable")
    return [
        {**{key: row[key] for key in ("path", "label", "predicted")},
         "probability": round(float(row["probability"]), 4), "own": round(float(row["own"]), 4),
         "picture": _picture(pixels, int(row["row"]))}
        for row in wrong.head(_MISTAKES).to_dict("records")
    ]  # fmt: skip


def _picture(pixels: PixelStore, row: int) -> str:
    """An image as the network gets it, small, as a data URI."""
    from PIL import Image

    buffer = io.BytesIO()
    image = Image.fromarray(pixels.batch(np.array([row]))[0])
    image.resize((_SIDE, _SIDE), Image.Resampling.LANCZOS).save(buffer, "JPEG", quality=80)
    return f"data:image/jpeg;base64,{base64.b64encode(buffer.getvalue()).decode()}"


def _forecast(plan: Plan) -> dict[str, Any]:
    """What the recommendation expected, as the plan keeps it."""
    expected = plan.evidence.get("expected", {})
    return dict(expected) if isinstance(expected, dict) else {}
