import logging
import math

import pytest

from darts_train.artifacts.baselines import BaselineRecord, baseline_dir, find_baseline, write_baseline

SAME = {"data_hash": "d", "split_hash": "s", "test_hash": "t"}


def written(root, run_id, iou, **changes):
    fields = {
        "run_name": "base", "run_id": run_id, "pixel_model": "trees", "started": "2026-01-01T00:00:00+00:00",
        "duration": 1.0, "bands": ("red",), "fold": 0, "seed": 42, "pixels": {"ring": (9, 4)},
        "metrics": {} if iou is None else {"test/JaccardIndex": iou, "test/AUROC": math.nan}, **SAME,
    }  # fmt: skip
    record = BaselineRecord(**(fields | changes))
    write_baseline(baseline_dir(root, "base", run_id), record)
    return record


def test_the_best_of_the_same_data_split_and_test_patches_is_found(tmp_path):
    assert find_baseline(tmp_path, **SAME) is None
    for number, name in enumerate(SAME):
        written(tmp_path, f"aaaaaaa{number}", 0.9, **{name: "other"})
    assert find_baseline(tmp_path, **SAME) is None
    written(tmp_path, "bbbbbbbb", 0.5)
    written(tmp_path, "cccccccc", 0.7)
    written(tmp_path, "dddddddd", None)
    found = find_baseline(tmp_path, **SAME)
    assert (found.run_id, found.test_iou, found.pixels) == ("cccccccc", 0.7, {"ring": (9, 4)})
    assert math.isnan(found.metrics["test/AUROC"])


def test_a_damaged_record_is_passed_over(tmp_path, caplog):
    path = baseline_dir(tmp_path, "base", "aaaaaaaa") / "baseline.json"
    path.parent.mkdir(parents=True)
    path.write_text('{"run_name": 1}')
    with caplog.at_level(logging.WARNING, logger="darts"):
        assert find_baseline(tmp_path, **SAME) is None
    assert "baseline.json" in caplog.text


@pytest.mark.parametrize(("iou", "words"), [(0.9, "0.2000 above"), (0.6, "0.1000 below")])
def test_a_line_sets_a_network_beside_it(tmp_path, iou, words):
    line = written(tmp_path, "aaaaaaaa", 0.7).beside(iou)
    assert "0.7000" in line
    assert words in line
