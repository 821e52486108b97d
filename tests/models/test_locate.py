"""A file, a run, a cross-validation: which model is meant."""

import pytest

from darts_train.artifacts.run_infos import RunRow, run_infos, write_run_infos
from darts_train.base.errors import UserError
from darts_train.models.locate import MONITOR, locate_model


def make_run(directory):
    (directory / "checkpoints").mkdir(parents=True)
    (directory / "checkpoints" / "best.ckpt").write_bytes(b"x")
    return directory / "checkpoints" / "best.ckpt"


def test_files_and_runs(tmp_path):
    best = make_run(tmp_path / "run-abcdefgh")
    assert locate_model(best) == best
    assert locate_model(tmp_path / "run-abcdefgh") == best


def test_a_directory_with_one_model(tmp_path):
    (tmp_path / "m.onnx").write_bytes(b"x")
    (tmp_path / ".m.onnx.12.tmp").write_bytes(b"x")
    assert locate_model(tmp_path) == tmp_path / "m.onnx"
    (tmp_path / "m.ckpt").write_bytes(b"x")
    with pytest.raises(UserError, match="several models"):
        locate_model(tmp_path)


def test_a_folder_as_hugging_face_has_them(tmp_path):
    for name in ("model.safetensors", "model.onnx", "README.md"):
        (tmp_path / name).write_bytes(b"x")
    with pytest.raises(UserError, match="several models"):
        locate_model(tmp_path)
    (tmp_path / "config.json").write_bytes(b"x")
    assert locate_model(tmp_path) == tmp_path / "model.safetensors"


@pytest.mark.parametrize(
    ("scores", "unstable", "status", "expected"),
    [
        ([0.3, 0.7, 0.5], [False] * 3, ["finished"] * 3, 1),
        ([0.3, 0.7, 0.5], [False, True, False], ["finished"] * 3, 2),
        ([0.3, 0.7, 0.5], [False] * 3, ["finished", "failed", "failed"], 0),
        ([float("nan"), 0.2, 0.2], [False] * 3, ["finished"] * 3, 1),
    ],
)
def test_the_best_run_of_a_cross_validation(tmp_path, scores, unstable, status, expected):
    rows = [
        RunRow(f"cv-run-f{i}s42", f"abcdefg{i}", i, 42, status[i], metrics={MONITOR: score})
        for i, score in enumerate(scores)
    ]
    paths = [make_run(tmp_path / f"{row.run_name}-{row.run_id}") for row in rows]
    write_run_infos(tmp_path, run_infos(rows, unstable, 0.5, False))
    assert locate_model(tmp_path) == paths[expected]


def test_no_usable_run(tmp_path):
    write_run_infos(
        tmp_path, run_infos([RunRow("r", "abcdefgh", 0, 1, "failed", metrics={MONITOR: 1.0})], [False], 0, False)
    )
    with pytest.raises(UserError, match="none of the 1 runs"):
        locate_model(tmp_path)
    rows = [RunRow("r", "abcdefgh", 0, 1, "finished", metrics={MONITOR: 1.0})]
    write_run_infos(tmp_path, run_infos(rows, [False], 0, False))
    with pytest.raises(UserError, match="is gone"):
        locate_model(tmp_path)


def test_places_without_a_model(tmp_path):
    with pytest.raises(UserError, match="does not exist"):
        locate_model(tmp_path / "absent")
    with pytest.raises(UserError, match="has its run finished"):
        locate_model(tmp_path)
    (tmp_path / "run_infos.parquet").write_bytes(b"no parquet")
    with pytest.raises(UserError, match="cannot be read"):
        locate_model(tmp_path)
