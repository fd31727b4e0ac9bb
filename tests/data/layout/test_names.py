import pytest

from advisor.data.formats import by_ending, is_image_name, unread_pictures
from advisor.data.layout.names import is_neutral_name, is_skipped, label_in_name, labels_in_names, part_names
from advisor.data.layout.twins import alike, twins


@pytest.mark.parametrize(
    ("names", "parts"),
    [
        (("train_birds", "test_birds"), {"train_birds": "train", "test_birds": "test"}),
        (("train_birds", "test_dogs"), {}),
        (("training-set-1", "testing-set-1"), {"training-set-1": "train", "testing-set-1": "test"}),
        (("strain", "contest", "devil", "medieval"), {}),
        (("train_test", "val"), {"val": "val"}),
        (("train_val", "test"), {"train_val": "train", "test": "test"}),
        (("train", "eval"), {"train": "train", "eval": "test"}),
        (("train", "evaluation", "test"), {"train": "train", "evaluation": "val", "test": "test"}),
        (("ＴＲＡＩＮ", "test"), {"ＴＲＡＩＮ": "train", "test": "test"}),
    ],
)
def test_part_names(names, parts):
    assert part_names(names) == parts


@pytest.mark.parametrize(
    "name", [".git", "@eaDir", "#recycle", "$RECYCLE.BIN", "__MACOSX", "lost+found", ".Trash-1000"]
)
def test_hidden_folders_and_those_of_systems_are_skipped(name):
    assert is_skipped(name, beside_images=False)


def test_thumbnails_are_skipped_only_beside_images():
    assert is_skipped("Thumbnails", beside_images=True)
    assert not is_skipped("Thumbnails", beside_images=False)
    assert not is_skipped("trash", beside_images=True)


def test_image_names():
    assert is_image_name("a.JPG")
    assert not is_image_name("._a.jpg")
    assert not is_image_name("a.jpg.txt")


def test_twins_are_one_name_differently_written():
    names = ["Ant", "ant", "caf\u00e9", "cafe\u0301", "big dog", "big_dog ", "bee"]
    assert twins(names) == [("Ant", "ant"), ("big dog", "big_dog "), ("cafe\u0301", "caf\u00e9")]
    assert alike("a") != alike("b")
    assert alike("a") != alike("A")
    assert alike("bigdog") != alike("big dog")
    assert alike("1-2") != alike("12")
    assert twins(["0", "0.0", "00", "1.5", "-1", "1"]) == [("0", "0.0", "00")]


@pytest.mark.parametrize(
    ("name", "label"),
    [("cat.12.jpg", "cat"), ("american_bulldog_203.jpg", "american_bulldog"), ("dog (3).png", "dog"), ("17.jpg", ""),
     ("a/b/cow-7.jpg", "cow"), ("cat.jpg", "")],
)  # fmt: skip
def test_label_in_name(name, label):
    assert label_in_name(name) == label


def test_labels_in_names_need_several_images_each():
    assert labels_in_names(["cat1.jpg", "cat2.jpg", "dog1.jpg", "dog2.jpg"]) == {"cat": 2, "dog": 2}
    assert not labels_in_names(["cat1.jpg", "cat2.jpg", "dog1.jpg"])
    assert not labels_in_names(["IMG_1.jpg", "IMG_2.jpg"])
    assert not labels_in_names(["cat1.jpg", "cat2.jpg", "dog1.jpg", "dog2.jpg", *(f"{n}.jpg" for n in range(4))])


def test_neutral_names():
    assert is_neutral_name("google", "cat")
    assert is_neutral_name("0012", "cat")
    assert is_neutral_name("mug_3", "mug")
    assert not is_neutral_name("front", "cat")


def test_files_are_counted_by_ending():
    assert by_ending(["a.txt", "b.TXT", "c", "d.json"]) == ".txt 2, without ending 1, .json 1"
    assert by_ending([f"a.{n}" for n in range(7)], most=2).endswith("and 5 more endings")
    assert unread_pictures(["a.jpg", "b.txt"]) == ""
    assert unread_pictures(["a.NEF"]).startswith("1 picture is not read, of the ending .nef (1): ")
    assert "3 pictures are not read, of the endings .nef (2), .mov (1)" in unread_pictures(["a.nef", "b.nef", "c.mov"])
