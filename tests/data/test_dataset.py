import os
import shutil
import subprocess
import sys
from pathlib import Path

import numpy as np
import PIL
import pytest
from conftest import draw
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image

from advisor.data.dataset import open_dataset, without
from advisor.data.gaps import gaps_between_parts
from advisor.data.pixels import store_pixels
from advisor.data.profile import profile_dataset
from advisor.data.splitting import split_dataset
from advisor.errors import AdvisorError, DatasetError, UsageError
from advisor.progress import Silent
from advisor.types import InputSpec, Listing

SPEC = InputSpec(size=28, crop_pct=0.875)


def test_folder_is_listed_in_natural_order_with_sorted_classes(tiny_folder):
    dataset = open_dataset(str(tiny_folder))
    assert dataset.classes == ("across", "blobs", "down")
    assert len(dataset.frame) == 72
    assert dataset.frame["path"].iloc[0] == "across/00.png"


def test_digest_is_of_content_not_of_place_or_time(tiny_folder, tmp_path):
    first = open_dataset(str(tiny_folder)).digest
    copy = tmp_path / "elsewhere"
    shutil.copytree(tiny_folder, copy, copy_function=shutil.copyfile)
    assert open_dataset(str(copy)).digest == first
    draw(0, 99).save(copy / "across" / "00.png")
    assert open_dataset(str(copy)).digest != first


def test_split_is_a_stratified_partition_that_a_seed_repeats(tiny_folder):
    dataset = open_dataset(str(tiny_folder))
    split = split_dataset(dataset, seed=1)
    rows = np.concatenate([split.rows(name) for name in ("train", "val", "test")])
    assert sorted(rows) == list(range(72))
    assert [int((split.labels(name) == 0).sum()) for name in ("train", "val", "test")] == [15, 4, 5]
    again = split_dataset(dataset, seed=1)
    assert again.frame.equals(split.frame)
    assert not split_dataset(dataset, seed=2).frame.equals(split.frame)


def test_split_does_not_depend_on_file_names_or_order(tiny_folder, tmp_path):
    renamed = tmp_path / "renamed"
    for file in tiny_folder.rglob("*.png"):
        target = renamed / file.parent.name / f"{99 - int(file.stem)}.png"
        target.parent.mkdir(parents=True, exist_ok=True)
        shutil.copy(file, target)
    one = split_dataset(open_dataset(str(tiny_folder))).frame
    two = split_dataset(open_dataset(str(renamed))).frame
    assert dict(zip(one["content"], one["split"], strict=True)) == dict(zip(two["content"], two["split"], strict=True))


def test_copies_of_one_file_stay_on_one_side(tiny_folder):
    for seed in range(0, 24, 2):
        shutil.copy(tiny_folder / "down" / f"{seed:02d}.png", tiny_folder / "down" / f"copy-{seed}.png")
    for seed in range(5):
        split = split_dataset(open_dataset(str(tiny_folder)), seed=seed)
        profile = profile_dataset(split)
        assert len(profile.duplicates) == 12
        assert not profile.leaking


@given(counts=st.lists(st.integers(3, 30), min_size=2, max_size=4), seed=st.integers(0, 5))
@settings(max_examples=15, deadline=None)
def test_every_class_is_in_every_part(tmp_path_factory, counts, seed):
    root = tmp_path_factory.mktemp("sizes")
    for label, count in enumerate(counts):
        (root / f"c{label}").mkdir()
        for number in range(count):
            Image.new("L", (4, 4), 8 * number + label).save(root / f"c{label}" / f"{number}.png")
    split = split_dataset(open_dataset(str(root)), seed=seed)
    for name in ("train", "val", "test"):
        assert set(split.labels(name)) == set(range(len(counts)))


@pytest.mark.parametrize("names", [("train", "test"), ("Training", "VALID", "Testing"), ("train", "val")])
def test_given_parts_are_kept(tiny_folder, tmp_path, names):
    root = tmp_path / "parts"
    for number, name in enumerate(names):
        shutil.copytree(tiny_folder, root / name)
        for file in (root / name).rglob("*.png"):
            draw(len(file.parent.name), 100 * number + int(file.stem)).save(file)
    split = split_dataset(open_dataset(str(root)))
    test = split.frame.loc[split.frame["split"] == "test", "path"]
    assert len(test) == 72
    assert test.str.startswith(names[-1]).all()
    assert set(split.frame.loc[split.frame["split"] == "train", "path"].str.split("/").str[0]) == {names[0]}
    assert len(split.rows("val")) > 0


def test_a_class_named_like_a_split_is_a_class(tmp_path):
    for name in ("test", "cats"):
        (tmp_path / name).mkdir()
        draw(0, len(name)).save(tmp_path / name / "1.png")
    assert open_dataset(str(tmp_path)).classes == ("cats", "test")


def test_broken_files_are_named_and_left_out_never_replaced(tiny_folder):
    whole = (tiny_folder / "across" / "01.png").read_bytes()
    (tiny_folder / "across" / "00.png").write_bytes(whole[: len(whole) // 2])
    (tiny_folder / "down" / "00.png").write_bytes(b"")
    (tiny_folder / "down" / "notes.txt").write_text("not an image")
    listed = open_dataset(str(tiny_folder))
    store = store_pixels(listed, SPEC)
    dataset = split_dataset(without(listed, store.broken))
    profile = profile_dataset(dataset)
    assert {path for path, _ in profile.broken} == {"across/00.png", "down/00.png"}
    assert dict(profile.broken)["down/00.png"] == "the file is empty"
    assert profile.images == 70
    assert profile.ignored == ("down/notes.txt",)
    used = np.concatenate([dataset.rows(name) for name in ("train", "val", "test")])
    assert store.broken[0][0] not in used
    by_path = dataset.frame.set_index("path")
    expected = store_pixels(open_dataset(str(tiny_folder)), SPEC).batch(np.array([by_path.loc["blobs/03.png", "row"]]))
    direct = np.asarray(Image.open(tiny_folder / "blobs" / "03.png").convert("RGB"))
    assert abs(expected.mean() - direct[:, 4:44].mean()) < 2


def test_pixels_are_decoded_once_and_small_images_stay_small(tiny_folder, monkeypatch):
    dataset = open_dataset(str(tiny_folder))
    store = store_pixels(dataset, SPEC)
    assert store.side == 32
    assert store_pixels(dataset, InputSpec(size=224)).side == 40

    def explode(*_args):
        raise AssertionError("decoded again")

    monkeypatch.setattr("advisor.data.pixels.decode_square", explode)
    assert store_pixels(dataset, SPEC) == store


@pytest.mark.parametrize("damage", ["a byte", "cut short", "no description"])
def test_damaged_pixels_are_noticed_and_decoded_again(tiny_folder, damage):
    dataset = open_dataset(str(tiny_folder))
    store = store_pixels(dataset, SPEC)
    rows = np.arange(store.count)
    pixels, file = store.batch(rows), store.folder / "pixels.u8"
    data = bytearray(file.read_bytes())
    if damage == "a byte":
        data[5000] ^= 64
        file.write_bytes(data)
    elif damage == "cut short":
        file.write_bytes(data[:-1])
    else:
        (store.folder / "store.json").write_text("{")
    heard = Heard()
    again = store_pixels(dataset, SPEC, progress=heard)
    np.testing.assert_array_equal(again.batch(rows), pixels)
    assert heard.sentences == ["The decoded images in the cache are damaged; they are decoded again."]


def test_another_pillow_decodes_anew(tiny_folder, monkeypatch):
    dataset = open_dataset(str(tiny_folder))
    folder = store_pixels(dataset, SPEC).folder
    monkeypatch.setattr(PIL, "__version__", "99.0")
    assert store_pixels(dataset, SPEC).folder != folder


class Heard(Silent):
    def __init__(self):
        self.sentences = []

    def say(self, text):
        self.sentences.append(text)


@pytest.mark.parametrize(
    ("make", "message", "kind"),
    [
        (lambda root: None, "There are no images", DatasetError),
        (lambda root: draw(0, 0).save(root / "1.png"), "1 images directly in", DatasetError),
        (
            lambda root: ((root / "cats").mkdir(), draw(0, 0).save(root / "cats" / "1.png")),
            "only one class",
            DatasetError,
        ),
    ],
)
def test_folders_without_a_task(tmp_path, make, message, kind):
    make(tmp_path)
    with pytest.raises(kind, match=message) as error:
        open_dataset(str(tmp_path))
    assert "hint:" in str(error.value)


def test_a_file_or_nothing_instead_of_a_folder(tmp_path):
    file = tmp_path / "photo.png"
    draw(0, 0).save(file)
    with pytest.raises(UsageError, match="is a file, not a folder"):
        open_dataset(str(file))
    with pytest.raises(UsageError, match="Nothing here can read"):
        open_dataset(str(tmp_path / "nowhere"))


@pytest.mark.parametrize("readable", [0, 1, 2])
def test_small_classes_are_refused_or_left_out(tiny_folder, readable):
    (tiny_folder / "rare").mkdir()
    for number in range(3):
        path = tiny_folder / "rare" / f"{number}.png"
        draw(number, 50 + number).save(path)
        if number >= readable:
            path.write_bytes(b"broken")
    dataset = open_dataset(str(tiny_folder))
    with pytest.raises(DatasetError, match=rf"`rare` \({readable}\)") as error:
        split_dataset(dataset)
    assert "--skip-small-classes" in str(error.value)
    assert "repair the" in str(error.value)
    kept = split_dataset(dataset, skip_small_classes=True)
    assert kept.classes == ("across", "blobs", "down")
    names = kept.frame["path"].str.split("/").str[0]
    assert [kept.classes[label] for label in kept.frame["label"]] == names.tolist()


def parts(root, counts):
    """Folders of images by part and class, all different."""
    for place, ((part, label), count) in enumerate(counts.items()):
        (root / part / label).mkdir(parents=True)
        for seed in range(count):
            draw(len(label), 100 * place + seed).save(root / part / label / f"{seed}.png")
    return str(root)


def test_a_class_that_is_not_trained_on_is_named_with_the_true_cause(tmp_path):
    counts = {("train", "a"): 6, ("train", "bb"): 6, ("test", "a"): 3, ("test", "bb"): 3, ("test", "ccc"): 4}
    dataset = open_dataset(parts(tmp_path / "x", counts))
    with pytest.raises(DatasetError, match=r"no images to train on of 1 of the 3 classes: `ccc` \(4 in test\)"):
        split_dataset(dataset)
    kept = split_dataset(dataset, skip_small_classes=True)
    assert kept.classes == ("a", "bb")
    assert any("ccc" in note for note in kept.notes)


def test_leaving_out_small_classes_fails_with_the_true_cause(tmp_path):
    dataset = open_dataset(parts(tmp_path / "x", {("", "a"): 9, ("", "bb"): 1, ("", "ccc"): 2}))
    with pytest.raises(
        DatasetError, match=r"2 of the 3 classes .* fewer than 3 .* `bb` \(1\), `ccc` \(2\); .* one class"
    ):
        split_dataset(dataset, skip_small_classes=True)
    counts = {("train", "a"): 6, ("train", "bb"): 6, ("train", "ccc"): 1, ("test", "ccc"): 4}
    with pytest.raises(DatasetError, match=r"Without the classes left out, `ccc`, no images to test on remain"):
        split_dataset(open_dataset(parts(tmp_path / "y", counts)), skip_small_classes=True)


def test_classes_that_a_given_part_lacks_are_told_once(tmp_path):
    counts = {(part, label): 6 for part in ("train", "val", "test") for label in ("a", "bb")}
    del counts["val", "bb"], counts["test", "a"]
    dataset = split_dataset(open_dataset(parts(tmp_path / "x", counts | {("test", "ccc"): 3})), skip_small_classes=True)
    assert "The validation part has no images of bb." in dataset.reading
    assert "The test part has no images of a." in dataset.reading
    assert "Only the test part has images of ccc: there are none to learn from." in dataset.reading
    assert not [note for note in dataset.notes if note.startswith("no ")]


def test_a_validation_part_that_serves_as_the_test_part_has_its_gaps_told_once(tmp_path):
    counts = {("train", "a"): 9, ("train", "bb"): 9, ("train", "ccc"): 9, ("val", "a"): 6, ("val", "bb"): 6}
    dataset = split_dataset(open_dataset(parts(tmp_path / "x", counts)))
    assert "The validation part has no images of ccc." in dataset.reading
    assert not [note for note in dataset.notes if note.startswith("no ")]


def test_gaps_of_several_labels_and_of_rows_without_a_part():
    labels = [("a", "b"), ("c",), (), ("a",), ("d",)]
    listing = Listing("x", list("12345"), labels, str.encode, splits=["", "train", "val", "val", "test"])
    assert gaps_between_parts(listing) == (
        {"val": ("b", "c"), "test": ("a", "b", "c")},
        (
            "The validation part has no images of b, c.",
            "The test part has no images of a, b, c.",
            "Only the test part has images of d: there are none to learn from.",
        ),
    )
    assert gaps_between_parts(Listing("x", ["1", "2"], ["a", "b"], str.encode)) == ({}, ())


def test_a_class_whose_files_in_a_part_are_broken_is_a_gap_that_the_split_tells(tmp_path):
    counts = {(part, label): 6 for part in ("train", "val", "test") for label in ("a", "bb")}
    folder = Path(parts(tmp_path / "x", counts))
    for file in (folder / "test" / "a").iterdir():
        file.write_bytes(b"")
    dataset = open_dataset(str(folder))
    assert not dataset.gaps
    assert "no test images for: a" in split_dataset(dataset).notes


def test_no_permission(tiny_folder, tmp_path):
    (tiny_folder / "down").chmod(0o000)
    become_someone_else = "os.setuid(65534)" if os.geteuid() == 0 else "pass"  # root may read everything
    for folder in (tiny_folder, *tiny_folder.parents):
        if os.geteuid() == 0 and folder.stat().st_mode & 0o001 == 0:
            folder.chmod(folder.stat().st_mode | 0o055)
    code = f"""
import os
from advisor.data.dataset import open_dataset
from advisor.plugins import load_catalog
catalog = load_catalog()
assert catalog.plugins  # loaded while modules may be read
{become_someone_else}
open_dataset({str(tiny_folder)!r}, catalog=catalog)
"""
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, cwd=tmp_path)
    (tiny_folder / "down").chmod(0o755)
    assert "may not be read: permission denied" in done.stderr
    assert "hint: chmod" in done.stderr


def test_a_full_disk_is_a_sentence_and_leaves_nothing_behind(tiny_folder, monkeypatch, tmp_path):
    import resource

    cache = tmp_path / "cache"
    monkeypatch.setenv("ADVISOR_CACHE", str(cache))
    dataset = open_dataset(str(tiny_folder))
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    import signal

    previous = signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
    resource.setrlimit(resource.RLIMIT_FSIZE, (50_000, hard))  # a file may grow no further, as on a full disk
    try:
        with pytest.raises(AdvisorError, match="The disk is full") as error:
            store_pixels(dataset, SPEC)
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))
        signal.signal(signal.SIGXFSZ, previous)
    assert "hint: ADVISOR_CACHE=" in str(error.value)
    assert not list(cache.rglob("*.u8"))
    assert store_pixels(dataset, SPEC).count == 72


def test_parts_beside_a_stray_folder_are_still_parts(tiny_folder, tmp_path):
    root = tmp_path / "zip"
    for name, count in (("train", 8), ("test", 4)):
        for kind, label in enumerate(("across", "blobs")):
            (root / name / label).mkdir(parents=True)
            for seed in range(count):
                draw(kind, seed + 50 * (name == "test")).save(root / name / label / f"{seed}.png")
    (root / "__MACOSX").mkdir()
    dataset = open_dataset(str(root))
    assert dataset.classes == ("across", "blobs")
    assert dataset.ignored == ("__MACOSX",)


def test_copies_with_contradicting_labels_stay_on_one_side(tmp_path):
    for label in ("a", "b"):
        (tmp_path / label).mkdir()
        for seed in range(20):
            draw(0, seed).save(tmp_path / label / f"{seed}.png")
    for seed in range(4):
        profile = profile_dataset(split_dataset(open_dataset(str(tmp_path)), seed=seed))
        assert len(profile.conflicting) == 20
        assert not profile.leaking


def test_a_passing_read_error_is_not_kept(tiny_folder):
    dataset = open_dataset(str(tiny_folder))
    bad = dataset.frame["path"].iloc[3]

    def read(path):
        if path == bad:
            raise OSError(5, "Input/output error")
        return dataset.read(path)

    import dataclasses

    assert store_pixels(dataclasses.replace(dataset, read=read), SPEC).broken == ((3, "Input/output error"),)
    assert store_pixels(dataset, SPEC).broken == ()


def test_names_that_are_not_utf8_are_refused_early(tiny_folder):
    odd = os.fsdecode(os.fsencode(tiny_folder) + b"/caf\xe9")
    (tiny_folder / "down").rename(odd)
    with pytest.raises(DatasetError, match="not valid UTF-8"):
        open_dataset(str(tiny_folder))
