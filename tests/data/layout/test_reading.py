"""Layouts as people have them, from names alone."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from advisor.data.layout import Folder, read_layout
from advisor.errors import DatasetError


def images(*folders, count=3):
    return [f"{folder}/{folder.replace('/', '-')}{number}.jpg" for folder in folders for number in range(count)]


def sets(*roots, classes=("ant", "bee", "cow"), count=3):
    return images(*(f"{root}/{name}".strip("/") for root in roots for name in classes), count=count)


def read(files, choice="", folders=(), decision=""):
    return read_layout(Folder.of(files, folders), "data", choice, decision)


def splits(layout):
    """Images by split and class."""
    counts = {}
    for _, label, split in layout.images:
        counts.setdefault(split, {}).setdefault(label, 0)
        counts[split][label] += 1
    return counts


ABC = {"ant": 3, "bee": 3, "cow": 3}


@pytest.mark.parametrize(
    ("train", "val", "test"),
    [
        ("train", "val", "test"), ("Train", "Validation", "Test"), ("TRAIN", "VAL", "TEST"), ("train", "valid", "test"),
        ("train", "dev", "eval"), ("train", "eval", "test"), ("trains", "vals", "tests"), ("trn", "val", "tst"),
        ("train_images", "val_images", "test_images"), ("train2017", "val2017", "test2017"),
        ("data_train", "data_val", "data_test"), ("birds_train", "birds_val", "birds_test"),
        ("TrainSet", "ValSet", "TestSet"), ("traindata", "valdata", "testdata"), ("train_01", "val_01", "test_01"),
        ("imagesTrain", "imagesVal", "imagesTest"), ("birds/train", "birds/val", "birds/test"),
        ("train/images", "val/images", "test/images"), ("seg_train/seg_train", "seg_val/seg_val", "seg_test/seg_test"),
        ("a/b/Training", "a/b/Validate", "a/b/Holdout"), ("ILSVRC2012_img_train", "ILSVRC2012_img_val", "test"),
        (" train", "val ", "test "), ("Train_Set", "01_val", "test_set_labelled"), ("trn", "vld", "hold-out"),
        ("training data", "validation data", "testing data"), ("train", "val", "Hold Out"),
    ],
)  # fmt: skip
def test_every_spelling_of_the_parts(train, val, test):
    layout = read(sets(train, val, test))
    assert splits(layout) == {"train": ABC, "val": ABC, "test": ABC}
    assert layout.classes == ("ant", "bee", "cow")
    assert layout.sentences()[0].startswith("Read ")
    assert not layout.left_out


@pytest.mark.parametrize(
    ("train", "test"), [("Training", "Testing"), ("training_set", "test_set"), ("trainval", "test")]
)
def test_two_parts(train, test):
    assert splits(read(sets(train, test))) == {"train": ABC, "test": ABC}


@pytest.mark.parametrize(
    "names",
    [
        ("car", "bus", "train"), ("passenger_train", "freight_train", "bus"), ("cats", "test"), ("train", "test", "bus"),
        ("train_station", "test_tube", "valid_ticket"), ("thumbs", "trash"), ("0", "1", "2"), ("val", "vale"),
    ],
)  # fmt: skip
def test_classes_that_are_called_like_parts_are_classes(names):
    layout = read(images(*names))
    assert splits(layout) == {"": dict.fromkeys(names, 3)}
    within = read(sets("train", "test", classes=names))
    assert splits(within) == {"train": dict.fromkeys(names, 3), "test": dict.fromkeys(names, 3)}


def test_a_class_called_train_with_more_of_it_in_a_subfolder():
    files = images("train", "test", "bus", count=9) + images("train/originals", "test/originals", "bus/originals")
    assert splits(read(files)) == {"": {"train": 12, "test": 12, "bus": 12}}


TWO_WAYS = {
    "flat": images("train", "test"),
    "one folder each": images("train/google", "test/google"),
    "boxes": [*images("train/images", "valid/images"), "train/labels/1.txt", "valid/labels/1.txt"],
    "tables": [*images("train", "test"), "train/metadata.csv", "test/metadata.csv"],
    "domains": images("trainA", "trainB", "testA", "testB"),
    "third with the same classes": sets("train", "test", "extra"),
    "train and a stray": [*sets("train"), *images("test", "Meta")],
    "good and broken": images("train/good", "test/good", "test/broken", "truth/broken"),
    "flat test beside classes": [*sets(""), *images("test")],
    "years": sets("2019", "2020"),
    "groups in parts": images(
        *(f"{part}/{name}" for part in ("train", "test") for name in ("pet/cat", "pet/dog", "car/old", "car/new"))
    ),
    "unlabelled beside classes": images("ant", "bee", "unlabeled"),
    "more of the classes within": images("train/a", "train/b", "train/more/a", "train/more/b", "test/a", "test/b"),
    "persons": images("bounding_box_train", "bounding_box_test", "query"),
    "groups": images("animals/cat", "animals/dog", "vehicles/car", "vehicles/bus"),
    "classes and other classes within": [*sets(""), *[f"more/{name}" for name in images("ant", "bee", count=5)]],
}


@pytest.mark.parametrize("kind", TWO_WAYS)
def test_two_plausible_readings_are_refused_with_both_and_the_option(kind):
    files = TWO_WAYS[kind]
    with pytest.raises(DatasetError, match=r"can be read in two ways: as .*, or as ") as error:
        read(files)
    assert "?layout=classes'" in str(error.value) or kind in {"groups in parts", "more of the classes within"}
    assert error.value.hint.startswith("a set for detection" if kind == "boxes" else "advisor recommend")
    chosen = read(files, "classes")
    assert not chosen.divided
    assert {path for path, _, _ in chosen.images} == {file for file in files if file.endswith(".jpg")}


def test_the_other_choice():
    assert read(TWO_WAYS["years"], "inner").classes == ("ant", "bee", "cow")
    layout = read(TWO_WAYS["groups in parts"], "inner")
    assert splits(layout) == {part: dict.fromkeys(("cat", "dog", "old", "new"), 3) for part in ("train", "test")}
    assert splits(read(TWO_WAYS["groups in parts"], "parts"))["train"] == {"pet": 6, "car": 6}
    assert splits(read(TWO_WAYS["more of the classes within"], "inner"))["train"] == {"a": 6, "b": 6}
    assert splits(read(TWO_WAYS["unlabelled beside classes"], "parts")) == {"train": {"ant": 3, "bee": 3}}
    assert read(TWO_WAYS["groups"], "inner").classes == ("bus", "car", "cat", "dog")
    chosen = read(TWO_WAYS["third with the same classes"], "parts")
    assert splits(chosen) == {"train": ABC, "test": ABC}
    assert "extra/ (9 images): beside the parts" in " ".join(chosen.sentences())
    chosen = read(TWO_WAYS["flat test beside classes"], "parts")
    assert splits(chosen) == {"train": ABC}
    assert "advisor predict" in " ".join(chosen.sentences())
    folds = read(sets("fold1/train", "fold1/test", "fold2/train", "fold2/test"), "inner")
    assert splits(folds) == {"train": dict.fromkeys(ABC, 6), "test": dict.fromkeys(ABC, 6)}


@pytest.mark.parametrize(
    ("folder", "more"),
    [("test", ()), ("test1", ()), ("test_stg1", ("test",)), ("test/unlabeled", ()), ("test/all", ()),
     ("seg_pred/seg_pred", ("test",)), ("unlabelled", ("test",)), ("valid", ("test",))],
)  # fmt: skip
def test_images_without_class_folders_are_left_out_and_said(folder, more):
    layout = read(sets("train", *more) + images(folder, count=7))
    assert splits(layout) == dict.fromkeys(("train", *more), ABC)
    assert [(gone.images, "unlabelled" in gone.why) for gone in layout.left_out] == [(7, True)]
    assert f"advisor predict runs/NAME/best data/{folder.split('/seg')[0]}" in " ".join(layout.sentences())


KAGGLE = {
    "tiny-imagenet": (images("train/n01/images", "train/n02/images", "val/images", "test/images"), {"n01", "n02"}, 6),
    "asl": (images("asl_alphabet_train/asl_alphabet_train/A", "asl_alphabet_train/asl_alphabet_train/B",
                   "asl_alphabet_test/asl_alphabet_test"), {"A", "B"}, 3),
    "cat-and-dog": (images("training_set/training_set/cats", "training_set/training_set/dogs",
                           "test_set/test_set/cats", "test_set/test_set/dogs"), {"cats", "dogs"}, 0),
    "fruits-360": (images("fruits/Training/Fig", "fruits/Training/Kiwi", "fruits/Test/Fig", "fruits/Test/Kiwi",
                          "fruits/test-multiple_fruits"), {"Fig", "Kiwi"}, 3),
    "imagenet": (images("ILSVRC/Data/CLS-LOC/train/n01", "ILSVRC/Data/CLS-LOC/train/n02", "ILSVRC/Data/CLS-LOC/val"),
                 {"n01", "n02"}, 3),
    "stanford": ([*images("Images/n01-pug", "Images/n02-chow"), "Annotation/n01-pug/n01_1"], {"n01-pug", "n02-chow"}, 0),
    "roboflow": ([*images("train/up", "train/down", "valid/up", "valid/down", "test/up", "test/down"), "README.txt"],
                 {"up", "down"}, 0),
}  # fmt: skip


@pytest.mark.parametrize("name", KAGGLE)
def test_sets_as_they_are_downloaded(name):
    files, classes, left_out = KAGGLE[name]
    layout = read(files)
    assert set(layout.classes) == classes
    assert sum(gone.images for gone in layout.left_out) == left_out


def test_a_labelled_part_beside_the_class_folders():
    layout = read(sets("", "test"))
    assert splits(layout) == {"train": ABC, "test": ABC}
    assert "the class folders (train) and test/" in layout.sentences()[0]


def test_parts_within_class_folders():
    layout = read(images("cat/train", "cat/test", "dog/train", "dog/test"))
    assert splits(layout) == {"train": {"cat": 3, "dog": 3}, "test": {"cat": 3, "dog": 3}}
    assert "within the class folders" in " ".join(layout.sentences())


def test_wrapped_sets_are_read_and_named():
    layout = read([*sets("flowers/flowers"), "a.jpg", "README.txt", "__MACOSX/flowers/._a.jpg"])
    assert splits(layout) == {"": ABC}
    text = " ".join(layout.sentences())
    assert "inside flowers/flowers/" in text
    assert "directly in the folder (1 image): in no class folder" in text
    assert "__MACOSX/" in text
    assert "inside train/" in read(sets("train"), folders=["test"]).sentences()[0]
    assert "There are no images in test/." in read(sets("train"), folders=["test"]).sentences()


def test_whole_sets_side_by_side_name_the_inner_folder():
    with pytest.raises(DatasetError, match="2 whole sets, fold1/ and fold2/") as error:
        read(sets("fold1/train", "fold1/test", "fold2/train", "fold2/test"))
    assert error.value.hint == "advisor recommend data/fold1"
    with pytest.raises(DatasetError, match=r"a whole set .*, birds/, beside misc/ \(3 images\)"):
        read(sets("birds/train", "birds/test") + images("misc"))


def test_the_set_once_more():
    again = read([*sets(""), *(f"data/{name}" for name in sets(""))])
    assert splits(again) == {"": ABC}
    assert "data/ (9 images): the same set once more" in " ".join(again.sentences())
    xray = [*sets("train", "test"), *(f"xray/{name}" for name in sets("train", "test"))]
    assert splits(read(xray)) == {"train": ABC, "test": ABC}
    assert "xray/ (18 images): images that are in the parts, too" in " ".join(read(xray).sentences())
    numbers = [f"{folder}/{number}.jpg" for folder in ("ant", "bee", "data/ant", "data/bee") for number in range(4)]
    with pytest.raises(DatasetError, match="two ways"):  # equal numbers do not make equal images
        read(numbers)


def test_masks_beside_images():
    layout = read(images("covid/images", "covid/masks", "normal/images", "normal/masks"))
    assert splits(layout) == {"": {"covid": 3, "normal": 3}}
    assert "covid/masks/ (3 images) and normal/masks/ (3 images): masks of the images" in " ".join(layout.sentences())
    with pytest.raises(DatasetError, match="look like images and masks"):
        read(images("images", "masks"))
    with pytest.raises(DatasetError, match="look like images and masks"):
        read(images("train/images", "train/masks", "test/images", "test/masks"))
    assert splits(read(images("with", "masks", "bare"))) == {"": {"with": 3, "masks": 3, "bare": 3}}


def test_folders_within_class_folders_count_to_the_class():
    layout = read(images("mug/mug_1", "mug/mug_2", "cup/cup_1", "cup/cup_2", "cup"))
    assert splits(layout) == {"": {"mug": 6, "cup": 9}}
    assert "counts to the class, here in cup, mug" in " ".join(layout.sentences())
    assert splits(read(images("cat/google", "cat/bing", "dog/google", "dog/bing"))) == {"": {"cat": 6, "dog": 6}}
    within = read(images("train/cat/a", "train/dog", "test/cat", "test/dog/b"))
    assert splits(within) == {"train": {"cat": 3, "dog": 3}, "test": {"cat": 3, "dog": 3}}
    assert "counts to the class, here in cat" in " ".join(within.sentences())


def test_parts_without_one_that_is_called_like_training_name_the_folder_to_rename():
    for beside in ("learn", "2019"):
        with pytest.raises(DatasetError, match=r"dev/ and evaluation/, but no training images") as error:
            read(sets(beside, "dev", "evaluation"))
        assert f"if {beside}/ is the training part, call it so: mv data/{beside} data/train" in str(error.value)
        assert error.value.hint == f"mv data/{beside} data/train"
        assert "data?layout=inner" in str(error.value)


def test_a_part_of_another_name_may_be_renamed():
    with pytest.raises(DatasetError, match="two ways") as error:
        read(sets("train", "check", "test"))
    assert "if check/ is a part, call it train, val or test" in str(error.value)


@pytest.mark.parametrize("root", ["images/", ""])
def test_boxes_beside_flat_parts_are_not_advised_to_be_classes(root):
    files = images(f"{root}train2017", f"{root}val2017")
    files += [f"{'labels' if root else 'annotations'}/a.txt"]
    with pytest.raises(DatasetError, match="two ways") as error:
        read(files)
    assert "a set for detection" in error.value.hint


def test_folders_without_images_are_said():
    empty = " ".join(read(sets("train", "test"), folders=["train/void", "test/nought", "docs"]).sentences())
    assert "There are no images in train/void/." in empty
    assert "There are no images in test/nought/." in empty
    assert "docs" not in empty
    assert "There are no images in void/." in read(sets(""), folders=["void"]).sentences()


@pytest.mark.parametrize(
    ("files", "message"),
    [
        (sets("train", "training", "test"), "`train` and `training` would both be the train part"),
        (sets("Train", "train", "test"), "differ only in capital letters"),
        (sets("train", "test", "test "), "differ only in blanks at an end"),
        (images("train/Ant", "train/bee", "test/ant", "test/bee"), "differ only in capital letters"),
        (images("train/caf\u00e9", "train/bee", "test/cafe\u0301", "test/bee"), "NFC and NFD"),
        (images("train/big_dog", "train/bee", "test/big dog", "test/bee"), "differ only in blanks, `_`"),
        (images("train/ant", "train/bee", "test/x", "test/y"), "No class of train/ stands in test/, which holds x, y"),
        (sets("val", "test"), "val/ and test/, but no training images"),
    ],
)  # fmt: skip
def test_parts_that_do_not_fit_are_refused(files, message):
    with pytest.raises(DatasetError, match=message):
        read(files)


TWINS = {
    "in capital letters": ("Ant", "ant"),
    "in blanks at an end": ("cow", "cow "),
    "in blanks, `_`, `-` or capital letters": ("big-bird", "big_bird"),
    "in how accents are stored (NFC and NFD)": ("caf\u00e9", "cafe\u0301"),
    "in how a number is written": ("1", "01"),
}


@pytest.mark.parametrize("why", TWINS)
@pytest.mark.parametrize("where", ["", "train/"])
def test_classes_that_are_one_name_are_refused_and_one_word_decides(why, where):
    first, second = TWINS[why]
    files = images(*(f"{where}{name}" for name in (first, second, "bee")))
    if where:
        files += images(f"test/{second}", "test/bee")
    with pytest.raises(DatasetError) as error:
        read(files)
    assert f"differ only {why}" in str(error.value)
    assert error.value.hint == "advisor recommend 'data?alike=merge'"
    kept = read(files, decision="keep")
    assert set(kept.classes) == {first, second, "bee"}
    assert "kept apart" in " ".join(kept.sentences())
    merged = read(files, decision="merge")
    assert len(merged.images) == len(files)
    assert len(merged.classes) == 2
    assert "are one class" in " ".join(merged.sentences())
    assert merged.parts[0].classes["bee"] == 3
    assert merged.parts[0].classes[next(name for name in merged.classes if name != "bee")] == 6


def test_one_class_in_two_spellings_over_the_parts_is_merged():
    files = images("train/Ant", "train/Bee", "test/ant", "test/bee")
    with pytest.raises(DatasetError, match="written in several ways"):
        read(files)
    assert splits(read(files, decision="merge")) == {"train": {"Ant": 3, "Bee": 3}, "test": {"Ant": 3, "Bee": 3}}


def test_the_decision_stands_beside_the_layout_and_letters_are_not_twins():
    assert read(images("a", "A", "b")).classes == ("A", "a", "b")
    with pytest.raises(DatasetError) as error:
        read(images("Ant", "ant", "train"), "classes")
    assert error.value.hint == "advisor recommend 'data?layout=classes&alike=merge'"


def test_labels_in_the_names_of_files():
    loose = [f"{name}.{number}.jpg" for name in ("cat", "dog") for number in range(5)]
    with pytest.raises(DatasetError, match="10 images directly in `data`, but none in class folders") as error:
        read(loose)
    assert "(cat 5, dog 5): advisor recommend 'data?layout=names'" in str(error.value)
    assert splits(read(loose, "names")) == {"": {"cat": 5, "dog": 5}}
    kaggle = [*(f"train/{name}" for name in loose), *(f"test1/{number}.jpg" for number in range(7))]
    with pytest.raises(DatasetError, match="two ways") as error:
        read(kaggle)
    assert error.value.hint == "advisor recommend 'data?layout=names'"
    layout = read(kaggle, "names")
    assert splits(layout) == {"train": {"cat": 5, "dog": 5}}
    assert [gone.images for gone in layout.left_out] == [7]
    with pytest.raises(DatasetError, match="one folder, images/"):
        read([f"images/{name}" for name in loose])
    for plain in ([f"IMG_{number}.jpg" for number in range(9)], [f"{number}.jpg" for number in range(9)]):
        with pytest.raises(DatasetError) as error:
            read(plain)
        assert "layout=names" not in str(error.value)


def test_tables_beside_images_without_class_folders_are_named():
    with pytest.raises(DatasetError) as error:
        read(TWO_WAYS["tables"])
    assert "if train/metadata.csv says which image is what" in str(error.value)
    assert "make one of them with a column `split`" in str(error.value)
    assert error.value.hint == "advisor recommend data/train/metadata.csv"
    with pytest.raises(DatasetError) as error:
        read([*images("img/train", "img/test"), "list.csv"])
    assert error.value.hint == "advisor recommend data/list.csv"


def test_nothing_to_read_says_what_is_there():
    with pytest.raises(DatasetError, match=r"no images in `data`, but the archive data\.zip") as error:
        read(["data.zip"])
    assert "unzip data/data.zip" in error.value.hint
    with pytest.raises(DatasetError, match="no images") as error:
        read(["a/1.CR2", "a/2.cr2", "b/1.svg"])
    assert ".cr2 (2), .svg (1)" in str(error.value)


NAMES = st.sampled_from(
    ["train", "test", "Val", "ant", "bee", "images", "masks", "data", "@eaDir", "unlabeled", "2019"]
)


@given(
    st.sets(st.lists(NAMES, max_size=4).map("/".join), max_size=12),
    st.sampled_from(["", "classes", "parts", "inner", "names"]),
)
def test_every_image_is_read_once_or_told_of(folders, choice):
    files = [f"{folder}/a{number}.jpg".lstrip("/") for folder in folders for number in range(2)]
    tree = Folder.of(files)
    try:
        layout = read_layout(tree, "data", choice)
    except DatasetError:
        return  # refused in words; which folders are refused is tried above
    paths = [path for path, _, _ in layout.images]
    assert len(paths) == len(set(paths))
    assert len(paths) + sum(gone.images for gone in layout.left_out) == tree.total
    assert layout.sentences()[0].startswith("Read ")
    labels = {label for _, label, _ in layout.images}
    if choice == "" and layout.divided:
        assert {split for _, _, split in layout.images} <= {"train", "val", "test"}
        assert "train" in {split for _, _, split in layout.images}
    assert "@eaDir" not in labels
