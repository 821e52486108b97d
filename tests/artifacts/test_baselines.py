import logging
import math

import pytest

from darts_train.artifacts.baselines import (
    BaselineRecord,
    baseline_dir,
    beside_baselines,
    matching_baseline,
    read_baselines,
    write_baseline,
)

from .test_run_record import make_record

SAME = {"data_hash": "d", "split_hash": "s", "test_hash": "t"}
RUN = make_record(data_hash="d", split_hash="s")


def written(root, run_id, iou, **changes):
    fields = {
        "run_name": "base", "run_id": run_id, "pixel_model": "trees", "started": "2026-01-01T00:00:00+00:00",
        "duration": 1.0, "bands": ("red",), "fold": 0, "seed": 42, "pixels": {"ring": (9, 4)},
        "metrics": {} if iou is None else {"test/JaccardIndex": iou, "test/AUROC": math.nan}, **SAME,
    }  # fmt: skip
    record = BaselineRecord(**(fields | changes))
    write_baseline(baseline_dir(root, "base", run_id), record)
    return record


def found_in(root, run=RUN, part="test", test_hash="t"):
    return matching_baseline(read_baselines(root), run, part, test_hash)


def test_the_best_of_the_same_data_split_and_test_patches_is_found(tmp_path):
    assert found_in(tmp_path) is None
    for number, name in enumerate(SAME):
        written(tmp_path, f"aaaaaaa{number}", 0.9, **{name: "other"})
    assert found_in(tmp_path) is None
    written(tmp_path, "bbbbbbbb", 0.5)
    written(tmp_path, "cccccccc", 0.7)
    written(tmp_path, "dddddddd", None)
    found = found_in(tmp_path)
    assert (found.run_id, found.iou("test"), found.pixels) == ("cccccccc", 0.7, {"ring": (9, 4)})
    assert math.isnan(found.metrics["test/AUROC"])


def test_a_damaged_record_is_passed_over(tmp_path, caplog):
    path = baseline_dir(tmp_path, "base", "aaaaaaaa") / "baseline.json"
    path.parent.mkdir(parents=True)
    path.write_text('{"run_name": 1}')
    with caplog.at_level(logging.WARNING, logger="darts"):
        assert found_in(tmp_path) is None
    assert "baseline.json" in caplog.text


@pytest.mark.parametrize(("iou", "words"), [(0.9, "0.2000 above"), (0.6, "0.1000 below")])
def test_a_line_sets_a_network_beside_it(tmp_path, iou, words):
    line = written(tmp_path, "aaaaaaaa", 0.7).beside(iou)
    assert "0.7000" in line
    assert words in line


def test_bands_fold_and_part_must_be_the_same(tmp_path):
    metrics = {"val/JaccardIndex": 0.6, "test/JaccardIndex": math.nan}
    written(tmp_path, "aaaaaaaa", 0.5, metrics=metrics, settings={"data": {"bands": ["red", "nir"]}})
    some = make_record(data_hash="d", split_hash="s", settings={"data": {"bands": ["nir", "red"]}})
    assert found_in(tmp_path, some, "val", None).iou("val") == 0.6
    assert found_in(tmp_path, RUN, "val", None) is None  # of all bands
    assert found_in(tmp_path, some) is None  # tested nothing
    assert found_in(tmp_path, some.model_copy(update={"split_hash": "of fold 1"}), "val", None) is None


def test_several_runs_stand_beside_the_baselines_of_their_folds(tmp_path):
    for fold, iou in enumerate((0.5, 0.7)):
        written(tmp_path, f"aaaaaaa{fold}", None, split_hash=f"s{fold}", metrics={"val/JaccardIndex": iou})

    def runs(*ious, **changes):
        return [
            make_record(data_hash="d", split_hash=f"s{fold}", best_metrics={"val/JaccardIndex": iou}, **changes)
            for fold, iou in enumerate(ious)
        ]

    baselines = read_baselines(tmp_path)
    beside = beside_baselines(baselines, runs(0.7, 0.8, 0.1))  # fold 2 has no baseline
    assert (beside.network, beside.baseline) == pytest.approx((0.75, 0.6))
    assert "2 of 3 runs" in beside.summary()
    assert "0.1500 above it" in beside.summary()
    assert "all 1 runs" in beside_baselines(baselines, runs(0.4)).summary()
    assert beside_baselines(baselines, runs(0.7, status="failed")) is None
    assert beside_baselines(baselines, runs(math.nan, None)) is None
    assert beside_baselines([], runs(0.7)) is None
