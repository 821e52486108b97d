import json
import math
import socket
from pathlib import Path

import pytest

from darts_train.artifacts.listing import list_runs
from darts_train.artifacts.run_record import LOCK_FILE, write_record
from darts_train.base.errors import UserError
from darts_train.base.locks import exclusive_lock
from darts_train.options.learning import Artifacts

from .test_baselines import written
from .test_run_record import make_record


@pytest.fixture
def tree(tmp_path):
    def add(place, name, **changes):
        write_record(tmp_path / place / f"{name}-abcd1234", make_record(run_name=name, **changes))

    add("_runs", "solo", best_metrics={"val/JaccardIndex": 0.75}, duration=3700)
    add("_cross_validations/c", "c-run-f1s42", cv_name="c", fold=1, status="failed", error="x")
    add("t/t-cv0", "t-cv0-run-f0s1824", cv_name="t-cv0", tune_name="t", seed=1824, status="running")
    add("t/_runs", "t-retrain", tune_name="t", best_metrics={"val/JaccardIndex": math.nan})
    add("n/outer2/n-cv0", "n-cv0-run-f0s42", cv_name="n-cv0", tune_name="n", status="interrupted")
    spoilt = tmp_path / "_runs" / "spoilt-aaaa1111"
    spoilt.mkdir()
    (spoilt / "run.json").write_text('{"run_name": ')
    (tmp_path / "_runs" / "empty-bbbb2222").mkdir()
    (tmp_path / "t" / "sweep.db").touch()
    return tmp_path


def test_every_run_is_listed_whatever_its_state(tree):
    rows = {row.name: row for row in list_runs(Artifacts(artifact_dir=tree)).rows}
    assert {name: (row.kind, row.status) for name, row in rows.items()} == {
        "solo": ("run", "finished"),
        "spoilt": ("run", "unreadable"),
        "c-run-f1s42": ("cv", "failed"),
        "t-cv0-run-f0s1824": ("tune", "running"),
        "t-retrain": ("tune", "finished"),
        "n-cv0-run-f0s42": ("tune", "interrupted"),
    }
    assert rows["solo"].iou == 0.75
    assert rows["solo"].directory == tree / "_runs" / "solo-abcd1234"
    assert rows["spoilt"].id == "aaaa1111"


def test_a_run_whose_process_is_gone_is_stopped(tmp_path):
    def status():
        return list_runs(Artifacts(artifact_dir=tmp_path)).rows[0].status

    directory = tmp_path / "_runs" / "r-abcd1234"
    write_record(directory, make_record(status="running", host={"host": socket.gethostname()}))
    assert status() == "stopped"
    with exclusive_lock(directory / LOCK_FILE, "r"):
        assert status() == "running"
    assert status() == "stopped"
    write_record(directory, make_record(status="running", host={"host": "elsewhere"}))
    assert status() == "running"  # only its own machine knows


def test_the_table_fits_a_terminal(tree):
    long = "a-very-long-tune-name-that-nobody-should-choose-cv100-run-f4s9999"
    write_record(tree / "_runs" / f"{long}-abcd1234", make_record(run_name=long, seed=12345, duration=1e9))
    text = list_runs(Artifacts(artifact_dir=tree)).summary()
    lines = text.splitlines()
    assert max(len(line) for line in lines[:-1]) <= 80
    assert "0.750" in text
    assert "cv100-run-f4s9999" in text
    assert lines[-1].startswith("7 runs")


def test_a_baseline_stands_beside_the_runs_of_its_split(tree):
    assert " base " not in list_runs(Artifacts(artifact_dir=tree)).summary()
    split = {"data_hash": "d", "split_hash": "s", "metrics": {"val/JaccardIndex": 0.625}}
    written(tree, "cccccccc", None, **split)
    for name, split_hash in (("same", "s"), ("other", "o")):
        record = make_record(run_name=name, split_hash=split_hash, best_metrics={"val/JaccardIndex": 0.75})
        write_record(tree / "_runs" / f"{name}-abcd1234", record)
    listing = list_runs(Artifacts(artifact_dir=tree))
    assert {row.name for row in listing.rows if row.baseline_iou == 0.625} == {"same"}
    lines = {line.split()[0]: line for line in listing.summary().splitlines()}
    assert "0.750 0.625" in lines["same"]
    assert "0.750     -" in lines["other"]
    assert max(map(len, listing.summary().splitlines()[:-1])) <= 80
    assert [run["baseline_iou"] for run in listing.to_dict()["runs"] if run["name"] == "same"] == [0.625]


def test_the_dictionary_is_strict_json(tree):
    content = list_runs(Artifacts(artifact_dir=tree)).to_dict()
    again = json.loads(json.dumps(content, allow_nan=False))
    assert [run["iou"] for run in again["runs"] if run["name"] in ("solo", "t-retrain")] == [0.75, None]


def test_no_runs_and_no_directory(tmp_path):
    assert list_runs(Artifacts(artifact_dir=tmp_path)).summary().startswith("no runs")
    with pytest.raises(UserError, match="does not exist"):
        list_runs(Artifacts(artifact_dir=Path(tmp_path / "absent")))
