"""Tables as competitions, annotation tools and spreadsheets write them; every hint is followed and has to work."""

import json
import re

import pytest
from advisor_manifest import list_images, open_manifest
from PIL import Image

from advisor.errors import DatasetError, UsageError

CLASSES = ("bird", "building", "mammal")


@pytest.fixture
def advisor_plugins():
    return ["manifest"]


@pytest.fixture
def rows(tmp_path):
    """Eighteen images in `train`, each with its class."""
    (tmp_path / "train").mkdir()
    pairs = []
    for number in range(18):
        kind = CLASSES[number % 3]
        Image.new("RGB", (8, 8), (number * 14, 90, 40)).save(tmp_path / "train" / f"{kind[:2]}{number:02d}x.png")
        pairs.append((f"{kind[:2]}{number:02d}x.png", kind))
    return pairs


@pytest.fixture
def write(tmp_path):
    def written(header, lines, *, mark=",", encoding="utf-8", name="list.csv"):
        text = "\n".join(mark.join(map(str, line)) for line in ([header] if header else []) + list(lines))
        (tmp_path / name).write_bytes((text + "\n").encode(encoding))
        return str(tmp_path / name)

    return written


def sound(location):
    """The listing of a location, whose images are all there under their classes."""
    listing = open_manifest(location)
    assert len(listing.paths) == 18
    for path, label in zip(listing.paths, listing.labels, strict=True):
        assert listing.read(path).startswith(b"\x89PNG")
        assert re.split(r"[\\/]", path)[-1].startswith(label[:2])
    return listing


def hint(refused):
    """The location that a hint proposes, as a shell would give it."""
    return re.search(r"'(.*)'", refused.value.hint)[1]


def mended(location, *words):
    """The listing after following the hint of a refusal whose text has these words."""
    with pytest.raises(DatasetError) as refused:
        open_manifest(location)
    for word in words:
        assert word in str(refused.value)
    return sound(hint(refused))


@pytest.mark.parametrize(
    ("header", "mark", "encoding"),
    [(("path", "label"), ";", "utf-8"), (("path", "label"), "\t", "utf-8"), (("path", "label"), "|", "utf-8"),
     (("Filename", "ClassId"), ";", "utf-8"), (("\ufeffpath", "label"), ",", "utf-8"),
     (("Image Index", "Class Name"), "\t", "utf-16"), (("path", "label"), ";", "utf-16-le"),
     (("'path'", "'label'"), ",", "utf-8")],
)  # fmt: skip
def test_delimiters_encodings_and_headings_tell_themselves(rows, write, header, mark, encoding):
    sound(write(header, [(f"train/{name}", kind) for name, kind in rows], mark=mark, encoding=encoding))


def test_windows_letters_are_read_and_said_and_another_encoding_can_be_named(rows, write):
    table = write(("path", "label"), [(f"train/{name}", kind.replace("bird", "Vögel")) for name, kind in rows],
                  encoding="cp1252")  # fmt: skip
    listing = open_manifest(table)
    assert set(listing.labels) == {"Vögel", "building", "mammal"}
    assert "read as Windows-1252" in listing.reading[0]
    assert "Vögel" in listing.reading[0]
    other = open_manifest(f"{table}?encoding=cp437")
    assert "V÷gel" in other.labels
    assert not other.reading


def test_thousands_of_columns_and_newlines_in_quotes(rows, write, tmp_path):
    header = ["path", "label", *(f"feature {number}" for number in range(4000))]
    wide = write(header, [[f"train/{name}", kind, *["0.123456789"] * 4000] for name, kind in rows])
    sound(wide)
    (tmp_path / "notes.csv").write_text(
        "note,path,label\n" + "".join(f'"first, line\nsecond",train/{name},{kind}\n' for name, kind in rows)
    )
    sound(str(tmp_path / "notes.csv"))


def test_index_columns_and_columns_of_one_name_are_passed_over(rows, write):
    sound(write(("", "Unnamed: 0", "note", "note", "path", "label"),
                [(i, i, "a", "b", f"train/{name}", kind) for i, (name, kind) in enumerate(rows)]))  # fmt: skip


def test_a_table_without_names_of_columns_is_told(rows, write):
    with pytest.raises(DatasetError, match="names an image") as refused:
        open_manifest(write(None, [(f"train/{name}", kind) for name, kind in rows]))
    assert "path,label" in refused.value.hint


def test_hints_accumulate_and_name_the_right_column(rows, write):
    table = write(("width", "where", "height", "breed"), [(30, f"train/{name}", 30, kind) for name, kind in rows])
    mended(table, "path and label", "where, height, breed")
    mended(f"{table}?path=where", "label")
    with pytest.raises(DatasetError) as refused:
        open_manifest(f"{table}?path=where&label=bred")
    assert "did you mean `breed`" in refused.value.hint
    sound(hint(refused))


def test_ids_without_ending_in_another_folder_are_led_to_their_files(rows, write):
    table = write(("id", "breed"), [(name[:-4], kind) for name, kind in rows])
    mended(table)
    mended(f"{table}?label=breed", "None of the 18 images", "was looked for in", "train/bi00x.png")


@pytest.mark.parametrize(
    "spell",
    [lambda name: name, lambda name: f"images/{name}", lambda name: f"C:\\Users\\me\\train\\{name}",
     lambda name: f"/home/me/data/train/{name}", lambda name: f"https://example.org/a/{name}?size=2",
     lambda name: f"train/{name[:-4]}", lambda name: f"train/{name[:-4]}.tif", lambda name: f"gs://bucket/{name[:-4]}",
     lambda name: f"{name[:-4]}.JPG"],
)  # fmt: skip
def test_names_that_lead_elsewhere_say_where_they_were_looked_for_and_what_to_type(rows, write, tmp_path, spell):
    table = write(("path", "label"), [(spell(name), kind) for name, kind in rows])
    mended(table, str(tmp_path.resolve()), "train/bi00x.png")


@pytest.mark.parametrize(
    "spell",
    [lambda name: f"./train/{name}", lambda name: f"/train/{name}", lambda name: f"train\\{name}",
     lambda name: f".\\train\\{name}", lambda name: f"'train/{name}'", lambda name: f" train/{name} ",
     lambda name: f"Train/{name.upper()}"],
)  # fmt: skip
def test_spellings_that_can_mean_one_file_only_are_understood(rows, write, spell):
    sound(write(("path", "label"), [(spell(name), kind) for name, kind in rows]))


def test_another_case_is_said_and_two_files_of_one_name_are_not_guessed(rows, write, tmp_path):
    table = write(("path", "label"), [(f"train/{name.upper()}", kind) for name, kind in rows])
    assert "capital letters" in open_manifest(table).reading[0]
    Image.new("RGB", (8, 8)).save(tmp_path / "train" / "BI00x.png")
    listing = open_manifest(table)
    assert listing.paths[0] == "train/BI00X.PNG"
    with pytest.raises(OSError, match="No such file"):
        listing.read(listing.paths[0])


def test_names_alone_are_found_in_the_folders_below_where_each_is_there_once(rows, write, tmp_path):
    for name, kind in rows:
        (tmp_path / "train" / kind).mkdir(exist_ok=True)
        (tmp_path / "train" / name).rename(tmp_path / "train" / kind / name)
    table = write(("image_id", "label"), [(name[:-4], kind) for name, kind in rows])
    mended(table)
    (tmp_path / "train" / "round").symlink_to(tmp_path / "train", target_is_directory=True)
    (tmp_path / "train" / ".thumbnails").mkdir()
    for name, _ in rows:
        Image.new("RGB", (2, 2)).save(tmp_path / "train" / ".thumbnails" / name)
    mended(table)
    (tmp_path / "train" / "copy").mkdir()
    Image.new("RGB", (8, 8)).save(tmp_path / "train" / "copy" / rows[0][0])
    listing = open_manifest(f"{table}?folder=train&ending=.png")
    assert listing.paths[0] == f"train/{rows[0][0]}"  # of two it takes none
    assert listing.paths[1] == f"train/building/{rows[1][0]}"


def test_single_missing_files_are_no_reason_to_look_elsewhere(rows, write, tmp_path):
    (tmp_path / "other").mkdir()
    Image.new("RGB", (8, 8)).save(tmp_path / "other" / "gone.png")
    listing = open_manifest(
        write(("path", "label"), [*((f"train/{name}", kind) for name, kind in rows), ("train/gone.png", "bird")])
    )
    assert listing.paths[-1] == "train/gone.png"
    with pytest.raises(OSError, match="No such file"):
        listing.read("train/gone.png")


def test_a_folder_that_is_not_there_is_said(rows, write):
    table = write(("path", "label"), rows)
    with pytest.raises(UsageError, match="no folder `trian`") as refused:
        open_manifest(f"{table}?folder=trian")
    assert "train" in refused.value.hint
    with pytest.raises(UsageError, match="has no value"):
        open_manifest(f"{table}?folder=")


@pytest.mark.parametrize(("yes", "no"), [(1, 0), (1.0, 0.0), ("True", "False"), ("yes", "no"), (1, ""), (1, -1)])
def test_columns_of_ones_and_zeros_are_classes(rows, write, yes, no):
    table = write(("image", *(f" {kind}" for kind in CLASSES)),
                  [(f"train/{name}", *(yes if kind == own else no for own in CLASSES)) for name, kind in rows])  # fmt: skip
    assert "Each of the 3 columns" in sound(table).reading[0]
    with pytest.raises(DatasetError, match="one of 3 columns of ones and zeros") as refused:
        open_manifest(f"{table}?label=bird")
    sound(hint(refused))


def test_several_ones_in_a_row_are_several_labels(rows, write):
    lines = [(f"train/{name}", i % 2, int(i % 3 == 0), 0) for i, (name, _) in enumerate(rows)]
    listing = open_manifest(write(("image", "sky", "sea", "fog"), lines))
    assert listing.labels[:4] == [("sea",), ("sky",), (), ("sky", "sea")]
    assert "may have several or none" in listing.reading[0]


def test_findings_that_are_not_known_are_no_classes(rows, write):
    lines = [(f"train/{name}", "M", ("1.0", "", "-1.0")[i % 3], ("0.0", "1.0", "-1.0")[i % 3])
             for i, (name, _) in enumerate(rows)]  # fmt: skip
    with pytest.raises(DatasetError, match=r"`No Finding`, `Edema` of .* neither a yes nor a no"):
        open_manifest(write(("Path", "Sex", "No Finding", "Edema"), lines))


def test_the_hint_passes_over_numbers_of_patients(rows, write):
    lines = [(f"L{i // 2}", name[:-4], kind, "histo", i) for i, (name, kind) in enumerate(rows)]
    mended(write(("lesion_id", "image_id", "dx", "dx_type", "age"), lines))


def test_a_flag_beside_the_classes_is_not_taken_for_one(rows, write):
    lines = [(f"train/{name}", i % 2, *(int(kind == own) for own in CLASSES)) for i, (name, kind) in enumerate(rows)]
    table = write(("image", "male", *CLASSES), lines)
    assert set(mended(table).labels) == set(CLASSES)
    lines = [(f"train/{name}", kind, i % 2, i % 3 % 2) for i, (name, kind) in enumerate(rows)]
    mended(write(("image", "diagnosis", "male", "smoker"), lines))
    with pytest.raises(DatasetError, match="no column of ones and zeros"):
        open_manifest(f"{table}?classes=bird,image")


def test_blanks_between_tags_are_asked_about_or_plain(rows, write):
    table = write(("path", "tags"), [(f"train/{name}", f"{kind} {'sky' if i % 2 else 'indoor'}")
                                     for i, (name, kind) in enumerate(rows)])  # fmt: skip
    listing = open_manifest(table)  # five words make six cells
    assert listing.labels[0] == ("bird", "indoor")
    assert "Blanks separate" in listing.reading[0]
    assert open_manifest(f"{table}?label=tags").labels[0] == "bird indoor"
    unsure = write(("path", "tags"), [(f"train/{name}", f"big {kind}") for name, kind in rows])
    with pytest.raises(DatasetError, match="one label or several") as refused:
        open_manifest(unsure)
    assert open_manifest(hint(refused)).labels[0] == ("big", "bird")
    assert open_manifest(f"{unsure}?label=tags").labels[0] == "big bird"


@pytest.mark.parametrize("cell", ["{0} 7", "{0}|sky", "{0};sky"])
def test_one_label_that_looks_like_several_is_asked_about(rows, write, cell):
    numbers = {"bird": 1, "building": 2, "mammal": 3} if "7" in cell else {kind: kind for kind in CLASSES}
    table = write(("path", "label"), [(f"train/{name}", cell.format(numbers[kind]) if i % 2 else numbers[kind])
                                      for i, (name, kind) in enumerate(rows)])  # fmt: skip
    with pytest.raises(DatasetError, match="look like several labels") as refused:
        open_manifest(table)
    assert len(open_manifest(hint(refused)).labels[1]) == 2
    assert isinstance(open_manifest(f"{table}?label=label").labels[1], str)


def test_names_of_classes_may_have_blanks_and_commas(rows, write):
    named = {"bird": "golden eagle", "building": "apartment house", "mammal": "polar bear"}
    assert set(open_manifest(write(("path", "label"), [(f"train/{n}", named[k]) for n, k in rows])).labels) == set(
        named.values()
    )


def test_excels_own_first_line_names_the_delimiter(rows, write, tmp_path):
    table = write(("path", "label"), [(f"train/{name}", kind) for name, kind in rows], mark=";")
    (tmp_path / "list.csv").write_text("sep=;\n" + (tmp_path / "list.csv").read_text())
    sound(table)


def test_json_that_is_one_list_and_lines_of_more_cells_name_the_way_out(rows, write, tmp_path):
    records = [{"path": f"train/{name}", "label": kind} for name, kind in rows]
    (tmp_path / "list.jsonl").write_text(json.dumps(records))
    with pytest.raises(DatasetError, match="holds one list") as refused:
        open_manifest(str(tmp_path / "list.jsonl"))
    assert refused.value.hint.startswith("jq -c '.[]'")
    (tmp_path / "cut.jsonl").write_text('{"path": ')
    with pytest.raises(DatasetError, match="cannot be read as JSONL") as refused:
        open_manifest(str(tmp_path / "cut.jsonl"))
    assert refused.value.hint.startswith('{"path"')
    with pytest.raises(DatasetError, match="as many cells as the first"):
        open_manifest(write(("path", "label"), [*((f"train/{name}", kind) for name, kind in rows), ("a", "b", "c")]))


def test_a_part_that_is_held_out(rows, write):
    parts = ["training", "validation", "hold-out"]
    table = write(
        ("path", "label", "phase"), [(f"train/{name}", kind, parts[i // 3 % 3]) for i, (name, kind) in enumerate(rows)]
    )
    assert set(sound(table).splits) == {"train", "val", "test"}


def test_a_plus_is_a_plus(rows, write):
    table = write(("path", "words"), [(f"train/{name}", f"{kind}+c++") for name, kind in rows])
    assert open_manifest(f"{table}?labels=words&separator=+").labels[0] == ("bird", "c")
    blank = write(("path", "words"), [(f"train/{name}", f"{kind} sky") for name, kind in rows])
    for separator in ("blank", "space", "%20", "+", " "):
        assert open_manifest(f"{blank}?labels=words&separator={separator}").labels[0] == ("bird", "sky")


@pytest.mark.parametrize(
    "spell",
    [lambda kind, i: (kind, kind.title(), f"{kind} ")[i // 3 % 3],
     lambda kind, i: f"{CLASSES.index(kind)}{('', '.0', '.')[i // 3 % 3]}",
     lambda kind, i: f"{'0' * (i // 3 % 2)}{CLASSES.index(kind)}",
     lambda kind, i: f"a{(' ', '_', '-')[i // 3 % 3]}{kind}",
     lambda kind, i: ("é", "e\u0301")[i // 3 % 2] + kind],
)  # fmt: skip
def test_labels_written_in_several_ways_are_named_and_one_word_decides(rows, write, spell):
    table = write(("path", "label"), [(f"train/{name}", spell(kind, i)) for i, (name, kind) in enumerate(rows)])
    with pytest.raises(DatasetError, match="look like one") as refused:
        open_manifest(table)
    merged = open_manifest(hint(refused))
    assert len(set(merged.labels)) == 3
    assert [CLASSES.index(kind) for _, kind in rows] == [sorted(set(merged.labels)).index(one) for one in merged.labels]
    assert len(set(open_manifest(f"{table}?alike=keep").labels)) > 3
    with pytest.raises(UsageError, match="means nothing"):
        open_manifest(f"{table}?alike=maybe")


def test_letters_are_classes_of_their_own_and_numbers_stay_text(rows, write):
    letters = {"bird": "a", "building": "A", "mammal": "b"}
    assert set(open_manifest(write(("path", "label"), [(f"train/{n}", letters[k]) for n, k in rows])).labels) == {
        "a",
        "A",
        "b",
    }
    numbers = {"bird": "007", "building": "1.0", "mammal": "2.50"}
    assert set(open_manifest(write(("path", "label"), [(f"train/{n}", numbers[k]) for n, k in rows])).labels) == set(
        numbers.values()
    )


def test_what_may_be_no_label_is_said(rows, write, tmp_path):
    odd = {"bird": "nan", "building": "None", "mammal": "mammal"}
    listing = open_manifest(write(("path", "label"), [(f"train/{name}", odd[kind]) for name, kind in rows]))
    assert set(listing.labels) == set(odd.values())
    assert [note.split("`")[1] for note in listing.reading] == ["None", "nan"]
    import pandas as pd

    frame = pd.DataFrame(
        {"path": [f"train/{name}" for name, _ in rows], "label": [float("nan"), *map(float, range(17))]}
    )
    frame.to_parquet(tmp_path / "list.parquet")
    with pytest.raises(DatasetError, match=r"1 of 18 rows .* have no label"):
        open_manifest(str(tmp_path / "list.parquet"))


@pytest.mark.parametrize("column", [0, 1])
def test_rows_without_a_label_or_path_are_counted_and_left_out_if_asked(rows, write, column):
    lines = [[f"train/{name}", kind] for name, kind in rows]
    for row in (2, 7):
        lines[row][column] = " "
    table = write(("path", "label"), lines)
    meaning = ("path", "label")[column]
    with pytest.raises(DatasetError, match=f"2 of 18 rows of `.*` have no {meaning} .* row 3") as refused:
        open_manifest(table)
    assert "leave these rows out" in str(refused.value)
    listing = open_manifest(hint(refused))
    assert listing.paths == [f"train/{name}" for row, (name, _) in enumerate(rows) if row not in {2, 7}]
    assert f"2 of 18 rows have no {meaning} in the column `{meaning}`, and are left out." in listing.reading
    with pytest.raises(DatasetError, match=f"No row of .* has a {meaning}"):
        open_manifest(write(("path", "label"), [(a, "") if column else ("", b) for a, b in lines], name="none.csv"))
    with pytest.raises(UsageError, match="empty=drop"):
        open_manifest(f"{table}?empty=drop")


PARTS = ["train", "val", "test"] * 6


@pytest.mark.parametrize(
    ("header", "cells"),
    [(("phase",), lambda part: (part,)), (("Data Split",), lambda part: (f"{part} set",)),
     (("anything",), lambda part: (part.upper(),)), (("set",), lambda part: (part,)),
     (("is_valid", "is_test"), lambda part: (part == "val", part == "test")),
     (("in_train", "is_validation"), lambda part: (int(part == "train"), int(part == "val")))],
)  # fmt: skip
def test_parts_under_another_heading_are_used_and_said(rows, write, header, cells):
    lines = [(f"train/{name}", kind, *cells(part)) for (name, kind), part in zip(rows, PARTS, strict=True)]
    table = write(("path", "label", *header), lines)
    listing = sound(table)
    wanted = [part if len(header) == 1 or "is_test" in header or part != "test" else "" for part in PARTS]
    assert listing.splits == wanted
    assert any(header[0] in note for note in listing.reading)
    assert not sound(f"{table}?split=").splits


def test_folds_are_named_and_not_used(rows, write):
    listing = sound(write(("path", "label", "fold"), [(f"train/{n}", k, i % 5) for i, (n, k) in enumerate(rows)]))
    assert not listing.splits
    assert "The column `fold` holds `0`, `1`" in listing.reading[0]


def test_lines_of_json_may_mix_numbers_and_text(rows, tmp_path):
    labels = [7 if kind == "bird" else "007b" if kind == "mammal" else True for _, kind in rows]
    (tmp_path / "list.jsonl").write_text("".join(
        json.dumps({"path": f"train/{name}", "label": label}) + "\n" for (name, _), label in zip(rows, labels, strict=True)
    ))  # fmt: skip
    assert set(open_manifest(str(tmp_path / "list.jsonl")).labels) == {"7", "007b", "true"}


@pytest.mark.parametrize(
    ("header", "lines"),
    [(("path",), lambda names: [(name,) for name in names]),
     (("path", "label"), lambda names: [(name, "") for name in names]),
     (("path", "label", "split"), lambda names: [(name, "zebra", "weird") for name in names]),
     (("path", "label"), lambda names: [(name, i) for i, name in enumerate(names)]),
     (("somewhere", "else"), lambda names: [(name, "") for name in names]),
     (("only",), lambda names: [(name,) for name in names])],
)  # fmt: skip
def test_any_table_can_be_predicted_row_by_row(rows, write, header, lines):
    names = [f"./train/{rows[place][0]}" for place in (3, 1, 3, 0)]
    listing = list_images(write(header, lines(names)))
    assert listing.paths == names
    assert [listing.read(path) for path in names] == [listing.read(name) for name in names]


def test_tables_to_predict_give_paths_back_as_they_stand(rows, write, tmp_path):
    ids = write(("id",), [(name[:-4],) for name, _ in rows])
    with pytest.raises(DatasetError) as refused:
        list_images(ids)
    listing = list_images(hint(refused))
    assert listing.paths == [name[:-4] for name, _ in rows]
    assert all(listing.read(path).startswith(b"\x89PNG") for path in listing.paths)
    (tmp_path / "list.jsonl").write_text('{"path": "train\\\\bi00x.png"}\n{"path": null}\n{"path": "train/gone.png"}\n')
    listing = list_images(str(tmp_path / "list.jsonl"))
    assert listing.paths == ["train\\bi00x.png", "", "train/gone.png"]
    assert listing.read("train\\bi00x.png").startswith(b"\x89PNG")
    with pytest.raises(OSError, match="names no image"):
        listing.read("")
    with pytest.raises(OSError, match="No such file"):
        listing.read("train/gone.png")


@pytest.mark.parametrize(("number", "name"), [("label", "label_name"), ("class_id", "title"), ("target", "what")])
def test_names_beside_numbers_are_pointed_out_and_read_where_that_is_followed(rows, write, number, name):
    lines = [(f"train/{path}", CLASSES.index(kind), kind, place % 4) for place, (path, kind) in enumerate(rows)]
    table = write(("path", number, name, "camera"), lines)
    listing = open_manifest(table)
    assert set(listing.labels) == {"0", "1", "2"}
    (sentence,) = [line for line in listing.reading if "has a name for each" in line]
    assert f"`{name}`" in sentence
    assert "`bird` for `0`" in sentence
    followed = sound(re.search(r"'(.*)'", sentence)[1])
    assert not any("has a name for each" in line for line in followed.reading)


@pytest.mark.parametrize("other", ["of another division", "numbers", "of each row", "with gaps"])
def test_columns_that_do_not_name_the_labels_are_not_taken_for_names(rows, write, other):
    def cell(place, kind):
        words = {
            "of another division": "abc"[place // 6],
            "numbers": f"1{CLASSES.index(kind)}",
            "of each row": f"n{place}",
        }
        return words.get(other, "" if kind == "bird" else kind)

    lines = [(f"train/{path}", CLASSES.index(kind), cell(place, kind)) for place, (path, kind) in enumerate(rows)]
    listing = open_manifest(write(("path", "label", "note"), lines))
    assert not any("has a name for each" in line for line in listing.reading)
    asked = open_manifest(write(("path", "label", "note"), lines) + "?label=label")
    assert set(asked.labels) == {"0", "1", "2"}
