"""Tables of parts against the metrics of the parts alone."""

import math

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from darts_train.metrics.confusion import count_metrics, one_class_metrics
from darts_train.metrics.groups import MEAN, add_up, group_rows
from darts_train.metrics.object_state import ObjectMetrics

THREE = ("background", "water", "ice")


def patches(seed, n=12, k=3):
    random = np.random.default_rng(seed)
    confusion = random.integers(0, 50, (n, k, k)) * random.integers(0, 2, (n, k, k))
    names = [f"scene {i}" for i in random.integers(0, 4, n)]
    return names, confusion, random.integers(0, 9, (n, k - 1, 3))


@given(st.integers(0, 2**32 - 1), st.sampled_from([2, 3]))
@settings(max_examples=30, deadline=None)
def test_every_part_has_the_scores_of_its_own_pixels(seed, k):
    names, confusion, objects = patches(seed, k=k)
    rows = group_rows(add_up(names, confusion, objects), THREE[:k])
    assert len(rows) == len(set(names)) * (1 if k == 2 else 3)
    for row in rows:
        own = torch.from_numpy(confusion[[name == row["name"] for name in names]].sum(0))
        assert row["pixels"] == int(own.sum())
        if row["class"] == MEAN:
            oracle = count_metrics(own, THREE)
            assert row["Accuracy"] == pytest.approx(oracle["Accuracy"] if own.sum() else math.nan, nan_ok=True)
            assert (0 if math.isnan(row["JaccardIndex"]) else row["JaccardIndex"]) == pytest.approx(
                oracle["JaccardIndex"]
            )
            continue
        index = THREE.index(row["class"])
        oracle = one_class_metrics(own, index)
        for name in ("JaccardIndex", "F1Score", "Precision", "Recall"):
            assert row[name] == pytest.approx(oracle[name], nan_ok=True), name
        assert row["tp"] == int(own[index, index])
        assert row["tp"] + row["fn"] == row["positive_pixels"] == int(own[index].sum())
        assert row["tp"] + row["fp"] == int(own[:, index].sum())


def test_counts_add_up_over_parts():
    names, confusion, objects = patches(4)
    groups = add_up(names, confusion, objects)
    assert groups.patches.sum() == len(names)
    np.testing.assert_array_equal(groups.confusion.sum(0), confusion.sum(0))
    np.testing.assert_array_equal(groups.objects.sum(0), objects.sum(0))
    assert list(groups.names) == sorted(set(names))


def test_a_part_with_nothing_to_find_and_nothing_found_has_no_score():
    rows = group_rows(
        add_up(["a", "b"], np.array([[[9, 0], [0, 0]], [[9, 1], [0, 0]]]), np.zeros((2, 1, 3), int)), "bs"
    )
    assert all(math.isnan(rows[0][name]) for name in ("JaccardIndex", "F1Score", "Precision", "Recall"))
    assert rows[0]["Accuracy"] == 1
    assert (rows[1]["JaccardIndex"], rows[1]["Precision"], rows[1]["Recall"]) == (0, 0, 0)


def test_no_patches_have_no_rows():
    assert group_rows(add_up([], np.zeros((0, 2, 2), int), np.zeros((0, 1, 3), int)), "bs") == []


def batch(seed, n=3, side=10):
    random = np.random.default_rng(seed)
    target = random.integers(0, 3, (n, side, side)).astype(np.uint8)
    target[random.random(target.shape) < 0.1] = 255
    predicted = np.where(random.random(target.shape) < 0.7, target % 3, 0)
    return random.random((n, 2, side, side)), predicted, target


def test_objects_of_each_class_are_those_of_the_class_alone():
    state, alone = ObjectMetrics(THREE, 255), ObjectMetrics(("background", "ice"), 255)
    for seed in range(3):
        probability, predicted, target = batch(seed)
        counts = state.update(probability, predicted, target)
        as_one = np.where(target == 255, 255, target == 2)
        np.testing.assert_array_equal(counts[:, 1:], alone.update(probability[:, 1:], predicted == 2, as_one))
    found, ice = state.compute("test/"), alone.compute()
    for name, value in ice.items():
        assert found[f"test/{name}_ice"] == value
        assert found[f"test/{name}"] == pytest.approx((value + found[f"test/{name}_water"]) / 2)


def test_a_class_that_is_nowhere_is_not_in_the_mean():
    state = ObjectMetrics(THREE, 255)
    probability, predicted, target = batch(1)
    state.update(probability, np.where(predicted == 1, 0, predicted), np.where(target == 1, 0, target))
    found = state.compute()
    assert math.isnan(found["InstanceF1Score_water"])
    assert math.isnan(found["InstanceBoundaryIoU_water"])
    assert found["InstanceF1Score"] == found["InstanceF1Score_ice"]
