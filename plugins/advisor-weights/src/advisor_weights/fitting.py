"""Making a checkpoint's tensors fit a network: wrappers' prefixes, heads, stems, and what differs, in words."""

from __future__ import annotations

import difflib
import time
from collections import Counter
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import torch

from advisor.errors import BackboneError

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from torch import Tensor, nn

# What `torch.compile`, FSDP and activation checkpointing put into names, wherever they wrap.
_INNER = ("_orig_mod.", "_fsdp_wrapped_module.", "_checkpoint_wrapped_module.")
# What a network fills by itself, and counters of tools that mean nothing to it.
_OWN = ("num_batches_tracked", "relative_position_index", "attn_mask", "total_ops", "total_params")
_NEARLY = 0.9  # of the tensors under the best prefix: another network under another one
_PATIENCE = 12.0  # seconds for the search for an architecture that fits better


@dataclass(frozen=True)
class Difference:
    """How a checkpoint differs from a network.

    Attributes:
        missing: tensors of the network that the file has not.
        unexpected: tensors of the file that the network has not.
        shapes: tensors of both whose shapes differ, with that in the file and that in the network.
    """

    missing: tuple[str, ...] = ()
    unexpected: tuple[str, ...] = ()
    shapes: tuple[tuple[str, tuple[int, ...], tuple[int, ...]], ...] = ()

    @property
    def count(self) -> int:
        """All of them."""
        return len(self.missing) + len(self.unexpected) + len(self.shapes)

    def __str__(self) -> str:
        parts = []
        if self.missing:
            parts.append(f"{_tensors(self.missing)} of the network {_are(self.missing)} missing in the file, "
                         f"such as `{self.missing[0]}`")  # fmt: skip
        if self.unexpected:
            parts.append(f"{_tensors(self.unexpected)} of the file {_are(self.unexpected)} not in the network, "
                         f"such as `{self.unexpected[0]}`")  # fmt: skip
        if self.shapes:
            name, there, own = self.shapes[0]
            parts.append(f"{_tensors(self.shapes)} {'has' if len(self.shapes) == 1 else 'have'} another shape, such as "
                         f"`{name}`: {_shown(there)} in the file, {_shown(own)} in the network")  # fmt: skip
        return "; ".join(parts)


@dataclass(frozen=True)
class Fitted:
    """A checkpoint's tensors under a network's names.

    Attributes:
        state: what `load_state_dict` takes, where nothing differs.
        difference: from the network.
        classes: of the checkpoint's own classifier; 0 where it has none.
        notes: what was done, in sentences for people.
    """

    state: dict[str, Tensor]
    difference: Difference
    classes: int
    notes: tuple[str, ...]


def fit(network: nn.Module, tensors: Mapping[str, Tensor]) -> Fitted:
    """Bring a checkpoint's tensors under a network's names, its classifier apart.

    Args:
        network: of timm's; not changed.
        tensors: of the file.

    Raises:
        BackboneError: two networks in the file fit alike.
    """
    own = network.state_dict()
    named = {_without_wrappers(name): value for name, value in tensors.items()}
    prefix, notes = _prefix(own, named)
    state = {name[len(prefix) :]: value for name, value in named.items() if name.startswith(prefix)}
    left = [name for name in named if not name.startswith(prefix)]
    if prefix.replace("module.", ""):
        notes.append(f"`{prefix}` in front of the names is taken off")
    if left:
        notes.append(f"{_tensors(left)} outside of `{prefix}` {_are(left)} left, such as `{left[0]}`")
    heads = _classifiers(network)
    classes = _classes(network, state, heads)
    if heads and not classes:
        notes.append("the file has no classifier, so the network has none")
    notes += _stem(network, own, state)
    kinds = sorted({str(value.dtype).removeprefix("torch.") for value in state.values()} & {"float16", "bfloat16"})
    if kinds:
        notes.append(f"it is stored as {' and '.join(kinds)}, and computed as float32")
    resized = {name for name in own if heads and name.startswith(heads)}
    missing = [name for name in own if name not in state and not (name in resized and not classes)]
    filled = [name for name in missing if name.endswith(_OWN)]
    state |= {name: own[name] for name in filled}
    head_names = {f"{head}{part}" for head in heads for part in ("weight", "bias")}
    extra = [name for name in state if name not in own and name not in head_names]
    for name in extra:
        if name.endswith(_OWN):
            del state[name]
    shapes = tuple(one for one in compare(network, state).shapes if one[0] not in resized)
    difference = Difference(
        tuple(name for name in missing if name not in filled), tuple(name for name in extra if name in state), shapes
    )
    return Fitted(state, difference, classes, tuple(notes))


def compare(network: nn.Module, state: Mapping[str, Tensor]) -> Difference:
    """How a state differs from a network, name by name."""
    own = network.state_dict()
    return Difference(
        tuple(name for name in own if name not in state),
        tuple(name for name in state if name not in own),
        tuple((name, tuple(state[name].shape), tuple(own[name].shape)) for name in own
              if name in state and state[name].shape != own[name].shape),
    )  # fmt: skip


def require_finite(state: Mapping[str, Tensor], name: str) -> None:
    """Refuse weights that are no numbers: a network with them answers nothing else.

    Raises:
        BackboneError: with the first tensor and how much of it.
    """
    for key, value in state.items():
        if value.is_floating_point() and not torch.isfinite(value).all():
            count = int((~torch.isfinite(value)).sum())
            raise BackboneError(
                f"`{name}` holds NaN or infinity in {count} of the {value.numel()} numbers of `{key}`.",
                ways=["take an earlier checkpoint of this training", "check where the file came from"],
                hint="a training whose loss became NaN leaves such a file",
            )


def nearest(architecture: str, tensors: Mapping[str, Tensor], stem: str, count: int) -> tuple[str, Difference] | None:
    """The architecture near a name, by the difference from a checkpoint, where it is clearly smaller.

    Networks of the same family and of names like the file's are built without memory, as many as a few seconds allow.

    Args:
        architecture: that was tried.
        tensors: of the file.
        stem: of the file's name.
        count: how many tensors differ with the one that was tried.
    """
    import timm

    module = timm.models.model_entrypoint(architecture).__module__.rpartition(".")[2]
    family = [name for name in timm.list_models(module=module) if name != architecture]
    likely = difflib.get_close_matches(stem.lower(), timm.list_models(), n=8, cutoff=0.5)
    close = sorted(family, key=lambda name: -difflib.SequenceMatcher(None, architecture, name).ratio())
    began, best = time.monotonic(), None
    for name in dict.fromkeys([*likely, *close]):
        if time.monotonic() - began > _PATIENCE:
            break
        with torch.device("meta"):
            trial = timm.create_model(name, pretrained=False)
        try:
            difference = fit(trial, tensors).difference
        except BackboneError:  # two networks in the file: it was said for the first
            continue
        if 2 * difference.count < count and (best is None or difference.count < best[1].count):
            best = name, difference
            if not difference.count:
                break
    return best


def _without_wrappers(name: str) -> str:
    for wrapper in _INNER:
        name = name.replace(wrapper, "")
    return name


def _prefix(own: Mapping[str, Tensor], named: Mapping[str, Tensor]) -> tuple[str, list[str]]:
    """What stands in front of the network's names in the file, and what a person should know of it."""
    votes: Counter[str] = Counter()
    for name in named:
        start = 0
        while True:
            if name[start:] in own:
                votes[name[:start]] += 1
            start = name.find(".", start) + 1
            if not start:
                break
    if not votes:
        return _common(named), []
    most = max(votes.values())
    best = [prefix for prefix, count in votes.items() if count >= _NEARLY * most]
    if len(best) == 1 or "" in best:
        return "" if "" in best else best[0], []
    averaged = [prefix for prefix in best if "ema" in prefix.lower()]
    if len(averaged) == 1:
        return averaged[0], [f"the averaged weights (EMA) under `{averaged[0]}` are taken"]
    one = best[0]
    raise BackboneError(
        f"The file holds several networks that fit, under {', '.join(f'`{prefix}`' for prefix in best)}.",
        ways=["save the one that you want alone"],
        hint=f"{{name[{len(one)}:]: value for name, value in state.items() if name.startswith({one!r})}}",
    )


def _common(named: Mapping[str, Tensor]) -> str:
    """A wrapper's prefix that all names share."""
    for prefix in ("module.", "model."):
        if all(name.startswith(prefix) for name in named):
            return prefix
    return ""


def _classifiers(network: Any) -> tuple[str, ...]:  # noqa: ANN401 - timm networks carry more than nn.Module
    """Starts of the names of the classifier's tensors."""
    named = network.pretrained_cfg.get("classifier")
    names = (named,) if isinstance(named, str) else tuple(named or ())
    return tuple(f"{name}." for name in names)


def _classes(network: Any, state: Mapping[str, Tensor], heads: Sequence[str]) -> int:  # noqa: ANN401
    """Classes of the checkpoint's own classifier; 0 where it has none."""
    for head in heads:
        weight = state.get(f"{head}weight")
        if weight is not None:
            return int(weight.shape[0])
    return 0 if heads else int(network.num_classes)


def _stem(network: Any, own: Mapping[str, Tensor], state: dict[str, Tensor]) -> list[str]:  # noqa: ANN401
    """Spread a first layer for one channel over three colours; what was done, for people."""
    named = network.pretrained_cfg.get("first_conv")
    notes = []
    for name in (named,) if isinstance(named, str) else tuple(named or ()):
        key = f"{name}.weight"
        if key not in own or key not in state:
            continue
        there, here = state[key], own[key]
        if there.ndim == 4 and here.ndim == 4 and there.shape[1] == 1 and here.shape[1] == 3 and (
            there.shape[0] == here.shape[0] and there.shape[2:] == here.shape[2:]
        ):  # fmt: skip
            state[key] = there.repeat(1, 3, 1, 1) / 3
            notes.append(
                f"`{key}` takes one channel; its weights are spread evenly over red, green and blue, so a colour image "
                "is seen as its mean and a grey one as before"
            )
    return notes


def _tensors(items: Sequence[object]) -> str:
    return f"{len(items)} tensor{'' if len(items) == 1 else 's'}"


def _are(items: Sequence[object]) -> str:
    return "is" if len(items) == 1 else "are"


def _shown(shape: Sequence[int]) -> str:
    return " × ".join(map(str, shape)) or "one number"
