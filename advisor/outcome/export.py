"""A handed-over model in other forms: a plugin package, a folder for the hub, a program that needs no code of ours."""

from __future__ import annotations

import hashlib
import json
import re
import shutil
from importlib import resources
from typing import TYPE_CHECKING, Any

import torch

from advisor.data.cache import disk_errors, new_folder
from advisor.errors import BundleError, UsageError
from advisor.outcome.bundle import MODEL, Bundle, load
from advisor.packaging.new import filled, one_line, quoted, require_new, words_for, write_template
from advisor.version import __version__

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

_SAME = 1e-4  # of the largest logit
_TEMPLATES = "advisor.packaging"
_FILES = ("config.json", MODEL, "best.toml", "report.json")  # of a bundle; what else lies beside them is a person's own


def export_plugin(best: str | Path, parent: Path, *, name: str, licence: str = "MIT") -> Path:
    """Write a package that offers a tuned network as a backbone; its folder.

    Args:
        best: a bundle's folder.
        parent: where the folder `advisor-NAME` is made.
        name: of the plugin and of its backbone.
        licence: SPDX identifier of the package's code; that of the weights is written beside it.

    Raises:
        UsageError: the name is no name, or the folder is there already.
        BundleError: `best` is not a bundle.
    """
    bundle = load(best)
    known = _known(bundle)
    words = words_for(
        name.removeprefix("advisor-"), summary=f"{known['network']} for {known['dataset']}.", licence=licence
    )
    folder = parent / words["distribution"]
    require_new(folder)
    spec = bundle.input
    words |= known | {
        "size": repr(spec.size), "crop_pct": repr(spec.crop_pct), "mean": repr(spec.mean), "std": repr(spec.std),
        "interpolation": spec.interpolation,
        "architecture": str(bundle.config.get("architecture", "")),
    }  # fmt: skip
    with new_folder(folder) as partial:
        module = partial / "src" / words["module"]
        _copy(bundle.folder, module / "model")
        with (module / "model" / MODEL).open("rb") as file:
            words["sha256"] = hashlib.file_digest(file, "sha256").hexdigest()
        templates = resources.files(_TEMPLATES) / "plugin-templates"
        write_template(templates / "common", partial, words)
        write_template(templates / "tuned", partial, words)
        (module / "py.typed").touch()
        project = partial / "pyproject.toml"
        project.write_text(project.read_text("utf-8").replace('"*.json"]', '"model/*"]'), "utf-8")
    return folder


def export_hub_folder(best: str | Path, folder: Path, *, licence: str = "") -> Path:
    """Write a folder that is ready for a model hub: the bundle's files and a model card.

    Args:
        best: a bundle's folder.
        folder: to be made.
        licence: SPDX identifier, lower case; by default that of the weights it was tuned from.

    Raises:
        UsageError: the folder is there already.
        BundleError: `best` is not a bundle.
    """
    bundle = load(best)
    require_new(folder)
    known = _known(bundle)
    name = one_line(folder.name)
    use = (
        f"import timm\n\nmodel = timm.create_model({quoted(f'hf-hub:OWNER/{name}')}, pretrained=True)"
        if bundle.timm_loads_it
        else f"import advisor\n\nmodel = advisor.load({quoted(name)}).network  # the downloaded folder"
    )
    terms = one_line(licence or known["weights_licence"]).lower()
    ready = {"license": terms if re.fullmatch(r"[a-z][\w.+-]*", terms) else quoted(terms), "use": use}
    card = {"library": "timm" if bundle.timm_loads_it else "transfer-advisor", "title": name, **known}
    template = (resources.files(_TEMPLATES) / "plugin-templates" / "card.md.txt").read_text("utf-8")
    with new_folder(folder) as partial:
        _copy(bundle.folder, partial)
        (partial / "README.md").write_text(filled(template, card, ".md", ready), "utf-8")
    return folder


def export_program(best: str | Path, file: Path) -> Path:
    """Write the network as a `torch.export` program, for any batch size; torch alone runs it.

    Class names and input are in the file's `advisor.json`: `torch.export.load(file, extra_files=…)`.

    Args:
        best: a bundle's folder.
        file: to be written, ending in `.pt2`.

    Raises:
        UsageError: the file is there already, or ends otherwise.
        BundleError: torch cannot express the network so, or its program answers differently.
    """
    if file.suffix != ".pt2":
        raise UsageError(f"`{file}` does not end in .pt2.", hint=f"advisor export BEST --to program {file.stem}.pt2")
    require_new(file)
    bundle = load(best)
    network = bundle.network.to(memory_format=torch.contiguous_format).eval()
    size = bundle.input.size
    images = torch.rand(3, 3, size, size, generator=torch.Generator().manual_seed(0))
    about = json.dumps({"classes": bundle.classes, "input": bundle.config["advisor"]["input"]}, ensure_ascii=False)
    try:
        program = torch.export.export(network, (images,), dynamic_shapes=({0: torch.export.Dim("images", min=1)},))
    except Exception as error:
        raise BundleError(
            f"torch cannot express this network as a program: {str(error).splitlines()[0]}",
            ways=["load it with advisor.load", "export it --as plugin"],
            hint="advisor export BEST --to hub-folder FOLDER",
        ) from error
    partial = file.with_name(f".{file.name}")
    with disk_errors(file.parent):
        file.parent.mkdir(parents=True, exist_ok=True)
        try:
            torch.export.save(program, partial, extra_files={"advisor.json": about})
            with torch.inference_mode():
                expected, found = network(images[:2]), torch.export.load(partial).module()(images[:2])
            gap = float((found - expected).abs().max() / expected.abs().max().clamp(min=1.0))
            if gap > _SAME:
                raise BundleError(f"The written program's logits differ from the model's by {gap:.2g} of the largest.")
            partial.replace(file)
        finally:
            partial.unlink(missing_ok=True)
    return file


def _copy(best: Path, folder: Path) -> None:
    """The files of a bundle into a folder, which is made."""
    folder.mkdir(parents=True, exist_ok=True)
    for name in _FILES:
        if (best / name).is_file():
            shutil.copyfile(best / name, folder / name)


def _known(bundle: Bundle) -> dict[str, str]:
    """What its report says, for people."""
    try:
        return _figures(bundle, json.loads((bundle.folder / "report.json").read_text(encoding="utf-8")))
    except (OSError, ValueError, LookupError, TypeError, AttributeError) as error:
        raise BundleError(
            f"`{bundle.folder}` has no report that can be read, so nothing can be said of where the model comes from.",
            ways=["give the `best` folder of a run"],
            hint="advisor export runs/<name>/best --as plugin --name my-birds",
        ) from error


def _figures(bundle: Bundle, report: Mapping[str, Any]) -> dict[str, str]:
    """What a card says: where the model comes from, and how good it was on images that it had not seen."""
    from pathlib import Path

    backbone, data = report["backbone"], report["dataset"]
    low, high = report["test_interval_95"]
    test = report["test_accuracy"]
    return {
        "network": f"{bundle.config['advisor']['backbone']}, tuned to {len(bundle.classes)} classes",
        "classes": ", ".join(bundle.classes),
        "backbone": str(backbone["name"]),
        "backbone_licence": str(backbone["licence"]),
        "weights_licence": str(backbone["licence"]),
        "trained_on": str(backbone["trained_on"]),
        "dataset": Path(str(data["location"]).rstrip("/:")).name or "images",
        "digest": str(data["digest"]),
        "images": str(sum(data["splits"].values())),
        "test": "not measured: there were no test images" if test is None
        else f"{test:.3f} (95 % {low:.3f} to {high:.3f}, {report['test_images']} images used for nothing else)",
        "recipe": str(report["recipe"]),
        "version": __version__,
    }  # fmt: skip
