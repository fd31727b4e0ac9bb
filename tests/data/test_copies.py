import io

import numpy as np
import pytest
from conftest import draw
from PIL import Image, ImageFilter

from advisor.data.prepare import prepare
from advisor.errors import DatasetError
from advisor.plugins import load_catalog
from advisor.progress import Silent
from advisor.types import InputSpec

SPEC = InputSpec(size=64, crop_pct=0.875)


def picture(seed):
    """A smooth colourful picture, different for every seed."""
    rng = np.random.default_rng(seed)
    small = Image.fromarray(rng.integers(0, 255, (6, 6, 3), dtype=np.uint8))
    return small.resize((120, 120), Image.Resampling.BICUBIC)


def ready(folder):
    return prepare(str(folder), SPEC, catalog=load_catalog(), seed=0, progress=Silent())


@pytest.fixture
def folder(tmp_path):
    for label in "ab":
        (tmp_path / "d" / label).mkdir(parents=True)
        for seed in range(12):
            picture(seed + 100 * ord(label)).save(tmp_path / "d" / label / f"{seed}.png")
    return tmp_path / "d"


def test_reencoded_resized_and_brighter_copies_are_found_and_nothing_else(folder):
    original = Image.open(folder / "a" / "0.png")
    original.save(folder / "a" / "q20.jpg", quality=20)
    original.resize((64, 64)).save(folder / "a" / "small.png")
    original.point(lambda level: min(255, int(level * 1.05))).save(folder / "a" / "bright.png")
    found = ready(folder).profile.near_duplicates
    assert [set(group) for group in found] == [{"a/0.png", "a/q20.jpg", "a/small.png", "a/bright.png"}]


def test_copies_stay_on_one_side_of_a_drawn_split(folder):
    for seed in range(6):
        Image.open(folder / "a" / f"{seed}.png").save(folder / "a" / f"{seed}.jpg", quality=50)
    prepared = ready(folder)
    assert len(prepared.profile.near_duplicates) == 6
    assert prepared.profile.leaking == ()
    side = dict(zip(prepared.dataset.frame["path"], prepared.dataset.frame["split"], strict=True))
    assert all(side[f"a/{seed}.png"] == side[f"a/{seed}.jpg"] for seed in range(6))
    assert set(side.values()) == {"train", "val", "test"}


def test_copies_across_given_splits_and_labels_are_named(folder, tmp_path):
    root = tmp_path / "split"
    for part in ("train", "test"):
        for label in "ab":
            (root / part / label).mkdir(parents=True)
    for label in "ab":
        for seed in range(12):
            part = "test" if seed < 3 else "train"
            (folder / label / f"{seed}.png").rename(root / part / label / f"{seed}.png")
    Image.open(root / "train" / "a" / "5.png").save(root / "test" / "b" / "x.jpg", quality=60)
    profile = ready(root).profile
    assert profile.leaking == profile.conflicting == (("test/b/x.jpg", "train/a/5.png"),)


def test_alike_drawings_do_not_make_a_class_unsplittable(tmp_path):
    for kind, name in enumerate(("across", "blobs")):
        (tmp_path / name).mkdir()
        for seed in range(12):
            image = draw(kind, 0, (64, 64))
            noise = np.random.default_rng(seed).integers(0, 3, (64, 64, 3))
            Image.fromarray((np.asarray(image.convert("RGB")) * 0.98 + noise).astype(np.uint8)).save(
                tmp_path / name / f"{seed}.png"
            )
    prepared = ready(tmp_path)
    assert {"train", "val", "test"} == set(prepared.dataset.frame["split"])
    assert any("look like copies" in note for note in prepared.profile.notes)


def test_black_images_are_no_copies_of_each_other(tmp_path):
    for label in "ab":
        (tmp_path / label).mkdir()
        for number in range(6):
            buffer = io.BytesIO()
            Image.new("RGB", (20 + number, 20)).save(buffer, "PNG")
            (tmp_path / label / f"{number}.png").write_bytes(buffer.getvalue() + label.encode())
    prepared = ready(tmp_path)
    assert prepared.profile.near_duplicates == ()


def test_one_picture_many_times_is_refused_in_words(tmp_path):
    for label in "ab":
        (tmp_path / label).mkdir()
        for number in range(6):
            picture(0).save(tmp_path / label / f"{number}.png")
    with pytest.raises(DatasetError, match="fewer than 3 different"):
        ready(tmp_path)


def test_blurring_is_no_reason_to_lump_different_pictures(folder):
    for seed in range(12):
        Image.open(folder / "b" / f"{seed}.png").filter(ImageFilter.GaussianBlur(8)).save(folder / "b" / f"{seed}.png")
    assert ready(folder).profile.near_duplicates == ()


def detailed(seed, size=(150, 120)):
    """A colourful picture with detail, different for every seed."""
    rng = np.random.default_rng(seed)
    soft = Image.fromarray(rng.integers(0, 255, (7, 9, 3), dtype=np.uint8)).resize(size, Image.Resampling.BICUBIC)
    fine = Image.fromarray(rng.integers(0, 255, (40, 50, 3), dtype=np.uint8)).resize(size, Image.Resampling.BICUBIC)
    return Image.blend(soft, fine, 0.35)


TURNS = Image.Transpose
CHANGES = {
    "mirrored": lambda image: image.transpose(TURNS.FLIP_LEFT_RIGHT),
    "upside down": lambda image: image.transpose(TURNS.FLIP_TOP_BOTTOM),
    "quarter": lambda image: image.transpose(TURNS.ROTATE_90),
    "half": lambda image: image.transpose(TURNS.ROTATE_180),
    "transposed": lambda image: image.transpose(TURNS.TRANSPOSE),
    "cropped": lambda image: image.crop((4, 9, 146, 114)),
    "cropped much": lambda image: image.crop((14, 11, 136, 109)),
    "cropped at a corner": lambda image: image.crop((15, 12, 150, 120)),
    "cropped and mirrored": lambda image: image.crop((10, 3, 139, 112)).transpose(TURNS.FLIP_LEFT_RIGHT),
    "cropped, turned, smaller": lambda image: (
        image.crop((6, 6, 141, 114)).transpose(TURNS.ROTATE_270).resize((90, 110))
    ),
}


@pytest.fixture
def changed(tmp_path):
    """Two classes of different pictures, and of the first ones a changed copy each."""
    for label in "ab":
        (tmp_path / "d" / label).mkdir(parents=True)
        for seed in range(12):
            detailed(seed + 100 * ord(label)).save(tmp_path / "d" / label / f"{seed}.png")
    for seed, (name, change) in enumerate(CHANGES.items()):
        change(detailed(seed + 100 * ord("a"))).save(tmp_path / "d" / "a" / f"{seed} {name}.jpg", quality=85)
    return tmp_path / "d"


def test_mirrored_turned_and_cropped_copies_are_found_and_nothing_else(changed):
    groups = {frozenset(group) for group in ready(changed).profile.near_duplicates}
    assert groups == {frozenset({f"a/{seed}.png", f"a/{seed} {name}.jpg"}) for seed, name in enumerate(CHANGES)}


def test_with_cells_the_same_copies_are_found(changed, monkeypatch):
    """More images than are all compared with each other are sorted into cells first."""
    from advisor.data import copies

    every = {frozenset(group) for group in ready(changed).profile.near_duplicates}
    monkeypatch.setattr(copies, "_FEW", 10)
    monkeypatch.setattr(copies, "_PER_ROOT", 2)
    monkeypatch.setattr(copies, "_BLOCK", 7)
    cells = {frozenset(group) for group in ready(changed).profile.near_duplicates}
    assert len(every & cells) >= 0.9 * len(every)
    assert cells <= every


def test_pictures_of_a_few_pixels_are_not_compared():
    from advisor.data.prepare import prepare
    from advisor.plugins import load_catalog
    from advisor.progress import Silent
    from advisor.types import InputSpec

    digits = prepare("digits:", InputSpec(64), catalog=load_catalog(), seed=0, progress=Silent())
    assert digits.profile.near_duplicates == ()
    assert digits.profile.splits == {"train": 1151, "val": 287, "test": 359}
