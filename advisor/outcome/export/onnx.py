"""A tuned model as one ONNX file: decoded images of any size in, probabilities out."""

from __future__ import annotations

import json
import logging
import warnings
from contextlib import contextmanager
from importlib.util import find_spec
from typing import TYPE_CHECKING

import torch
from torch import Tensor, nn

from advisor.data.cache import disk_errors
from advisor.data.resizing import ToSquare
from advisor.data.views import normalise
from advisor.errors import BundleError, MissingExtraError, UsageError
from advisor.outcome.bundle import Bundle, best_of, load
from advisor.outcome.card import report_of
from advisor.outcome.export.gate import IMAGES, Exported, agreement, pictures_for
from advisor.packaging.new import require_new
from advisor.version import __version__

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from advisor.outcome.export.gate import Agreement
    from advisor.records.run import RunRecord

_PACKAGES = ("onnx", "onnxscript", "onnxruntime")
_INPUT, _OUTPUT = "images", "probabilities"
_WORDS = (
    "unsigned bytes (images, height, width, 3), RGB from 0 to 255, decoded, turned upright, transparent parts on "
    "white; of any height and width, equal within a batch."
)
_FITTED = {
    "crop": "The graph takes the central square, resizes it and normalises it.",
    "squash": "The graph brings both sides to one length, whatever the shape, and normalises.",
    "pad": "The graph brings the longer side to the input's, puts borders of one colour beside the shorter one, and "
    "normalises.",
}


class Deployed(nn.Module):
    """A model with all that comes before and after it: (B, height, width, 3) uint8 to probabilities (B, classes).

    Args:
        bundle: the model.
    """

    def __init__(self, bundle: Bundle) -> None:
        super().__init__()
        self.square = ToSquare(bundle.input)
        self.network = bundle.network.to(memory_format=torch.contiguous_format)
        self._bundle = (bundle,)  # in a tuple it is no part of this module

    def forward(self, images: Tensor) -> Tensor:
        """Probabilities (B, classes)."""
        bundle = self._bundle[0]
        return bundle.probabilities(self.network(normalise(self.square(images), bundle.input)))


def export_onnx(run: str | Path, file: Path, *, images: int = IMAGES) -> Exported:
    """Write one ONNX file with the preprocessing inside, for any number and size of images.

    Class names and a description of the input are in the file's metadata, as `classes` (a JSON list) and `input`.

    Args:
        run: a run's folder, or a bundle's.
        file: to be written, ending in `.onnx`.
        images: to compare it on.

    Raises:
        MissingExtraError: a package of the extra `onnx` is not installed.
        UsageError: the file is there already, or ends otherwise.
        BundleError: `run` holds no bundle, the network cannot be expressed so, or the file answers differently.
    """
    missing = [name for name in _PACKAGES if find_spec(name) is None]
    if missing:
        raise MissingExtraError("Writing ONNX", missing, "onnx")
    if file.suffix != ".onnx":
        raise UsageError(f"`{file}` does not end in .onnx.", hint=f"advisor export RUN --to onnx --name {file.stem}")
    require_new(file)
    best = best_of(run)
    bundle, report = load(best), report_of(best)
    program = _translated(bundle)
    with disk_errors(file.parent):
        file.parent.mkdir(parents=True, exist_ok=True)
        partial = file.with_name(f".{file.name}")
        try:
            program.save(partial, external_data=False)
            agrees = _checked(partial, bundle, report, images)
            partial.replace(file)
        finally:
            partial.unlink(missing_ok=True)
    return Exported(file, agrees)


def _translated(bundle: Bundle) -> torch.onnx.ONNXProgram:
    example = torch.zeros(2, 3 * bundle.input.size // 2, 2 * bundle.input.size, 3, dtype=torch.uint8)
    sizes = {0: torch.export.Dim("images"), 1: torch.export.Dim("height"), 2: torch.export.Dim("width")}
    try:
        with _quiet():
            program = torch.onnx.export(
                Deployed(bundle).eval(), (example,), dynamo=True, dynamic_shapes=({**sizes},),
                input_names=[_INPUT], output_names=[_OUTPUT], verbose=False,
            )  # fmt: skip
    except Exception as error:
        raise BundleError(
            f"This network cannot be expressed in ONNX: {str(error).strip().splitlines()[0]}",
            ways=["export it --to program, which torch alone runs"],
            hint="advisor export RUN --to program --name my-birds",
        ) from error
    assert program is not None
    model = program.model
    model.producer_name, model.producer_version = "transfer-advisor", __version__
    graph, scales = _FITTED[bundle.input.fit], (f"Before that, {line}." for line in bundle.ranges.scales)
    words = " ".join((_WORDS, graph, *scales))
    model.doc_string = f"{bundle.task.probabilities_words} Input: {words}"
    model.metadata_props.update({
        "classes": json.dumps(bundle.classes),  # in plain ASCII: some readers take nothing else
        "input": words,
        "output": bundle.task.probabilities_words,
    })  # fmt: skip
    return program


def _checked(file: Path, bundle: Bundle, report: RunRecord, images: int) -> Agreement:
    import numpy as np
    import onnxruntime

    options = onnxruntime.SessionOptions()
    options.log_severity_level = 3
    session = onnxruntime.InferenceSession(str(file), options, providers=["CPUExecutionProvider"])
    pictures = pictures_for(bundle, report.dataset.location, images)
    first = pictures.pixels[0]
    alone, twice = (session.run(None, {_INPUT: np.stack([first] * count)})[0] for count in (1, 2))
    if np.abs(twice - alone).max() > 1e-5:
        raise BundleError("The ONNX file answers otherwise to an image that is not alone, so it was not written.")
    return agreement(bundle, pictures, lambda pixels: session.run(None, {_INPUT: pixels})[0], "The ONNX file")


@contextmanager
def _quiet() -> Iterator[None]:
    """The exporter's own talk and its warnings are for its developers."""
    loggers = [logging.getLogger(name) for name in ("torch.onnx", "onnxscript", "onnx_ir")]
    levels = [logger.level for logger in loggers]
    try:
        for logger in loggers:
            logger.setLevel(logging.ERROR)
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            yield
    finally:
        for logger, level in zip(loggers, levels, strict=True):
            logger.setLevel(level)
