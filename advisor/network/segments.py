"""A network cut at the ends of its stages, so that what lies below a cut is computed once and kept."""

from __future__ import annotations

import copy
import operator
from dataclasses import dataclass
from typing import TYPE_CHECKING

import torch
from torch import fx, nn

from advisor.errors import BackboneError
from advisor.network.tracing import BATCHES, BatchTracer, ancestors, attribute, dress, has_tensors

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from torch import Tensor

    from advisor.network.stages import Stages

_AGREES = 1e-3  # relative; wrong graphs are off by far more, other convolution algorithms by less


@dataclass(frozen=True, slots=True)
class _Cut:
    """One cut.

    Attributes:
        place: number of nodes below it, in the segments' order.
        slots: the tensors that cross it, each with all nodes that stand for the same tensor.
    """

    place: int
    slots: tuple[tuple[fx.Node, ...], ...]


class Segments:
    """A network cut at the ends of its stages, so that what lies below a cut can be computed once and kept.

    Below the cut after stage k lies what depends on parameters of the first k stages only: to freeze these stages and
    train from the kept tensors on is the same as to freeze them and train from the images.

    Args:
        network: pretrained, in evaluation mode, with or without its own classifier; it is not changed.
        stages: of that network.
        example: (1, 3, size, size) on its device; about ten images' passes are run on noise of its shape.

    Raises:
        BackboneError: the network cannot be traced, or its segments do not add up to it.
    """

    def __init__(self, network: nn.Module, stages: Stages, example: Tensor) -> None:
        self._stages = len(stages)
        # A copy, because tracing leaves constants on the module, and because the classifier goes.
        self._network = copy.deepcopy(network).eval()
        self._network.reset_classifier(0)  # type: ignore[operator]
        noise = torch.Generator().manual_seed(0)
        first, second, third = (
            torch.randn(count, *example.shape[1:], generator=noise).to(example) for count in (*BATCHES, BATCHES[0])
        )
        taps = [stage.tap for stage in stages.stages[:-1]]
        above = {".".join(tap.split(".")[:depth]) for tap in taps for depth in range(len(tap.split(".")))}
        tracer = BatchTracer((first, second), frozenset(above))
        try:
            with torch.no_grad():
                graph = tracer.trace(self._network)
                self._values = {
                    node: (tracer.value(node, 0), tracer.value(node, 1)) for node in graph.nodes if node.op != "output"
                }
                self._order_by_stage(graph, stages)
                self._cuts = [_Cut(0, ((self._images,),)), *map(self._cheapest_cut, range(1, len(stages)))]
                self._cuts.append(_Cut(len(self._order), ((self._output,),)))
                self._verify(third)
                tracer.values.clear()  # symbols refer to the tracer in a circle; their tensors shall not wait for it
        except Exception as error:
            reason = (str(error) or repr(error)).splitlines()[0]
            raise BackboneError(
                f"`{type(network).__name__}` cannot be divided into its stages: {reason}",
                ways=["train without keeping what lies below the frozen stages", "use another backbone"],
                hint="advisor recommend --backbone lite0",
            ) from error
        self._shapes = [[self._shape(slot[0]) for slot in cut.slots] for cut in self._cuts]
        # Kept are code, shapes and constants; parameters always come from the root that is divided.
        self._values = {node: (None, None) if has_tensors(pair[0]) else pair for node, pair in self._values.items()}
        for module in self._network.modules():
            for name, parameter in module._parameters.items():  # noqa: SLF001
                if parameter is not None:
                    setattr(module, name, nn.Parameter(parameter.to("meta"), requires_grad=False))

    def sizes(self, at: int) -> tuple[tuple[int, ...], ...]:
        """Shapes without the batch of the per-image tensors that cross the cut after stage `at`, 1..len - 1."""
        return tuple(self._shapes[at])

    def between(self, root: nn.Module, start: int, stop: int, *, tapped: bool = False) -> nn.Module:
        """The part of a network between two cuts.

        Submodules and parameters are the root's own, under their own names: training the segment trains the root, and
        `root.train()` and drop path inside its blocks are felt. Make it when the root is on its device with all its
        modules in place. A trunk that `cut` made has lost its drop path; one that was made here has not.

        Args:
            root: a network of the same architecture: with or without classifier, or a trunk that `cut` made.
            start: number of stages below; 0 begins at the images.
            stop: number of stages below its end, more than `start`.
            tapped: return what is tapped after stage `stop`, before pooling, rather than what crosses the cut.

        Returns:
            A module of the images (B, 3, size, size), or of the tensors (B, …) that cross the cut after `start`, each
            an argument. It returns the tensors that cross the cut after `stop` as a tuple (after the last stage the
            penultimate vector alone), or, tapped, one tensor: the output of the stage's tap module, or the
            penultimate vector (B, width).
        """
        assert 0 <= start < stop <= self._stages
        last = stop == self._stages
        ends = [self._output if last else self._taps[stop]] if tapped else [slot[0] for slot in self._cuts[stop].slots]
        graph = self._graph(start, ends, tapped=tapped)
        device = next(root.parameters()).device
        paths = {module: path for path, module in self._network.named_modules()}
        dressed: list[tuple[nn.Module, nn.Module]] = []
        targets: dict[str, object] = {}
        for node in graph.nodes:
            if node.op == "call_module":
                original = self._network.get_submodule(str(node.target))
                targets[str(node.target)] = dress(root, original, paths, dressed)
            elif node.op == "get_attr":
                try:
                    targets[str(node.target)] = attribute(root, str(node.target))
                except AttributeError:  # a constant that tracing found
                    targets[str(node.target)] = attribute(self._network, str(node.target)).to(device)
        segment = fx.GraphModule(targets, graph, class_name=f"{type(self._network).__name__}Segment")
        if dressed:

            def follow(*_: object) -> None:
                for module, leader in dressed:
                    module.training = leader.training

            segment.register_forward_pre_hook(follow)
        return segment

    def _order_by_stage(self, graph: fx.Graph, stages: Stages) -> None:
        """Order the nodes that matter by the last stage whose parameters they depend on."""
        stage_of = {name: at for at, stage in enumerate(stages.stages, 1) for name in stage.parameters}
        own: dict[str, int] = {}
        for name, at in stage_of.items():
            parts = name.split(".")
            for depth in range(1, len(parts) + 1):
                path = ".".join(parts[:depth])
                own[path] = max(own.get(path, 0), at)
        *nodes, output = graph.nodes
        (self._output,) = output.all_input_nodes
        (self._images,) = (node for node in nodes if node.op == "placeholder")
        calls = {str(node.target): node for node in nodes if node.op == "call_module"}  # the last call of each
        hidden = [stage.tap for stage in stages.stages if stage.tap and stage.tap not in calls]
        if hidden:
            raise ValueError(f"`{hidden[0]}` runs inside a module of another stage")
        self._taps = {at: calls[stage.tap] for at, stage in enumerate(stages.stages, 1) if stage.tap}
        wanted = ancestors([self._output, *self._taps.values()]) | {self._images}
        level: dict[fx.Node, int] = {}
        self._varies: set[fx.Node] = set()  # tensors that depend on the images
        for node in nodes:
            used = node.all_input_nodes
            mine = own.get(str(node.target), 0) if node.op in {"call_module", "get_attr"} else 0
            level[node] = max([mine, *(level[other] for other in used)])
            if node is self._images or (has_tensors(self._values[node][0]) and not self._varies.isdisjoint(used)):
                self._varies.add(node)
        self._order = sorted((node for node in nodes if node in wanted), key=lambda node: level[node])
        self._place = {node: place for place, node in enumerate(self._order)}
        self._level = level
        self._mutated: set[fx.Node] = set()
        self._parts = {self._images: 1, self._output: 1}  # rows of a tensor per image: TNT has 196 patches of pixels

    def _cheapest_cut(self, at: int) -> _Cut:
        """Where least crosses: after the stage's last parameters, or after steps without any that follow them."""
        places = [place for place, node in enumerate(self._order) if self._level[node] <= at]
        end = places[-1] + 1
        start = end
        while start > 0 and not self._holds(self._order[start - 1], at):
            start -= 1
        best: _Cut | None = None
        fewest = 0
        for place in range(max(start, 1), end + 1):
            if place > max(start, 1) and self._is_random(self._order[place - 1]):
                break
            slots = self._crossing(place)
            if slots is None:
                continue
            count = sum(self._values[slot[0]][0].numel() for slot in slots)
            if best is None or count <= fewest:
                best, fewest = _Cut(place, slots), count
        if best is None:
            raise ValueError(f"what leaves stage {at} is not one tensor or more per image")
        return best

    def _holds(self, node: fx.Node, at: int) -> bool:
        """Whether a node must lie below the cut: it uses parameters, or is a tap."""
        if node.op == "call_module" and any(True for _ in self._network.get_submodule(str(node.target)).parameters()):
            return True
        learned = (used for used in node.all_input_nodes if used not in self._varies and self._level[used] > 0)
        return node is self._taps.get(at) or (node in self._varies and any(True for _ in learned))

    def _is_random(self, node: fx.Node) -> bool:
        """Whether a node draws anew in training, so that its output must not be kept."""
        if node.op != "call_module":
            return False
        modules = self._network.get_submodule(str(node.target)).modules()
        return any("drop" in type(module).__name__.lower() for module in modules)

    def _crossing(self, place: int) -> tuple[tuple[fx.Node, ...], ...] | None:
        """The per-image tensors that the nodes from `place` on take from those before; None where others cross."""
        same: dict[int, list[fx.Node]] = {}
        for node in self._reach(self._order[place:], place):
            if node not in self._varies:
                continue
            first, second = self._values[node]
            if not isinstance(first, torch.Tensor) or first.ndim == 0 or first.shape[1:] != second.shape[1:]:
                return None
            self._parts[node], odd = divmod(len(first), BATCHES[0])
            if odd or len(second) != self._parts[node] * BATCHES[1]:
                return None
            same.setdefault(id(first), []).append(node)
        return tuple(tuple(nodes) for nodes in same.values()) or None

    def _shape(self, node: fx.Node) -> tuple[int, ...]:
        parts = self._parts[node]
        return (*((parts,) if parts > 1 else ()), *self._values[node][0].shape[1:])

    def _reach(self, above: Iterable[fx.Node], place: int) -> list[fx.Node]:
        """Nodes below a place that the given ones need directly, or through what is computed again from no image."""
        found: dict[fx.Node, None] = {}
        waiting = [used for node in above for used in node.all_input_nodes]
        while waiting:
            node = waiting.pop()
            if self._place[node] < place and node not in found:
                found[node] = None
                if node not in self._varies and not self._follows_batch(node):
                    waiting += node.all_input_nodes
        return sorted(found, key=self._place.__getitem__)

    def _follows_batch(self, node: fx.Node) -> bool:
        """Whether a node is a number that is a multiple of the batch size."""
        first, second = self._values[node]
        return isinstance(first, int) and first * BATCHES[1] == second * BATCHES[0]

    def _graph(self, start: int, ends: Sequence[fx.Node], *, tapped: bool) -> fx.Graph:
        """The nodes from a cut on that some ends need."""
        graph = fx.Graph()
        cut = self._cuts[start]
        inputs = [graph.placeholder(f"input_{number}") for number in range(len(cut.slots))]
        copies: dict[fx.Node, fx.Node] = {}
        for slot, given in zip(cut.slots, inputs, strict=True):
            copies |= dict.fromkeys(slot, self._taken(graph, slot, given))
        wanted: set[fx.Node] = set()
        waiting = list(ends)
        while waiting:
            node = waiting.pop()
            if node not in copies and node not in wanted:
                wanted.add(node)
                waiting += [] if self._is_counted(node, cut.place) else node.all_input_nodes
        for node in sorted(wanted, key=self._place.__getitem__):
            if self._is_counted(node, cut.place):
                batch = graph.call_method("size", (inputs[0], 0))
                copies[node] = graph.call_function(operator.mul, (batch, self._values[node][0] // BATCHES[0]))
            else:
                copies[node] = graph.node_copy(node, copies.__getitem__)
        graph.output(copies[ends[0]] if tapped else tuple(self._given(graph, node, copies[node]) for node in ends))
        return graph

    def _taken(self, graph: fx.Graph, slot: tuple[fx.Node, ...], given: fx.Node) -> fx.Node:
        """An input as the nodes of a slot have it; copied where it is changed in place, because it may be kept."""
        if not self._mutated.isdisjoint(slot):
            given = graph.call_method("clone", (given,))
        return graph.call_method("flatten", (given, 0, 1)) if self._parts[slot[0]] > 1 else given

    def _given(self, graph: fx.Graph, node: fx.Node, result: fx.Node) -> fx.Node:
        """What a node's copy results in, one row an image."""
        parts = self._parts[node]
        return graph.call_method("unflatten", (result, 0, (-1, parts))) if parts > 1 else result

    def _is_counted(self, node: fx.Node, place: int) -> bool:
        """Whether a node is a multiple of the batch size that must be taken from the segment's input."""
        return self._place[node] < place and self._follows_batch(node)

    def _verify(self, images: Tensor) -> None:
        """Run segment after segment, exchanging the images in between, and compare; find what they change in place."""
        given: tuple[Tensor, ...] = (images.clone(),)
        for start in range(self._stages):
            before = [value._version for value in given]  # noqa: SLF001
            result = self.between(self._network, start, start + 1)(*given)
            for slot, value, version in zip(self._cuts[start].slots, given, before, strict=True):
                if value._version != version:  # noqa: SLF001
                    self._mutated.update(slot)
            given = tuple(value.flip(0) for value in result)
        whole = self._network(images)
        whole = whole.flip(0) if self._stages % 2 else whole
        scale = max(1.0, float(whole.abs().max()))
        if not torch.allclose(given[0], whole, rtol=0, atol=_AGREES * scale, equal_nan=True):
            raise ValueError("its stages one after the other give another result than the whole network")
