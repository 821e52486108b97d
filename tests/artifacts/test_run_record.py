import math

import pytest

from darts_train.artifacts.run_record import RunRecord, read_record, write_record
from darts_train.base.errors import UserError


def make_record(**changes):
    values = {
        "run_name": "r", "run_id": "abcd1234", "status": "finished", "fingerprint": "f", "fold": 0, "seed": 42,
        "started": "2026-01-01T00:00:00+00:00", "data_hash": "d",
    }  # fmt: skip
    return RunRecord(**{**values, **changes})


def test_round_trip_keeps_everything(tmp_path):
    metrics = {"val/loss": math.nan, "a": math.inf, "b": -math.inf, "c": None, "d": 0.1 + 0.2, "e": 0.0}
    record = make_record(best_metrics=metrics, settings={"bands": ["red"], "x": None}, best_checkpoint="c/best.ckpt")
    write_record(tmp_path / "run", record)
    again = read_record(tmp_path / "run")
    assert again is not None
    assert math.isnan(again.best_metrics.pop("val/loss"))
    record.best_metrics.pop("val/loss")
    assert again == record


def test_no_record_is_none(tmp_path):
    assert read_record(tmp_path) is None
    assert read_record(tmp_path / "absent") is None


@pytest.mark.parametrize(
    "text", ["", "{", "[]", "\x00", '{"run_name": 1}', make_record().model_dump_json().replace("fold", "folt")]
)
def test_a_spoilt_record_is_named(tmp_path, text):
    (tmp_path / "run.json").write_text(text)
    with pytest.raises(UserError, match=r"run\.json"):
        read_record(tmp_path)


def test_the_old_record_stays_when_writing_fails(tmp_path, monkeypatch):
    write_record(tmp_path, make_record())
    monkeypatch.setattr("os.replace", lambda *_: (_ for _ in ()).throw(OSError("disk full")))
    with pytest.raises(OSError, match="disk full"):
        write_record(tmp_path, make_record(status="failed"))
    record = read_record(tmp_path)
    assert record is not None
    assert record.status == "finished"
    assert [path.name for path in tmp_path.iterdir()] == ["run.json"]
