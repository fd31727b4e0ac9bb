import io

import pytest
from PIL import Image
from sklearn.datasets import load_digits

from advisor import open_dataset
from advisor.plugins import load_catalog
from advisor.testing import PluginSuite


class TestPlugin(PluginSuite):
    @pytest.fixture
    def plugin(self):
        return "classics"


def test_digits_are_listed_with_their_labels_and_decode_to_their_levels():
    dataset = open_dataset("digits:")
    digits = load_digits()
    assert len(dataset.frame) == 1797
    assert dataset.classes == tuple("0123456789")
    assert dataset.frame["label"].tolist() == digits.target.tolist()
    image = Image.open(io.BytesIO(dataset.read("0003.png")))
    assert image.size == (8, 8)
    assert image.getpixel((2, 0)) == round(digits.images[3][0, 2] * 255 / 16)


def test_only_its_own_location_is_recognised():
    catalog = load_catalog()
    recognise = catalog.datasets["digits"].item.recognise
    assert recognise("digits:") == 1
    assert recognise("digits") == recognise("./digits:x") == 0
    assert catalog.dataset_for("digits:").name == "digits"
    assert open_dataset("digits:").digest == open_dataset("digits:").digest
