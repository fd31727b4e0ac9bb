"""What a model's `config.json` holds."""

from __future__ import annotations

from typing import TYPE_CHECKING, NotRequired, TypedDict

from advisor.task.base import TaskConfig
from advisor.types import FITS, InputSpec

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence


class InputConfig(TypedDict):
    """How pixels are prepared, as `advisor.types.InputSpec` has it."""

    size: int
    crop_pct: float
    mean: Sequence[float]
    std: Sequence[float]
    interpolation: str
    fit: NotRequired[str]


class HeadConfig(TypedDict):
    """The head's name in the catalog, and what it was created with."""

    name: str
    params: Mapping[str, object]


class OwnConfig(TaskConfig):
    """What `config.json` holds under "advisor"; what came with time may be missing."""

    format: int
    backbone: str
    architecture: str
    tap: int
    also: NotRequired[Sequence[int]]
    mirrored: NotRequired[bool]
    codes: NotRequired[str]
    head: HeadConfig
    temperature: NotRequired[float]
    input: InputConfig
    range: NotRequired[dict[str, dict[str, float | bool]]]


class ModelConfig(TypedDict):
    """`config.json`; where timm can load the model, timm's keys stand beside these."""

    advisor: OwnConfig
    architecture: NotRequired[str]


def input_config(spec: InputSpec) -> InputConfig:
    """Plain data of an input; `input_spec` reads it."""
    return {
        "size": spec.size,
        "crop_pct": spec.crop_pct,
        "mean": spec.mean,
        "std": spec.std,
        "interpolation": spec.interpolation,
        "fit": spec.fit,
    }


def input_spec(config: InputConfig) -> InputSpec:
    """The input that a model takes.

    Raises:
        ValueError: it is to be resized, or to become a square, in an unknown way. KeyError, TypeError or ValueError
            where it is damaged.
    """
    mean, std = ((float(one), float(two), float(three)) for one, two, three in (config["mean"], config["std"]))
    spec = InputSpec(
        size=int(config["size"]),
        crop_pct=float(config["crop_pct"]),
        mean=mean,
        std=std,
        interpolation=str(config["interpolation"]),
        fit=str(config.get("fit", "crop")),
    )
    if spec.interpolation not in {"bicubic", "bilinear"}:
        raise ValueError(f"its input is to be resized by `{spec.interpolation}`")
    if spec.fit not in FITS:
        raise ValueError(f"its images are to become squares by `{spec.fit}`; this version knows {', '.join(FITS)}")
    return spec
