"""The two heads that are more than one linear layer."""

import math

import pytest
import torch
import torch.nn.functional as F  # noqa: N812 - torch's own convention
from hypothesis import given, settings
from hypothesis import strategies as st

from advisor.network.classifiers import Cosine, Perceptron


@pytest.fixture(autouse=True)
def _seeded():
    torch.manual_seed(0)


@given(st.integers(1, 9), st.integers(1, 5), st.integers(0, 4))
@settings(max_examples=25)
def test_any_width_number_of_classes_and_batch_has_its_logits(width, classes, batch):
    for head in (Perceptron(width, classes, 7, 0.0), Cosine(width, classes, 16.0)):
        assert head(torch.randn(batch, width)).shape == (batch, classes)


def test_the_perceptron_is_what_its_parts_compute_by_hand():
    head = Perceptron(4, 3, 8, dropout=0.5).eval()
    X = torch.randn(5, 4)
    units = torch.clamp(X @ head.hidden.weight.T + head.hidden.bias, min=0) / math.sqrt(8)
    torch.testing.assert_close(head(X), units @ head.out.weight.T + head.out.bias)


@pytest.mark.parametrize("hidden", [16, 64, 1024])
def test_the_hidden_vector_has_about_unit_length_whatever_its_width(hidden):
    head = Perceptron(32, 3, hidden, 0.0)
    with torch.no_grad():
        units = head.hidden(F.normalize(torch.randn(500, 32))).relu() / math.sqrt(hidden)
    assert float(units.square().sum(1).mean()) == pytest.approx(1.0, rel=0.35)
    assert float(head.hidden.bias.detach().abs().max()) == 0.0


def test_dropout_silences_its_share_in_training_alone():
    head = Perceptron(4, 2, 4000, dropout=0.25)
    kept = []
    head.out.register_forward_pre_hook(lambda _module, inputs: kept.append(inputs[0]))
    X = torch.randn(1, 4)
    head.eval()(X)
    head.train()(X)
    alive = kept[0] > 0
    assert float((kept[1][alive] == 0).float().mean()) == pytest.approx(0.25, abs=0.04)


@given(st.floats(0.5, 64.0))
@settings(max_examples=20)
def test_cosines_lie_within_their_scale_and_reach_it_on_their_own_vector(scale):
    head = Cosine(6, 4, scale)
    with torch.no_grad():
        assert float(head(torch.randn(50, 6)).abs().max()) <= scale * (1 + 1e-5)
        own = head(head.weight)
        assert own.diagonal().tolist() == pytest.approx([scale] * 4, rel=1e-4)


def test_opposite_features_have_opposite_cosines():
    head, X = Cosine(6, 3, 8.0), torch.randn(5, 6)
    torch.testing.assert_close(head(-X), -head(X))


def test_features_that_are_all_zero_give_no_logit_and_no_infinity():
    head = Cosine(6, 3, 8.0)
    assert torch.equal(head(torch.zeros(2, 6)), torch.zeros(2, 3))


def test_the_scale_learns_in_its_logarithm():
    head = Cosine(6, 3, 8.0)
    head(torch.randn(4, 6)).sum().backward()
    assert head.log_scale.grad is not None
    assert float(head.log_scale.detach()) == pytest.approx(math.log(8.0))
    assert {name for name, _ in head.named_parameters()} == {"weight", "log_scale"}
