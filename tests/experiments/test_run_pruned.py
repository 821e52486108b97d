"""A real run that is watched: it is stopped after a validation, keeps what it has, and goes on should anybody ask."""

import pytest

from darts_train.artifacts.run_record import read_record
from darts_train.training.stopping.pruned import PrunedError
from darts_train.training.tracking.metrics_file import read_rows
from tests.support.runs import run
from tests.support.sets import make_set


def test_a_run_is_stopped_after_a_validation_and_goes_on_later(tmp_path):
    root = tmp_path / "set"
    make_set(root, patches=8, size=32)
    asked = []

    def ask(epochs, metrics):
        asked.append((epochs, metrics["val/JaccardIndex"]))
        return "too far behind" if epochs == 2 else None

    directory = tmp_path / "stopped-aaaaaaaa"
    with pytest.raises(PrunedError, match="too far behind"):
        run(root, directory, on_validation=ask)
    assert [epochs for epochs, _ in asked] == [1, 2]
    record = read_record(directory)
    assert (record.status, record.error) == ("pruned", "too far behind")
    assert record.last_metrics["val/JaccardIndex"] == pytest.approx(asked[-1][1])
    assert (directory / "checkpoints" / "last.ckpt").is_file()

    resumed = run(root, directory, on_validation=lambda epochs, metrics: asked.append((epochs, 0)))
    assert resumed.resumed
    assert [epochs for epochs, _ in asked] == [1, 2, 3]
    assert resumed.status == read_record(directory).status == "finished"
    assert [int(row["epoch"]) for row in read_rows(directory / "metrics.csv") if row["train/loss_epoch"]] == [0, 1, 2]
