import numpy as np
import pytest
import torch

from advisor.task import MultiLabel, SingleLabel
from advisor.tuning.failures import TrialFailedError
from advisor.tuning.judging import score

LOGITS = torch.randn(30, 3, generator=torch.Generator().manual_seed(0))
LABELS = {
    SingleLabel.numbered(3): torch.arange(30) % 3,
    MultiLabel.numbered(3): (torch.rand(30, 3, generator=torch.Generator().manual_seed(1)) < 0.4).float(),
}


@pytest.mark.parametrize("task", LABELS, ids=["single", "multi"])
def test_answers_are_judged_as_the_task_says(task):
    labels = LABELS[task]
    judged = score(LOGITS, labels)
    expected = task.image_scores(LOGITS.numpy(), task.array(labels))
    np.testing.assert_array_equal(judged.image_scores, expected)
    assert judged.loss == pytest.approx(float(task.loss(LOGITS, labels).mean()))
    assert judged.temperature == task.temperature(LOGITS.double().numpy(), task.array(labels), doubt=1.0)


def test_without_images_nothing_is_judged():
    judged = score(torch.zeros(0), torch.zeros(0, dtype=torch.int64))
    assert (len(judged.image_scores), judged.loss, judged.temperature) == (0, 0.0, 1.0)


def test_an_answer_that_cannot_be_judged_fails_the_trial():
    with pytest.raises(TrialFailedError, match="not finite"):
        score(LOGITS / 0, torch.arange(30) % 3)
    with pytest.raises(TrialFailedError, match="no image has any label"):
        score(LOGITS, torch.zeros(30, 3))
