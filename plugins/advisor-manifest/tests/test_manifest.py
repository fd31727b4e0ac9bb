import json

import numpy as np
import pyarrow as pa
import pytest
from advisor_manifest import open_manifest
from advisor_manifest.location import recognise
from PIL import Image
from pyarrow import parquet

from advisor import open_dataset
from advisor.data.splitting import split_dataset
from advisor.errors import DatasetError, UsageError
from advisor.testing import DatasetFormatSuite, PluginSuite

LABELS = ("007", "blue, dark", "rot")


@pytest.fixture
def advisor_plugins():
    return ["manifest"]


@pytest.fixture
def rows(tmp_path):
    """Twelve images in a folder `photos`, and what a table would say of them."""
    (tmp_path / "photos").mkdir()
    found = []
    for number in range(12):
        Image.new("RGB", (20, 16), (number * 20, 90, 40)).save(tmp_path / "photos" / f"{number:02d}.png")
        found.append({"path": f"photos/{number:02d}.png", "label": LABELS[number % 3], "group": f"camera {number // 3}",
                      "split": "Test" if number > 8 else "train"})  # fmt: skip
    return found


def write(folder, rows, name):
    file = folder / name
    match file.suffix:
        case ".parquet":
            parquet.write_table(pa.Table.from_pylist(rows), file)
        case ".jsonl":
            file.write_text("".join(json.dumps(row) + "\n" for row in rows))
        case _:
            mark = "\t" if file.suffix == ".tsv" else ","
            quoted = [mark.join(f'"{value}"' if mark in value else value for value in row.values()) for row in rows]
            file.write_text("\n".join([mark.join(rows[0]), *quoted]) + "\n")
    return file


class TestPlugin(PluginSuite):
    @pytest.fixture
    def plugin(self):
        return "manifest"


class TestDatasetFormat(DatasetFormatSuite):
    @pytest.fixture
    def dataset_format(self, advisor_catalog):
        return advisor_catalog.datasets["manifest"].item

    @pytest.fixture(params=["photos.csv", "photos.tsv", "photos.parquet", "photos.jsonl"])
    def location(self, request, rows, tmp_path):
        return str(write(tmp_path, rows, request.param))


@pytest.mark.parametrize("name", ["photos.csv", "photos.tsv", "photos.parquet", "photos.jsonl"])
def test_every_format_gives_the_same_images(rows, tmp_path, name):
    dataset = open_dataset(str(write(tmp_path, rows, name)))
    assert dataset.format == "manifest"
    assert dataset.name == "photos"
    assert dataset.classes == LABELS
    assert dataset.frame["split"].tolist() == ["train"] * 9 + ["test"] * 3
    assert dataset.frame["given_group"].tolist() == [row["group"] for row in rows]
    assert dataset.frame[["width", "height"]].iloc[0].tolist() == [20, 16]


def test_groups_are_never_parted(rows, tmp_path):
    for row in rows:
        del row["split"]
    frame = split_dataset(open_dataset(str(write(tmp_path, rows, "photos.csv")))).frame
    assert set(frame["split"]) == {"train", "val", "test"}
    assert (frame.groupby("given_group")["split"].nunique() == 1).all()


def test_columns_can_be_named_or_left_out(rows, tmp_path):
    odd = [{"bild": row["path"], "art": row["label"], "split": "nine"} for row in rows]
    file = write(tmp_path, odd, "odd.csv")
    with pytest.raises(DatasetError, match="usual name for the path"):
        open_manifest(str(file))
    with pytest.raises(DatasetError, match="splits called `nine`"):
        open_manifest(f"{file}?path=bild&label=art")
    with pytest.raises(DatasetError, match="did you mean `art`"):
        open_manifest(f"{file}?path=bild&label=arrt&split=")
    with pytest.raises(UsageError, match="means nothing here"):
        open_manifest(f"{file}?labl=art")
    listing = open_manifest(f"{file}?path=bild&label=art&split=")
    assert set(listing.labels) == set(LABELS)
    assert not listing.splits


def test_a_folder_with_a_table_beside_its_images_is_read_by_it(rows, tmp_path):
    write(tmp_path, rows, "metadata.csv")
    dataset = open_dataset(str(tmp_path))
    assert dataset.format == "manifest"
    assert dataset.name == tmp_path.name
    assert recognise(str(tmp_path / "photos")) == 0


def test_rows_that_repeat_or_contradict(rows, tmp_path):
    again = [*rows, dict(rows[3])]
    assert len(open_manifest(str(write(tmp_path, again, "again.csv"))).paths) == 12
    again[-1]["label"] = "another"
    with pytest.raises(DatasetError, match=r"several rows with different labels: `photos/03\.png`"):
        open_manifest(str(write(tmp_path, again, "other.csv")))
    rows[4]["label"] = " "
    with pytest.raises(
        DatasetError, match=r"1 of 12 rows .* have no label in the column `label`, the first of them row 5"
    ):
        open_manifest(str(write(tmp_path, rows, "empty.csv")))


def test_a_missing_image_is_one_broken_file(rows, tmp_path):
    (tmp_path / "photos" / "05.png").unlink()
    dataset = open_dataset(str(write(tmp_path, rows, "photos.csv")))
    assert dataset.broken == (("photos/05.png", "No such file or directory"),)
    assert len(dataset.frame) == 11


@pytest.mark.parametrize(
    ("name", "content"),
    [("bad.parquet", b"PAR1 not really"), ("bad.jsonl", b"{no json"), ("bad.csv", b"path,label\n\x81\x8d,a\n"),
     ("bad.csv", b"path,label\na.png,b,c\n"), ("bad.csv", b"")],
)  # fmt: skip
def test_broken_tables_are_named(tmp_path, name, content):
    (tmp_path / name).write_bytes(content)
    with pytest.raises(DatasetError, match="cannot be read"):
        open_manifest(str(tmp_path / name))


def test_no_rows(tmp_path):
    (tmp_path / "none.csv").write_text("path,label\n")
    with pytest.raises(DatasetError, match="has no rows"):
        open_manifest(str(tmp_path / "none.csv"))


def test_lists_of_other_things_are_refused(rows, tmp_path):
    multilabel = [{**row, "group": ["a", "b"]} for row in rows]
    with pytest.raises(DatasetError, match="holds lists"):
        open_manifest(str(write(tmp_path, multilabel, "several.jsonl")))


TAGS = [("sea", "sky"), ("sky",), (), ("dog", "sea", "sky")]


@pytest.mark.parametrize(
    ("name", "cell"),
    [("tags.csv", "|".join), ("tags.csv", " ; ".join), ("tags.tsv", ", ".join), ("tags.parquet", list),
     ("tags.jsonl", list)],
)  # fmt: skip
def test_an_image_may_have_several_labels(rows, tmp_path, name, cell):
    tagged = [{"path": row["path"], "tags": cell(TAGS[i % 4])} for i, row in enumerate(rows)]
    dataset = open_dataset(str(write(tmp_path, tagged, name)))
    assert not dataset.task.exclusive
    assert dataset.classes == ("dog", "sea", "sky")
    assert dataset.frame["labels"].tolist() == [(1, 2), (2,), (), (0, 1, 2)] * 3
    assert dataset.frame["label"].tolist() == [1, 2, -1, 0] * 3  # the rarest: in its proportion images are drawn
    assert dataset.truth(np.array([3, 0])).tolist() == [[True, True, True], [False, True, True]]


def test_rows_of_one_image_can_be_its_several_labels(rows, tmp_path):
    long = [{"path": row["path"], "label": label} for i, row in enumerate(rows) for label in TAGS[i % 4]]
    table = write(tmp_path, long, "long.csv")
    with pytest.raises(DatasetError, match=r"several rows with different labels") as refused:
        open_manifest(str(table))
    assert "?labels=" in refused.value.hint
    listing = open_manifest(f"{table}?labels=label")
    assert listing.labels[:3] == [("sea", "sky"), ("sky",), ("dog", "sea", "sky")]
    assert len(listing.paths) == 9


def test_one_label_an_image_is_no_set_of_labels_unless_said(rows, tmp_path):
    table = write(tmp_path, [{"path": row["path"], "labels": row["label"]} for row in rows], "photos.csv")
    assert open_manifest(f"{table}?separator=|").labels == [row["label"] for row in rows]
    assert open_manifest(f"{table}?labels=labels&separator=|").labels == [(row["label"],) for row in rows]
    with pytest.raises(UsageError, match="one label and one of several"):
        open_manifest(f"{table}?labels=labels&label=labels")


def test_one_image_is_one_however_its_path_is_written(rows, tmp_path):
    again = [*rows, {**rows[3], "path": f"./{rows[3]['path']}"}]
    assert len(open_manifest(str(write(tmp_path, again, "again.csv"))).paths) == 12


def test_labels_that_look_like_dates_stay_text(rows, tmp_path):
    dated = [{**row, "label": f"2024-01-0{1 + i % 2}"} for i, row in enumerate(rows)]
    assert set(open_manifest(str(write(tmp_path, dated, "dated.jsonl"))).labels) == {"2024-01-01", "2024-01-02"}


def test_columns_of_one_name_and_labels_that_are_no_text_are_named(tmp_path):
    (tmp_path / "twice.csv").write_text("path,label,label\na.png,a,b\n")
    with pytest.raises(DatasetError, match="several columns called `label`"):
        open_manifest(str(tmp_path / "twice.csv"))
    table = pa.table({"path": ["a.png"], "label": pa.array([b"\xff\xfe"], pa.binary())})
    parquet.write_table(table, tmp_path / "binary.parquet")
    with pytest.raises(DatasetError, match="type binary is no text"):
        open_manifest(str(tmp_path / "binary.parquet"))


@pytest.mark.parametrize("cameras", [7, 20])
def test_groups_of_every_class_are_divided_in_proportion(tmp_path, cameras):
    rng = np.random.default_rng(0)
    lines = ["path,label,group"]
    for number in range(240):
        Image.fromarray(rng.integers(0, 255, (8, 8, 3), np.uint8)).save(tmp_path / f"{number:03d}.png")
        lines.append(f"{number:03d}.png,class {number % 6},camera {rng.integers(cameras)}")
    (tmp_path / "photos.csv").write_text("\n".join(lines))
    for seed in range(4):
        frame = split_dataset(open_dataset(str(tmp_path / "photos.csv")), seed=seed).frame
        shares = frame["split"].value_counts(normalize=True)
        assert abs(shares["test"] - 0.2) < max(0.1, 1 / cameras)
        assert abs(shares["val"] - 0.16) < max(0.1, 1 / cameras)
        assert frame.groupby("given_group")["split"].nunique().max() == 1


def test_groups_that_leave_nothing_to_train_on_are_refused(tmp_path):
    rng = np.random.default_rng(0)
    lines = ["path,label,group"]
    for number in range(36):
        Image.fromarray(rng.integers(0, 255, (8, 8, 3), np.uint8)).save(tmp_path / f"{number:03d}.png")
        lines.append(f"{number:03d}.png,class {number % 6},camera {number // 18}")
    (tmp_path / "photos.csv").write_text("\n".join(lines))
    with pytest.raises(DatasetError, match="fewer than 3 different"):
        split_dataset(open_dataset(str(tmp_path / "photos.csv")))
