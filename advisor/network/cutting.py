"""A network cut at a tap, or at several of its stages, and how what it answers becomes one vector an image."""

from __future__ import annotations

import warnings
from contextlib import contextmanager
from typing import TYPE_CHECKING

import torch
from torch import nn

from advisor.errors import BackboneError
from advisor.network.stages import TOKENS

if TYPE_CHECKING:
    from collections.abc import Iterator

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
