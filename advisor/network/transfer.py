"""A pretrained trunk cut at a tap, a new head on it, and freezing that really freezes."""

from __future__ import annotations

import hashlib
import warnings
from contextlib import contextmanager
from typing import TYPE_CHECKING

import torch
from torch import nn

from advisor.errors import BackboneError, UsageError, closest
from advisor.network.ridge import SHARED_VARIANCE
from advisor.network.stages import TOKENS

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from torch import Tensor
    from torch.fx import Graph

    from advisor.network.stages import Stages


_TINY = 1e-12


class Pool(nn.Module):
    """From positions to one vector an image, the codes: (B, C, H, W) or (B, H, W, C) or (B, N, C) to (B, width).

    `mean` averages over positions. `relu` averages the positive parts (CS231n's ReLU'd codes). `mean+std` puts the
    standard deviation over positions beside the mean, so the width doubles: a channel that answers strongly in a few
    places no longer looks like one that answers weakly everywhere.

    Args:
        channels_last: whether 4-D input is (B, H, W, C).
        codes: one of `advisor.network.stages.CODES`; or `tokens`, which keeps all positions: (B, N, width).
    """

    def __init__(self, *, channels_last: bool, codes: str = "mean") -> None:
        super().__init__()
        self.channels_last = channels_last
        self.codes = codes

    def forward(self, features: Tensor) -> Tensor:
        """Pool; of (B, C), already one vector an image, only `relu` changes anything."""
        if self.codes == TOKENS:
            return self._positions(features)
        if self.codes == "relu":
            features = features.relu()
        if features.ndim == 2:
            return features
        positions = {3: (1,), 4: (1, 2) if self.channels_last else (2, 3)}[features.ndim]
        mean = features.mean(positions)
        if self.codes != "mean+std":
            return mean
        # The small constant keeps the gradient of the root finite where all positions are equal.
        return torch.cat((mean, (features.var(positions, correction=0) + _TINY).sqrt()), dim=1)

    def _positions(self, features: Tensor) -> Tensor:
        if features.ndim == 4:
            return features.flatten(1, 2) if self.channels_last else features.flatten(2).transpose(1, 2)
        if features.ndim != 3:
            raise BackboneError(
                "At this tap the network gives one vector an image, and the head reads one for each position.",
                ways=["tap earlier: [features] tap = 0.8", "use a head that reads pooled features"],
                hint="advisor heads",
            )
        return features


class JoinedPool(nn.Module):
    """The codes of several stages beside each other: (B, …) each to (B, sum of the widths).

    Args:
        pools: of each stage, by the name under which a trunk answers with its output.
    """

    def __init__(self, pools: dict[str, Pool]) -> None:
        super().__init__()
        self.names = tuple(pools)
        self.pools = nn.ModuleList(pools.values())

    def forward(self, outputs: dict[str, Tensor]) -> Tensor:
        """Pool each stage's output and concatenate, input side first."""
        return torch.cat([pool(outputs[name]) for name, pool in zip(self.names, self.pools, strict=True)], dim=1)


class Standardise(nn.Module):
    """Fixed shift and scale of pooled features to vectors of about unit length.

    One step of Adam then moves a logit by about the learning rate times the square root of the width,
    at every tap; on raw or merely standardised features the step grows with the width itself.

    Args:
        mean: (width,).
        scale: (width,), divides.
    """

    mean: Tensor
    scale: Tensor

    def __init__(self, mean: Tensor, scale: Tensor) -> None:
        super().__init__()
        self.register_buffer("mean", mean.float())
        self.register_buffer("scale", scale.float())

    @classmethod
    def of(cls, features: Tensor) -> Standardise:
        """From the features (n, width) of the training images; see `advisor.network.ridge.standardise`."""
        std, mean = torch.std_mean(features.double(), dim=0, correction=0)
        varies = std > 1e-6 * mean.abs().clamp(min=1.0)
        shared = SHARED_VARIANCE * (std[varies] ** 2).mean() if varies.any() else torch.zeros((), dtype=std.dtype)
        scale = torch.where(varies, (std**2 + shared).sqrt(), torch.ones_like(std)) * features.shape[1] ** 0.5
        return cls(mean, scale)

    @classmethod
    def joined(cls, parts: Sequence[Standardise]) -> Standardise:
        """Of the features of several stages beside each other: each stage has the same share of the unit length."""
        scale = torch.cat([part.scale for part in parts]) * len(parts) ** 0.5
        return cls(torch.cat([part.mean for part in parts]), scale)

    def forward(self, features: Tensor) -> Tensor:
        """(B, width) to (B, width) with zero mean and variance 1/width over the training images."""
        return (features - self.mean) / self.scale

    def fold_into(self, linear: nn.Linear) -> nn.Linear:
        """One linear layer on raw features that equals this followed by `linear`."""
        folded = nn.Linear(linear.in_features, linear.out_features)
        with torch.no_grad():
            weight = linear.weight.double() / self.scale.double()
            folded.weight.copy_(weight)
            folded.bias.copy_(linear.bias.double() - weight @ self.mean.double())
        return folded


class TransferNetwork(nn.Module):
    """Trunk, pooling, standardisation and head.

    Args:
        network: a pretrained network with or without its classifier; it is taken over, not copied.
        stages: of that network.
        tap: number of stages kept, 1..len(stages).
        standardise: of the pooled features that the head reads.
        head: from standardised (B, width) to (B, classes).
        also: earlier stages whose pooled features the head reads before those of the tap, ascending.
    """

    def __init__(
        self,
        network: nn.Module,
        stages: Stages,
        tap: int,
        standardise: Standardise,
        head: nn.Module,
        *,
        also: tuple[int, ...] = (),
    ) -> None:
        super().__init__()
        self.trunk, self.pool = cut(network, stages, tap, also)
        self.standardise = standardise
        self.head = head
        self.tap = tap
        self.also = also
        self.codes = stages.codes
        self.frozen = 0
        self.stages = stages
        self._still: list[nn.Module] = []

    def features(self, images: Tensor) -> Tensor:
        """Pooled features of the stages that the head reads: (B, 3, H, W) to (B, width)."""
        out = self.trunk(images)
        if isinstance(out, dict) and not self.also:
            out = out["tap"]
        pooled: Tensor = self.pool(out)
        return pooled

    def forward(self, images: Tensor) -> Tensor:
        """Logits: (B, 3, H, W) to (B, classes)."""
        logits: Tensor = self.head(self.standardise(self.features(images)))
        return logits

    def freeze(self, count: int, *, batchnorm: str) -> None:
        """Freeze the first `count` stages; what is frozen neither learns nor drifts.

        Args:
            count: 0..tap.
            batchnorm: what BatchNorm does in the part that trains, `train` or `eval` (keep the
                pretrained statistics). In the frozen part it always keeps them.
        """
        self.frozen = count
        names = self.stages.parameters(count)
        for name, parameter in self.trunk.named_parameters():
            parameter.requires_grad_(name not in names)
        self._still = [
            module
            for path, module in self.trunk.named_modules()
            if path and self._is_still(path, module, names, batchnorm)
        ]
        if count == self.tap:
            self._still.append(self.trunk)
        self.train(self.training)

    def train(self, mode: bool = True) -> TransferNetwork:  # noqa: FBT001, FBT002 - torch's signature
        """As in torch, but the frozen part stays in evaluation mode."""
        super().train(mode)
        for module in self._still:
            module.eval()
        return self

    def stages_from_top(self) -> dict[str, int]:
        """For each parameter of the trunk how many kept stages lie between its own and the head."""
        return {
            name: self.tap - 1 - place
            for place, stage in enumerate(self.stages.stages[: self.tap])
            for name in stage.parameters
        }

    def tail(self, segment: nn.Module) -> Tail:
        """The part above a cut: from what a segment of the trunk takes to logits, sharing every weight with this."""
        return Tail(self, segment)

    def frozen_digest(self) -> str:
        """SHA-256 of every parameter and buffer that must not change; equal before and after a trial."""
        digest = hashlib.sha256()
        still = {id(tensor) for module in self._still for tensor in module.buffers()}
        for name, tensor in sorted(self.trunk.state_dict(keep_vars=True).items()):
            if not tensor.requires_grad and (isinstance(tensor, nn.Parameter) or id(tensor) in still):
                digest.update(name.encode())
                digest.update(tensor.detach().cpu().contiguous().numpy().tobytes())
        return digest.hexdigest()

    @staticmethod
    def _is_still(path: str, module: nn.Module, names: frozenset[str], batchnorm: str) -> bool:
        if batchnorm == "eval" and isinstance(module, nn.modules.batchnorm._BatchNorm):  # noqa: SLF001
            return True
        own = [f"{path}.{name}" for name, _ in module.named_parameters()]
        return bool(own) and all(name in names for name in own)


class Tail(nn.Module):
    """A segment of a network's trunk with the network's own pooling, standardisation and head.

    Parameters are the network's and have the network's names, so what trains here trains there; training and
    evaluation mode are the network's, frozen parts included.

    Args:
        network: whose weights these are.
        segment: of its trunk, ending at its tap.
    """

    def __init__(self, network: TransferNetwork, segment: nn.Module) -> None:
        super().__init__()
        self.trunk = segment
        self.pool, self.standardise, self.head = network.pool, network.standardise, network.head
        self._whole = (network,)  # in a tuple it is no part of this module

    def forward(self, *values: Tensor) -> Tensor:
        """Logits (B, classes) of what the segment takes."""
        logits: Tensor = self.head(self.standardise(self.pool(self.trunk(*values))))
        return logits

    def train(self, mode: bool = True) -> Tail:  # noqa: FBT001, FBT002 - torch's signature
        """As the whole network does."""
        self.training = mode
        self._whole[0].train(mode)
        return self


def cut(network: nn.Module, stages: Stages, tap: int, also: tuple[int, ...] = ()) -> tuple[nn.Module, nn.Module]:
    """The network up to a tap, and the pooling that makes its output (B, width).

    At the last stage this is the whole network without its classifier. At an earlier one the part
    above the tap is removed by tracing, so neither time nor memory is spent on it.

    Args:
        network: with or without its classifier, which is removed.
        stages: of the network.
        tap: stages kept.
        also: earlier stages that are read, too; the trunk then answers with a dictionary of all their outputs.

    Raises:
        BackboneError: the network cannot be traced.
    """
    if also:
        return _cut_with_several(network, stages, (*also, tap))
    if tap == len(stages) and stages.codes == TOKENS:
        network.reset_classifier(0, "")  # type: ignore[operator]
        layout = str(getattr(network, "output_fmt", "NCHW"))
        return network, Pool(channels_last=layout.endswith("NHWC"), codes=TOKENS)
    if tap == len(stages):
        network.reset_classifier(0)  # type: ignore[operator]
        return network, Pool(channels_last=False, codes="relu") if stages.codes == "relu" else nn.Identity()
    from timm.models import create_feature_extractor

    stage = stages.stages[tap - 1]
    where = stage.tap
    try:
        with _quiet_tracing():
            trunk = create_feature_extractor(network, return_nodes={where: "tap"})
    except Exception as error:
        raise BackboneError(
            f"`{type(network).__name__}` cannot be cut after `{where}`: {str(error).splitlines()[0]}",
            ways=["use the penultimate features: [features] tap = 1.0", "use another backbone"],
            hint="advisor recommend --backbone lite0",
        ) from error
    return trunk, Pool(channels_last=stage.channels_last, codes=stages.codes)


def _cut_with_several(network: nn.Module, stages: Stages, read: tuple[int, ...]) -> tuple[nn.Module, nn.Module]:
    """The network up to the last of some stages, answering with the outputs of all of them, and their joined pool."""
    from timm.models import get_notrace_functions, get_notrace_modules
    from torchvision.models.feature_extraction import create_feature_extractor, get_graph_node_names

    if stages.codes == TOKENS:
        raise BackboneError(
            "The head reads a vector for each position, and the positions of several stages are not the same.",
            ways=["let the head read one stage: leave [features] also out", "use a head that reads pooled features"],
            hint="advisor heads",
        )
    names = {number: f"stage{number}" for number in read}
    nodes = {stages.stages[number - 1].tap: name for number, name in names.items() if number < len(stages)}
    rules = {"leaf_modules": get_notrace_modules(), "autowrap_functions": get_notrace_functions()}
    last = read[-1] == len(stages)
    if last:
        network.reset_classifier(0)  # type: ignore[operator]
    try:
        with _quiet_tracing():
            train, still = dict(nodes), dict(nodes)
            if last:  # the penultimate vector is what the network without its classifier answers with
                ends = [every[-1] for every in get_graph_node_names(network, tracer_kwargs=rules)]
                train[ends[0]] = still[ends[1]] = names[read[-1]]
            trunk = create_feature_extractor(
                network, train_return_nodes=train, eval_return_nodes=still, tracer_kwargs=rules
            )
            for graph in (trunk.train_graph, trunk.eval_graph):
                _copy_outputs(graph)
            trunk.graph = trunk.train_graph if network.training else trunk.eval_graph
    except Exception as error:
        raise BackboneError(
            f"The stages {read} of `{type(network).__name__}` cannot be read together: {str(error).splitlines()[0]}",
            ways=["let the head read one stage: leave [features] also out", "use another backbone"],
            hint="advisor recommend --backbone lite0",
        ) from error
    pools = {
        name: Pool(channels_last=stages.stages[number - 1].channels_last, codes=stages.codes)
        for number, name in names.items()
    }
    return trunk, JoinedPool(pools)


def _copy_outputs(graph: Graph) -> None:
    """Answer with copies of what is read on the way: the next module may change it in place, as ReLU in a ResNet."""
    (output,) = (node for node in graph.nodes if node.op == "output")
    for name, node in dict(output.args[0]).items():
        if len(node.users) > 1:
            with graph.inserting_after(node):
                output.args = ({**output.args[0], name: graph.call_method("clone", (node,))},)


@contextmanager
def _quiet_tracing() -> Iterator[None]:
    """Training and evaluation differ by their dropout nodes, far below the nodes that are named."""
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", message="NOTE: The nodes obtained by tracing")
        yield


def pick_device(name: str) -> torch.device:
    """`auto`, `cpu`, `cuda` or `cuda:N` as a device.

    Raises:
        UsageError: there is no such kind of device.
        BackboneError: CUDA was asked for and is not there.
    """
    if name == "auto":
        return torch.device("cuda" if torch.cuda.is_available() else "cpu")
    try:
        device = torch.device(name)
    except RuntimeError as error:
        raise UsageError(
            f"`{name}` is not a device.",
            ways=["auto, cpu, cuda, cuda:1"],
            hint=closest(name, ("auto", "cpu", "cuda")) or "--device auto",
        ) from error
    if device.type == "cuda" and not torch.cuda.is_available():
        raise BackboneError(
            "There is no usable NVIDIA GPU here.",
            ways=["run on the processor with --device cpu", "check the driver with nvidia-smi"],
            hint="--device auto takes a GPU where there is one",
        )
    return device
