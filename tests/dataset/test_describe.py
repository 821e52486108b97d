import json
import tracemalloc

import pytest

from darts_train.base.errors import UserError
from darts_train.dataset.describing import bands as describe_bands
from darts_train.dataset.describing.describe import describe_set, open_or_empty
from darts_train.dataset.reader import TrainData
from darts_train.dataset.writer import TrainDataWriter
from darts_train.options.learning import Split
from tests.support.sets import make_config, make_old_set, make_set, make_tile


def describe(root):
    return describe_set(open_or_empty(root), Split(), strict=False)


def test_the_counts_are_those_of_the_set(tmp_path):
    make_set(tmp_path, patches=12, size=16, classes=3, regions=3, nodata=True)
    data, found = TrainData.open(tmp_path), describe(tmp_path)
    y = data.read_many(range(12))[1]
    assert (found.patches, found.patch_size, found.scenes, found.data_hash) == (12, 16, 6, data.data_hash)
    assert {r.region: (r.positive, r.empty) for r in found.regions} == {
        name: (int((~part["empty"]).sum()), int(part["empty"].sum())) for name, part in data.metadata.groupby("region")
    }
    labelled = y != 255
    assert found.class_shares == pytest.approx(
        {
            "background": (y == 0).sum() / labelled.sum(),
            "class1": (y == 1).sum() / labelled.sum(),
            "class2": (y == 2).sum() / labelled.sum(),
        }
    )
    assert found.ignored_share == pytest.approx(1 / 16)
    assert [stats.name for stats in found.statistics] == ["blue", "green", "red"]
    assert found.statistics[0].nodata_share == pytest.approx(1 / 16)


def test_it_becomes_json_without_nan(tmp_path):
    config = make_config(size=8)
    tile = make_tile(config, 0, "A", 1, 0)
    tile.x[:] = 65535
    tile.y[:] = 255
    with TrainDataWriter.open(tmp_path, config) as writer:
        writer.commit(tile)
        writer.finalise()
    found = describe(tmp_path)
    plain = json.loads(json.dumps(found.to_dict(), allow_nan=False))
    assert plain["bands"][0]["mean"] is None
    assert plain["bands"][0]["scale"] == 1e-4
    assert plain["classes"] == {"background": 0, "positive": 0}
    assert plain["ignored_share"] == 1
    assert "100.00%" in found.summary()


def test_the_tables_are_narrow(tmp_path):
    config = make_config(size=8, bands=10)
    with TrainDataWriter.open(tmp_path, config) as writer:
        writer.commit(
            make_tile(config, 0, "A region with a name that is much longer than a terminal is wide, " * 2, 3, 0)
        )
        writer.finalise()
    lines = describe(tmp_path).summary().splitlines()
    assert max(len(line) for line in lines[1:]) <= 80
    assert any(line.startswith("slope") for line in lines)
    assert any(line.startswith("positive") and line.endswith("%") for line in lines)


def test_older_sets_are_described_too(tmp_path):
    found = describe(make_old_set(tmp_path / "set", patches=6, size=16))
    assert found.ignored_share == pytest.approx(1 / 16)
    assert found.class_shares["positive"] > 0


def test_memory_does_not_grow_with_the_set(tmp_path, monkeypatch):
    monkeypatch.setattr(describe_bands, "POOL", 4096)
    peaks = []
    for count in (4, 36):
        make_set(tmp_path / f"{count}", patches=count, size=32, scenes=1)
        data = open_or_empty(tmp_path / f"{count}")
        describe_set(data, Split(), strict=False)  # what is kept for good is kept now
        tracemalloc.start()
        describe_set(data, Split(), strict=False)
        peaks.append(tracemalloc.get_traced_memory()[1])
        tracemalloc.stop()
    pixels = 32 * 3 * 32 * 32 * 2
    assert peaks[1] - peaks[0] < pixels / 4


def test_what_is_no_set_is_refused(tmp_path):
    with pytest.raises(UserError, match="is not a train data directory"):
        describe(tmp_path)
