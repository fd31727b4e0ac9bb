"""Any timm network as ordered stages: where it can be tapped, and what freezing to a depth means.

Stages come from the network's own parameter groups (`group_matcher`), are checked against the order in
which one forward pass really calls the modules, and are repaired where the two disagree (timm.md 12).
"""

from __future__ import annotations

import math
from collections import Counter
from dataclasses import dataclass
from typing import TYPE_CHECKING

from advisor.errors import BackboneError

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from torch import Tensor, nn

MIN_STAGES = 3
CODES = ("mean", "relu", "mean+std")
TOKENS = "tokens"  # no code of an image: a vector for each position, which some heads read


@dataclass(frozen=True, slots=True)
class Stage:
    """One stage.

    Attributes:
        name: the tapped module's path, for people.
        tap: path of the module whose output is the stage's output; empty for the last stage, whose
            output is the pooled penultimate vector.
        parameters: names of its parameters in the whole network.
        channels_last: whether the output is (B, H, W, C) rather than (B, C, H, W).
    """

    name: str
    tap: str
    parameters: tuple[str, ...]
    channels_last: bool = False


@dataclass(frozen=True, slots=True)
class Reading:
    """What of a network a head reads.

    Attributes:
        tap: number of the stage, after which the network is cut.
        also: numbers of earlier stages whose features stand before those of the tap, ascending.
        mirrored: whether features are the mean over an image and its mirror image.
    """

    tap: int
    also: tuple[int, ...] = ()
    mirrored: bool = False

    @property
    def stages(self) -> tuple[int, ...]:
        """Numbers of all the stages, ascending."""
        return (*self.also, self.tap)


@dataclass(frozen=True, slots=True)
class Stages:
    """Ordered stages, input side first; the classifier is not among them.

    Attributes:
        stages: the stages.
        repaired: parameters that were moved to an earlier stage than the network's grouping says,
            because the forward pass uses them earlier.
        tokens: whether the stages hand on sequences of tokens (transformers) rather than maps.
        codes: how outputs become vectors, one of `CODES`, or `TOKENS`; see `advisor.network.transfer.Pool`.
    """

    stages: tuple[Stage, ...]
    repaired: tuple[str, ...] = ()
    tokens: bool = False
    codes: str = "mean"

    def __len__(self) -> int:
        return len(self.stages)

    def tap_index(self, fraction: float) -> int:
        """Number of stages kept below the tap, 1..len, for a tap fraction; 1.0 is the penultimate vector."""
        return min(len(self), max(1, round(fraction * len(self))))

    def also_indices(self, fractions: Sequence[float], tap: int) -> tuple[int, ...]:
        """Stages below a tap that are read beside it, ascending, for fractions of the stages; none twice."""
        return tuple(sorted({stage for fraction in fractions if (stage := self.tap_index(fraction)) < tap}))

    def frozen_index(self, depth: float, tap: int) -> int:
        """Number of stages frozen, 0..tap, for a freeze depth as a fraction of the stages below the tap."""
        return min(tap, max(0, round(depth * tap)))

    def parameters(self, count: int) -> frozenset[str]:
        """Names of the parameters of the first `count` stages."""
        return frozenset(name for stage in self.stages[:count] for name in stage.parameters)


def classifier_parameters(network: nn.Module) -> frozenset[str]:
    """Names of the parameters that belong to the network's own classifier."""
    get = getattr(network, "get_classifier", None)
    # Without a classifier some networks fail to say so (EfficientViT).
    last = get() if get is not None and getattr(network, "num_classes", 1) != 0 else None
    modules = set(last) if isinstance(last, tuple) else {last}
    return frozenset(
        f"{path}.{name}" if path else name
        for path, module in network.named_modules()
        if module in modules
        for name, _ in module.named_parameters()
    )


def stages_of(network: nn.Module, example: Tensor, *, codes: str = "mean") -> Stages:
    """Find the stages of a network.

    Args:
        network: a timm-style module, on any device, `meta` included.
        example: (1, 3, size, size) on the same device; one evaluation pass is run on it.
        codes: how the stages' outputs shall become vectors, one of `CODES`.

    Raises:
        BackboneError: fewer than three stages can be told apart.
    """
    classifier = classifier_parameters(network)
    names = [name for name, _ in network.named_parameters() if name not in classifier]
    started, finished, shapes = _trace(network, example)
    groups = _matched_groups(network, names)
    if groups is None:
        groups = _forward_groups(names, started)
    groups, repaired = _repair(groups, names, started, _shared(network))
    stages = _build(network, groups, names, finished, shapes)
    if len(stages) < MIN_STAGES:
        raise BackboneError(
            f"Only {len(stages)} stages can be told apart in `{type(network).__name__}`; {MIN_STAGES} are needed.",
            hint="advisor recommend --backbone lite0",
        )
    middle = shapes[stages[len(stages) // 2].tap]
    return Stages(tuple(stages), repaired, tokens=len(middle) == 3, codes=codes)


def _owner(parameter: str) -> str:
    return parameter.rpartition(".")[0]


def _trace(network: nn.Module, example: Tensor) -> tuple[dict[str, int], dict[str, int], dict[str, tuple[int, ...]]]:
    """Order in which modules first start and last finish, and the shapes of their per-image tensor outputs."""
    import torch

    started: dict[str, int] = {}
    finished: dict[str, int] = {}
    shapes: dict[str, tuple[int, ...]] = {}
    clock = 0

    def before(path: str) -> Callable[..., None]:
        def hook(*_: object) -> None:
            nonlocal clock
            clock += 1
            started.setdefault(path, clock)

        return hook

    def after(path: str) -> Callable[..., None]:
        def hook(_module: object, _inputs: object, output: object) -> None:
            nonlocal clock
            clock += 1
            finished[path] = clock
            # Parts of images as a batch of their own (windows, TNT's pixels) are nothing to pool per image.
            if isinstance(output, torch.Tensor) and output.ndim > 1 and len(output) == len(example):
                shapes[path] = tuple(output.shape)

        return hook

    handles = []
    for path, module in network.named_modules():
        handles.append(module.register_forward_pre_hook(before(path)))
        handles.append(module.register_forward_hook(after(path)))
    training = network.training
    try:
        network.eval()
        with torch.no_grad():
            answer = network(example)
    finally:
        network.train(training)
        for handle in handles:
            handle.remove()
    if getattr(network, "num_classes", 0) and getattr(answer, "ndim", 0) != 2:
        found = tuple(answer.shape) if isinstance(answer, torch.Tensor) else type(answer).__name__
        raise BackboneError(
            f"`{type(network).__name__}` answers an image with {found}, not with a score for each class.",
            ways=["let its forward end in its classifier", "use another backbone"],
            hint="advisor recommend --backbone lite0",
        )
    return started, finished, shapes


def _matched_groups(network: nn.Module, names: Sequence[str]) -> dict[str, int] | None:
    """Coarse group of each parameter as timm sees it, or None where the network has no usable matcher."""
    from timm.models import group_parameters

    matcher = getattr(network, "group_matcher", None)
    if matcher is None:
        return None
    try:
        found = group_parameters(network, matcher(coarse=True), reverse=True)
    except AssertionError:  # RDNet refuses coarse groups
        found = group_parameters(network, matcher(coarse=False), reverse=True)
    groups = {name: int(found[name]) for name in names if name in found}
    return groups if len(groups) == len(names) and len(set(groups.values())) >= MIN_STAGES else None


def _forward_groups(names: Sequence[str], started: dict[str, int]) -> dict[str, int]:
    """Groups from the forward order: one per child of the root, or of its child where that is a list."""

    def key(name: str) -> str:
        parts = _owner(name).split(".")
        return ".".join(parts[:2]) if len(parts) > 1 and parts[1].isdigit() else parts[0]

    first: dict[str, int] = {}
    for name in names:
        at = started.get(_owner(name), 0)
        first[key(name)] = min(first.get(key(name), at), at)
    order = {group: place for place, group in enumerate(sorted(first, key=lambda g: first[g]))}
    return {name: order[key(name)] for name in names}


def _shared(network: nn.Module) -> frozenset[str]:
    """First paths of the modules that are part of several others (CoaT's position encodings)."""
    uses = Counter(module for _, module in network.named_modules(remove_duplicate=False))
    return frozenset(path for path, module in network.named_modules() if uses[module] > 1)


def _repair(
    groups: dict[str, int], names: Sequence[str], started: dict[str, int], shared: frozenset[str]
) -> tuple[dict[str, int], tuple[str, ...]]:
    """Lower every group id that stands above a later one in forward order.

    Parameters of shared modules go to the stage in which they first run. Parameters that the root module owns
    (`pos_embed`, `cls_token`) have no call of their own and stay where the matcher put them.
    """
    called = sorted((n for n in names if _owner(n) in started and _owner(n)), key=lambda n: started[_owner(n)])
    smallest: float = math.inf
    fixed = dict(groups)
    for name in reversed(called):
        if _owner(name) not in shared:
            smallest = min(smallest, fixed[name])
            fixed[name] = int(smallest)
    running = 0
    for name in called:
        if _owner(name) in shared:
            fixed[name] = running
        running = fixed[name]
    return fixed, tuple(name for name in called if fixed[name] != groups[name])


def _build(
    network: nn.Module,
    groups: dict[str, int],
    names: Sequence[str],
    finished: dict[str, int],
    shapes: dict[str, tuple[int, ...]],
) -> list[Stage]:
    """Name each group by the last module that runs wholly inside it; merge groups without weight matrices."""
    parameters = dict(network.named_parameters())
    members: dict[int, list[str]] = {}
    for name in names:
        members.setdefault(groups[name], []).append(name)
    merged: list[list[str]] = []
    for _, found in sorted(members.items()):
        # A group of norms and biases alone (ConvNeXt's `head.norm`) is no stage of its own.
        if merged and all(parameters[name].ndim < 2 for name in found):
            merged[-1] += found
        else:
            merged.append(found)
    shared = _shared(network)  # runs inside other modules and ends no stage

    def last_inside(found: list[str]) -> str:
        inside = set(found)
        taps = [path for path in finished if path in shapes and _wholly_inside(network, path, inside)]
        return max(taps, key=lambda path: (path not in shared, finished[path]), default="")

    ended = [(tap, found) for found in merged if (tap := last_inside(found))]
    # What no module uses while it runs (PiT's positions, rotations shared by all blocks) is needed from the start.
    loose = tuple(name for found in merged if not last_inside(found) for name in found)
    return [
        Stage(
            name=tap,
            tap="" if place == len(ended) - 1 else tap,
            parameters=(*loose, *found) if place == 0 else tuple(found),
            channels_last=_is_channels_last(network, tap, shapes[tap]),
        )
        for place, (tap, found) in enumerate(ended)
    ]


def _is_channels_last(network: nn.Module, tap: str, shape: tuple[int, ...]) -> bool:
    """Layout of a 4-D output: the channels are as many as the module's last parameter has rows.

    `output_fmt` speaks of the whole network; a ViT's `patch_embed` hands on (B, H, W, C) all the same.
    """
    if len(shape) != 4 or shape[1] == shape[-1]:
        return str(getattr(network, "output_fmt", "NCHW")).endswith("NHWC")
    *_, last = network.get_submodule(tap).parameters()
    return shape[-1] == last.shape[0]


def _wholly_inside(network: nn.Module, path: str, inside: set[str]) -> bool:
    own = [f"{path}.{name}" if path else name for name, _ in network.get_submodule(path).named_parameters()]
    return bool(own) and all(name in inside for name in own)
