"""The folder that is handed over: a model that timm loads alone where timm can express it.

config.json         timm's keys where timm can load it, and ours under "advisor"
model.safetensors   weights; never a pickle
best.toml           the winning recipe, scalars only
report.json         versions, data, seeds, figures
README.md           the model card
"""

from __future__ import annotations

import json
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING

import torch

from advisor.data.cache import new_folder
from advisor.data.range import NO_RANGES, ValueRanges
from advisor.errors import BundleError, closest_path
from advisor.network.input_size import resize_input
from advisor.network.stages import stages_of
from advisor.network.tapped import TappedNetwork
from advisor.network.timm_network import ConfiguredNetwork
from advisor.network.transfer import Standardise, TransferNetwork, pick_device
from advisor.network.weights import check_file
from advisor.outcome.config import input_config, input_spec
from advisor.plugins import load_catalog
from advisor.task import task_from_config

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from torch import Tensor, nn

    from advisor.outcome.config import ModelConfig, OwnConfig
    from advisor.plugins import Catalog
    from advisor.task import Task
    from advisor.types import Backbone, InputSpec

FORMAT = 1
MODEL = "model.safetensors"
CARD = "README.md"
_CROP_MODES = {"crop": "center", "squash": "squash", "pad": "border"}  # what timm calls them
_SAME = 1e-4  # of the largest logit; the saved and the loaded model may differ by rounding only


@dataclass(frozen=True)
class Bundle:
    """A handed-over model, loaded.

    Attributes:
        folder: where it lies.
        network: from (B, 3, size, size) float32 to (B, classes) logits, in evaluation mode.
        classes: their names, in the order of the logits.
        input: how pixels are prepared.
        config: all of `config.json`.
    """

    folder: Path
    network: nn.Module
    classes: tuple[str, ...]
    input: InputSpec
    config: ModelConfig

    @property
    def task(self) -> Task:
        """What it has learnt: what its answers mean and say."""
        return task_from_config(self.config["advisor"])

    def probabilities(self, logits: Tensor) -> Tensor:
        """From logits (B, classes) to probabilities 0..1 as the task has them, calibrated on validation images."""
        return self.task.probabilities(logits.float(), self.temperature)

    @property
    def temperature(self) -> float:
        """What logits are multiplied by before they become probabilities."""
        return float(self.config["advisor"].get("temperature", 1.0))

    @property
    def ranges(self) -> ValueRanges:
        """What is black and what is white in images deeper than eight bits, as the model was tuned."""
        return ValueRanges.from_dict(self.config["advisor"].get("range", {}))

    @property
    def timm_loads_it(self) -> bool:
        """Whether `timm.create_model('local-dir:…', pretrained=True)` gives the same network."""
        return "architecture" in self.config


def best_of(run: str | Path) -> Path:
    """The bundle's folder of a run's folder, or of a run's name in `runs`; any other folder as it is."""
    for folder in (Path(run), Path("runs") / run):
        if (folder / "best" / "config.json").is_file():
            return folder / "best"
    return Path(run)


def save_bundle(
    folder: Path,
    network: TransferNetwork,
    *,
    backbone: Backbone,
    head: str,
    head_params: Mapping[str, object],
    head_is_linear: bool,
    task: Task,
    temperature: float = 1.0,
    ranges: ValueRanges = NO_RANGES,
    texts: Mapping[str, str],
) -> bool:
    """Write a bundle; it replaces an earlier one only when it is complete.

    Args:
        folder: to write; its parent exists.
        network: to hand over.
        backbone: what it was built from.
        head: its name in the catalog.
        head_params: what it was created with.
        head_is_linear: whether timm's own classifier may be able to hold it.
        task: what it has learnt; its classes are in the order of the logits.
        temperature: factor that turns logits into calibrated ones.
        ranges: what is black and what is white in images deeper than eight bits.
        texts: further files by name.

    Returns:
        Whether timm alone can load it; this was tried, and the logits were compared.
    """
    import shutil

    # Tensors are trained channels_last; files hold them in the plain order.
    network = network.cpu().to(memory_format=torch.contiguous_format).eval()
    example = torch.rand(2, 3, backbone.input.size, backbone.input.size, generator=torch.Generator().manual_seed(0))
    with torch.inference_mode():
        expected = network(example)
    own = task.to_config()
    ours: OwnConfig = {
        "format": FORMAT,
        "backbone": backbone.name,
        "architecture": backbone.architecture,
        "tap": network.tap,
        "codes": network.codes,
        "head": {"name": head, "params": dict(head_params)},
        "classes": own["classes"],
        "multilabel": own["multilabel"],
        "temperature": temperature,
        "input": input_config(backbone.input),
    }
    if network.also:
        ours["also"] = list(network.also)
    if network.mirrored:
        ours["mirrored"] = True
    if ranges:
        ours["range"] = ranges.to_dict()
    old = folder.with_name(f".{folder.name}.old")
    staged = folder.with_name(f"{folder.name}.new")
    shutil.rmtree(staged, ignore_errors=True)
    with new_folder(staged) as partial:
        loads = head_is_linear and _save_for_timm(partial, network, backbone, task.classes, ours, example, expected)
        if not loads:
            _save_ours(partial, network, ours)
        for name, text in texts.items():
            (partial / name).write_text(text, encoding="utf-8")
        for file in partial.iterdir():
            file.chmod(0o644)  # safetensors writes files that only their owner may read
    difference = _difference(load(staged).network, example, expected)
    if difference > _SAME:
        raise BundleError(
            f"The written model's logits differ from the tuned model's by {difference:.2g} of the largest.",
            hint=f"the tuned weights are still in {folder.parent / 'weights'}",
        )
    shutil.rmtree(old, ignore_errors=True)
    if folder.exists():
        folder.rename(old)
    staged.rename(folder)
    shutil.rmtree(old, ignore_errors=True)
    return loads


def load(folder: str | Path, *, device: str = "cpu", catalog: Catalog | None = None) -> Bundle:
    """Load a bundle, whatever its tap and head.

    Args:
        folder: as written by `advisor tune`: the `best` folder of a run, or the run's folder.
        device: `auto`, `cpu` or `cuda`.
        catalog: the installed plugins by default; asked only for a head or a backbone that timm does
            not know.

    Raises:
        BundleError: the folder is not a bundle, or is damaged.
    """
    from safetensors import SafetensorError

    folder = best_of(folder)
    try:
        config: ModelConfig = json.loads((folder / "config.json").read_text(encoding="utf-8"))
        ours = config["advisor"]
        if ours["format"] != FORMAT:
            raise BundleError(
                f"`{folder}` is in format {ours['format']}; this version reads {FORMAT}.",
                hint="pip install --upgrade transfer-advisor",
            )
        ValueRanges.from_dict(ours.get("range", {}))  # a damaged one is said here, not at the first deep image
        network = _build(folder, config, ours, catalog)
        return Bundle(
            folder=folder,
            network=network.to(device=pick_device(device), memory_format=torch.channels_last).eval(),  # type: ignore[call-overload]
            classes=tuple(ours["classes"]),
            input=input_spec(ours["input"]),
            config=config,
        )
    except FileNotFoundError as error:
        raise BundleError(
            f"`{folder}` is not a tuned model: {Path(str(error.filename or MODEL)).name} is missing.",
            ways=["give the `best` folder of a run"],
            hint=closest_path(folder) or "advisor predict runs/<name>/best photo.jpg",
        ) from error
    except (OSError, ValueError, KeyError, TypeError, RuntimeError, SafetensorError) as error:
        said = [line.strip() for line in str(error).splitlines() if line.strip()]
        # torch names what does not fit in lines of its own.
        reason = " ".join(said[:2]) if said and said[0].endswith(":") else said[0] if said else type(error).__name__
        if isinstance(error, KeyError):
            reason = f"config.json lacks {reason}"
        raise BundleError(
            f"`{folder}` cannot be loaded: {reason}",
            ways=["it is damaged, or was written by something else", "run the same `advisor tune` again"],
            hint="advisor tune",
        ) from error


def load_backbone(folder: str | Path, sha256: str = "", *, pretrained: bool = True) -> nn.Module:
    """A handed-over network as timm's networks are, to be transferred once more.

    Args:
        folder: of a bundle.
        sha256: what its `model.safetensors` must hash to; not checked where empty.
        pretrained: with its weights, or with random ones.

    Returns:
        A module with `forward_features`, `forward_head` and `reset_classifier`, that still has its classifier.

    Raises:
        BackboneError: the weights are not the declared ones.
        BundleError: the folder is not a bundle.
    """
    if pretrained and sha256:
        check_file(Path(folder) / MODEL, sha256)
    bundle = load(folder)
    network = bundle.network.to(memory_format=torch.contiguous_format)
    if isinstance(network, TransferNetwork):
        network = TappedNetwork(network, len(bundle.classes))
    if not pretrained:
        for module in network.modules():
            reset = getattr(module, "reset_parameters", None)
            if callable(reset):
                reset()
    return network


def _save_for_timm(
    partial: Path,
    network: TransferNetwork,
    backbone: Backbone,
    classes: Sequence[str],
    ours: OwnConfig,
    example: torch.Tensor,
    expected: torch.Tensor,
) -> bool:
    """Fold the head into timm's classifier, save, load as any timm user would, and compare the logits."""
    import copy

    import timm
    from timm.models import save_for_hf
    from torch import nn

    if network.mirrored:
        return False
    if not (isinstance(network.pool, nn.Identity) and isinstance(network.head, nn.Linear) and backbone.architecture):
        return False
    if not timm.is_model(backbone.architecture):
        return False
    model = copy.deepcopy(network.trunk)
    assert isinstance(model, ConfiguredNetwork)
    model.reset_classifier(len(classes))
    classifier = model.get_classifier()
    if not isinstance(classifier, nn.Linear) or classifier.weight.shape != network.head.weight.shape:
        return False
    classifier.load_state_dict(network.standardise.fold_into(network.head).state_dict())
    spec = backbone.input
    model.pretrained_cfg = {
        **model.pretrained_cfg,
        "input_size": (3, spec.size, spec.size), "mean": spec.mean, "std": spec.std,
        "crop_pct": spec.crop_pct if spec.fit == "crop" else 1.0, "crop_mode": _CROP_MODES[spec.fit],
        "interpolation": spec.interpolation, "num_classes": len(classes),
    }  # fmt: skip
    save_for_hf(model, partial, model_config={"label_names": list(classes)}, safe_serialization=True)
    loaded = timm.create_model(f"local-dir:{partial}", pretrained=True).eval()
    same = _difference(loaded, example, expected) <= _SAME
    config_file = partial / "config.json"
    config = json.loads(config_file.read_text(encoding="utf-8"))
    if not same:
        for file in partial.iterdir():
            file.unlink()
        return False
    config["advisor"] = dict(ours)
    config_file.write_text(json.dumps(config, indent=2, ensure_ascii=False), encoding="utf-8")
    return True


def _difference(network: nn.Module, example: torch.Tensor, expected: torch.Tensor) -> float:
    """Largest difference of the logits, as a share of the largest logit."""
    with torch.inference_mode():
        return float((network(example) - expected).abs().max() / expected.abs().max().clamp(min=1.0))


def _save_ours(partial: Path, network: TransferNetwork, ours: OwnConfig) -> None:
    from safetensors.torch import save_file

    state = {name: tensor.contiguous() for name, tensor in network.state_dict().items()}
    save_file(state, partial / MODEL)
    text = json.dumps({"advisor": dict(ours)}, indent=2, ensure_ascii=False)
    (partial / "config.json").write_text(text, encoding="utf-8")


def _build(folder: Path, config: ModelConfig, ours: OwnConfig, catalog: Catalog | None) -> nn.Module:
    import timm
    from safetensors.torch import load_file

    if "architecture" in config:
        loaded: nn.Module = timm.create_model(f"local-dir:{folder}", pretrained=True)
        return loaded
    catalog = catalog or load_catalog()
    network: nn.Module
    if ours["architecture"] and timm.is_model(ours["architecture"]):
        network = timm.create_model(ours["architecture"], pretrained=False)
    else:
        network = catalog.backbone(ours["backbone"]).create(False)
    spec = input_spec(ours["input"])
    own = getattr(network, "pretrained_cfg", {}).get("input_size") or (3, spec.size, spec.size)
    resize_input(network, replace(spec, size=int(own[-1])), spec.size)
    size = spec.size
    stages = stages_of(network, torch.zeros(1, 3, size, size), codes=ours.get("codes", "mean"))
    state = load_file(folder / MODEL)
    standardise = Standardise(state["standardise.mean"], state["standardise.scale"])
    head = catalog.head(ours["head"]["name"]).create(
        len(standardise.mean), len(ours["classes"]), **ours["head"]["params"]
    )
    if ours["tap"] not in range(1, len(stages) + 1):
        raise ValueError(f"it reads stage {ours['tap']!r} of a network that has {len(stages)}")
    also = tuple(ours.get("also", ()))
    if any(stage not in range(1, ours["tap"]) for stage in also):
        raise ValueError(f"it reads stages {also!r} before stage {ours['tap']}")
    tuned = TransferNetwork(
        network, stages, ours["tap"], standardise, head, also=also, mirrored=bool(ours.get("mirrored"))
    )
    tuned.load_state_dict(state, strict=True)
    return tuned
