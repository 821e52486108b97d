"""A pass over batches that are their own logits, and the tables made of it: no network, no set."""

import math

import numpy as np
import pytest
import torch

from darts_train.experiments.evaluate_run import TestResult as Result  # pytest collects what is called Test
from darts_train.experiments.evaluating.figures import worst_patches
from darts_train.experiments.evaluating.tables import by_name, lines_of, ranked, score_rows, score_table, sweep_table
from darts_train.metrics.curves import best_thresholds
from darts_train.training.evaluate import evaluate
from darts_train.training.losses.focal import FocalLoss

THREE = ("background", "water", "ice")
SCENES = ["s0", "s0", "s1", "s1", "s2", "empty"]
REGIONS = ["north"] * 4 + ["south"] * 2


def batches(classes):
    """Six patches in two batches; the second and the third scene are wrong more often, the last patch is empty."""
    g = torch.Generator().manual_seed(3)
    target = torch.randint(0, classes, (6, 16, 16), generator=g).to(torch.uint8)
    target[5] = 0
    wrong = torch.rand(6, 16, 16, generator=g) < torch.tensor([0.1, 0.1, 0.3, 0.2, 0.5, 0])[:, None, None]
    said = torch.where(wrong, (target + 1) % classes, target).long()
    logits = 4 * torch.nn.functional.one_hot(said, classes).permute(0, 3, 1, 2).float()
    logits = logits[:, 1:] - 2 if classes == 2 else logits
    target[0, :2] = 255
    return [{"x": logits[i], "y": target[i], "index": torch.tensor(i) + 10} for i in ([0, 1, 2, 3], [4, 5])]


def evaluated(classes):
    names = THREE[:classes]
    same = torch.nn.Identity()
    return evaluate(same, same, batches(classes), names, 255, FocalLoss(classes, None, 2.0, 255), torch.device("cpu"))


@pytest.fixture(scope="module", params=[2, 3])
def found(request):
    torch.set_num_threads(1)
    return evaluated(request.param)


@pytest.fixture(scope="module")
def rows(found):
    return score_rows(found, REGIONS, SCENES)


def test_a_pass_measures_objects_beside_pixels(found):
    metrics = found.metrics("test/")
    assert {"test/JaccardIndex", "test/InstanceF1Score", "test/InstanceBoundaryIoU"} < set(metrics)
    assert found.rows.tolist() == list(range(10, 16))
    assert all(0 <= value <= 1 for name, value in metrics.items() if name not in ("test/loss", "test/CohenKappa"))
    totals = [state.counts() for state in found.objects.instances.values()]
    np.testing.assert_array_equal(found.objects_per_patch.sum(0), totals)
    assert ("test/InstanceF1Score_ice" in metrics) == (len(found.counts.classes) == 3)


def test_the_table_has_all_of_it_and_its_parts(found, rows):
    table = score_table(rows).to_pandas()
    per_part = len(found.counts.classes) - 1 + (len(found.counts.classes) == 3)
    assert table["part"].value_counts().to_dict() == {"all": per_part, "region": 2 * per_part, "scene": 4 * per_part}
    for column in ("pixels", "tp", "fp", "fn", "objects_tp", "objects_fp", "objects_fn"):
        sums = table.groupby(["class", "part"])[column].sum().unstack()
        assert (sums["all"] == sums["region"]).all()
        assert (sums["all"] == sums["scene"]).all()
    (whole,) = by_name(rows, "all").values()
    assert whole["JaccardIndex"] == pytest.approx(found.metrics()["JaccardIndex"])
    assert score_table(rows).column("JaccardIndex").null_count == per_part  # the empty scene


def test_scenes_are_ranked_and_one_with_nothing_to_find_is_none(found, rows):
    scenes = by_name(rows, "scene")
    assert ranked(scenes) == ["s2", "s1", "s0"]
    assert math.isnan(scenes["empty"]["JaccardIndex"])
    text = "\n".join(lines_of("scene", scenes))
    assert text.index("s2") < text.index("s1") < text.index("s0")
    assert "1 more have nothing to find" in text
    assert worst_patches(found, SCENES, ranked(scenes)).tolist() == [14, 12, 11]


def test_a_long_table_is_cut_and_says_so():
    scores = {"patches": 1, "F1Score": 0.5, "Precision": 0.5, "Recall": 0.5, "fp": 1, "fn": 1}
    lines = lines_of("scene", {f"s{i}": {**scores, "JaccardIndex": i / 20} for i in range(11)})
    assert len(lines) == 1 + 8 + 1
    assert lines[-1] == "… and 3 better ones"


def test_the_sweep_holds_the_best_threshold():
    histogram = evaluated(2).counts.histograms[0]
    table, best = sweep_table(histogram).to_pandas(), best_thresholds(histogram)
    assert len(table) == histogram.shape[1] + 1
    assert table["F1Score"].max() == best["best_f1"]["F1Score"]
    row = table[table["threshold"] == best["best_iou"]["threshold"]].iloc[0]
    assert row["JaccardIndex"] == best["best_iou"]["JaccardIndex"] == table["JaccardIndex"].max()


def test_the_summary_of_several_classes_has_no_threshold(tmp_path):
    found = evaluated(3)
    rows = score_rows(found, REGIONS, SCENES)
    scenes = by_name(rows, "scene")
    result = Result(found.metrics("test/"), by_name(rows, "region"), scenes, None, {}, 6, tmp_path, tmp_path)
    assert "no confidence interval" in result.summary()
    assert "threshold" not in result.summary()
    assert "boundary IoU" in result.summary()
