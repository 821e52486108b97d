"""What a configuration would make of a set, without training anything."""

import logging

import numpy as np
import pandas as pd
import pytest

from darts_train.base.errors import UserError
from darts_train.dataset.describing.splits import FOLDS, preview_splits
from darts_train.dataset.describing.text import split_lines
from darts_train.dataset.splitting.splits import make_split
from darts_train.options.learning import Split

SIZE = 32


def rows(count=40, step=SIZE, regions=4):
    """Patches side by side, `step` pixels apart, in scenes of ten; every second one is positive."""
    number = np.arange(count)
    return pd.DataFrame(
        {
            "sample_id": [f"scene{i // 10}" for i in number],
            "region": [f"region {i // 10 % regions}" for i in number],
            "empty": number % 2 == 0,
            "x": number % 10 * step,
            "y": 0,
        }
    )


def preview(metadata, strict=True, **options):
    return preview_splits(metadata, SIZE, Split(**options), strict)


def test_the_folds_are_those_that_training_makes():
    metadata, split = rows(), Split(data_split_method="region", data_split_by=("region 3",), fold_method="stratified")
    found = preview_splits(metadata, SIZE, split, strict=True)
    assert [fold.fold for fold in found.folds] == [0, 1, 2, 3, 4]
    for fold in found.folds:
        made = make_split(metadata, split, fold.fold)
        for part in ("train", "val", "test"):
            indices, count = getattr(made, part), getattr(fold, part)
            assert count.patches == len(indices)
            assert count.positive == (~metadata.loc[indices, "empty"]).sum()
            assert count.regions == tuple(sorted(set(metadata.loc[indices, "region"])))
    assert found.first.hash == make_split(metadata, split, 0).hash


@pytest.mark.parametrize(("step", "leak"), [(SIZE, 0), (SIZE - 1, 1)])
def test_what_overlaps_leaks(step, leak):
    metadata = rows(40, step, regions=4)
    folds = preview(metadata, fold_method="kfold", total_folds=8).folds
    # five neighbours of ten validate: one of them touches the five that train
    assert [fold.val_leak for fold in folds] == [leak] * 8
    assert preview(metadata, fold_method="region-stratified", total_folds=4).folds[0].val_leak == 0


def test_the_test_part_leaks_too():
    metadata = rows(40, SIZE - 1)
    fold = preview(metadata, data_split_method="random", data_split_by=("0.5",), total_folds=2).folds[0]
    assert fold.test_leak > 0
    assert preview(metadata, data_split_method="sample", data_split_by=("scene0",)).folds[0].test_leak == 0


def test_without_windows_the_leak_is_unknown():
    found = preview(rows().drop(columns="x"))
    assert {fold.val_leak for fold in found.folds} == {None}
    assert any(line.endswith("unknown") for line in split_lines(found))


def test_without_folds_validation_is_training():
    found = preview(rows(), fold_method=None)
    assert len(found.folds) == 1
    assert found.folds[0].val_leak == found.folds[0].train.patches == 40
    assert "validation is training" in found.words


def test_what_cannot_be_made_is_said_or_raised():
    options = {"fold_method": "region", "total_folds": 5}
    found = preview(rows(), strict=False, **options)
    assert "4 regions for --total-folds 5" in found.impossible
    assert found.folds == ()
    assert found.first is None
    assert any(line.startswith("cannot be made") for line in split_lines(found))
    with pytest.raises(UserError, match="4 regions for --total-folds 5"):
        preview(rows(), **options)


def test_many_folds_are_cut_off():
    found = preview(rows(), fold_method="kfold", total_folds=40)
    assert len(found.folds) == FOLDS
    assert any("the first 20 of 40 folds" in line for line in split_lines(found))


def test_a_warning_of_every_fold_is_said_once(caplog):
    metadata = rows().assign(empty=np.arange(40) > 1)
    with caplog.at_level(logging.WARNING):
        found = preview(metadata, fold_method="stratified")
    assert len(found.warnings) == 1
    assert "some folds validate without one" in found.warnings[0]
    assert not caplog.records


def test_the_lines_are_narrow():
    lines = list(split_lines(preview(rows(), data_split_method="sample", data_split_by=("scene0", "scene1"))))
    assert max(map(len, lines)) <= 80
