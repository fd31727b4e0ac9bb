import subprocess
import sys
import time

import numpy as np
import pytest
import torch
import torch.nn.functional as F  # noqa: N812
from conftest import clouds
from torch import nn

from advisor.builtin.heads import advisor_heads, binary_cross_entropy, multiclass_squared_hinge
from advisor.network.transfer import Standardise
from advisor.recipe.values import steps_per_epoch
from advisor.tuning.loop import Schedule, train

HEADS = {head.name: head for head in advisor_heads()}
FITTED = [name for name, head in HEADS.items() if head.fit]


def defaults(name):
    return {param.name: param.default for param in HEADS[name].params}


def task(counts=(40, 40, 40), apart=1.2, width=12, test=200):
    """Standardised training features and labels, and the same of new images."""
    features, labels = clouds([count + test for count in counts], apart, width)
    rng, held = np.random.default_rng(1), np.zeros(len(labels), bool)
    for label in range(len(counts)):
        held[rng.permutation(np.flatnonzero(labels == label))[:test]] = True
    X, y = torch.from_numpy(features), torch.from_numpy(labels)
    standardise = Standardise.of(X[~held])
    return standardise(X[~held]), y[~held], standardise(X[held]), y[held]


def make(name, width=12, classes=3, **values):
    torch.manual_seed(0)
    return HEADS[name].create(width, classes, **{**defaults(name), **values})


def fitted(name, X, y, classes=3, **values):
    head = make(name, X.shape[1], classes, **values)
    HEADS[name].fit(head, X, y, **{**defaults(name), **values})
    return head


def accuracy(head, X, y):
    head.eval()
    with torch.no_grad():
        return (head(X).argmax(1) == y).float().mean().item()


def by_steps(head, name, X, y, lr=1e-2, epochs=40):
    train(
        head, lambda batch, _epoch: X[batch], y, Schedule("adamw", 1e-4, epochs * steps_per_epoch(len(X), 16), 16, 0.1),
        rates={path: lr for path, _ in head.named_parameters()}, head="", loss=HEADS[name].loss, seed=0,
        deadline=time.monotonic() + 1e6, judge=lambda _now: None,
    )  # fmt: skip
    return head


def test_these_are_the_heads():
    assert set(HEADS) == {"ridge", "linear", "svm", "sigmoid", "mlp", "cosine"}
    assert [name for name, head in HEADS.items() if head.fit is None] == ["mlp"]
    assert {name for name, head in HEADS.items() if head.linear} == {"ridge", "linear", "svm", "sigmoid"}


def test_listing_them_needs_no_torch():
    code = "import sys; from advisor.builtin.heads import advisor_heads; list(advisor_heads()); sys.exit('torch' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code]).returncode == 0


@pytest.mark.parametrize("name", HEADS)
def test_a_linear_head_is_one_linear_layer_and_each_is_rebuilt_from_its_state(name):
    head = make(name)
    assert isinstance(head, nn.Linear) == HEADS[name].linear
    twin = make(name)
    with torch.no_grad():
        for parameter in head.parameters():
            parameter.add_(0.5)
    twin.load_state_dict(head.state_dict())
    X = torch.randn(4, 12)
    assert torch.equal(head.eval()(X), twin.eval()(X))
    assert head(X).shape == (4, 3)


@pytest.mark.parametrize("name", FITTED)
def test_a_fit_classifies_new_images(name):
    X, y, held, truth = task()
    assert accuracy(make(name), held, truth) < 0.7
    assert accuracy(fitted(name, X, y), held, truth) > 0.93


@pytest.mark.parametrize("name", HEADS)
def test_steps_do_as_well(name):
    X, y, held, truth = task()
    assert accuracy(by_steps(make(name), name, X, y), held, truth) > 0.93


def test_the_perceptron_learns_what_no_linear_head_can():
    generator = torch.Generator().manual_seed(0)
    X = torch.randn(1000, 8, generator=generator)
    y = (X[:, 0] * X[:, 1] > 0).long()
    X = Standardise.of(X)(X)
    assert accuracy(by_steps(make("linear", 8, 2), "linear", X[:800], y[:800]), X[800:], y[800:]) < 0.65
    assert accuracy(by_steps(make("mlp", 8, 2), "mlp", X[:800], y[:800]), X[800:], y[800:]) > 0.85


def test_the_perceptrons_values_are_used():
    head = make("mlp", hidden=64, dropout=0.5)
    assert head.hidden.weight.shape == (64, 12)
    X = F.normalize(torch.randn(1000, 12))
    with torch.no_grad():
        units = head.hidden(X).relu() / 8
    assert units.square().sum(1).mean() == pytest.approx(1, rel=0.2)  # the hidden vector has unit length, too
    head.train()
    torch.manual_seed(0)
    assert not torch.equal(head(X), head(X))
    assert torch.equal(head.eval()(X), head(X))


def test_cosines_do_not_depend_on_lengths():
    X, y, _, _ = task()
    head = fitted("cosine", X, y)
    with torch.no_grad():
        torch.testing.assert_close(head(X), head(7 * X))
        before = head(X)
        head.weight.mul_(3)
        torch.testing.assert_close(head(X), before)
        head.log_scale.add_(np.log(2))
        torch.testing.assert_close(head(X), 2 * before)
        assert make("cosine", scale=40.0)(X).abs().max() <= 40.001


def test_the_cosine_fit_starts_at_the_means_improves_on_them_and_keeps_its_scale():
    X, y, _, _ = task(apart=0.5)
    head = fitted("cosine", X, y, scale=8.0)
    means = F.normalize(torch.stack([F.normalize(X[y == label]).mean(0) for label in range(3)]))
    assert (F.normalize(head.weight) * means).sum(1).min() > 0.7
    with torch.no_grad():
        start = F.cross_entropy(8 * F.normalize(X) @ means.T, y)
        assert F.cross_entropy(head(X), y) < start - 0.01
    apart, labels, _, _ = task(apart=20.0)
    assert 4 < fitted("cosine", apart, labels, scale=8.0).log_scale.exp() < 32  # although a larger one would fit better


def test_the_cosine_fit_bears_a_class_without_images():
    X, y, held, truth = task(counts=(40, 40))
    head = fitted("cosine", X, y, classes=3)
    assert torch.isfinite(head.weight).all()
    assert accuracy(head, held, truth) > 0.93


def multilabel(n=400):
    """Three properties of an image, independent of each other, each of which is seen or not."""
    X = torch.randn(n, 12, generator=torch.Generator().manual_seed(0))
    labels = torch.stack([X[:, 0] > 0, X[:, 1] > 0.5, X[:, 2] < -1], 1)
    return Standardise.of(X)(X), labels


def test_sigmoids_tell_several_labels_with_probabilities():
    X, labels = multilabel()
    head = fitted("sigmoid", X[:300], labels[:300].float())
    with torch.no_grad():
        chance = torch.sigmoid(head(X[300:]))
    assert ((chance > 0.5) == labels[300:]).float().mean() > 0.85
    assert (chance.mean(0) - labels[300:].float().mean(0)).abs().max() < 0.08  # calibrated
    same = fitted("sigmoid", X[:300], labels[:300])
    assert torch.equal(same.weight, head.weight)


def test_sigmoids_learn_several_labels_by_steps():
    X, labels = multilabel()
    head = by_steps(make("sigmoid"), "sigmoid", X[:300], labels[:300].float(), lr=3e-2)
    assert ((head(X[300:]) > 0) == labels[300:]).float().mean() > 0.88


def test_binary_cross_entropy_is_the_mean_over_images_and_classes():
    logits = torch.tensor([[0.3, -2.0], [1.5, 0.1]])
    p = torch.sigmoid(logits)
    by_hand = -(p[0, 0].log() + (1 - p[0, 1]).log() + (1 - p[1, 0]).log() + p[1, 1].log()) / 4
    torch.testing.assert_close(binary_cross_entropy(logits, torch.tensor([[1.0, 0], [0, 1]])), by_hand)
    torch.testing.assert_close(binary_cross_entropy(logits, torch.tensor([0, 1])), by_hand)


def test_squared_hinge_by_hand():
    logits = torch.tensor([[0.5, -2.0], [0.0, 3.0]])
    expected = torch.tensor((0.5**2 + 0 + 1**2 + 0) / 2)
    torch.testing.assert_close(multiclass_squared_hinge(logits, torch.tensor([0, 1])), expected)
