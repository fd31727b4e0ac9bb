"""A tuned model's folder is a path wherever one is wanted."""

import os
import pickle
from pathlib import Path

import pytest

from advisor.errors import BundleError
from advisor.outcome.tuned import TunedModel


def test_it_is_the_path_that_it_was_made_of(tmp_path):
    model = TunedModel(tmp_path)
    assert model == tmp_path
    assert hash(model) == hash(tmp_path)
    assert os.fspath(model) == str(tmp_path)
    assert {model: 1}[tmp_path] == 1
    assert model.is_dir()


def test_what_lies_in_it_is_a_plain_path(tmp_path):
    inside = TunedModel(tmp_path) / "report.json"
    assert type(inside) is type(Path())
    assert inside == tmp_path / "report.json"
    assert type(TunedModel(tmp_path).path) is type(Path())
    assert TunedModel(tmp_path) / Path("a") / "b" == tmp_path / "a" / "b"


def test_it_can_be_sent_to_another_process(tmp_path):
    again = pickle.loads(pickle.dumps(TunedModel(tmp_path)))  # noqa: S301 - our own bytes
    assert again == tmp_path
    assert isinstance(again, TunedModel)


def test_what_is_no_model_cannot_predict(tmp_path):
    model = TunedModel(tmp_path)
    with pytest.raises(BundleError, match=r"config\.json is missing"):
        model.load()
    with pytest.raises(BundleError):
        model.predict("photo.jpg")
