"""Where it is decided which of the two tasks there is."""

from __future__ import annotations

from typing import TYPE_CHECKING

from advisor.task.multi import MultiLabel
from advisor.task.single import SingleLabel

if TYPE_CHECKING:
    from collections.abc import Sequence

    from torch import Tensor

    from advisor.task.base import Labels, Task, TaskConfig


def make_task(classes: Sequence[str], *, multilabel: bool, metric: str = "accuracy") -> Task:
    """A task from what a dataset or a file says.

    Args:
        classes: their names, in the order of the logits.
        multilabel: whether an image may have several labels, or none.
        metric: what trials are judged by; of several labels always mean average precision.
    """
    task: Task = MultiLabel(tuple(classes)) if multilabel else SingleLabel(tuple(classes))
    return task.with_metric(metric)


def task_of_labels(labels: Labels | Tensor, classes: int | None = None) -> Task:
    """The task that labels are of, as their shape says it, with numbered classes.

    For heads and losses, whose authors know labels as arrays; whoever has a dataset has its task.

    Args:
        labels: (n,), or (n, classes).
        classes: how many; None counts those up to the highest that occurs.
    """
    if labels.ndim == 2:
        return MultiLabel.numbered(labels.shape[1])
    return SingleLabel.numbered(int(labels.max()) + 1 if classes is None else classes)


def task_from_config(config: TaskConfig) -> Task:
    """The task of a model from what `Task.to_config` gave; before 0.1 `multilabel` was called `several`.

    Raises:
        KeyError: no classes stand there.
    """
    return make_task(config["classes"], multilabel=bool(config.get("multilabel", config.get("several", False))))
