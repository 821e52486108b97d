import os
from pathlib import Path

from darts_train.artifacts import tree


def test_places_of_the_artifact_directory():
    root = Path("a")
    assert tree.single_run_dir(root, "r", "12345678") == Path("a/_runs/r-12345678")
    assert tree.cv_dir(root, "c") == Path("a/_cross_validations/c")
    assert tree.cv_dir(root, "t-cv0", "t") == Path("a/t/t-cv0")
    assert tree.tune_dir(root, "t") == Path("a/t")
    assert tree.retrain_dir(root, "t", "t-retrain", "12345678") == Path("a/t/_runs/t-retrain-12345678")


def test_find_run_wants_the_whole_name(tmp_path):
    for name in ("x-run-f0s42-abcd1234", "x-run-f0s421-abcd1234", "x-abcd1234-abcd1234"):
        (tmp_path / name).mkdir()
    (tmp_path / "y-abcd1234").write_text("a file")
    assert tree.find_run(tmp_path, "x-run-f0s42") == tmp_path / "x-run-f0s42-abcd1234"
    assert tree.find_run(tmp_path, "x") is None
    assert tree.find_run(tmp_path, "y") is None
    assert tree.find_run(tmp_path / "absent", "x") is None


def test_find_run_takes_the_latest_record_of_several(tmp_path):
    for age, name in ((300, "r-aaaaaaaa"), (100, "r-bbbbbbbb"), (200, "r-cccccccc")):
        (tmp_path / name).mkdir()
        (tmp_path / name / "run.json").touch()
        os.utime(tmp_path / name / "run.json", (1e9 - age, 1e9 - age))
    (tmp_path / "r-dddddddd").mkdir()
    assert tree.find_run(tmp_path, "r") == tmp_path / "r-bbbbbbbb"


def test_parse_run_directory():
    assert tree.parse_run_directory(Path("x/t-cv0-run-f1s42-00000000")) == ("t-cv0-run-f1s42", "00000000")
    assert tree.parse_run_directory(Path("checkpoints")) is None
