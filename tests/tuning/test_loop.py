import time

import pytest
import torch
from torch import nn

from advisor.tuning.loop import OutOfTimeError, Schedule, TrialFailedError, train

torch.manual_seed(0)
X = torch.randn(96, 10)
Y = (X[:, 0] + 0.5 * X[:, 1] > 0).long()


def schedule(**changes):
    found = {"lr": 1e-2, "lr_head": 1e-1, "weight_decay": 0.0, "epochs": 5, "batch_size": 16, "warmup": 0.2,
             "label_smoothing": 0.0}  # fmt: skip
    return Schedule(**{**found, **changes})


def model():
    torch.manual_seed(1)
    return nn.Sequential(nn.Linear(10, 8), nn.ReLU(), nn.Linear(8, 2))


def run(network, take=lambda batch: X[batch], after=lambda _epoch: None, deadline=None, loss=None, **changes):
    return train(
        network, network[-1], take, Y, schedule(**changes), loss=loss, seed=0,
        deadline=time.monotonic() + 1e6 if deadline is None else deadline, after_epoch=after,
    )  # fmt: skip


def test_it_learns_and_reports_every_epoch():
    network, epochs = model(), []
    done = run(network, after=epochs.append, epochs=20)
    assert epochs == list(range(1, 21))
    assert done.steps == done.planned == 120
    assert (network(X).argmax(1) == Y).float().mean() > 0.9


def test_it_is_repeatable():
    one, two = model(), model()
    run(one)
    run(two)
    assert all(torch.equal(a, b) for a, b in zip(one.parameters(), two.parameters(), strict=True))


def test_the_head_has_its_own_rate_and_frozen_parts_have_none(monkeypatch):
    groups = []
    original = torch.optim.AdamW.step

    def spy(self, *args, **kwargs):
        groups.append([(len(g["params"]), g["lr"], g["weight_decay"]) for g in self.param_groups])
        return original(self, *args, **kwargs)

    monkeypatch.setattr(torch.optim.AdamW, "step", spy)
    network = model()
    network[0].bias.requires_grad_(False)
    run(network, weight_decay=0.1)
    rates = torch.tensor([[lr for _, lr, _ in step] for step in groups])
    assert [count for count, _, _ in groups[0]] == [1, 1, 1]  # trunk matrix, head vector, head matrix
    assert [decay for _, _, decay in groups[0]] == [0.1, 0.0, 0.1]
    torch.testing.assert_close(rates[:, 1], 10 * rates[:, 0])
    assert rates[0, 0] < rates[5, 0] <= 1e-2  # warm-up
    assert rates[-1, 0] < 1e-4  # cosine to nothing


def test_a_loss_that_is_not_a_number_is_a_failed_trial_with_the_step():
    with pytest.raises(TrialFailedError, match="the loss became nan at step 1 of 30"):
        run(model(), take=lambda batch: X[batch] * float("nan"))


def test_another_loss_is_used():
    called = []

    def loss(logits, labels):
        called.append(len(labels))
        return (logits.sum() - labels.sum()) ** 2 * 1e-4

    run(model(), loss=loss)
    assert sum(called) == 5 * 96


@pytest.fixture
def clock(monkeypatch):
    """A clock that only `take` advances: ten milliseconds a step."""
    now = [100.0]
    monkeypatch.setattr("advisor.tuning.loop.time.monotonic", lambda: now[0])

    def take(batch):
        now[0] += 0.01
        return X[batch]

    return now, take


def test_a_trial_that_would_overrun_is_planned_shorter(clock):
    now, take = clock
    done = run(model(), take=take, epochs=50, deadline=101.2)
    assert done.planned == 300
    assert done.steps in (119, 120)
    assert now[0] <= 101.21


def test_a_trial_with_no_room_is_refused_early(clock):
    now, take = clock
    with pytest.raises(OutOfTimeError, match="of 3000 steps would fit"):
        run(model(), take=take, epochs=500, deadline=100.3)
    assert now[0] < 100.1


def test_batches_of_one_are_skipped_but_a_single_image_is_not():
    sizes = []

    def take(batch):
        sizes.append(len(batch))
        return X[batch]

    run(model(), take=take, batch_size=19, epochs=1)  # 96 = 5 * 19 + 1
    assert sizes == [19] * 5
