"""What there is to learn: one class an image, or any number of labels. No other room asks which of the two it is."""

from advisor.task.base import ClassScore, Labels, Task
from advisor.task.making import make_task, task_from_config, task_of_labels
from advisor.task.multi import MultiLabel
from advisor.task.single import SingleLabel

__all__ = [
    "ClassScore",
    "Labels",
    "MultiLabel",
    "SingleLabel",
    "Task",
    "make_task",
    "task_from_config",
    "task_of_labels",
]
