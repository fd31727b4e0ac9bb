"""A tuned model as a package that offers it as a backbone."""

from __future__ import annotations

import hashlib
from importlib import resources
from typing import TYPE_CHECKING

from advisor.data.cache import new_folder
from advisor.outcome.bundle import MODEL, best_of, load, load_backbone
from advisor.outcome.card import known_of, report_of
from advisor.outcome.export.folders import copy_bundle
from advisor.outcome.export.gate import IMAGES, Exported, agreement, answered, pictures_for
from advisor.packaging.new import require_new, words_for, write_template

if TYPE_CHECKING:
    from pathlib import Path


def export_plugin(run: str | Path, parent: Path, *, name: str, licence: str = "MIT", images: int = IMAGES) -> Exported:
    """Write a package that offers a tuned network as a backbone.

    Args:
        run: a run's folder, or a bundle's.
        parent: where the folder `advisor-NAME` is made.
        name: of the plugin and of its backbone.
        licence: SPDX identifier of the package's code; that of the weights is written beside it.
        images: to compare the package's network on.

    Raises:
        UsageError: the name is no name, or the folder is there already.
        BundleError: `run` holds no bundle, or the package's network answers differently.
    """
    best = best_of(run)
    bundle, report = load(best), report_of(best)
    known, spec = known_of(bundle.config, report), bundle.input
    words = words_for(
        name.removeprefix("advisor-"), summary=f"{known['network']} for {known['dataset']}.", licence=licence
    )
    folder = parent / words["distribution"]
    require_new(folder)
    words |= known | {
        "size": repr(spec.size), "crop_pct": repr(spec.crop_pct), "mean": repr(spec.mean), "std": repr(spec.std),
        "interpolation": spec.interpolation,
        "architecture": str(bundle.config.get("architecture", "")),
    }  # fmt: skip
    with new_folder(folder) as partial:
        module = partial / "src" / words["module"]
        copy_bundle(best, module / "model")
        with (module / "model" / MODEL).open("rb") as file:
            words["sha256"] = hashlib.file_digest(file, "sha256").hexdigest()
        templates = resources.files("advisor.packaging") / "plugin-templates"
        write_template(templates / "common", partial, words)
        write_template(templates / "tuned", partial, words)
        (module / "py.typed").touch()
        project = partial / "pyproject.toml"
        project.write_text(project.read_text("utf-8").replace('"*.json"]', '"model/*"]'), "utf-8")
        network = load_backbone(module / "model", words["sha256"]).eval()
        agrees = agreement(
            bundle, pictures_for(bundle, report.dataset.location, images),
            lambda pixels: answered(bundle, network, pixels),
            "The package",
        )  # fmt: skip
    return Exported(folder, agrees)
