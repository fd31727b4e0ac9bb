"""What a run leaves for those who want to look closer: every test image, every trial, the worst mistakes as pictures.

predictions.csv   one row per test image
evidence.json     all else that a report is made of; it needs neither the images nor the study
"""

from __future__ import annotations

import base64
import io
import json
from typing import TYPE_CHECKING

import numpy as np
import pandas as pd

from advisor.data.cache import write_whole
from advisor.records.evidence import EvidenceRecord, JudgedImage, Mistake, forecast_of
from advisor.records.folder import EVIDENCE, PREDICTIONS
from advisor.records.plain import Plain

if TYPE_CHECKING:
    from collections.abc import Mapping

    from numpy.typing import NDArray

    from advisor.data.dataset import ImageDataset
    from advisor.data.pixels import PixelStore
    from advisor.outcome.opened import OpenRun

_MISTAKES, _SIDE = 24, 128  # pictures and their width and height, pixels


def predictions_of(dataset: ImageDataset, rows: NDArray[np.int64], probabilities: NDArray[np.floating]) -> pd.DataFrame:
    """One row per image: what it is, what the model says and how sure it is.

    Args:
        dataset: of the images.
        rows: (n,) places in the pixel store.
        probabilities: (n, classes), calibrated.

    Returns:
        `row`, `path`, `label`, `predicted` (several labels between `|`), `probability` (of the likeliest label),
        `own` (of the given label, as the task counts it), `family` (equal for images that go together).
    """
    frame = dataset.frame.set_index("row").loc[rows]
    task, labels = dataset.task, dataset.targets(rows)
    return pd.DataFrame({
        "row": rows,
        "path": frame["path"].to_numpy(),
        "label": task.names(labels),
        "predicted": [task.said(each) for each in probabilities],
        "probability": probabilities.max(1, initial=0.0),
        "own": task.own_probability(probabilities, labels),
        "family": dataset.families(rows),
    })  # fmt: skip


def write_evidence(
    opened: OpenRun,
    predictions: pd.DataFrame,
    pixels: PixelStore,
    importances: Mapping[str, float],
    stages: tuple[str, ...],
) -> None:
    """Write both files into a run's folder; `stages` are those of the winner's network, input side first."""
    expected = opened.plan.evidence.get("expected", {})
    record = EvidenceRecord(
        stages=stages,
        trials=tuple(record for record in opened.search.ledger.records() if record.state.finished),
        importances=importances,
        mistakes=_mistakes(predictions, pixels),
        forecast=forecast_of(Plain(expected)) if isinstance(expected, dict) else None,
    )
    write_whole(opened.folder / PREDICTIONS, predictions.drop(columns="row").round(6).to_csv(index=False))
    write_whole(opened.folder / EVIDENCE, json.dumps(record.to_dict(), ensure_ascii=False))


def _mistakes(predictions: pd.DataFrame, pixels: PixelStore) -> tuple[Mistake, ...]:
    """The test images that the model is surest to know and does not, as small pictures."""
    wrong = predictions[predictions["label"] != predictions["predicted"]].sort_values("own", kind="stable")
    return tuple(
        Mistake(
            JudgedImage(str(row["path"]), str(row["label"]), str(row["predicted"]),
                        round(float(row["probability"]), 4), round(float(row["own"]), 4)),
            _picture(pixels, int(row["row"])),
        )
        for row in wrong.head(_MISTAKES).to_dict("records")
    )  # fmt: skip


def _picture(pixels: PixelStore, row: int) -> str:
    """An image as the network gets it, small, as a data URI."""
    from PIL import Image

    buffer = io.BytesIO()
    image = Image.fromarray(pixels.batch(np.array([row]))[0])
    image.resize((_SIDE, _SIDE), Image.Resampling.LANCZOS).save(buffer, "JPEG", quality=80)
    return f"data:image/jpeg;base64,{base64.b64encode(buffer.getvalue()).decode()}"
