"""What is said of a model that leaves: where it comes from, and how good it was on images it had not seen."""

from __future__ import annotations

import json
import re
import shutil
from importlib import resources
from pathlib import Path
from typing import TYPE_CHECKING, Any

from advisor.errors import BundleError
from advisor.outcome.bundle import MODEL
from advisor.packaging.new import filled, one_line, quoted
from advisor.version import __version__

if TYPE_CHECKING:
    from collections.abc import Mapping

    from advisor.outcome.bundle import Bundle

_FILES = ("config.json", MODEL, "best.toml", "report.json")  # of a bundle; what else lies beside them is a person's own


def copy_bundle(best: Path, folder: Path) -> None:
    """The files of a bundle into a folder, which is made."""
    folder.mkdir(parents=True, exist_ok=True)
    for name in _FILES:
        if (best / name).is_file():
            shutil.copyfile(best / name, folder / name)


def report_of(best: Path) -> Mapping[str, Any]:
    """The report beside a model.

    Raises:
        BundleError: there is none that can be read.
    """
    try:
        report: dict[str, Any] = json.loads((best / "report.json").read_text(encoding="utf-8"))
        _figures(report)
    except (OSError, ValueError, LookupError, TypeError, AttributeError) as error:
        raise BundleError(
            f"`{best}` has no report that can be read, so nothing can be said of where the model comes from.",
            ways=["give the `best` folder of a run"],
            hint="advisor export runs/<name>/best --as plugin --name my-birds",
        ) from error
    return report


def known_of(bundle: Bundle, report: Mapping[str, Any]) -> dict[str, str]:
    """What a card says, in words that may hold anything."""
    return {
        "network": f"{bundle.config['advisor']['backbone']}, tuned to {len(bundle.classes)} classes",
        "classes": ", ".join(bundle.classes),
        **_figures(report),
    }


def model_card(bundle: Bundle, report: Mapping[str, Any], folder: str, licence: str) -> str:
    """A model card for a hub.

    Args:
        bundle: the model.
        report: of its run.
        folder: name of the folder.
        licence: SPDX identifier; by default that of the weights it was tuned from.
    """
    known, name = known_of(bundle, report), one_line(folder)
    use = (
        f"import timm\n\nmodel = timm.create_model({quoted(f'hf-hub:OWNER/{name}')}, pretrained=True)"
        if bundle.timm_loads_it
        else f"import advisor\n\nmodel = advisor.load({quoted(name)}).network  # the downloaded folder"
    )
    terms = one_line(licence or known["weights_licence"]).lower()
    ready = {"license": terms if re.fullmatch(r"[a-z][\w.+-]*", terms) else quoted(terms), "use": use}
    card = {"library": "timm" if bundle.timm_loads_it else "transfer-advisor", "title": name, **known}
    template = (resources.files("advisor.packaging") / "plugin-templates" / "card.md.txt").read_text("utf-8")
    return filled(template, card, ".md", ready)


def _figures(report: Mapping[str, Any]) -> dict[str, str]:
    backbone, data = report["backbone"], report["dataset"]
    low, high = report["test_interval_95"]
    test = report["test_accuracy"]
    kind = "mean average precision " if report.get("metric") == "map" else ""
    return {
        "backbone": str(backbone["name"]),
        "backbone_licence": str(backbone["licence"]),
        "weights_licence": str(backbone["licence"]),
        "trained_on": str(backbone["trained_on"]),
        "dataset": Path(str(data["location"]).rstrip("/:")).name or "images",
        "digest": str(data["digest"]),
        "images": str(sum(data["splits"].values())),
        "test": "not measured: there were no test images" if test is None
        else f"{kind}{test:.3f} (95 % {low:.3f} to {high:.3f}, {report['test_images']} images used for nothing else)",
        "recipe": str(report["recipe"]),
        "version": __version__,
    }  # fmt: skip
