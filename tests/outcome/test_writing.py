import csv
import io
import json

import numpy as np
import pandas as pd
import pytest

from advisor.errors import UsageError
from advisor.outcome.predict import Predicted
from advisor.outcome.writing import format_of, text_writer, writing

CLASSES = ("a", 'b "c", d', "\N{RIGHT-TO-LEFT MARK}ß")
ROWS = [
    Predicted("x,1.jpg", CLASSES[1], 0.7, "", np.array([0.1, 0.7, 0.2])),
    Predicted("bad.jpg", "", float("nan"), "not an image", np.full(3, np.nan)),
    Predicted("y.jpg", "", 0.4, "", np.array([0.4, 0.3, 0.3])),
]
EXPECTED = [
    ["x,1.jpg", CLASSES[1], 0.7, "", CLASSES[2], 0.2],
    ["bad.jpg", "", None, "not an image", None, None],
    ["y.jpg", "", 0.4, "", CLASSES[1], 0.3],
]


@pytest.mark.parametrize("name", ["p.csv", "p.tsv", "p.parquet"])
def test_tables_read_back(tmp_path, name):
    file = tmp_path / name
    with writing(file, CLASSES, 2) as write:
        for row in ROWS:
            write(row)
    read = {"p.csv": pd.read_csv, "p.parquet": pd.read_parquet}.get(name, lambda f: pd.read_csv(f, sep="\t"))
    frame = read(file)
    assert list(frame.columns) == ["path", "label", "probability", "error", "label_2", "probability_2"]
    for found, expected in zip(frame.astype(object).to_numpy().tolist(), EXPECTED, strict=True):
        assert [None if pd.isna(value) or value == "" else value for value in found] == [v or None for v in expected]


def test_lines_are_json_each_and_stay_when_the_rest_fails(tmp_path):
    file = tmp_path / "p.jsonl"

    def stopped():
        with writing(file, CLASSES, 2) as write:
            write(ROWS[0])
            write(ROWS[1])
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        stopped()
    first, second = map(json.loads, file.read_text("utf-8").splitlines())
    assert first["label"] == CLASSES[1]
    assert [entry["probability"] for entry in first["top"]] == [0.7, 0.2]
    assert second == {"path": "bad.jpg", "error": "not an image"}


def test_more_labels_than_there_are_give_no_empty_columns():
    stream = io.StringIO()
    write = text_writer(stream, "csv", CLASSES[:1], 5)
    write(Predicted("x.jpg", "a", 1.0, "", np.array([1.0])))
    assert list(csv.reader(io.StringIO(stream.getvalue()))) == [
        ["path", "label", "probability", "error"], ["x.jpg", "a", "1.000000", ""],
    ]  # fmt: skip


def test_unknown_endings_are_refused(tmp_path):
    with pytest.raises(UsageError, match="does not end in a known format"):
        format_of(tmp_path / "p.xlsx")
