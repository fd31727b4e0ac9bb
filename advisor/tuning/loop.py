"""The training loop: one function, read from top to bottom, and the pieces it is made of."""

from __future__ import annotations

import math
import time
from collections import deque
from contextlib import contextmanager
from dataclasses import dataclass
from itertools import count as count_from
from itertools import pairwise
from typing import TYPE_CHECKING

import numpy as np
import torch

from advisor.task import task_of_labels
from advisor.tuning.batches import Objective, draw_order, mix_images
from advisor.tuning.failures import LEAST_SHARE, OutOfTimeError, TrialFailedError
from advisor.tuning.updates import Average, StartAnchor, make_optimizer

if TYPE_CHECKING:
    from collections.abc import Callable, Collection, Iterator, Mapping

    from torch import Tensor, nn

_TIMED_STEPS = 3  # steps after which the rest of a trial can be forecast
_LOOK = {"cpu": 1, "cuda": 10}  # steps between two looks at loss and clock; a look makes the host wait for the GPU
_MEMORY_WORDS = ("can't allocate memory", "DefaultCPUAllocator", "CUDA error: out of memory", "_STATUS_ALLOC_FAILED")


@dataclass(frozen=True)
class Schedule:
    """How to train.

    Attributes:
        optimizer: `adamw`, or `sgd` (momentum 0.9, Nesterov).
        weight_decay: on tensors with two or more dimensions; for AdamW decoupled [Loshchilov 2019].
        steps: of the optimiser.
        batch_size: images per step.
        warmup: share of the steps in which the learning rate rises linearly, below 1; then it falls as a cosine to 0.
        clip: largest norm of the gradient; 0 is off.
        label_smoothing: of the task's own loss.
        mixup: α of the Beta distribution from which each step draws how far two images and the losses
            of their labels are mixed [Zhang 2018]; 0 is off. It mixes whatever the model reads.
        ema: decay of the averaged weights that are scored and kept; 0 is off. After step t = 1, 2, … it is
            min(ema, (1+t)/(10+t)), so that the average forgets the start in a short trial, too.
        l2_sp: pull of the trained trunk to where it started, decoupled as AdamW's decay is [Li 2018]; 0 is off.
        balance: `none`; `weights` of the images in the loss, the task's `class_weights`, under which every class
            counts the same; or `sampling`: each epoch draws every class equally often.
        bfloat16: multiply matrices in bfloat16 on a processor, too; a GPU always does. Weights, what the optimiser
            keeps and the loss stay float32, and so does what `judge` sees.
    """

    optimizer: str
    weight_decay: float
    steps: int
    batch_size: int
    warmup: float
    clip: float = 0.0
    label_smoothing: float = 0.0
    mixup: float = 0.0
    ema: float = 0.0
    l2_sp: float = 0.0
    balance: str = "none"
    bfloat16: bool = False


@dataclass(frozen=True)
class Trained:
    """What training did.

    Attributes:
        steps: of the optimiser, taken.
        planned: steps before the deadline was looked at.
        seconds: of training, without what `judge` took.
        micro_batch: images that went through at once in the end.
        accuracy: share of the images of the last pass, views as they were drawn, that the model had right when it saw
            them; None of several labels, or where images are mixed.
    """

    steps: int
    planned: int
    seconds: float
    micro_batch: int
    accuracy: float | None = None


def train(  # noqa: C901 - one function, read from top to bottom
    model: nn.Module,
    take: Callable[[Tensor, int], Tensor | tuple[Tensor, ...]],
    labels: Tensor,
    schedule: Schedule,
    *,
    rates: Mapping[str, float],
    undecayed: Collection[str] = (),
    head: str = "head.",
    loss: Callable[[Tensor, Tensor], Tensor] | None = None,
    seed: int,
    deadline: float,
    micro_batch: int | None = None,
    judge: Callable[[Moment], None],
    judgements: int = 1,
    say: Callable[[str], None] = lambda _sentence: None,
) -> Trained:
    """Train whatever in the model requires gradients.

    Args:
        model: from what `take` returns to (B, classes) logits.
        take: from indices (B,) into the training images, on the CPU, and the epoch, from 0, to the model's input
            or inputs, on its device. Called once a step, however many images go through at once.
        labels: as `advisor.task.Task.tensor` gives them; their shape says the task.
        schedule: how.
        rates: peak learning rate by the name of the parameter.
        undecayed: names of parameters that weight decay leaves alone, beside vectors.
        head: what the names of parameters start with that L2-SP leaves alone.
        loss: from (logits, labels) to a scalar, the mean over images; if None, the task's own.
        seed: of the shuffling and of mixup.
        deadline: on `time.monotonic`; a trial that would overrun it is planned shorter, so that the
            learning rate still falls to zero in time.
        micro_batch: at most so many images go through at once; their gradients add up to those of the
            whole batch, apart from BatchNorm, which sees fewer images. Halved where memory runs out.
        judge: called at the end, and before it at even distances, with the averaged weights in place; may raise to
            stop.
        judgements: how often, at most once in a pass.
        say: told in one sentence that memory ran out.

    Raises:
        TrialFailedError: the loss is no longer a finite number, or not even one image fits into memory.
        OutOfTimeError: less than a fifth of the planned steps would fit.
        ValueError: a parameter requires gradients and has no rate.
    """
    count, device = len(labels), next(model.parameters()).device
    known = labels.cpu()  # for drawing, so that nothing waits for the device
    batch_size = min(schedule.batch_size, count)
    micro_batch = min(micro_batch or batch_size, batch_size)
    # A last batch of one is left out: BatchNorm cannot normalise a single image.
    starts = [start for start in range(0, count, batch_size) if start + 1 < count or batch_size == 1]
    optimized = [parameter for parameter in model.parameters() if parameter.requires_grad]
    optimizer = make_optimizer(model, schedule.optimizer, schedule.weight_decay, rates, undecayed)
    anchor, average = StartAnchor(model, optimizer, head, schedule.l2_sp), Average(model, schedule.ema)
    objective = Objective(known, device, schedule.balance, schedule.label_smoothing, loss)
    generator, mixing = torch.Generator().manual_seed(seed), np.random.default_rng(seed)
    pace = _Pace(schedule.steps, deadline, _LOOK.get(device.type, 1))
    right = (
        _Right(known, min(len(starts), schedule.steps))
        if task_of_labels(known).exclusive and not schedule.mixup
        else None
    )
    every = max(len(starts), math.ceil(schedule.steps / judgements))
    for epoch in count_from(0):
        if pace.step >= pace.total:
            break
        model.train()
        order = draw_order(known, schedule.balance, generator)
        for start in starts:
            rows = order[start : start + batch_size]
            for group in optimizer.param_groups:
                group["lr"] = group["peak"] * pace.height(schedule.warmup)
            with _fitting("the images of one step"):
                taken, labelled = take(rows, epoch), [(1.0, rows)]
                inputs = taken if isinstance(taken, tuple) else (taken,)
                if schedule.mixup:
                    inputs, labelled = mix_images(inputs, rows, schedule.mixup, mixing)
            value, logits, micro_batch = _gradients(
                model, optimizer, inputs, objective.of(labelled), micro_batch, say, bfloat16=schedule.bfloat16
            )
            if right is not None:
                right.add(logits, rows)
            if schedule.clip:
                torch.nn.utils.clip_grad_norm_(optimized, schedule.clip, foreach=True)
            with _fitting("the weights and what the optimiser keeps of them"):
                anchor.pull()
                optimizer.step()
            pace.count(value, last=start == starts[-1])
            average.update(pace.step)
            if pace.over or pace.step % every == 0:
                seconds, paused = pace.seconds, time.monotonic()
                average.swap()
                judge(Moment(pace.step, pace.total, epoch + 1, seconds, pace.loss))
                if not pace.over:
                    average.swap()
                    model.train()
                pace.pause(time.monotonic() - paused)
            if pace.over:
                break
    return Trained(pace.step, pace.planned, pace.seconds, micro_batch, right.share() if right is not None else None)


@dataclass(frozen=True)
class Moment:
    """Where a training is.

    Attributes:
        step: optimiser steps so far.
        steps: in all.
        epoch: passes over the images so far, the present one counted.
        seconds: of training so far.
        loss: mean over the last tenth of the steps so far, nats.
    """

    step: int
    steps: int
    epoch: int
    seconds: float
    loss: float


class _Right:
    """Which of the images of the last steps the model had right when it saw them; looked at once, at the end.

    Args:
        labels: (n,) of all training images, on the CPU.
        steps: of one pass.
    """

    def __init__(self, labels: Tensor, steps: int) -> None:
        self._labels = labels
        self._last: deque[tuple[Tensor, Tensor]] = deque(maxlen=steps)

    def add(self, logits: Tensor, rows: Tensor) -> None:
        self._last.append((logits.argmax(1), rows))

    def share(self) -> float:
        said = torch.cat([answers.cpu() for answers, _ in self._last])
        return float((said == self._labels[torch.cat([rows for _, rows in self._last])]).float().mean())


class _Pace:
    """How far training is, and how much of it will fit.

    Args:
        planned: steps.
        deadline: on `time.monotonic`.
        look: steps between two looks at loss and clock.
    """

    def __init__(self, planned: int, deadline: float, look: int) -> None:
        self.planned = self.total = planned
        self.step = 0
        self._deadline, self._look = deadline, look
        self._unseen: list[Tensor] = []  # losses since the last look
        self._losses: list[float] = []
        self._began = self._first_done = time.monotonic()
        self._paused = 0.0

    @property
    def over(self) -> bool:
        """Whether no step is left."""
        return self.step >= self.total

    @property
    def seconds(self) -> float:
        """Of training so far, without pauses."""
        return time.monotonic() - self._began - self._paused

    @property
    def loss(self) -> float:
        """Mean of the losses of the last tenth of the steps that were looked at."""
        last = self._losses[-max(1, len(self._losses) // 10) :]
        return sum(last) / len(last) if last else math.nan

    def pause(self, seconds: float) -> None:
        """So much time was not training; the forecast counts it all the same, since every epoch has it."""
        self._paused += seconds

    def height(self, warmup: float) -> float:
        """Share of the peak learning rate at the next step."""
        progress = self.step / self.total
        if progress < warmup:
            return min(1.0, self.step / max(1.0, warmup * self.total) + 1 / self.total)
        return 0.5 * (1 + math.cos(math.pi * (progress - warmup) / (1 - warmup)))

    def count(self, loss: Tensor, *, last: bool) -> None:
        """A step has been taken; `last` of its epoch."""
        self.step += 1
        self._unseen.append(loss)
        if not (self.step in {1, _TIMED_STEPS} or self.step % self._look == 0 or last or self.over):
            return
        for step, value in enumerate(torch.stack(self._unseen).tolist(), self.step - len(self._unseen) + 1):
            if not math.isfinite(value):
                raise TrialFailedError(f"the loss became {value} at step {step} of {self.total}")
            self._losses.append(value)
        self._unseen.clear()
        now = time.monotonic()
        if self.step == 1:
            self._first_done = now  # the first step loads and sets up, and says nothing about the others
        elif self.step >= _TIMED_STEPS:
            each = (now - self._first_done) / (self.step - 1)
            fitting = self.step + int((self._deadline - now) / max(each, 1e-9))
            if fitting < LEAST_SHARE * self.planned:
                raise OutOfTimeError(
                    f"{max(0, fitting)} of {self.planned} steps would fit in the time left", each * self.planned
                )
            self.total = max(self.step, min(self.total, fitting))


def _gradients(
    model: nn.Module,
    optimizer: torch.optim.Optimizer,
    inputs: tuple[Tensor, ...],
    objective: Callable[[Tensor, slice], Tensor],
    micro_batch: int,
    say: Callable[[str], None],
    *,
    bfloat16: bool,
) -> tuple[Tensor, Tensor, int]:
    """Gradients of a batch's mean loss, in pieces that fit into memory; the loss, logits, and images in a piece."""
    count = len(inputs[0])
    while True:
        optimizer.zero_grad(set_to_none=True)
        try:
            return *_accumulate(model, inputs, objective, micro_batch, bfloat16=bfloat16), micro_batch
        except (RuntimeError, MemoryError) as error:
            if not _is_out_of_memory(error):
                raise
            reason = _first_line(error)
        # Outside the handler, where the error no longer holds what the pass had computed.
        used = min(micro_batch, count)
        if used == 1:
            raise TrialFailedError(f"memory does not suffice for a single image: {reason}")
        micro_batch = used // 2
        if inputs[0].is_cuda:
            torch.cuda.empty_cache()
        say(f"Memory ran out with {used} images at once; now {micro_batch} go through at once; a step stays {count}.")


def _accumulate(
    model: nn.Module,
    inputs: tuple[Tensor, ...],
    objective: Callable[[Tensor, slice], Tensor],
    micro_batch: int,
    *,
    bfloat16: bool,
) -> tuple[Tensor, Tensor]:
    count = len(inputs[0])
    pieces = math.ceil(count / micro_batch)
    edges = [count * i // pieces for i in range(pieces + 1)]  # even, so that no piece is a single image
    total, answers = torch.zeros((), device=inputs[0].device), []
    for low, high in pairwise(edges):
        with torch.autocast(inputs[0].device.type, torch.bfloat16, enabled=inputs[0].is_cuda or bfloat16):
            logits = model(*(one[low:high] for one in inputs))
        value = objective(logits.float(), slice(low, high)) * ((high - low) / count)
        value.backward()  # type: ignore[no-untyped-call]
        total += value.detach()
        answers.append(logits.detach())
    return total, torch.cat(answers)


@contextmanager
def _fitting(what: str) -> Iterator[None]:
    """Where fewer images at once would not help, a lack of memory ends the trial."""
    try:
        yield
    except (RuntimeError, MemoryError) as error:
        if _is_out_of_memory(error):
            raise TrialFailedError(f"memory does not suffice for {what}: {_first_line(error)}") from error
        raise


def _is_out_of_memory(error: BaseException) -> bool:
    known = isinstance(error, (torch.OutOfMemoryError, MemoryError))
    return known or any(words in str(error) for words in _MEMORY_WORDS)


def _first_line(error: BaseException) -> str:
    return f"{type(error).__name__} {error}".strip().splitlines()[0]
