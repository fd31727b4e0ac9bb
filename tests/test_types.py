"""What plugins yield: frozen records that need nothing heavy."""

import dataclasses
import subprocess
import sys

import pytest
from hypothesis import given
from hypothesis import strategies as st

from advisor import types
from advisor.types import PARTS, Backbone, Head, InputSpec, Listing, Offer, Param, Plugin, Weights

RECORDS = [value for value in vars(types).values() if dataclasses.is_dataclass(value)]


@pytest.mark.parametrize("record", RECORDS, ids=lambda record: record.__name__)
def test_every_record_is_frozen_and_every_field_is_explained(record):
    assert record.__dataclass_params__.frozen
    for field in dataclasses.fields(record):
        if record in {types.Vote, types.Offer}:  # one line says it
            continue
        assert f"{field.name}:" in record.__doc__, field.name


def test_defining_them_imports_nothing_heavy():
    code = "import sys, advisor.types; assert not {'torch', 'numpy', 'pandas', 'timm'} & set(sys.modules)"
    subprocess.run([sys.executable, "-c", code], check=True)


@given(st.integers(1, 2000), st.floats(0.1, 1.0))
def test_the_shorter_side_before_the_crop_is_at_least_the_input_and_what_timm_takes(size, crop_pct):
    import math

    spec = InputSpec(size=size, crop_pct=crop_pct)
    assert spec.resize == math.floor(size / crop_pct) >= size


@pytest.mark.parametrize(
    ("size", "crop_pct", "resize"), [(224, 0.875, 256), (256, 1.0, 256), (240, 0.9, 266), (1, 0.3, 3)]
)
def test_it_is_rounded_down(size, crop_pct, resize):
    assert InputSpec(size=size, crop_pct=crop_pct).resize == resize


@pytest.mark.parametrize(
    ("labels", "several"),
    [(["a", "b"], False), ([("a",), ("a", "b")], True), ([(), ("a",)], True), ([], False), ([""], False)],
)
def test_labels_that_are_tuples_are_several(labels, several):
    listing = Listing("x", [str(i) for i in range(len(labels))], labels, bytes)
    assert listing.multilabel is several


def test_a_plugin_is_known_by_its_distribution_and_its_entry_point():
    plugin = Plugin("weights", "advisor-weights", "1.2")
    assert plugin.origin == "advisor-weights 1.2"
    assert plugin.key != Plugin("weights", "other-weights", "1.2").key
    assert plugin.status == "active"


def test_an_offer_shows_what_it_is_and_not_its_plugin():
    assert "advisor-x" not in repr(Offer("item", Plugin("x", "advisor-x", "1")))


def test_names_of_parts_lead_to_the_three_parts_and_each_is_its_own_name():
    assert set(PARTS.values()) == {"train", "val", "test"}
    assert all(PARTS[part] == part for part in ("train", "val", "test"))
    assert all(name == name.lower() for name in PARTS)


def test_optional_fields_have_defaults_that_promise_nothing():
    backbone = Backbone("a", lambda _pretrained: None, InputSpec(64), Weights("x"))
    assert backbone.weights.licence == backbone.weights.trained_on == "unknown"
    assert backbone.reference is None
    assert not backbone.imagenet_top1
    head = Head("h", lambda width, classes: None)
    assert (head.multilabel, head.linear, head.tokens, head.params) == (False, False, False, ())
    assert Param("p", 1).choices == ()
