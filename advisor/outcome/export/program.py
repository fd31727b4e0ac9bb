"""A tuned network as a `torch.export` program."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

import torch

from advisor.data.cache import disk_errors
from advisor.errors import BundleError, UsageError
from advisor.outcome.bundle import best_of, load
from advisor.outcome.card import report_of
from advisor.outcome.export.gate import IMAGES, Exported, agreement, answered, pictures_for
from advisor.packaging.new import require_new

if TYPE_CHECKING:
    from pathlib import Path


def export_program(run: str | Path, file: Path, *, images: int = IMAGES) -> Exported:
    """Write the network as a `torch.export` program, for any batch size; torch alone runs it.

    Class names and input are in the file's `advisor.json`: `torch.export.load(file, extra_files=…)`.

    Args:
        run: a run's folder, or a bundle's.
        file: to be written, ending in `.pt2`.
        images: to compare the program on.

    Raises:
        UsageError: the file is there already, or ends otherwise.
        BundleError: `run` holds no bundle, torch cannot express the network so, or its program answers differently.
    """
    if file.suffix != ".pt2":
        raise UsageError(f"`{file}` does not end in .pt2.", hint=f"advisor export RUN --to program --name {file.stem}")
    require_new(file)
    best = best_of(run)
    bundle, report = load(best), report_of(best)
    network = bundle.network.to(memory_format=torch.contiguous_format).eval()
    size = bundle.input.size
    example = torch.rand(3, 3, size, size, generator=torch.Generator().manual_seed(0))
    about = json.dumps({"classes": bundle.classes, "input": bundle.config["advisor"]["input"]}, ensure_ascii=False)
    try:
        program = torch.export.export(network, (example,), dynamic_shapes=({0: torch.export.Dim("images", min=1)},))
    except Exception as error:
        raise BundleError(
            f"torch cannot express this network as a program: {str(error).splitlines()[0]}",
            ways=["load it with advisor.load", "export it --as plugin"],
            hint="advisor export RUN --to hub-folder --name my-birds",
        ) from error
    with disk_errors(file.parent):
        file.parent.mkdir(parents=True, exist_ok=True)
        partial = file.with_name(f".{file.name}")
        try:
            torch.export.save(program, partial, extra_files={"advisor.json": about})
            again = torch.export.load(partial).module()
            agrees = agreement(
                bundle,
                pictures_for(bundle, report.dataset.location, images),
                lambda pixels: answered(bundle, again, pixels),
                "The program",
            )
            partial.replace(file)
        finally:
            partial.unlink(missing_ok=True)
    return Exported(file, agrees)
