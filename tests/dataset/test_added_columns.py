import numpy as np
import pandas as pd
import pyarrow.parquet as pq
import pytest

from darts_train.base.errors import UserError
from darts_train.dataset.added_columns import add_columns
from darts_train.dataset.columns import Column, parse_columns
from darts_train.dataset.reader import TrainData
from darts_train.dataset.set_config import SetConfig
from darts_train.dataset.writer import TrainDataWriter
from tests.support.sets import make_set


def test_added_columns_are_read_and_leave_the_data_hash(tmp_path):
    make_set(tmp_path)
    before = TrainData.open(tmp_path)
    schema = pq.read_schema(tmp_path / "metadata.parquet")
    groups = [f"site-{i}" if i else None for i in range(len(before))]
    add_columns(tmp_path, pd.DataFrame({"group": groups, "loss": np.arange(len(before)) / 2}))
    after = TrainData.open(tmp_path)
    assert after.data_hash == before.data_hash
    assert list(after.metadata["group"])[1:] == groups[1:]
    assert list(after.metadata["loss"]) == [i / 2 for i in range(len(before))]
    assert pq.read_schema(tmp_path / "metadata.parquet").metadata[b"geo"] == schema.metadata[b"geo"]


def test_a_set_that_is_written_on_keeps_what_was_added(tmp_path):
    make_set(tmp_path)
    config = SetConfig.read(tmp_path / "config.toml")
    count = len(TrainData.open(tmp_path))
    add_columns(tmp_path, pd.DataFrame({"loss": np.ones(count), "hard": [True] * count}))
    add_columns(tmp_path, pd.DataFrame({"loss": np.zeros(count)}))
    with TrainDataWriter.open(tmp_path, config) as writer:
        writer.finalise()
    metadata = TrainData.open(tmp_path).metadata
    assert list(metadata["loss"]) == [0.0] * count
    assert list(metadata["hard"]) == [True] * count


def test_the_columns_of_the_set_itself_stay(tmp_path):
    make_set(tmp_path)
    count = len(TrainData.open(tmp_path))
    with pytest.raises(UserError, match="checksum"):
        add_columns(tmp_path, pd.DataFrame({"checksum": ["0"] * count}))
    with pytest.raises(UserError, match="rows"):
        add_columns(tmp_path, pd.DataFrame({"loss": np.zeros(count + 1)}))


def test_columns_are_declared_in_the_config():
    config = parse_columns(["split: text", "qa_ok: flag", "odd: name: number"])
    assert config == (Column("split", "text"), Column("qa_ok", "flag"), Column("odd: name", "number"))
    with pytest.raises(UserError, match="metadata_columns"):
        parse_columns(["split"])
