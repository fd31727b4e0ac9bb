"""Both tasks against brute force, scikit-learn and torch."""

import itertools
import subprocess
import sys

import numpy as np
import pytest
import torch
import torch.nn.functional as F  # noqa: N812
from scipy.special import expit, softmax
from sklearn.metrics import average_precision_score, balanced_accuracy_score, recall_score

from advisor.plugins import load_catalog
from advisor.task import MultiLabel, SingleLabel, make_task, task_from_config, task_of_labels

NAMES = ("ant", "bee", "cat", "dog")
SINGLE, MULTI = SingleLabel(NAMES), MultiLabel(NAMES)
BALANCED = SINGLE.with_metric("balanced")


def drawn(task, n=150, seed=0, skill=1.0):
    """Scores (n, 4) that know a little, and labels."""
    rng = np.random.default_rng(seed)
    labels = rng.choice(4, n, p=(0.6, 0.2, 0.15, 0.05)) if task.exclusive else rng.random((n, 4)) < (0.6, 0.3, 0.2, 0.1)
    return skill * task.truth(labels) + rng.normal(size=(n, 4)), labels


@pytest.fixture(params=[SINGLE, BALANCED, MULTI], ids=["accuracy", "balanced", "map"])
def task(request):
    return request.param


# Labels


def test_labels_are_read_from_a_table_and_named_again():
    one, several = SINGLE.encode([2, 0]), MULTI.encode([(2, 0), (), (3,)])
    assert SINGLE.truth(one).tolist() == [[False, False, True, False], [True, False, False, False]]
    assert MULTI.truth(several).sum(1).tolist() == [2, 0, 1]
    assert SINGLE.names(one) == ["cat", "ant"]
    assert MULTI.names(several) == ["ant|cat", "", "dog"]


def test_the_stratum_of_an_image_is_its_rarest_label():
    labels = MULTI.encode([(0,), (0, 1), (0, 1, 2), (), (0, 1)])
    assert MULTI.strata(labels).tolist() == [0, 1, 2, -1, 1]
    assert MultiLabel(()).strata(np.zeros((2, 0), bool)).tolist() == [-1, -1]
    assert SINGLE.strata(SINGLE.encode([3, 1])).tolist() == [3, 1]


def test_what_teaches_nothing_is_left_out():
    one, labels, kept = BALANCED.restricted(SINGLE.encode([3, 1, 3]))
    assert (one.classes, one.metric) == (("bee", "dog"), "balanced")
    assert (labels.tolist(), kept.tolist()) == ([1, 0, 1], [1, 3])
    several, truth, kept = MULTI.restricted(MULTI.encode([(0, 1), (0,), (0, 3)]))
    assert several.classes == ("bee", "dog")
    assert (truth.tolist(), kept.tolist()) == ([[True, False], [False, False], [False, True]], [1, 3])


def test_families_that_teach_a_class_are_counted():
    family = np.array(["a", "a", "b", "c", "d"])
    assert SINGLE.family_counts(np.array([0, 0, 0, 1, 1]), family).tolist() == [2, 2, 0, 0]
    truth = MULTI.encode([(0,), (0, 1), (0, 1), (0,), (0, 2)])
    # Every image has the first label, so none shows what lacks it; a family may have a label and lack it.
    assert MULTI.family_counts(truth, family).tolist() == [0, 2, 1, 0]


def test_tensors_are_what_heads_take_and_come_back(task):
    _, labels = drawn(task)
    tensor = task.tensor(labels)
    assert tensor.dtype == (torch.int64 if task.exclusive else torch.float32)
    assert (task.array(tensor) == labels).all()
    assert (task.one_hot(tensor).bool().numpy() == task.truth(labels)).all()
    frozen = labels.copy()
    frozen.flags.writeable = False  # as tables give it
    task.tensor(frozen).zero_()
    assert (frozen == labels).all()


def test_notes_and_refusals_speak_of_classes_or_labels():
    assert SINGLE.notes(np.array([0, 1])) == ()
    assert MULTI.notes(MULTI.encode([(0, 1), (), (2,)])) == ("1 images have several labels, 1 none",)
    assert SINGLE.too_few("3 images") == "classes have 3 images"
    assert MULTI.too_few("3 images") == "labels are on, or missing from, 3 images"


# Scores


def test_the_score_is_that_of_scikit_learn():
    scores, labels = drawn(SINGLE)
    said = scores.argmax(1)
    assert SINGLE.score(SINGLE.image_scores(scores, labels), labels) == pytest.approx((said == labels).mean())
    balanced = BALANCED.score(BALANCED.image_scores(scores, labels), labels)
    assert balanced == pytest.approx(balanced_accuracy_score(labels, said))
    scores, labels = drawn(MULTI)
    expected = np.mean([average_precision_score(labels[:, c], scores[:, c]) for c in range(4)])
    assert MULTI.score(MULTI.image_scores(scores, labels), labels) == pytest.approx(expected)


def test_without_images_there_is_no_score_and_any_is_possible(task):
    scores, labels = drawn(task, n=0)
    assert task.score(np.zeros(0), labels) == 0
    assert task.interval(np.zeros(0)) == (0, 1)
    assert task.temperature(scores, labels) == 1
    assert len(task.sample_weight(labels)) == 0


def test_no_label_at_all_cannot_be_scored():
    with pytest.raises(ValueError, match="no image has any label"):
        MULTI.image_scores(np.zeros((5, 4)), np.zeros((5, 4), bool))


def test_the_standard_error_is_the_spread_of_the_score_over_fresh_images(task):
    figures, errors, leads, lead_errors = [], [], [], []
    for seed in range(200):
        scores, labels = drawn(task, n=250, seed=seed)
        worse = scores + np.random.default_rng(seed + 1000).normal(size=scores.shape) * 0.5
        image_scores, other = task.image_scores(scores, labels), task.image_scores(worse, labels)
        figure, error = task.estimate(image_scores, labels)
        lead, lead_error = task.compare(image_scores, other, labels)
        assert figure == pytest.approx(task.score(image_scores, labels))
        assert lead == pytest.approx(figure - task.score(other, labels))
        figures.append(figure)
        errors.append(error)
        leads.append(lead)
        lead_errors.append(lead_error)
    assert np.mean(errors) == pytest.approx(np.std(figures), rel=0.25)
    assert np.mean(lead_errors) == pytest.approx(np.std(leads), rel=0.25)


def test_no_figure_is_certain(task):
    _, labels = drawn(task, n=50)
    mean, error = task.estimate(np.ones(50), labels)
    assert mean == pytest.approx(1)
    assert 0 < error < 0.2


def test_the_error_of_a_balanced_score_is_that_of_its_small_classes():
    rng, labels = np.random.default_rng(0), np.repeat([0, 1], [1000, 10])
    draws = [BALANCED.estimate((rng.random(1010) < 0.7).astype(float), labels) for _ in range(300)]
    means, errors = np.array(draws).T
    assert means.std() == pytest.approx(errors.mean(), rel=0.2)


def test_the_interval_holds_the_score_of_all_images_as_often_as_it_says():
    for task, least in ((SINGLE, 0.92), (MULTI, 0.88)):  # the jackknife's is a little short on few images
        scores, labels = drawn(task, n=40_000)
        whole = task.score(task.image_scores(scores, labels), labels)
        rng, inside = np.random.default_rng(3), []
        for _ in range(400):
            rows = rng.integers(0, len(labels), 120)
            low, high = task.interval(task.image_scores(scores[rows], labels[rows]))
            assert 0 <= low < high <= 1
            inside.append(low <= whole <= high)
        assert least < np.mean(inside) < 0.99


def test_chance_is_what_an_answer_without_looking_gets():
    _, labels = drawn(SINGLE, n=1000)
    lazy = np.tile(np.eye(4)[0], (1000, 1))
    for task in (SINGLE, BALANCED):
        assert task.score(task.image_scores(lazy, labels), labels) == pytest.approx(task.chance(labels))
    _, labels = drawn(MULTI, n=2000)
    blind = np.random.default_rng(9).random((2000, 4))
    assert MULTI.score(MULTI.image_scores(blind, labels), labels) == pytest.approx(MULTI.chance(labels), abs=0.03)
    with pytest.raises(ValueError, match=r"\[1\]"):
        MULTI.chance(np.array([[True, True], [False, True]]))


def test_imbalance_and_what_images_are_worth():
    labels = np.repeat([0, 1, 2], [200, 12, 12])
    assert SINGLE.imbalance(labels) == pytest.approx(200 / 12)
    assert SINGLE.effective(labels) == 224
    assert BALANCED.effective(labels) == round(9 / (1 / 200 + 2 / 12))
    assert MULTI.effective(np.ones((7, 4), bool)) == 7
    assert MULTI.imbalance(MULTI.encode([(0, 1), (0,), (0,)])) == 3


def test_per_class_figures_are_those_of_scikit_learn():
    scores, labels = drawn(SINGLE)
    labels[labels == 1] = 0  # no image of the second class
    ant, cat, dog = SINGLE.per_class(scores, labels)
    recalls = recall_score(labels, scores.argmax(1), labels=[0, 2, 3], average=None)
    assert (ant.name, cat.name, dog.name) == ("ant", "cat", "dog")
    assert [ant.value, cat.value, dog.value] == pytest.approx(recalls.tolist())
    assert [ant.images, cat.images, dog.images] == [(labels == c).sum() for c in (0, 2, 3)]
    low, high = SINGLE.class_interval(ant)
    assert low < ant.value < high
    scores, labels = drawn(MULTI)
    labels[:, 1] = False
    _, cat, _ = MULTI.per_class(scores, labels)
    assert (cat.name, cat.images) == ("cat", labels[:, 2].sum())
    assert cat.value == pytest.approx(average_precision_score(labels[:, 2], scores[:, 2]))
    assert MULTI.class_interval(cat) is None


# Training


def test_figures_are_said_in_the_unit_of_their_column():
    assert (SINGLE.class_metric_name, SINGLE.class_figure(0.8333), SINGLE.class_words(0.8333)) == (
        "recognised, %", "83.3", "83 % recognised",
    )  # fmt: skip
    assert (MULTI.class_metric_name, MULTI.class_figure(0.8333), MULTI.class_words(0.8333)) == (
        "average precision", "0.833", "average precision 0.83",
    )  # fmt: skip
    for task, beginning in ((SINGLE, "Recognised is"), (BALANCED, "Recognised is"), (MULTI, "Average precision tells")):
        meaning = task.class_meaning("the model")
        assert meaning.startswith(beginning)
        assert "the model" in meaning
    assert SINGLE.headline(0.931) == "Right on 93.1\u00a0% of images it had never seen"
    assert MULTI.headline(0.5) == "Mean average precision 0.500 on images it had never seen"


def test_weights_make_every_class_count_the_same():
    _, labels = drawn(SINGLE)
    weights = SINGLE.class_weights(labels)
    assert weights.mean() == pytest.approx(1)
    assert [weights[labels == c].sum() for c in range(4)] == pytest.approx([len(labels) / 4] * 4)
    assert (BALANCED.sample_weight(labels) == weights).all()
    rare = np.repeat([0, 1, 3], [80, 12, 4])  # the third class does not occur
    assert [SINGLE.class_weights(rare)[rare == c].sum() for c in (0, 1, 3)] == pytest.approx([32, 32, 32])
    truth = MULTI.encode([(0,), (0,), (0, 1), ()])
    assert MULTI.class_weights(truth).tolist() == pytest.approx([0.6, 0.6, 1.8, 1.0])  # 2.5 and .5 of three images
    assert (MULTI.class_weights(np.zeros((3, 4), bool)) == 1).all()
    for unweighted in (SINGLE, MULTI):
        assert (unweighted.sample_weight(drawn(unweighted)[1]) == 1).all()


@pytest.mark.parametrize("smoothing", [0.0, 0.2])
def test_the_loss_is_cross_entropy_an_image(smoothing):
    scores, labels = drawn(SINGLE, n=20)
    p = softmax(scores, axis=1)
    target = (1 - smoothing) * np.eye(4)[labels] + smoothing / 4
    loss = SINGLE.loss(torch.from_numpy(scores), SINGLE.tensor(labels), smoothing)
    np.testing.assert_allclose(loss.numpy(), -(target * np.log(p)).sum(1))
    scores, labels = drawn(MULTI, n=20)
    p, target = expit(scores), (1 - smoothing) * labels + smoothing / 2
    loss = MULTI.loss(torch.from_numpy(scores), MULTI.tensor(labels), smoothing)
    np.testing.assert_allclose(
        loss.numpy(), -(target * np.log(p) + (1 - target) * np.log(1 - p)).mean(1), rtol=1e-6
    )  # fmt: skip


def test_heads_that_know_one_class_an_image_are_accepted_only_there():
    catalog = load_catalog()
    assert all(SINGLE.accepts(offer.item) for offer in catalog.heads.values())
    assert MULTI.accepts(catalog.head("sigmoid"))
    assert not MULTI.accepts(catalog.head("svm"))


# Calibration and answers


def test_the_negative_log_likelihood_is_the_loss_before_smoothing(task):
    scores, labels = drawn(task)
    expected = task.loss(torch.from_numpy(scores), task.tensor(labels)).mean()
    assert task.negative_log_likelihood(scores, labels) == pytest.approx(float(expected), rel=1e-6)


def test_the_temperature_has_the_highest_likelihood_and_undoes_a_factor(task):
    rng = np.random.default_rng(5)
    logits = rng.normal(size=(4000, 4)) * 1.5
    if task.exclusive:
        labels = (logits + rng.gumbel(size=logits.shape)).argmax(1)
    else:
        labels = rng.random(logits.shape) < expit(logits)
    fitted = task.temperature(3 * logits, labels)
    assert fitted == pytest.approx(1 / 3, rel=0.05)
    grid = np.exp(np.linspace(np.log(0.1), np.log(100), 400))
    best = grid[np.argmin([task.negative_log_likelihood(t * 3 * logits, labels) for t in grid])]
    assert fitted == pytest.approx(best, rel=0.02)


@pytest.mark.parametrize("factor", [1e-5, 1e-2, 1e3])
def test_the_temperature_knows_no_scale(task, factor):
    scores, labels = drawn(task)
    expected = task.temperature(scores, labels, doubt=1.0) / factor
    assert task.temperature(factor * scores, labels, doubt=1.0) == pytest.approx(expected, rel=1e-3)


def test_one_image_in_doubt_is_one_whose_label_is_a_matter_of_chance(task):
    logits = np.array([[2.0, -1.0, 0.5], [0.0, 1.0, -2.0]])
    labels = np.array([0, 1]) if task.exclusive else np.array([[True, False, False], [False, True, True]])
    task = type(task).numbered(3)
    every = np.arange(3) if task.exclusive else np.array(list(itertools.product([False, True], repeat=3)))
    by_chance = np.mean([
        task.negative_log_likelihood(np.repeat(logits[i : i + 1], len(every), 0), every) for i in range(2)
    ])  # fmt: skip
    plain = task.negative_log_likelihood(logits, labels)
    assert task.negative_log_likelihood(logits, labels, smoothing=1 / 3) == pytest.approx((2 * plain + by_chance) / 3)


def test_few_images_that_are_all_right_do_not_ask_for_certainty(task):
    logits = np.eye(4)[np.arange(12) % 4]
    labels = np.arange(12) % 4 if task.exclusive else np.eye(4, dtype=bool)[np.arange(12) % 4]
    logits = logits if task.exclusive else 2 * logits - 1
    assert task.temperature(logits, labels) > 30
    assert 1 < task.temperature(logits, labels, doubt=1.0) < 6


def test_what_a_calibrated_answer_is_sure_of_is_right_as_often():
    rng = np.random.default_rng(0)
    labels = rng.integers(0, 3, 3000)
    logits = np.eye(3)[labels] * 2 + rng.gumbel(size=(3000, 3))
    task = SingleLabel.numbered(3)
    sure = softmax(task.temperature(logits, labels, doubt=1.0) * logits, axis=1).max(1)
    assert sure.mean() == pytest.approx((logits.argmax(1) == labels).mean(), abs=0.02)


def test_probabilities_are_those_of_torch(task):
    scores, labels = drawn(task)
    logits = torch.from_numpy(scores)
    plain = eval(f"logits{task.activation}", {"logits": 2 * logits})  # noqa: S307 - what a model card tells people to write
    torch.testing.assert_close(task.probabilities(logits, 2.0), plain)
    own = task.own_probability(plain.numpy(), labels)
    truth = task.truth(labels)
    expected = [
        row[is_so].sum()
        if task.exclusive
        else np.mean([p if yes else 1 - p for p, yes in zip(row, is_so, strict=True)])
        for row, is_so in zip(plain.numpy(), truth, strict=True)
    ]
    np.testing.assert_allclose(own, expected)


def test_an_answer_says_what_is_likely_enough():
    answer = np.array([0.1, 0.55, 0.05, 0.8])
    assert SINGLE.said(answer) == "dog"
    assert SINGLE.said(answer, 0.8) == "dog"
    assert SINGLE.said(answer, 0.81) == ""
    assert MULTI.said(answer) == "dog|bee"
    assert MULTI.said(answer, 0.1) == "dog|bee|ant"
    assert MULTI.said(answer / 2) == ""


# Where a task comes from


def test_a_task_survives_its_config_and_old_names_are_read(task):
    again = task_from_config(task.to_config())
    assert again == task.with_metric("accuracy")
    old = {"classes": list(NAMES), "several": not task.exclusive}
    assert task_from_config(old) == again
    assert task_from_config({"classes": list(NAMES)}) == SINGLE


def test_a_task_is_made_from_words_or_from_the_shape_of_labels():
    assert make_task(NAMES, multilabel=False, metric="balanced") == BALANCED
    assert make_task(NAMES, multilabel=True, metric="balanced") == MULTI  # where only one metric suits
    assert MULTI.metric == "map"
    with pytest.raises(ValueError, match="`map` is no metric of one class an image"):
        make_task(NAMES, multilabel=False, metric="map")
    assert task_of_labels(torch.tensor([1, 0]), 4) == SingleLabel(("0", "1", "2", "3"))
    assert task_of_labels(torch.tensor([1, 0])) == SingleLabel(("0", "1"))
    assert task_of_labels(np.zeros((2, 4), bool)) == MultiLabel(("0", "1", "2", "3"))
    assert [t.metric_name for t in (SINGLE, BALANCED, MULTI)] == [
        "accuracy", "balanced accuracy", "mean average precision",
    ]  # fmt: skip


def test_importing_it_imports_no_torch():
    code = "import sys, advisor.task; sys.exit('torch' in sys.modules or 'pandas' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0


def test_cross_entropy_of_torch_agrees():
    scores, labels = drawn(SINGLE)
    logits, tensor = torch.from_numpy(scores), SINGLE.tensor(labels)
    torch.testing.assert_close(SINGLE.loss(logits, tensor).mean(), F.cross_entropy(logits, tensor))


def test_guessing_is_known_from_the_classes_of_the_images_alone(task):
    scores, labels = drawn(task)
    assert task.guess(task.per_class(scores, labels), len(labels)) == pytest.approx(task.chance(labels))
