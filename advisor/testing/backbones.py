"""What a backbone has to be."""

from __future__ import annotations

import copy
from collections import Counter
from typing import TYPE_CHECKING, Any

from advisor.testing.checking import ask

if TYPE_CHECKING:
    from torch import Tensor, nn

    from advisor.network.stages import Stages
    from advisor.types import Backbone

    _Built = Any  # a network that may lack what timm's have; a check says so

_CLASSES = 3


def card_is_complete(backbone: Backbone) -> None:
    """Its card states a licence, the source data, where the weights come from, and a sane input."""
    weights, spec = backbone.weights, backbone.input
    for name in ("source", "licence", "trained_on"):
        ask(getattr(weights, name) not in {"", "unknown"}, f"weights.{name} is not stated")
    ask(16 <= spec.size <= 4096, f"input.size is {spec.size!r}, not 16 to 4096 pixels")
    ask(0 < spec.crop_pct <= 1, f"input.crop_pct is {spec.crop_pct}, not above 0 and at most 1")
    ask(len(spec.mean) == len(spec.std) == 3, "input.mean and input.std are not of three channels")
    ask(all(value > 0 for value in spec.std), f"input.std is {spec.std}; every value divides")
    ask(max(*spec.mean, *spec.std) <= 1, f"input.mean {spec.mean} or std {spec.std} is not on the scale of 0 to 1")
    ask(spec.interpolation in {"bicubic", "bilinear"}, f"input.interpolation is {spec.interpolation!r}")
    ask(spec.fit == "crop", f"input.fit is {spec.fit!r}; recipes say how a picture becomes a square")
    ask(backbone.summary, "it has no summary")


def timm_knows_its_architecture(backbone: Backbone) -> None:
    """The architecture it names, if any, is one of timm's with the same tensors."""
    if not backbone.architecture:
        return
    import timm

    ask(timm.is_model(backbone.architecture), f"timm has no architecture `{backbone.architecture}`")
    network = _built(backbone)
    own, theirs = _shapes(network), _shapes(timm.create_model(backbone.architecture, num_classes=network.num_classes))
    ask(
        own == theirs,
        f"its tensors are not those of timm's `{backbone.architecture}`: {_first_difference(own, theirs)}",
    )


def answers_with_vectors(backbone: Backbone) -> None:
    """Without its classifier it maps images to finite vectors, in training and in evaluation."""
    import torch

    network = _headless(backbone)
    for mode in (True, False):
        network.train(mode)
        with torch.no_grad():
            out = network(_images(backbone, 2))
        ask(isinstance(out, torch.Tensor), f"it answers with {type(out).__name__}, not with one tensor")
        ask(out.ndim == 2 and len(out) == 2, f"two images give {tuple(out.shape)}, not (2, width)")
        ask(out.isfinite().all(), "it answers with numbers that are not finite")


def width_is_what_it_says(backbone: Backbone) -> None:
    """`head_hidden_size`, or else `num_features`, is the width of its vectors."""
    import torch

    network = _headless(backbone).eval()
    with torch.no_grad():
        width = network(_images(backbone, 1)).shape[1]
    said = getattr(network, "head_hidden_size", None) or getattr(network, "num_features", None)
    ask(said == width, f"it says {said} and its vectors have {width}")


def takes_a_classifier(backbone: Backbone) -> None:
    """`reset_classifier` gives it as many classes as asked for."""
    import torch

    network = _built(backbone)
    network.reset_classifier(_CLASSES)
    network.eval()
    with torch.no_grad():
        out = network(_images(backbone, 1))
    ask(tuple(out.shape) == (1, _CLASSES), f"with {_CLASSES} classes one image gives {tuple(out.shape)}")


def stages_are_in_order(backbone: Backbone) -> None:
    """It has at least three stages, in the order in which it computes them, that hold every parameter once."""
    network = backbone.create(False).eval()
    stages = _stages(backbone, network)
    ask(
        not stages.repaired,
        f"its groups are not in forward order: {', '.join(stages.repaired[:3])} "
        f"{'is' if len(stages.repaired) == 1 else 'are'} used earlier than `group_matcher` says",
    )
    from advisor.network.stages import classifier_parameters

    held = Counter(name for stage in stages.stages for name in stage.parameters)
    wanted = {name for name, _ in network.named_parameters()} - classifier_parameters(network)
    ask(set(held) == wanted, f"parameters in no stage: {', '.join(sorted(wanted - set(held))[:3])}")
    ask(max(held.values()) == 1, f"parameters in two stages: {[name for name, n in held.items() if n > 1][:3]}")


def freezing_freezes(backbone: Backbone) -> None:
    """Frozen to a depth, a training step moves nothing frozen, BatchNorm's averages included, and something above."""
    import torch
    from torch import nn

    from advisor.network.transfer import Standardise, TransferNetwork

    still: set[str] = set()
    for depth in (0.0, 0.5, 1.0):
        network = backbone.create(False).eval()
        stages = _stages(backbone, network)
        width = _width(backbone, network)
        whole = TransferNetwork(
            network, stages, len(stages), Standardise(torch.zeros(width), torch.ones(width)), nn.Linear(width, _CLASSES)
        )
        whole.freeze(stages.frozen_index(depth, len(stages)), batchnorm="train")
        frozen = {name for name, parameter in whole.trunk.named_parameters() if not parameter.requires_grad}
        ask(still <= frozen, "what is frozen to one depth is not frozen to a greater one")
        still = frozen
        before = whole.frozen_digest()
        moved = {name: parameter.detach().clone() for name, parameter in whole.named_parameters()}
        optimizer = torch.optim.SGD([p for p in whole.parameters() if p.requires_grad], lr=0.1)
        whole.train()
        whole(_images(backbone, 4)).square().sum().backward()
        optimizer.step()
        ask(whole.frozen_digest() == before, f"frozen to depth {depth}, the frozen part changes in a training step")
        changed = any(not torch.equal(value, dict(whole.named_parameters())[name]) for name, value in moved.items())
        ask(changed, f"frozen to depth {depth}, nothing learns")


def divides_at_every_stage(backbone: Backbone) -> None:
    """What lies below and above a cut give together what the whole gives, so that frozen parts are computed once."""
    import torch

    from advisor.network.segments import Segments

    network = _headless(backbone).eval()
    images, stages = _images(backbone, 2), _stages(backbone, network)
    segments, middle = Segments(network, stages, images[:1]), len(stages) // 2
    with torch.no_grad():
        whole = network(images)
        kept = segments.between(network, 0, middle)(images)
        (found,) = segments.between(network, middle, len(stages))(*kept)
    gap = float((found - whole).abs().max() / whole.abs().max().clamp(min=1e-12))
    ask(gap <= 1e-4, f"cut after stage {middle} the answer differs by {gap:.1e} of the largest value")


def state_is_whole(backbone: Backbone) -> None:
    """Its `state_dict` loads into another copy, which then gives the same answers."""
    import torch

    first, second = backbone.create(False).eval(), backbone.create(False).eval()
    second.load_state_dict(first.state_dict(), strict=True)
    images = _images(backbone, 1)
    with torch.no_grad():
        ask(torch.equal(first(images), second(images)), "two copies with the same state answer differently")


def pretrained_weights_are_there(backbone: Backbone) -> None:
    """Its pretrained weights load, twice the same, and give finite answers."""
    import torch

    first, second = backbone.create(True).eval(), backbone.create(True).eval()
    for name, value in first.state_dict().items():
        ask(torch.equal(value, second.state_dict()[name]), f"loaded twice, `{name}` differs")
    with torch.no_grad():
        ask(first(_images(backbone, 1)).isfinite().all(), "with pretrained weights it answers with what is not finite")


CHECKS = (
    card_is_complete, timm_knows_its_architecture, answers_with_vectors, width_is_what_it_says, takes_a_classifier,
    stages_are_in_order, freezing_freezes, divides_at_every_stage, state_is_whole, pretrained_weights_are_there,
)  # fmt: skip


def _built(backbone: Backbone) -> _Built:
    from torch import nn

    network = backbone.create(False)
    ask(isinstance(network, nn.Module), f"`create` returned {type(network).__name__}: not a network, a torch.nn.Module")
    return network


def _headless(backbone: Backbone) -> nn.Module:
    network = _built(backbone)
    network.reset_classifier(0)
    return network  # type: ignore[no-any-return]


def _images(backbone: Backbone, count: int) -> Tensor:
    import torch

    size = backbone.input.size
    return torch.randn(count, 3, size, size, generator=torch.Generator().manual_seed(0))


def _stages(backbone: Backbone, network: nn.Module) -> Stages:
    from advisor.network.stages import stages_of

    return stages_of(network, _images(backbone, 1))


def _width(backbone: Backbone, network: nn.Module) -> int:
    import torch

    other: _Built = copy.deepcopy(network)
    other.reset_classifier(0)
    with torch.no_grad():
        return int(other(_images(backbone, 1)).shape[1])


def _shapes(network: nn.Module) -> dict[str, tuple[int, ...]]:
    return {name: tuple(value.shape) for name, value in network.state_dict().items()}


def _first_difference(own: dict[str, tuple[int, ...]], theirs: dict[str, tuple[int, ...]]) -> str:
    for name in [*theirs, *own]:
        if own.get(name) != theirs.get(name):
            return f"`{name}` is {own.get(name, 'missing')} here and {theirs.get(name, 'missing')} there"
    return "their order"
