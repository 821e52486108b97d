"""The metrics of whole passes against torchmetrics."""

import math

import pytest
import torch
from torchmetrics import classification as tm

from darts_train.metrics.confusion import confusion_matrix, count_metrics
from darts_train.metrics.names import CLASS_METRICS, COUNT_METRICS
from darts_train.metrics.state import SegmentationMetrics, metric_names

IGNORE = 255
THREE = ("background", "water", "ice")


def random_batch(seed, classes, size=16, n=4):
    g = torch.Generator().manual_seed(seed)
    channels = 1 if classes == 2 else classes
    logits = torch.randn(n, channels, size, size, generator=g)
    target = torch.randint(0, classes, (n, size, size), generator=g).to(torch.uint8)
    target[torch.rand(n, size, size, generator=g) < 0.1] = IGNORE
    return logits, target


def run(batches, classes):
    state = SegmentationMetrics(classes, IGNORE)
    for logits, target in batches:
        state.update(logits, target, torch.tensor(float((target != IGNORE).sum())))
    return state


@pytest.mark.parametrize("name", COUNT_METRICS)
def test_binary_metrics_equal_torchmetrics(name):
    batches = [random_batch(seed, 2) for seed in range(3)]
    oracle = getattr(tm, f"Binary{name}")(ignore_index=IGNORE)
    for logits, target in batches:
        oracle.update(logits[:, 0], target.long())
    assert run(batches, ("background", "slump")).compute()[name] == pytest.approx(float(oracle.compute()), abs=1e-6)


@pytest.mark.parametrize("name", CLASS_METRICS)
@pytest.mark.parametrize("index", [1, 2])
def test_metrics_of_a_class_equal_torchmetrics(name, index):
    batches = [random_batch(seed, 3) for seed in range(3)]
    oracle = getattr(tm, f"Multiclass{name}")(num_classes=3, average=None, ignore_index=IGNORE)
    for logits, target in batches:
        oracle.update(logits, target.long())
    found = run(batches, THREE).compute("val/")
    assert found[f"val/{name}_{THREE[index]}"] == pytest.approx(float(oracle.compute()[index]), abs=1e-6)


@pytest.mark.parametrize(("name", "oracle_name"), [("Accuracy", "Accuracy"), ("CohenKappa", "CohenKappa")])
def test_overall_metrics_of_several_classes_equal_torchmetrics(name, oracle_name):
    logits, target = random_batch(7, 3)
    options = {"average": "micro"} if name == "Accuracy" else {}
    oracle = getattr(tm, f"Multiclass{oracle_name}")(num_classes=3, ignore_index=IGNORE, **options)
    expected = float(oracle(logits, target.long()))
    assert run([(logits, target)], THREE).compute()[name] == pytest.approx(expected, abs=1e-6)


@pytest.mark.parametrize("name", ["AUROC", "AveragePrecision"])
def test_areas_of_a_class_are_those_against_all_else(name):
    batches = [random_batch(seed, 3) for seed in range(2)]
    oracle = getattr(tm, f"Multiclass{name}")(num_classes=3, average=None, thresholds=None, ignore_index=IGNORE)
    for logits, target in batches:
        oracle.update(logits, target.long())
    found, expected = run(batches, THREE).compute(), oracle.compute()
    for index in (1, 2):
        assert found[f"{name}_{THREE[index]}"] == pytest.approx(float(expected[index]), abs=1e-3)
    assert found[name] == pytest.approx((found[f"{name}_water"] + found[f"{name}_ice"]) / 2)


def test_an_absent_class_has_no_areas():
    logits, target = random_batch(1, 3)
    target[target == 2] = 0
    found = run([(logits, target)], THREE).compute()
    assert math.isnan(found["AUROC_ice"])
    assert found["AUROC"] == found["AUROC_water"]


def test_curves_can_be_left_out():
    state = SegmentationMetrics(THREE, IGNORE, curves=False)
    logits, target = random_batch(1, 3)
    state.update(logits, target, torch.tensor(0.0))
    assert set(state.compute()) == set(metric_names(THREE, curves=False))


def test_the_mean_is_over_foreground_classes():
    found = run([random_batch(1, 3)], THREE).compute()
    assert found["JaccardIndex"] == pytest.approx((found["JaccardIndex_water"] + found["JaccardIndex_ice"]) / 2)
    assert "JaccardIndex_background" not in found


def test_a_class_that_is_nowhere_is_not_a_number_and_not_in_the_mean():
    target = torch.tensor([[0, 1, 1, 0]])
    matrix = confusion_matrix(torch.tensor([[0, 1, 0, 0]]), target, 3, IGNORE).sum(0)
    found = count_metrics(matrix, THREE)
    assert math.isnan(found["JaccardIndex_ice"])
    assert found["JaccardIndex"] == found["JaccardIndex_water"] == 0.5


@pytest.mark.parametrize("classes", [("background", "slump"), THREE])
def test_all_background_scores_zero_not_one_and_not_nan(classes):
    logits = torch.full((1, 1 if len(classes) == 2 else 3, 4, 4), -5.0)
    logits[:, 0] = -5.0 if len(classes) == 2 else 5.0
    found = run([(logits, torch.zeros(1, 4, 4, dtype=torch.uint8))], classes).compute()
    assert found["JaccardIndex"] == found["Recall"] == found["F1Score"] == found["CohenKappa"] == 0
    assert found["Accuracy"] == 1


def test_nothing_valid_gives_finite_metrics():
    found = run([(torch.randn(1, 1, 4, 4), torch.full((1, 4, 4), IGNORE, dtype=torch.uint8))], ("b", "s")).compute()
    assert all(math.isfinite(value) for value in found.values())
    assert found["loss"] == 0


def test_batches_add_up_in_any_order():
    batches = [random_batch(seed, 2) for seed in range(4)]
    one, other = run(batches, ("b", "s")).compute(), run(batches[::-1], ("b", "s")).compute()
    assert one == other
    assert one["loss"] == 1


def test_items_are_counted_apart():
    logits, target = random_batch(5, 3)
    each = confusion_matrix(logits.argmax(1), target, 3, IGNORE)
    assert each.shape == (4, 3, 3)
    oracle = tm.MulticlassConfusionMatrix(3, ignore_index=IGNORE)
    assert torch.equal(each[2], oracle(logits[2:3], target[2:3].long()))


@pytest.mark.parametrize("classes", [("b", "s"), THREE])
def test_names_are_known_beforehand(classes):
    assert set(run([random_batch(1, len(classes))], classes).compute()) == set(metric_names(classes))
