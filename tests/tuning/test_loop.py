import copy
import time

import pytest
import torch
import torch.nn.functional as F  # noqa: N812
from torch import nn

from advisor.recipe.values import steps_per_epoch
from advisor.tuning import updates
from advisor.tuning.batches import draw_order
from advisor.tuning.failures import OutOfTimeError, TrialFailedError
from advisor.tuning.loop import Schedule, train

torch.manual_seed(0)
X = torch.randn(96, 10)
Y = (X[:, 0] + 0.5 * X[:, 1] > 0).long()


def schedule(**changes):
    plain = {"optimizer": "adamw", "weight_decay": 0.0, "batch_size": 16, "warmup": 0.2}
    return Schedule(**{**plain, **changes})


def model():
    torch.manual_seed(1)
    return nn.Sequential(nn.Linear(10, 8), nn.ReLU(), nn.Linear(8, 2))


def rates_of(network, head="2.", lr=1e-2, lr_head=1e-1):
    return {name: lr_head if name.startswith(head) else lr for name, _ in network.named_parameters()}


def run(network, take=lambda batch, _epoch: X[batch], after=lambda _epoch, _seconds: None, labels=Y, **changes):
    options = {"rates": rates_of(network), "head": "2.", "seed": 0, "deadline": time.monotonic() + 1e6}
    options |= {
        key: changes.pop(key) for key in ("rates", "deadline", "loss", "micro_batch", "say", "head") if key in changes
    }
    epochs = changes.pop("epochs", 5)
    steps = epochs * steps_per_epoch(len(labels), changes.get("batch_size", 16))
    return train(
        network, take, labels, schedule(**{"steps": steps, **changes}),
        judge=lambda now: after(now.epoch, now.seconds), judgements=epochs, **options,
    )  # fmt: skip


def equal(one, two, **tolerance):
    for a, b in zip(one.state_dict().values(), two.state_dict().values(), strict=True):
        torch.testing.assert_close(a, b, **(tolerance or {"rtol": 0, "atol": 0}))
    return True


def trained(**changes):
    network = model()
    run(network, **changes)
    return network


@pytest.mark.parametrize("optimizer", ["adamw", "sgd"])
def test_it_learns_and_reports_every_epoch(optimizer):
    network, epochs = model(), []
    done = run(network, after=lambda *told: epochs.append(told), epochs=20, optimizer=optimizer)
    assert [epoch for epoch, _ in epochs] == list(range(1, 21))
    assert done.steps == done.planned == 120
    assert done.micro_batch == 16
    assert (network(X).argmax(1) == Y).float().mean() > 0.9


def test_it_is_repeatable():
    options = {"mixup": 0.2, "ema": 0.9, "balance": "sampling", "l2_sp": 0.1}
    assert equal(trained(**options), trained(**options))


def test_each_parameter_has_its_own_rate_and_frozen_ones_none(monkeypatch):
    groups = []
    original = torch.optim.AdamW.step

    def spy(self, *args, **kwargs):
        groups.append([(len(g["params"]), g["lr"], g["weight_decay"]) for g in self.param_groups])
        return original(self, *args, **kwargs)

    monkeypatch.setattr(torch.optim.AdamW, "step", spy)
    network = model()
    network[0].bias.requires_grad_(False)
    run(network, weight_decay=0.1, rates={"0.weight": 1e-2, "2.weight": 1e-1, "2.bias": 1e-1})
    steps = torch.tensor([[lr for _, lr, _ in step] for step in groups])
    assert [count for count, _, _ in groups[0]] == [1, 1, 1]  # trunk matrix, head matrix, head vector
    assert [decay for _, _, decay in groups[0]] == [0.1, 0.1, 0.0]
    torch.testing.assert_close(steps[:, 1], 10 * steps[:, 0])
    assert steps[0, 0] < steps[5, 0] <= 1e-2  # warm-up
    assert steps[-1, 0] < 1e-4  # cosine to nothing


def test_a_rate_of_a_tenth_moves_a_layer_by_a_tenth():
    start, slow = model().state_dict(), model()
    run(slow, rates=rates_of(slow, lr=1e-3), epochs=1, batch_size=96)
    fast = trained(epochs=1, batch_size=96)
    moved = [(network.state_dict()["0.weight"] - start["0.weight"]).abs().max() for network in (slow, fast)]
    torch.testing.assert_close(moved[1], 10 * moved[0], rtol=1e-2, atol=0)


def test_a_parameter_without_a_rate_is_an_error():
    with pytest.raises(ValueError, match=r"no learning rate for 0\.bias, 2\.bias"):
        run(model(), rates={"0.weight": 1e-2, "2.weight": 1e-2})


def test_sgd_is_nesterovs_with_momentum():
    """Two full-batch steps by hand."""
    network, ours = model(), model()
    theirs = torch.optim.SGD(network.parameters(), lr=0.1, momentum=0.9, nesterov=True)
    for _ in range(2):
        theirs.zero_grad()
        F.cross_entropy(network(X), Y).backward()
        theirs.step()
        for group in theirs.param_groups:
            group["lr"] = 0.05  # half-way down the cosine
    run(ours, optimizer="sgd", epochs=2, batch_size=96, warmup=0.0, rates=rates_of(ours, lr=0.1))
    assert equal(network, ours, rtol=1e-5, atol=1e-6)


def test_a_loss_that_is_not_a_number_is_a_failed_trial_with_the_step():
    with pytest.raises(TrialFailedError, match="the loss became nan at step 1 of 30"):
        run(model(), take=lambda batch, _epoch: X[batch] * float("nan"))


def test_a_loss_is_found_out_late_with_the_step_where_it_happened(monkeypatch):
    """As on a GPU, where losses are looked at every tenth step."""
    monkeypatch.setattr("advisor.tuning.loop._LOOK", {"cpu": 10})
    calls = []

    def take(batch, _epoch):
        calls.append(len(batch))
        return X[batch] * (float("inf") if len(calls) == 14 else 1)

    with pytest.raises(TrialFailedError, match="the loss became nan at step 14 of 60"):
        run(model(), take=take, batch_size=8)
    assert len(calls) == 20


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

    def take(batch, _epoch):
        now[0] += 0.01
        return X[batch]

    return now, take


@pytest.mark.parametrize("look", [1, 10])
def test_a_trial_that_would_overrun_is_planned_shorter(clock, look, monkeypatch):
    monkeypatch.setattr("advisor.tuning.loop._LOOK", {"cpu": look})
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


def test_a_slow_first_step_is_not_taken_for_all(clock):
    now, take = clock

    def first_is_slow(batch, epoch):
        now[0] += 0.5 if now[0] == 100.0 else 0.0
        return take(batch, epoch)

    assert run(model(), take=first_is_slow, deadline=100.9).steps == 30


def test_scoring_is_no_training_time_but_leaves_less_of_it(clock):
    now, take = clock
    told = []

    def after(_epoch, seconds):
        told.append(seconds)
        now[0] += 1.0

    done = run(model(), take=take, after=after, deadline=1e6)
    assert told == pytest.approx([0.06 * epoch for epoch in range(1, 6)])
    assert done.seconds == pytest.approx(0.3)
    done = run(model(), take=take, after=after, epochs=50, deadline=now[0] + 15)
    assert 0.2 * 300 < done.steps < 100  # 15 s are 14 epochs of 1.06 s


def test_batches_of_one_are_skipped_but_a_single_image_is_not():
    sizes = []

    def take(batch, _epoch):
        sizes.append(len(batch))
        return X[batch]

    done = run(model(), take=take, batch_size=19, epochs=1)  # 96 = 5 * 19 + 1
    assert sizes == [19] * 5
    assert done.steps == done.planned == 5
    run(model(), take=take, labels=Y[:1], epochs=1)
    assert sizes == [19] * 5 + [1]


def test_the_epoch_is_told_and_several_inputs_reach_the_model():
    epochs = []

    class Sum(nn.Module):
        def __init__(self):
            super().__init__()
            self.inner = model()

        def forward(self, one, two):
            return self.inner(one + two)

    def take(batch, epoch):
        epochs.append(epoch)
        return X[batch] / 4, 3 * X[batch] / 4

    network = Sum()
    run(network, take=take, batch_size=48, epochs=2, rates=rates_of(network, head="inner.2."))
    assert epochs == [0, 0, 1, 1]
    assert equal(network.inner, trained(batch_size=48, epochs=2), rtol=1e-4, atol=1e-5)


def test_mixup_mixes_inputs_and_targets_by_the_same_share():
    """Inputs are one-hot, so what the model reads shows who was mixed; the loss tells the labels' shares."""
    labels, read, asked = torch.arange(12), [], []

    class Reader(nn.Module):
        def __init__(self):
            super().__init__()
            self.layer = nn.Linear(12, 12)

        def forward(self, inputs):
            read.append(inputs.detach().clone())
            return self.layer(inputs)

    def loss(logits, target):
        asked.append(target)
        return F.cross_entropy(logits, target)

    network, before = Reader(), None
    before = copy.deepcopy(network)
    run(network, take=lambda batch, _epoch: torch.eye(12)[batch], labels=labels, loss=loss, mixup=1.0,
        optimizer="sgd", warmup=0.0, batch_size=12, epochs=1, rates={"layer.weight": 1.0, "layer.bias": 1.0})  # fmt: skip
    first, second = (F.one_hot(target, 12).float() for target in asked)
    share = (read[0] * first)[(first != second).any(1)].sum(1)
    assert share.unique().numel() == 1
    assert 0.01 < share[0] < 0.99
    torch.testing.assert_close(read[0], share[0] * first + (1 - share[0]) * second)
    F.cross_entropy(before.layer(read[0]), read[0]).backward()  # soft targets are the same as mixed losses
    step = network.layer.weight - before.layer.weight
    torch.testing.assert_close(step, -1.9 * before.layer.weight.grad, rtol=1e-4, atol=1e-6)


def test_the_average_is_that_of_three_steps_by_hand(monkeypatch):
    seen = []
    original = updates.Average.update

    def spy(self, step):
        seen.append(network[0].weight.detach().clone())
        original(self, step)

    monkeypatch.setattr(updates.Average, "update", spy)
    network = model()
    start = network[0].weight.detach().clone()
    shown = []
    run(network, after=lambda *_: shown.append(network[0].weight.detach().clone()), ema=0.26, batch_size=32, epochs=2)
    by_hand = [start]
    for step, weight in enumerate(seen, 1):
        keep = min(0.26, (1 + step) / (10 + step))  # 2/11, 3/12, then .26
        by_hand.append(keep * by_hand[-1] + (1 - keep) * weight)
    torch.testing.assert_close(shown[0], by_hand[3])
    torch.testing.assert_close(shown[1], by_hand[6])
    assert torch.equal(network[0].weight, shown[1])  # it stays in the model
    network = model()
    run(network, batch_size=32, epochs=2)
    assert all(torch.equal(a, b) for a, b in zip(seen[:6], seen[6:], strict=True))  # averaging disturbs no step


def test_statistics_of_batchnorm_are_averaged_with_the_weights():
    def network():
        torch.manual_seed(1)
        return nn.Sequential(nn.Linear(10, 8), nn.BatchNorm1d(8), nn.Linear(8, 2))

    plain, averaged = network(), network()
    run(plain)
    run(averaged, ema=0.999)
    assert plain[1].num_batches_tracked == averaged[1].num_batches_tracked == 30
    assert (plain[1].running_var - averaged[1].running_var).abs().max() > 1e-3


def test_l2_sp_pulls_the_trunk_to_its_start_and_leaves_the_head():
    start = model().state_dict()

    def distance(name, **changes):
        return (trained(**changes).state_dict()[name] - start[name]).norm()

    for name in ("0.weight", "0.bias"):
        assert distance(name, l2_sp=20.0) < 0.5 * distance(name)
    assert distance("2.weight", l2_sp=20.0) > 0.9 * distance("2.weight")
    assert distance("2.weight", l2_sp=20.0, head="nothing") < 0.9 * distance("2.weight")


def test_l2_sp_is_decoupled_as_weight_decay_is():
    """From a start of zero both are the same pull; a coupled penalty would be divided by Adam's scale."""

    def network(**changes):
        torch.manual_seed(1)
        found = nn.Sequential(nn.Linear(10, 2))
        nn.init.zeros_(found[0].weight)
        found[0].bias.requires_grad_(False)
        run(found, rates={"0.weight": 1e-2}, head="head.", **changes)
        return found

    assert equal(network(l2_sp=2.0), network(weight_decay=2.0), rtol=1e-5, atol=1e-7)
    assert not torch.allclose(network()[0].weight, network(l2_sp=2.0)[0].weight, rtol=1e-2)


@pytest.mark.parametrize("micro_batch", [1, 3, 7, 16])
@pytest.mark.parametrize("options", [{}, {"mixup": 0.4, "balance": "weights", "label_smoothing": 0.1}])
def test_micro_batches_give_the_weights_of_whole_batches(micro_batch, options):
    network = model()
    done = run(network, micro_batch=micro_batch, optimizer="sgd", **options)
    assert done.micro_batch == micro_batch
    assert equal(network, trained(optimizer="sgd", **options), rtol=0, atol=1e-6)


class Narrow(nn.Module):
    """Runs out of memory above so many images, as the real allocators do."""

    def __init__(self, most, error):
        super().__init__()
        self.inner, self.most, self.error, self.sizes = model(), most, error, []

    def forward(self, inputs):
        self.sizes.append(len(inputs))
        if len(inputs) > self.most:
            raise self.error
        return self.inner(inputs)


CPU_ERROR = "[enforce fail at alloc_cpu.cpp:119] err == 0. DefaultCPUAllocator: can't allocate memory: you tried to allocate 5 bytes."


@pytest.mark.parametrize(
    "error", [torch.OutOfMemoryError("CUDA out of memory."), RuntimeError(CPU_ERROR), MemoryError()]
)
def test_fewer_images_go_through_where_memory_runs_out(error):
    network, said = Narrow(4, error), []
    done = run(network, say=said.append, optimizer="sgd", rates=rates_of(network, head="inner.2."))
    assert done.micro_batch == 4
    assert network.sizes[:5] == [16, 8, 4, 4, 4]
    assert [sentence.split(";")[0] for sentence in said] == [
        "Memory ran out with 16 images at once", "Memory ran out with 8 images at once"
    ]  # fmt: skip
    assert equal(network.inner, trained(optimizer="sgd"), rtol=0, atol=1e-6)


def test_the_allocators_own_error_is_known():
    class Greedy(nn.Module):
        def __init__(self):
            super().__init__()
            self.inner = model()

        def forward(self, inputs):
            if len(inputs) > 8:
                torch.empty(2**60, dtype=torch.uint8)
            return self.inner(inputs)

    network = Greedy()
    assert run(network, rates=rates_of(network)).micro_batch == 8


def test_an_image_that_does_not_fit_fails_the_trial():
    network = Narrow(0, torch.OutOfMemoryError("CUDA out of memory. Tried"))
    with pytest.raises(TrialFailedError, match="a single image: OutOfMemoryError CUDA out of memory"):
        run(network, rates=rates_of(network))
    assert network.sizes == [16, 8, 4, 2, 1]

    def take(_batch, _epoch):
        raise MemoryError

    with pytest.raises(TrialFailedError, match="the images of one step: MemoryError"):
        run(model(), take=take)


def test_other_errors_of_the_model_are_not_hidden():
    network = Narrow(0, RuntimeError("mat1 and mat2 shapes cannot be multiplied"))
    with pytest.raises(RuntimeError, match="mat1"):
        run(network, rates=rates_of(network))
    assert network.sizes == [16]


RARE = torch.tensor([0] * 80 + [1] * 12 + [3] * 4)  # class 2 does not occur


def test_balanced_sampling_draws_classes_equally_often():
    generator = torch.Generator().manual_seed(0)
    order = draw_order(RARE, "sampling", generator)
    assert torch.bincount(RARE[order]).tolist() == [32, 32, 0, 32]
    assert order[:32].unique().numel() > 10  # shuffled, not class by class
    assert len(set(RARE[order[:8]].tolist())) > 1
    assert torch.bincount(order, minlength=96)[92:].tolist() == [8] * 4  # each image of a class as often
    assert order[RARE[order] == 0].unique().numel() == 32  # and none twice where there are enough
    assert sorted(draw_order(RARE, "none", generator).tolist()) == list(range(96))
    few = draw_order(torch.tensor([0, 1, 2, 2]), "sampling", generator)
    assert len(few) == 4
    assert set(few.tolist()) >= {0, 1}


def test_training_sees_the_balanced_order():
    seen = []

    def take(batch, _epoch):
        seen.extend(batch.tolist())
        return X[batch]

    network = nn.Sequential(nn.Linear(10, 4))
    run(network, take=take, labels=RARE, balance="sampling", epochs=1, rates=rates_of(network))
    assert torch.bincount(RARE[seen]).tolist() == [32, 32, 0, 32]


@pytest.mark.parametrize("loss", [None, F.cross_entropy])
def test_the_loss_is_weighted(loss):
    """One step by hand, with the default loss and with one that only gives a mean."""
    labels = RARE.clamp(max=1)
    network, ours = model(), model()
    run(ours, labels=labels, loss=loss, balance="weights", optimizer="sgd", warmup=0.0, batch_size=96, epochs=1,
        rates=rates_of(ours, lr=1.0, lr_head=1.0))  # fmt: skip
    weight = torch.tensor([96 / 2 / 80, 96 / 2 / 16])
    (weight[labels] * F.cross_entropy(network(X), labels, reduction="none")).mean().backward()
    expected = network[0].weight - 1.9 * network[0].weight.grad
    torch.testing.assert_close(ours[0].weight, expected, rtol=1e-4, atol=1e-6)


def test_several_labels_are_learned_by_binary_cross_entropy():
    labels = torch.stack([X[:, 0] > 0, X[:, 1] > 0, X[:, 2] > 5], 1).float()  # the third never occurs

    def network(**changes):
        torch.manual_seed(1)
        found = nn.Sequential(nn.Linear(10, 3))
        run(found, labels=labels, epochs=40, rates=rates_of(found, lr=1e-1), **changes)
        return found

    for changes in ({}, {"balance": "sampling"}, {"balance": "weights"}, {"mixup": 0.2}):
        assert ((network(**changes)(X) > 0) == labels.bool()).float().mean() > 0.95
    assert equal(network(), network(loss=F.binary_cross_entropy_with_logits), rtol=1e-4, atol=1e-5)
    assert not equal_logits(network(), network(label_smoothing=0.2))


def equal_logits(one, two):
    return torch.allclose(one(X), two(X), rtol=1e-2)


@pytest.mark.cuda
@pytest.mark.skipif(not torch.cuda.is_available(), reason="needs an NVIDIA GPU")
def test_it_learns_on_a_gpu():
    network = model().cuda()
    done = run(network, take=lambda batch, _epoch: X[batch].cuda(), epochs=20, ema=0.9, mixup=0.1, l2_sp=0.01)
    assert done.steps == 120
    assert (network(X.cuda()).argmax(1).cpu() == Y).float().mean() > 0.85


def test_it_is_as_long_as_its_steps_and_judged_at_even_distances():
    moments = []
    done = train(
        model(), lambda batch, _epoch: X[batch], Y, schedule(steps=50), rates=rates_of(model()), head="2.", seed=0,
        deadline=time.monotonic() + 1e6, judge=moments.append, judgements=4,
    )  # fmt: skip
    assert done.steps == done.planned == 50
    assert [now.step for now in moments] == [13, 26, 39, 50]  # passes are six steps, and it is not the end of one
    assert [now.epoch for now in moments] == [3, 5, 7, 9]
    assert all(now.steps == 50 for now in moments)
    assert moments[-1].loss < moments[0].loss


def test_the_last_pass_says_how_much_it_has_right():
    assert run(model(), epochs=30).accuracy > 0.9
    assert run(model(), labels=torch.randint(0, 2, (96,), generator=torch.Generator().manual_seed(0))).accuracy < 0.8
    assert run(model(), mixup=0.2).accuracy is None


def test_gradients_are_clipped_to_their_norm():
    start = model().state_dict()

    def moved(clip):
        network = trained(clip=clip, optimizer="sgd", warmup=0.0, epochs=1, batch_size=96)
        return sum(((value - start[name]) ** 2).sum() for name, value in network.state_dict().items()).sqrt()

    assert moved(1e-3) < 0.01 * moved(0.0)
    assert moved(1e6) == pytest.approx(float(moved(0.0)), rel=1e-5)


def test_what_the_network_keeps_from_decay_is_not_decayed():
    network = model()
    optimizer = updates.make_optimizer(network, "adamw", 0.1, rates_of(network), {"0.weight"})
    decay = {id(p): group["weight_decay"] for group in optimizer.param_groups for p in group["params"]}
    assert decay[id(network[0].weight)] == 0.0
    assert decay[id(network[2].weight)] == 0.1
