"""A tuned model as a folder: for timm alone, or for a model hub with a card."""

from __future__ import annotations

import json
import re
import shutil
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import tomlkit
import torch
from tomlkit.items import Table

from advisor.data.cache import new_folder
from advisor.errors import BundleError
from advisor.outcome.bundle import CARD, MODEL, Bundle, best_of, load
from advisor.outcome.card import model_card, report_of
from advisor.outcome.export.gate import IMAGES, Exported, Pictures, agreement, answered, expected_of, pictures_for
from advisor.packaging.new import require_new
from advisor.records.trial import stages_said

if TYPE_CHECKING:
    from torch import nn

_FILES = ("config.json", MODEL, "best.toml", "report.json")  # of a bundle; what else lies beside them is a person's own


def copy_bundle(best: Path, folder: Path) -> None:
    """The files of a bundle into a folder, which is made; of where its images lie, only the last name goes with it."""
    folder.mkdir(parents=True, exist_ok=True)
    for name in _FILES:
        if (best / name).is_file():
            shutil.copyfile(best / name, folder / name)
    report = json.loads((folder / "report.json").read_text("utf-8"))
    report["dataset"]["location"] = _last_name(report["dataset"]["location"])
    (folder / "report.json").write_text(json.dumps(report, indent=2, ensure_ascii=False), "utf-8")
    if (folder / "best.toml").is_file():
        recipe = tomlkit.parse((folder / "best.toml").read_text("utf-8"))
        data = recipe.get("data")
        if isinstance(data, Table) and "location" in data:
            data["location"] = _last_name(str(data["location"]))
        (folder / "best.toml").write_text(tomlkit.dumps(recipe), "utf-8")


def export_hub_folder(run: str | Path, folder: Path, *, licence: str = "", images: int = IMAGES) -> Exported:
    """Write a folder that is ready for a model hub: the bundle's files and a model card.

    Args:
        run: a run's folder, or a bundle's.
        folder: to be made.
        licence: SPDX identifier, lower case; by default that of the weights it was tuned from.
        images: to compare the folder's network on.

    Raises:
        UsageError: the folder is there already.
        BundleError: `run` holds no bundle, or the folder's network answers differently.
    """
    best = best_of(run)
    bundle, report = load(best), report_of(best)
    require_new(folder)
    with new_folder(folder) as partial:
        copy_bundle(best, partial)
        place = f"hf-hub:OWNER/{folder.name}"
        card = model_card(bundle.config, report, title=folder.name, place=place, licence=licence)
        (partial / CARD).write_text(card, "utf-8")
        network = _by_timm(partial) if bundle.timm_loads_it else load(partial).network
        agrees = agreement(
            bundle, pictures_for(bundle, report.dataset.location, images),
            lambda pixels: answered(bundle, network, pixels),
            "The folder",
        )  # fmt: skip
    return Exported(folder, agrees)


def export_timm_folder(run: str | Path, folder: Path, *, images: int = IMAGES) -> Exported:
    """Write a folder of weights and configuration that timm alone loads: `timm.create_model("local-dir:FOLDER")`.

    Args:
        run: a run's folder, or a bundle's.
        folder: to be made.
        images: to compare timm's network on.

    Returns:
        With a note on how far timm's own preprocessing, which is not quite ours, changes the answers.

    Raises:
        UsageError: the folder is there already.
        BundleError: `run` holds no bundle, timm cannot express the network, or timm's network answers differently.
    """
    from dataclasses import replace

    best = best_of(run)
    bundle, report = load(best), report_of(best)
    if not bundle.timm_loads_it:
        raise BundleError(
            f"timm cannot express this network: {_why_not(bundle)}.",
            ways=["export it --to onnx or --to program, which need neither timm nor this package",
                  "tune with [features] tap = 1.0 and a linear head"],
            hint=f"advisor export {run} --to onnx --name {folder.name}",
        )  # fmt: skip
    require_new(folder)
    with new_folder(folder) as partial:
        shutil.copyfile(best / MODEL, partial / MODEL)
        config = {key: value for key, value in bundle.config.items() if key != "advisor"}
        (partial / "config.json").write_text(json.dumps(config, indent=2, ensure_ascii=False), "utf-8")
        network = _by_timm(partial)
        pictures = pictures_for(bundle, report.dataset.location, images)
        agrees = agreement(bundle, pictures, lambda pixels: answered(bundle, network, pixels), "The folder")
        note = _with_own_transform(bundle, network, pictures)
    return Exported(folder, replace(agrees, notes=(note,)))


def _last_name(location: str) -> str:
    """A location without the folders of one's own machine: `/home/me/birds` is `birds`."""
    scheme, path = re.fullmatch(r"(\w{2,}:)?(.*)", location, re.DOTALL).groups("")  # type: ignore[union-attr]
    return f"{scheme}{Path(path).name}" if Path(path).is_absolute() else location


def _by_timm(folder: Path) -> nn.Module:
    import timm

    network: nn.Module = timm.create_model(f"local-dir:{folder}", pretrained=True)
    return network.eval()


def _with_own_transform(bundle: Bundle, network: nn.Module, pictures: Pictures) -> str:
    """How far the answers move when images are prepared by timm, which resizes the whole and then crops."""
    from PIL import Image
    from timm.data import create_transform, resolve_model_data_config

    transform = create_transform(**resolve_model_data_config(network), is_training=False)
    gap, same = 0.0, 0
    for pixels in pictures.pixels:
        with torch.inference_mode():
            images = transform(Image.fromarray(pixels)).unsqueeze(0)
            found = bundle.probabilities(network(images).float()).numpy()
        expected = expected_of(bundle, pixels[None])
        gap, same = max(gap, float(np.abs(found - expected).max())), same + int(found.argmax() == expected.argmax())
    crops = ", which crops after resizing," if bundle.input.fit == "crop" else ""
    return (
        f"With timm's own transform{crops} the class is the same for {same} of "
        f"{len(pictures.pixels)} and probabilities differ by up to {gap:.2g}."
    )


def _why_not(bundle: Bundle) -> str:
    import timm
    from torch import nn

    from advisor.network.transfer import TransferNetwork

    ours, network = bundle.config["advisor"], bundle.network
    assert isinstance(network, TransferNetwork)
    reasons = (
        (
            not timm.is_model(ours["architecture"] or ""),
            f"it has no architecture `{ours['architecture'] or ours['backbone']}`",
        ),
        (network.mirrored, "it answers to the mean over an image and its mirror image"),
        (bool(network.also), f"its head reads {stages_said(network.reading.stages)} together"),
        (
            network.tap < len(network.stages),
            f"it reads stage {network.tap} of {len(network.stages)} and has nothing above it",
        ),
        (not isinstance(network.pool, nn.Identity), f"its head reads `{network.codes}` of the last stage"),
        (not isinstance(network.head, nn.Linear), f"its head `{ours['head']['name']}` is more than one linear layer"),
    )
    return next((reason for holds, reason in reasons if holds), "its classifier has another shape")
