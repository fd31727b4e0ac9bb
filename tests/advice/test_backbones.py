import pytest
from conftest import TINY

import advisor
from advisor.advice.backbones import BackboneRow, best_backbone
from advisor.errors import BackboneError


def row(name, accuracy, rank, *, tied):
    return BackboneRow(name, accuracy, 0.01, "x", tied, 70.0, rank, 1.0, 1.0, 0.5, "MIT", "nothing")


def test_backbones_are_probed_on_the_same_images_and_the_best_is_taken(install, tiny, tiny_folder):
    install("other", TINY.format(name="other", architecture="test_efficientnet"))
    said = []

    class Listen(advisor.progress.Silent):
        def say(self, text):
            said.append(text)

    found = advisor.recommend(str(tiny_folder), backbones=[tiny, "other", "hf-hub:nobody/nothing"], progress=Listen())
    assert {entry.name for entry in found.backbones} == {"tiny", "other"}
    assert any("hf-hub:nobody/nothing is left out" in text for text in said)
    assert found.backbone == best_backbone(found.backbones)
    assert found.plan.backbone == found.backbone
    assert found.backbones[0].accuracy >= found.backbones[1].accuracy
    assert found.backbones[0].tied
    assert found.to_dict()["backbones"][0]["licence"] == "MIT"


def test_of_tied_ones_the_published_order_decides():
    rows = (row("a", 0.90, 3, tied=True), row("b", 0.89, 1, tied=True), row("c", 0.7, 2, tied=False))
    assert best_backbone(rows) == "b"


def test_no_usable_backbone_is_an_error_in_words(tiny_folder):
    with pytest.raises(BackboneError, match="None of the 1 backbones"):
        advisor.recommend(str(tiny_folder), backbones=["hf-hub:nobody/nothing"])
