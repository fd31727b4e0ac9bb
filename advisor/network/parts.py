"""Which parameters of the unfrozen stages train: all of them, biases alone, or low-rank updates of the attention."""

from __future__ import annotations

import math
import re
from typing import TYPE_CHECKING

from torch import nn
from torch.nn.utils import parametrize

from advisor.errors import BackboneError

if TYPE_CHECKING:
    from torch import Tensor

    from advisor.network.transfer import TransferNetwork

# Forward passes that a training step takes in what is not frozen: one forward, one for the gradients of what lies
# below, and one for those of the weights, of which queries, keys, values and outputs are a third in a transformer.
PASSES = {"all": 3.0, "bias": 2.0, "lora": 7 / 3}
_ALPHA = 16  # of the update: it counts alpha / rank times, so that the rank hardly changes the best learning rate
_QUERIES = frozenset({"qkv", "q", "q_proj", "kv"})  # a module with one of these is an attention
_ADAPTED = _QUERIES | {"k", "v", "k_proj", "v_proj", "proj", "out_proj"}
_UPDATE = re.compile(r"parametrizations\.(\w+)\.(?:original|0\.\w+)$")


class LowRank(nn.Module):
    """A weight (out, in) plus a product of two thin matrices; LoRA trains them alone [Hu 2021, arXiv:2106.09685].

    It begins as nothing: `up` is zero.

    Args:
        weight: to which it is added.
        rank: of the product.
    """

    def __init__(self, weight: Tensor, rank: int) -> None:
        super().__init__()
        rank = min(rank, *weight.shape)
        self.scale = _ALPHA / rank
        self.down = nn.Parameter(weight.new_empty(rank, weight.shape[1]))
        self.up = nn.Parameter(weight.new_zeros(weight.shape[0], rank))
        nn.init.kaiming_uniform_(self.down, a=math.sqrt(5))

    def forward(self, weight: Tensor) -> Tensor:
        """(out, in) to (out, in)."""
        return weight + self.scale * (self.up @ self.down)


def train_parts(network: TransferNetwork, parts: str, rank: int) -> None:
    """Of the stages that `network.freeze` left to train, train some parameters only.

    Args:
        network: frozen and cut.
        parts: `all`; `bias`, every bias, those of norms among them (BitFit) [Zaken 2022, arXiv:2106.10199]; or `lora`.
        rank: of the updates.

    Raises:
        BackboneError: the stages that train have no such parameters.
    """
    if parts == "all":
        return
    trained = {name for name, parameter in network.trunk.named_parameters() if parameter.requires_grad}
    for name, parameter in network.trunk.named_parameters():
        parameter.requires_grad_(parts == "bias" and name in trained and name.endswith("bias"))
    if parts == "lora":
        for path in attention_layers(network.trunk):
            if f"{path}.weight" in trained:
                layer = network.trunk.get_submodule(path)
                assert isinstance(layer, nn.Linear)
                parametrize.register_parametrization(layer, "weight", LowRank(layer.weight.detach(), rank))
    if trained and not any(parameter.requires_grad for parameter in network.trunk.parameters()):
        what = "biases" if parts == "bias" else "attention with queries and keys of its own"
        raise BackboneError(
            f"What trains of `{type(network.trunk).__name__}` has no {what}.",
            ways=['train everything: [train] parts = "all"', "use a transformer"],
            hint="advisor backbones",
        )


def merge_updates(network: nn.Module) -> None:
    """Add every update to its weight, so that the network is again what it was before `train_parts`, plain."""
    for module in list(network.modules()):
        if isinstance(module, nn.Linear) and parametrize.is_parametrized(module, "weight"):
            parametrize.remove_parametrizations(module, "weight", leave_parametrized=True)


def copied_bytes(network: nn.Module) -> int:
    """Bytes that a step holds beside weights, whatever the batch: of updated weights the sum and its gradient."""
    updated = [module for module in network.modules() if isinstance(module, LowRank)]
    return sum(2 * 4 * module.up.shape[0] * module.down.shape[1] for module in updated)


def plain_name(name: str) -> str:
    """What a parameter is called in the plain network: of an update, that of the weight to which it is added."""
    return _UPDATE.sub(r"\1", name)


def attention_layers(trunk: nn.Module) -> list[str]:
    """Paths of the linear layers around attention: queries, keys, values and outputs."""
    layers = []
    for path, module in trunk.named_modules():
        names = {name for name, child in module.named_children() if isinstance(child, nn.Linear)}
        if names & _QUERIES:
            layers += [f"{path}.{name}" for name in sorted(names & _ADAPTED)]
    return layers
