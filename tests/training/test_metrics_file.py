import csv

from hypothesis import given
from hypothesis import strategies as st

from darts_train.training.tracking.metrics_file import MetricsFile, read_rows

COLUMNS = ("epoch", "step", "loss")


def test_rows_come_back_and_unknown_columns_do_not(tmp_path):
    file = MetricsFile(tmp_path / "metrics.csv", COLUMNS)
    file.append({"epoch": 0, "step": 3, "loss": 0.1, "other": 1})
    file.append({"epoch": 1, "step": 7}, durable=True)
    assert read_rows(file.path) == [
        {"epoch": "0", "step": "3", "loss": "0.1"},
        {"epoch": "1", "step": "7", "loss": ""},
    ]


def test_going_on_drops_later_epochs_and_the_torn_line(tmp_path):
    path = tmp_path / "metrics.csv"
    file = MetricsFile(path, COLUMNS)
    for epoch in range(4):
        file.append({"epoch": epoch, "step": epoch, "loss": 0.5})
    with path.open("a") as raw:
        raw.write("4,4,0.")
    MetricsFile(path, COLUMNS, epochs_done=2)
    assert [row["epoch"] for row in read_rows(path)] == ["0", "1"]
    assert path.read_bytes().endswith(b"\n")


def test_beginning_anew_drops_all(tmp_path):
    path = tmp_path / "metrics.csv"
    MetricsFile(path, COLUMNS).append({"epoch": 0})
    MetricsFile(path, COLUMNS)
    assert path.read_text() == "epoch,step,loss\n"


def test_new_columns_are_taken_up(tmp_path):
    path = tmp_path / "metrics.csv"
    MetricsFile(path, ("epoch", "old")).append({"epoch": 0, "old": 1})
    MetricsFile(path, ("epoch", "new"), epochs_done=1).append({"epoch": 1, "new": 2})
    assert read_rows(path) == [{"epoch": "0", "new": ""}, {"epoch": "1", "new": "2"}]


def test_a_damaged_file_is_repaired(tmp_path):
    path = tmp_path / "metrics.csv"
    path.write_bytes(b"epoch,step,loss\n0,0,0.1\nx\xff,,\n,,\n1,1,0.2\n")
    MetricsFile(path, COLUMNS, epochs_done=5)
    assert [row["epoch"] for row in read_rows(path)] == ["0", "1"]


@given(st.floats(), st.integers(0, 10**9))
def test_numbers_survive_to_the_last_digit(tmp_path_factory, value, step):
    path = tmp_path_factory.mktemp("csv") / "metrics.csv"
    MetricsFile(path, COLUMNS).append({"epoch": 0, "step": step, "loss": value})
    with path.open() as text:
        (row,) = csv.DictReader(text)
    assert repr(float(row["loss"])) == repr(value)
    assert int(row["step"]) == step


def test_no_file_has_no_rows(tmp_path):
    assert read_rows(tmp_path / "metrics.csv") == []
