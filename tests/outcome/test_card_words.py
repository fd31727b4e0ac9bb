"""What a model's card says, against records made by hand."""

import json
import re
from dataclasses import replace

import pytest
import yaml
from made import run_record

from advisor.errors import BundleError
from advisor.outcome.card import known_of, model_card, report_of
from advisor.records.run import BackboneRecord, DatasetRecord
from advisor.task import ClassScore

OURS = {"backbone": "lite0", "classes": ["auk", "bee", "cat"]}


def card(report=None, *, config=None, title="my-birds", place="local-dir:my-birds", licence=""):
    config = config or {"architecture": "x", "advisor": OURS}
    return model_card(config, report or run_record(), title=title, place=place, licence=licence)


def front(text):
    """The front matter, and what follows."""
    _, matter, body = text.split("---\n", 2)
    return yaml.safe_load(matter), body


def test_the_front_matter_is_yaml_that_a_hub_reads():
    matter, _ = front(card())
    assert matter["license"] == "apache-2.0"
    assert matter["library_name"] == "timm"
    assert matter["pipeline_tag"] == "image-classification"
    (entry,) = matter["model-index"]
    assert entry["results"][0]["metrics"][0]["value"] == 0.8


def test_a_licence_that_is_given_wins():
    assert front(card(licence="CC-BY-4.0"))[0]["license"] == "cc-by-4.0"


def test_a_model_that_timm_cannot_load_says_what_does():
    matter, body = front(card(config={"advisor": OURS}))
    assert matter["library_name"] == "transfer-advisor"
    assert "import timm" not in body


def test_without_test_images_no_figure_is_made_up():
    matter, body = front(card(run_record(test=None, test_balanced=None, test_images=0, per_class=())))
    assert "metrics" not in json.dumps(matter)
    assert "not measured: there were no test images" in body


@pytest.mark.parametrize(
    ("backbone", "base"),
    [("hf-hub:timm/resnet18.a1_in1k", "timm/resnet18.a1_in1k"), ("timm/resnet18", "timm/resnet18"), ("lite0", None),
     ("local-dir:/home/me/x", None), ("hf-hub:a/b/c", None)],
)  # fmt: skip
def test_the_hub_is_told_what_it_is_based_on_where_it_is_on_the_hub(backbone, base):
    matter, _ = front(card(run_record(backbone=BackboneRecord(backbone, "", "", "MIT", "ImageNet"))))
    assert matter.get("base_model") == base


def test_the_worst_class_comes_first_and_few_images_are_owned_up_to():
    body = front(card())[1]
    assert body.index("| cat | 50.0 |") < body.index("| bee | 85.7 |") < body.index("| auk | 100.0 |")
    assert "fewer than 30 images" in body


def test_of_two_thousand_classes_fifty_are_shown():
    many = tuple(ClassScore(f"class {n}", 40, n / 2000) for n in range(2000))
    dataset = replace(run_record().dataset, classes=tuple(one.name for one in many))
    body = front(card(run_record(per_class=many, dataset=dataset)))[1]
    assert len(re.findall(r"^\| class \d", body, re.MULTILINE)) == 50
    assert "2000" in body


def test_known_lines_say_each_thing_in_one():
    known = known_of({"advisor": OURS}, run_record())
    assert known["network"] == "lite0, tuned to 3 classes"
    assert known["dataset"] == "birds"
    assert known["test"] == "0.800 (95 % 0.584 to 0.919, 20 images used for nothing else)"
    assert known["images"] == "100"


@pytest.mark.parametrize(
    ("location", "name"), [("/home/me/birds/", "birds"), ("digits:", "digits"), ("/", "images"), ("a.csv", "a.csv")]
)
def test_the_place_of_the_images_is_not_told_beyond_its_name(location, name):
    dataset = replace(run_record().dataset, location=location)
    assert known_of({"advisor": OURS}, run_record(dataset=dataset))["dataset"] == name


def test_values_that_do_nothing_are_left_out_but_for_the_depth():
    body = front(card())[1]
    assert "| optimizer.lr | 0.001 |" in body
    assert "train.mixup" not in body
    assert "freeze.depth" in body


def test_an_odd_probability_in_the_plan_is_not_told():
    body = front(card(run_record(advice={"scenario_probabilities": {"2": "high"}, "probability_different": None})))[1]
    assert "high" not in body


EVIL = "a|b\n# c <script> [d](e) `f` *g*"


def test_names_of_any_kind_stay_in_their_cells():
    dataset = DatasetRecord(f"/x/{EVIL}", "d", False, {"train": 9, "test": 3}, (EVIL, "b"))
    report = run_record(per_class=(ClassScore(EVIL, 3, 0.5),), dataset=dataset, recipe=EVIL,
                        backbone=BackboneRecord(EVIL, EVIL, "", EVIL, EVIL))  # fmt: skip
    matter, body = front(card(report, config={"advisor": {"backbone": EVIL, "classes": [EVIL, "b"]}}, title=EVIL))
    assert "\n" not in matter["model-index"][0]["name"]
    assert "<script>" not in body
    assert "\n# c" not in body
    for line in body.splitlines():
        assert "](e)" not in line or "\\[d" in line


@pytest.mark.parametrize("text", [None, "", "{", "[]", "{}", '{"metric": "speed"}'])
def test_a_report_that_cannot_be_read_is_said_with_a_way_out(tmp_path, text):
    if text is not None:
        (tmp_path / "report.json").write_text(text)
    with pytest.raises(BundleError, match="has no report that can be read") as caught:
        report_of(tmp_path)
    assert "advisor export" in caught.value.hint


def test_a_report_comes_back_as_it_was_written(tmp_path):
    (tmp_path / "report.json").write_text(json.dumps(run_record().to_dict()))
    assert report_of(tmp_path) == run_record()
