"""Any timm network by name: `timm/<architecture>[.<tag>]`, `hf-hub:<id>` and `local-dir:<path>`."""

from __future__ import annotations

from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

from advisor.errors import BackboneError, closest
from advisor.hookspecs import hookimpl
from advisor.types import Backbone, BackboneFamily, InputSpec, Weights

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

    from torch import nn

PREFIX, HUB = "timm/", "hf-hub:"


@hookimpl
def advisor_backbones() -> Iterator[BackboneFamily]:
    """Every network that the installed timm can build."""
    yield BackboneFamily(
        prefix=PREFIX,
        resolve=_resolve,
        names=_names,
        summary="any timm network; its weights come from the hub or its cache",
    )
    for prefix, summary in (
        ("local-dir:", "a folder in timm's layout, such as a model tuned here"),
        ("hf-hub:", "a timm model on the Hugging Face hub"),
    ):
        yield BackboneFamily(prefix=prefix, resolve=_resolve, names=tuple, summary=summary)


def _names() -> Sequence[str]:
    import timm

    return [PREFIX + name for name in timm.list_models(pretrained=True)]


def _resolve(name: str) -> Backbone:
    import torch
    from timm.data import resolve_model_data_config

    from advisor.network.timm_network import ConfiguredNetwork

    timm_name = name.removeprefix(PREFIX)
    known = _require(name, name.removeprefix(HUB), ("config.json",)) if name.startswith(HUB) else ""
    try:
        with torch.device("meta"):
            model = _create(f"local-dir:{Path(known).parent}" if known else timm_name, pretrained=False)
    except (OSError, RuntimeError, ValueError, KeyError) as error:
        reason = str(error).splitlines()[0] if str(error) else type(error).__name__
        raise BackboneError(
            f"`{name}` cannot be opened: {reason}",
            ways=["check the name or the folder", "hub models need the network once"],
            hint="advisor backbones",
        ) from error
    config = resolve_model_data_config(model)
    assert isinstance(model, ConfiguredNetwork)
    cfg = model.pretrained_cfg
    channels, height, width = config["input_size"]
    if channels != 3 or height != width:
        raise BackboneError(
            f"`{name}` takes {channels} × {height} × {width} inputs; only square RGB inputs are supported.",
            hint="advisor backbones",
        )
    licence, trained_on = str(cfg.get("license") or "unknown"), str(cfg.get("tag") or "unknown")
    return Backbone(
        name=name,
        create=partial(_create_pretrained, name, _repository(timm_name, cfg)),
        input=InputSpec(
            size=height,
            crop_pct=config["crop_pct"],
            mean=tuple(config["mean"]),
            std=tuple(config["std"]),
            interpolation="bilinear" if config["interpolation"] == "bilinear" else "bicubic",
        ),
        weights=Weights(
            source=f"hub:{cfg.get('hf_hub_id') or cfg.get('url') or 'none'}" if name.startswith(PREFIX) else timm_name,
            licence=licence,
            trained_on=trained_on,
        ),
        architecture=str(cfg.get("architecture") or timm_name.partition(".")[0]),
        summary=f"timm {timm_name}",
    )


def _repository(timm_name: str, cfg: Mapping[str, object]) -> tuple[str, tuple[str, ...]]:
    """The hub repository of a network's weights, and the files that would do; empty where they are no hub's."""
    from advisor.network.hub import WEIGHT_FILES

    if timm_name.startswith("local-dir:"):
        return "", ()
    repository = timm_name.removeprefix(HUB) if timm_name.startswith(HUB) else str(cfg.get("hf_hub_id") or "")
    named = cfg.get("hf_hub_filename")
    return repository, (str(named),) if named else WEIGHT_FILES


def _require(name: str, repository: str, files: tuple[str, ...]) -> str:
    """Path of a hub file in the cache; empty where the hub can be asked for it."""
    from advisor.network.hub import cached_file, require_hub

    found = cached_file(repository, files)
    if not found:
        require_hub(name, repository, files)
    return found


def _create(timm_name: str, *, pretrained: bool, file: str = "") -> nn.Module:
    import timm

    # What is in the cache is read from there: the hub's client would ask for news, and wait for the answer.
    overlay = {"file": file} if file else None
    try:
        network: nn.Module = timm.create_model(timm_name, pretrained=pretrained, pretrained_cfg_overlay=overlay)
    except RuntimeError as error:
        # timm says `Unknown model (x)` and `Invalid pretrained tag (x) for y.` without a suggestion.
        if not str(error).startswith(("Unknown model", "Invalid pretrained tag")):
            raise
        architecture = timm_name.partition(".")[0]
        names = (
            timm.list_models(f"{architecture}.*", pretrained=True)
            if timm.is_model(architecture)
            else timm.list_models()
        )
        suggestion = closest(timm_name, names) or (f"one of {', '.join(names[:5])}" if names else "")
        raise BackboneError(
            f"timm has no network `{timm_name}`.",
            ways=[suggestion] if suggestion else [],
            hint="advisor backbones 'timm/resnet*'",
        ) from error
    return network


def _create_pretrained(name: str, hub: tuple[str, tuple[str, ...]], pretrained: bool) -> nn.Module:  # noqa: FBT001 - the hook's signature
    """Build a network; look for hub weights in the local cache before asking the network for them."""
    timm_name, (repository, files) = name.removeprefix(PREFIX), hub
    file = _require(name, repository, files) if pretrained and repository else ""
    if file and timm_name.startswith(HUB):
        timm_name, file = f"local-dir:{Path(file).parent}", ""
    try:
        network = _create(timm_name, pretrained=pretrained, file=file)
    except (OSError, RuntimeError, ValueError) as error:
        raise BackboneError(
            f"The weights of `{timm_name}` cannot be loaded: {str(error).splitlines()[0]}",
            ways=[
                "go online once; the hub client keeps them in its cache",
                "use a backbone whose weights come as a package: lite0, lite1, lite2",
                "give a local folder in timm's layout: local-dir:<path>",
            ],
            hint="advisor backbones",
        ) from error
    return network
