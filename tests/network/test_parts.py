"""Parts of a network that train alone: biases, and low-rank updates that are merged in the end."""

import copy

import pytest
import timm
import torch
from torch import nn
from torch.nn.utils import parametrize

from advisor.errors import BackboneError
from advisor.network.parts import LowRank, attention_layers, copied_bytes, merge_updates, plain_name, train_parts
from advisor.network.segments import Segments
from advisor.network.stages import stages_of
from advisor.network.transfer import Standardise, TransferNetwork, cut

IMAGES = torch.randn(6, 3, 64, 64, generator=torch.Generator().manual_seed(0))
LABELS = torch.tensor([0, 1, 2, 0, 1, 2])


def make(architecture="test_vit", tap=None, frozen=1, parts="lora", rank=2):
    """A network with its new head, frozen below, of whose other stages some parts train."""
    torch.manual_seed(0)
    size = {"img_size": 64} if "vit" in architecture else {}
    network = timm.create_model(architecture, pretrained=False, num_classes=5, **size).eval()
    stages = stages_of(network, IMAGES[:1])
    tap = tap or len(stages)
    width = pooled_width(network, stages, tap)
    transfer = TransferNetwork(network, stages, tap, Standardise(torch.zeros(width), torch.ones(width)),
                               nn.Linear(width, 3)).eval()  # fmt: skip
    transfer.freeze(frozen, batchnorm="eval")
    before = copy.deepcopy(transfer.state_dict())
    train_parts(transfer, parts, rank)
    return transfer, before


def pooled_width(network, stages, tap):
    trunk, pool = cut(copy.deepcopy(network), stages, tap)
    out = trunk(IMAGES[:1])
    return pool(out["tap"] if isinstance(out, dict) else out).shape[1]


def trained(transfer, model=None, steps=5):
    """A few steps of AdamW on all that trains."""
    model = model or transfer
    optimizer = torch.optim.AdamW([p for p in transfer.parameters() if p.requires_grad], lr=1e-2)
    transfer.train()
    for _ in range(steps):
        optimizer.zero_grad()
        nn.functional.cross_entropy(model(IMAGES), LABELS).backward()
        optimizer.step()
    return transfer.eval()


def moved(before, transfer):
    """Names of what is no longer as it was, the head's apart."""
    after = transfer.state_dict()
    assert after.keys() == before.keys()
    return {name for name in before if not torch.equal(before[name], after[name])} - {"head.weight", "head.bias"}


def test_a_merged_network_gives_the_same_answers_and_is_plain_again():
    transfer, before = make()
    trained(transfer)
    with torch.no_grad():
        answers = transfer(IMAGES)
        merge_updates(transfer)
        torch.testing.assert_close(transfer(IMAGES), answers, rtol=1e-4, atol=1e-5)
    assert not any(parametrize.is_parametrized(module) for module in transfer.modules())
    plain = timm.create_model("test_vit", num_classes=0, img_size=64)
    trunk = {name.removeprefix("trunk."): t for name, t in transfer.state_dict().items() if name.startswith("trunk.")}
    plain.load_state_dict(trunk, strict=True)
    assert moved(before, transfer)


@pytest.mark.parametrize("tap", [None, 3])
def test_low_rank_updates_move_attention_above_the_frozen_stages_and_nothing_else(tap):
    transfer, before = make(tap=tap, frozen=2)
    digest = transfer.frozen_digest()
    trained(transfer)
    assert transfer.frozen_digest() == digest
    merge_updates(transfer)
    frozen = transfer.stages.parameters(2)
    expected = {f"trunk.{path}.weight" for path in attention_layers(transfer.trunk) if f"{path}.weight" not in frozen}
    assert moved(before, transfer) == expected
    assert expected
    for name in expected:
        difference = transfer.state_dict()[name] - before[name]
        assert torch.linalg.matrix_rank(difference, rtol=1e-3) <= 2


@pytest.mark.parametrize("architecture", ["test_vit", "test_resnet", "test_efficientnet", "test_convnext"])
def test_biases_alone_move(architecture):
    transfer, before = make(architecture, parts="bias", frozen=1)
    trained(transfer)
    names = moved(before, transfer)
    assert names
    assert all(name.endswith("bias") for name in names)
    assert not {name.removeprefix("trunk.") for name in names} & transfer.stages.parameters(1)


def test_an_update_begins_as_nothing():
    transfer, _ = make()
    other, _ = make(parts="all")
    with torch.no_grad():
        assert torch.equal(transfer(IMAGES), other(IMAGES))


def test_all_is_what_freezing_left():
    transfer, _ = make(parts="all", frozen=2)
    frozen = transfer.stages.parameters(2)
    assert {name for name, p in transfer.trunk.named_parameters() if not p.requires_grad} == frozen


def test_memory_of_updates_is_less_than_that_of_weights_and_their_sums_are_counted():
    transfer, _ = make(frozen=0)
    layers = [transfer.trunk.get_submodule(path) for path in attention_layers(transfer.trunk)]
    assert copied_bytes(transfer) == sum(2 * layer.weight.nbytes for layer in layers)
    whole, _ = make(frozen=0, parts="all")
    assert copied_bytes(whole) == 0

    def states(network):
        return 12 * sum(p.numel() for p in network.parameters() if p.requires_grad)  # gradient and two moments

    assert states(transfer) + copied_bytes(transfer) < states(whole)
    merge_updates(transfer)
    assert copied_bytes(transfer) == 0


def test_the_rank_is_no_larger_than_the_weight():
    update = LowRank(torch.zeros(3, 5), 64)
    assert update.up.shape == (3, 3)
    assert update(torch.ones(3, 5)).shape == (3, 5)


def test_updates_train_above_kept_activations_too():
    transfer, before = make(frozen=2)
    segments = Segments(timm.create_model("test_vit", num_classes=5, img_size=64).eval(), transfer.stages, IMAGES[:1])
    last = len(transfer.stages)
    below = segments.between(transfer.trunk, 0, 2)
    tail = transfer.tail(segments.between(transfer.trunk, 2, last, tapped=True))
    with torch.no_grad():
        kept = below(IMAGES)
        torch.testing.assert_close(tail(*kept), transfer(IMAGES), rtol=1e-4, atol=1e-5)
    trained(transfer, lambda _images: tail(*kept))
    merge_updates(transfer)
    assert moved(before, transfer)


@pytest.mark.parametrize(("parts", "words"), [("lora", "no attention with queries")])
def test_a_network_without_such_parts_is_refused_in_words(parts, words):
    with pytest.raises(BackboneError, match=words) as caught:
        make("test_resnet", parts=parts)
    assert caught.value.ways


@pytest.mark.parametrize(("name", "plain"), [
    ("blocks.0.attn.qkv.parametrizations.weight.0.up", "blocks.0.attn.qkv.weight"),
    ("blocks.0.attn.qkv.parametrizations.weight.original", "blocks.0.attn.qkv.weight"),
    ("blocks.0.attn.qkv.bias", "blocks.0.attn.qkv.bias"),
])  # fmt: skip
def test_an_update_has_the_name_of_its_weight(name, plain):
    assert plain_name(name) == plain


@pytest.mark.parametrize(("architecture", "count"), [("swin_tiny_patch4_window7_224", 24), ("test_vit", 12)])
def test_queries_keys_values_and_outputs_are_found(architecture, count):
    with torch.device("meta"):
        network = timm.create_model(architecture)
    assert len(attention_layers(network)) == count
