"""Each conformance check finds what is wrong: things of a plugin that are broken in one way each."""

from dataclasses import replace

import pytest
import torch
from torch import nn

from advisor.builtin.datasets import open_folder
from advisor.errors import DatasetError
from advisor.testing import backbones, datasets, heads
from advisor.testing.checking import Finding, Flaw, ask, run_checks, title
from advisor.testing.samples import CLASSES, draw, own_cache, tiny_images
from advisor.types import Backbone, DatasetFormat, Head, InputSpec, Param, Weights


def flaws(item, checks):
    return [finding.flaw for finding in run_checks("it", item, checks) if finding.flaw]


def works(_item):
    """It works.

    More of this.
    """


def complains(_item):
    """It is blue."""
    ask(False, "it is red")


def refuses(_item):
    """It opens."""
    raise DatasetError("There are no images.", hint="give some")


def breaks(_item):
    raise SystemExit("a stranger's code\nmay do this")


def test_whatever_a_check_raises_is_a_finding_and_the_next_one_runs():
    found = list(run_checks("it", None, [works, complains, refuses, breaks, works]))
    assert found[0] == Finding("it", "It works")
    assert [one.flaw for one in found[1:4]] == [
        "it is red", "There are no images.", "it raised SystemExit: a stranger's code",
    ]  # fmt: skip
    assert found[3].check == "breaks"
    assert not found[4].flaw


def test_only_a_person_stops_the_checks():
    def stopped(_item):
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        list(run_checks("it", None, [stopped]))


def test_what_holds_is_let_through():
    ask(1, "x")
    with pytest.raises(Flaw, match="x"):
        ask([], "x")
    assert title(works) == "It works"


# Heads.

LINEAR = Head("mine", lambda width, classes, **_: nn.Linear(width, classes), summary="One layer.")


def test_one_layer_holds_every_check():
    assert flaws(LINEAR, heads.CHECKS) == []


@pytest.mark.parametrize(
    ("param", "words"),
    [
        (Param("l2", 5.0, low=0.0, high=1.0), "5.0 is not in 0.0..1.0"),
        (Param("l2", 0.5), "a number needs low and high"),
        (Param("l2", 0.5, low=0.0, high=1.0, log=True), "must begin above 0"),
        (Param("not a name", 0.5, low=0.0, high=1.0), "cannot be a keyword argument"),
        (Param("kind", "c", choices=("a", "b")), "'c' is not among its choices"),
    ],
)
def test_parameters_that_are_none_are_found(param, words):
    (flaw,) = flaws(replace(LINEAR, params=(param,)), [heads.parameters_are_sound])
    assert words in flaw


def test_two_parameters_of_one_name_and_no_summary_are_found():
    twice = (Param("a", 0.5, low=0.0, high=1.0),) * 2
    assert "two parameters have one name" in flaws(replace(LINEAR, params=twice), [heads.parameters_are_sound])[0]
    assert flaws(replace(LINEAR, summary=""), [heads.parameters_are_sound]) == ["it has no summary"]


class Deaf(nn.Module):
    """Answers the same to everything."""

    def __init__(self, width, classes, **_):
        super().__init__()
        self.bias = nn.Parameter(torch.zeros(classes))
        self.unused = nn.Parameter(torch.zeros(1))

    def forward(self, features):
        return self.bias.expand(len(features), -1)


class Infinite(nn.Linear):
    def forward(self, features):
        return super().forward(features) / 0


def test_heads_that_do_not_do_their_work_are_found():
    deaf = replace(LINEAR, create=Deaf)
    assert "no gradient reaches unused" in flaws(deaf, [heads.every_weight_gets_a_gradient])[0]
    assert "it gets 33% of them" in flaws(deaf, [heads.learns_what_is_easy])[0]
    wrong = replace(LINEAR, create=lambda width, classes, **_: nn.Linear(width, classes + 1))
    assert "gives (5, 3) for 2 classes" in flaws(wrong, [heads.maps_features_to_logits])[0]
    infinite = replace(LINEAR, create=lambda width, classes, **_: Infinite(width, classes))
    assert "not a finite number" in flaws(infinite, [heads.maps_features_to_logits])[0]
    claims = replace(LINEAR, linear=True, create=lambda width, classes, **_: nn.Sequential(nn.Linear(width, classes)))
    assert flaws(claims, [heads.is_linear_if_it_says_so]) == ["it says linear and is a Sequential"]


def test_a_head_that_keeps_something_beside_its_state_is_found():
    class Forgetful(nn.Linear):
        def __init__(self, width, classes, **_):
            super().__init__(width, classes)
            self.shift = torch.rand(())

        def forward(self, features):
            return super().forward(features) + self.shift

    assert "answer differently" in flaws(replace(LINEAR, create=Forgetful), [heads.state_is_whole])[0]


def test_settings_are_tried_at_both_ends_of_each_parameter():
    params = (Param("n", 2, low=1.2, high=8.7), Param("kind", "a", choices=("a", "b")), Param("on", True),
              Param("x", 0.1, low=0.01, high=1.0))  # fmt: skip
    tried = list(heads._settings(replace(LINEAR, params=params)))
    assert {one["n"] for one in tried} == {2, 8}
    assert {one["kind"] for one in tried} == {"a", "b"}
    assert {one["x"] for one in tried} == {0.1, 0.01, 1.0}


# Backbones.

CARD = Backbone(
    "b",
    lambda _: None,
    InputSpec(64, 0.9),
    summary="A network.",
    weights=Weights(source="file", licence="MIT", trained_on="ImageNet"),
)


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        (
            {"weights": Weights(source="file", licence="unknown", trained_on="ImageNet")},
            "weights.licence is not stated",
        ),
        ({"weights": Weights(source="", licence="MIT", trained_on="ImageNet")}, "weights.source is not stated"),
        ({"input": InputSpec(8, 0.9)}, "not 16 to 4096 pixels"),
        ({"input": InputSpec(64, 1.5)}, "crop_pct is 1.5"),
        ({"input": InputSpec(64, 0.9, mean=(124.0, 117.0, 104.0))}, "not on the scale of 0 to 1"),
        ({"input": InputSpec(64, 0.9, std=(0.2, 0.0, 0.2))}, "every value divides"),
        ({"input": InputSpec(64, 0.9, interpolation="nearest")}, "interpolation is 'nearest'"),
        ({"summary": ""}, "it has no summary"),
    ],
)
def test_a_card_that_lacks_something_is_found(changes, words):
    assert flaws(CARD, [backbones.card_is_complete]) == []
    assert words in flaws(replace(CARD, **changes), [backbones.card_is_complete])[0]


def test_what_is_no_network_is_found():
    assert "returned NoneType: not a network" in flaws(CARD, [backbones.takes_a_classifier])[0]
    unknown = replace(CARD, architecture="no_such_net")
    assert "timm has no architecture `no_such_net`" in flaws(unknown, [backbones.timm_knows_its_architecture])[0]


def test_tensors_are_compared_by_name_and_shape():
    own, theirs = {"a": (1,), "b": (2,)}, {"a": (1,), "b": (3,), "c": (1,)}
    assert backbones._first_difference(own, theirs) == "`b` is (2,) here and (3,) there"
    assert backbones._first_difference({"a": (1,), "d": (1,)}, {"a": (1,)}) == "`d` is (1,) here and missing there"
    assert backbones._first_difference({"a": (1,)}, {"a": (1,)}) == "their order"


# Dataset formats.


@pytest.fixture
def place(tmp_path):
    """A format that reads one folder of images, and changes to it."""
    folder = str(tiny_images(tmp_path / "shapes", each=3))

    def _place(location=folder, **changes):
        usual = {"recognise": lambda where: 0.6 * (where == folder), "open": open_folder}
        return datasets.Place(DatasetFormat("mine", **{**usual, **changes}), location)

    return _place


def listing_of(place, **changes):
    return lambda where: replace(place().format.open(where), **changes)


def test_a_format_of_folders_holds_every_check(place):
    assert flaws(place(), datasets.CHECKS) == []


@pytest.mark.parametrize("answer", [0.0, 1.5, -1.0])
def test_a_format_that_is_not_sure_of_its_own_is_found(place, answer):
    assert "not up to 1" in flaws(place(recognise=lambda _: answer), [datasets.recognises_its_own_and_nothing_else])[0]


def test_a_format_that_claims_everything_is_found(place):
    assert (
        "which does not exist"
        in flaws(place(recognise=lambda _: 0.5), [datasets.recognises_its_own_and_nothing_else])[0]
    )


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"paths": []}, "it finds no image"), ({"labels": ["a"]}, "images and 1 labels"),
        ({"paths": ["x"] * 9}, "the same identifier"), ({"labels": ["a"] * 9}, "the same label"),
        ({"splits": ["train"]}, "9 images and 1 splits"), ({"splits": ["training"] * 9}, "splits are called 'training'"),
        ({"groups": ["g"]}, "9 images and 1 groups"), ({"name": "a/b"}, "cannot name a folder"),
    ],
)  # fmt: skip
def test_listings_that_are_none_are_found(place, changes, words):
    (flaw,) = flaws(place(open=listing_of(place, **changes)), [datasets.lists_without_reading])
    assert words in flaw


def test_what_it_reads_must_be_images_and_the_same_ones(place):
    count = iter(range(10**6))
    assert (
        "gives other bytes"
        in flaws(place(open=listing_of(place, read=lambda _: b"%d" % next(count))), [datasets.reads_images])[0]
    )
    assert "is no image" in flaws(place(open=listing_of(place, read=lambda _: b"x")), [datasets.reads_images])[0]
    assert (
        "reads as str, not bytes"
        in flaws(place(open=listing_of(place, read=lambda _: "x")), [datasets.reads_images])[0]
    )


def test_what_is_missing_must_be_said(place):
    def key_error(_path):
        raise KeyError("x")

    check = [datasets.says_what_is_missing]
    assert "raises nothing" in flaws(place(open=listing_of(place, read=lambda _: b"x")), check)[0]
    assert "raises KeyError, not OSError" in flaws(place(open=listing_of(place, read=key_error)), check)[0]


# Samples.


def test_drawn_images_are_the_same_from_the_same_seed_and_differ_by_class():
    assert draw(0, 1).tobytes() == draw(0, 1).tobytes()
    assert len({draw(kind, 1).tobytes() for kind in range(3)} | {draw(0, 2).tobytes()}) == 4
    assert draw(1, 1, (10, 20)).size == (20, 10)


def test_a_folder_of_samples_has_as_many_as_asked_for(tmp_path):
    root = tiny_images(tmp_path / "x", each=2)
    assert {folder.name: len(list(folder.iterdir())) for folder in root.iterdir()} == dict.fromkeys(CLASSES, 2)


@pytest.mark.parametrize("before", [None, "/somewhere"])
def test_a_cache_of_ones_own_is_given_back(tmp_path, monkeypatch, before):
    import os

    monkeypatch.delenv("ADVISOR_CACHE")
    if before:
        monkeypatch.setenv("ADVISOR_CACHE", before)

    def stopped():
        with own_cache(tmp_path):
            assert os.environ["ADVISOR_CACHE"] == str(tmp_path / "cache")
            raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        stopped()
    assert os.environ.get("ADVISOR_CACHE") == before
