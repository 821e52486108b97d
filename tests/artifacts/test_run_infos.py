import json
import math

import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st

from darts_train.artifacts.run_infos import RunRow, read_run_infos, run_infos, write_run_infos
from darts_train.base.errors import UserError

FINISHED = RunRow(
    "c-run-f0s42", "abcd1234", 0, 42, "finished", 1.5, "a/best.ckpt", None, {"val/loss": 1, "val/Recall": math.nan},
    {"val/loss": 2.0},
)  # fmt: skip
FAILED = RunRow("c-run-f1s42", "abcd1235", 1, 42, "failed", error="out of memory", kind="memory")


def test_columns_and_types_survive_the_file(tmp_path):
    write_run_infos(tmp_path, run_infos([FINISHED, FAILED], [True, False], math.nan, True))
    table = read_run_infos(tmp_path)
    assert list(table.columns) == [
        "run_name", "run_id", "fold", "seed", "duration", "checkpoint", "status", "error", "kind",
        "is_unstable", "val/Recall", "val/loss", "last/val/loss", "score", "score_is_unstable",
    ]  # fmt: skip
    for name in ("duration", "val/Recall", "val/loss", "last/val/loss", "score"):
        assert table[name].dtype == "float64", name
    assert table["fold"].dtype == "int64"
    assert table["is_unstable"].dtype == "bool"
    assert table["val/loss"].tolist()[0] == 1.0
    assert math.isnan(table["val/loss"][1])
    assert table["error"][1] == "out of memory"
    assert pd.isna(table["error"][0])
    assert table["kind"][1] == "memory"
    assert pd.isna(table["checkpoint"][1])


def test_a_table_of_failures_only_keeps_its_types(tmp_path):
    write_run_infos(tmp_path, run_infos([FAILED], [False], math.nan, False))
    table = read_run_infos(tmp_path)
    assert table["checkpoint"].isna().all()
    assert table["score"].dtype == "float64"


def test_reading_what_is_not_there_or_spoilt(tmp_path):
    with pytest.raises(UserError, match="does not exist"):
        read_run_infos(tmp_path)
    (tmp_path / "run_infos.parquet").write_bytes(b"PAR1 no")
    with pytest.raises(UserError, match="cannot be read"):
        read_run_infos(tmp_path)


@given(st.dictionaries(st.text(), st.floats(), max_size=3))
def test_rows_travel_as_strict_json(metrics):
    row = RunRow("r", "i", 0, 42, "finished", metrics=metrics)
    text = json.dumps(row.to_json(), allow_nan=False)
    again = RunRow.from_json(json.loads(text))
    assert str(again) == str(row)  # text, for NaN is not equal to itself


@pytest.mark.parametrize("values", [{}, {"metrics": 1}, {**FAILED.to_json(), "new": 1}])
def test_rows_of_others_are_refused(values):
    with pytest.raises(UserError, match="stored run"):
        RunRow.from_json(values)
