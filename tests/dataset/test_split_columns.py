"""Splits by columns, groups and strata, conditions, and overlap that is left out."""

import logging

import numpy as np
import pandas as pd
import pytest
import shapely
from hypothesis import given, settings
from hypothesis import strategies as st
from sklearn.model_selection import StratifiedGroupKFold, StratifiedKFold

from darts_train.base.errors import UserError
from darts_train.dataset.describing.splits import preview_splits
from darts_train.dataset.describing.text import split_lines
from darts_train.dataset.splitting.leakage import overlapping_patches, warn_split_leakage
from darts_train.dataset.splitting.overlap import nearest_km, patch_centres
from darts_train.dataset.splitting.splits import available_folds, make_split
from darts_train.options.learning import Split

SIZE = 32


def frame(count=60, step=SIZE, scenes=6, seed=0):
    rng, number = np.random.default_rng(seed), np.arange(count)
    per = count // scenes
    return pd.DataFrame(
        {
            "sample_id": [f"s{i // per}" for i in number],
            "region": [f"r{i // per % 3}" for i in number],
            "empty": rng.random(count) < 0.5,
            "x": number % per * step,
            "y": 0,
            "group": None,
            "year": 2019 + number // per % 2,
            "season": rng.choice(["dry", "wet"], count),
            "valid_fraction": rng.random(count),
            "split": rng.choice(["train", "val", "test"], count, p=[0.6, 0.2, 0.2]),
        }
    )


def of(rows, part):
    return rows.index[rows["split"] == part].tolist()


def test_a_column_says_every_part():
    rows = frame()
    made = make_split(rows, Split(data_split_method="column"))
    assert [made.train.tolist(), made.val.tolist(), made.test.tolist()] == [
        of(rows, p) for p in ("train", "val", "test")
    ]
    other = rows.rename(columns={"split": "other"}).replace({"val": " Validation", "train": "TRAIN"})
    assert make_split(other, Split(data_split_method="column", data_split_by=("other",))).hash == made.hash
    assert available_folds(rows, Split(data_split_method="column")) == 1
    with pytest.raises(UserError, match="so there is one fold"):
        make_split(rows, Split(data_split_method="column"), 1)


def test_without_folds_a_columns_validation_trains_too():
    rows = frame()
    made = make_split(rows, Split(data_split_method="column", fold_method=None))
    assert made.train.tolist() == made.val.tolist() == sorted(of(rows, "train") + of(rows, "val"))
    assert made.test.tolist() == of(rows, "test")


def test_a_column_without_validation_is_folded_and_gaps_are_in_no_part():
    rows = frame()
    rows["split"] = rows["split"].replace({"val": "train"})
    rows.loc[:4, "split"] = None
    options = Split(data_split_method="column", total_folds=3)
    made = [make_split(rows, options, fold) for fold in range(available_folds(rows, options))]
    assert len(made) == 3
    for parts in made:
        assert sorted([*parts.train, *parts.val]) == of(rows, "train")
        assert parts.test.tolist() == of(rows, "test")
    assert sorted(np.concatenate([parts.val for parts in made])) == of(rows, "train")


def test_any_column_by_its_values():
    rows = frame()
    made = make_split(rows, Split(data_split_method="column", data_split_by=("year=2020",)))
    assert made.test.tolist() == rows.index[rows.year == 2020].tolist()
    both = Split(data_split_method="column", data_split_by=("season=dry", "season=wet"))
    with pytest.raises(UserError, match="60 would test and 0 train"):
        make_split(rows, both)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"data_split_method": "column", "data_split_by": ("splt",)}, "no column splt in the set; nearest: split"),
        ({"data_split_method": "column", "data_split_by": ("season",)}, "dry, wet, not train, .* season=dry"),
        ({"data_split_method": "column", "data_split_by": ("season=Dry",)}, "Dry in column season; it has dry, wet"),
        ({"data_split_method": "column", "data_split_by": ("season=dry", "year=2019")}, "one column"),
        ({"data_split_method": "column", "data_split_by": ("split", "season")}, "several columns"),
        ({"fold_method": "group-stratified", "total_folds": 7}, r"6 groups \(sample_id\) for --total-folds 7; .* is 6"),
        ({"fold_method": "group-stratified", "group_by": "year"}, r"2 groups \(year\) for --total-folds 5; .* is 2"),
        ({"fold_method": "group-stratified", "group_by": "yaer"}, "--group-by: no column yaer .* nearest: year"),
        ({"fold_method": "kfold", "group_by": "year"}, "--group-by has no effect"),
        ({"fold_method": "kfold", "stratify_by": ("year",)}, "--stratify-by has no effect"),
        ({"fold_method": "stratified", "stratify_by": ("seasn",)}, "--stratify-by: no column seasn"),
        ({"fold_method": "stratified", "stratify_by": ("sample_id", "valid_fraction"), "total_folds": 9}, "stratum"),
        ({"where": "year > 2050"}, "none of 60 patches satisfies year > 2050"),
        ({"where": "yaer > 2050"}, "nearest: year"),
        ({"data_split_method": "column", "where": "split == 'train'"}, "column split makes .* 0 val, 0 test"),
    ],
)  # fmt: skip
def test_what_cannot_be_is_told_with_numbers(options, message):
    with pytest.raises(UserError, match=message):
        make_split(frame(), Split(**options))


@pytest.mark.parametrize(("filled", "column"), [(False, "sample_id"), (True, "group")])
def test_groups_stay_together_as_scikit_learn_has_them(filled, column):
    rows = frame()
    if filled:
        rows["group"] = [f"g{i % 12}" for i in range(len(rows))]
    split = Split(fold_method="group-stratified", total_folds=3)
    folds = StratifiedGroupKFold(3, shuffle=True, random_state=42).split(rows, ~rows["empty"], "=" + rows[column])
    for fold, (train, val) in enumerate(folds):
        made = make_split(rows, split, fold)
        assert made.train.tolist() == train.tolist()
        assert made.val.tolist() == val.tolist()
        assert not set(rows.loc[made.train, column]) & set(rows.loc[made.val, column])
    assert (
        make_split(rows, Split(fold_method="group-stratified", total_folds=3, group_by=column), 0).hash
        == make_split(rows, split, 0).hash
    )


def test_patches_without_a_group_stay_with_their_scene():
    rows = frame()
    rows.loc[rows.sample_id == "s0", "group"] = "one"
    made = make_split(rows, Split(fold_method="group-stratified", total_folds=3))
    assert not set(rows.loc[made.train, "sample_id"]) & set(rows.loc[made.val, "sample_id"])


def test_several_columns_are_spread_evenly():
    rows = frame(240)
    split = Split(fold_method="stratified", stratify_by=("season", "empty", "valid_fraction"), total_folds=4)
    quarter = pd.qcut(rows["valid_fraction"], 4, labels=False)
    strata = rows["season"] + rows["empty"].astype(str) + quarter.astype(str)
    for fold in range(4):
        counts = strata.loc[make_split(rows, split, fold).val].value_counts()
        whole = strata.value_counts() / 4
        assert (np.abs(counts - whole) <= 1).all()
    plain = Split(fold_method="stratified", stratify_by=("empty",), total_folds=4)
    train, _ = next(StratifiedKFold(4, shuffle=True, random_state=42).split(rows, np.where(rows["empty"], "a", "b")))
    assert len(make_split(rows, plain, 0).train) == len(train)


def test_where_leaves_patches_out_of_every_part():
    rows = frame()
    split = Split(where="valid_fraction > 0.3 and region != 'r1'", data_split_method="random", data_split_by=("0.2",))
    made = make_split(rows, split)
    kept = rows.index[(rows.valid_fraction > 0.3) & (rows.region != "r1")].tolist()
    assert sorted([*made.train, *made.val, *made.test]) == kept
    assert not made.table(rows)[["train", "val", "test"]].drop(index=kept).any(axis=None)


@given(st.integers(2, SIZE), st.sampled_from(["kfold", "stratified", None]), st.booleans(), st.integers(0, 2))
@settings(max_examples=12, deadline=None)
def test_what_is_purged_is_what_overlaps(step, method, with_test, fold):
    rows = frame(60, step)
    cut = {"data_split_method": "random", "data_split_by": ("0.2",)} if with_test else {}
    options = {"fold_method": method, "total_folds": 3, **cut}
    plain = make_split(rows, Split(**options), fold)
    kept_apart = np.concatenate([plain.val if method else [], plain.test if with_test else []]).astype(int)
    if overlapping_patches(rows, plain.train, kept_apart, SIZE) == len(plain.train):
        with pytest.raises(UserError, match="all"):
            make_split(rows, Split(**options, purge_overlap=True), fold, SIZE)
        return
    made = make_split(rows, Split(**options, purge_overlap=True), fold, SIZE)
    assert made.purged == len(plain.train) - len(made.train)
    assert set(made.train) <= set(plain.train)
    assert made.test.tolist() == plain.test.tolist()
    if method:
        assert made.val.tolist() == plain.val.tolist()
        assert overlapping_patches(rows, made.val, made.train, SIZE) == 0
    if with_test:
        assert overlapping_patches(rows, made.test, made.train, SIZE) == 0
    gone = np.setdiff1d(plain.train, made.train)
    assert overlapping_patches(rows, gone, kept_apart, SIZE) == len(gone)


def test_purging_needs_windows():
    with pytest.raises(UserError, match="does not say where its windows lie"):
        make_split(frame().drop(columns="x"), Split(purge_overlap=True), 0, SIZE)


def test_a_default_that_leaks_warns_and_its_cure_does_not(caplog):
    rows = frame(60, SIZE // 2)
    for split, warned in ((Split(total_folds=7), True), (Split(total_folds=7, purge_overlap=True), False)):
        caplog.clear()
        with caplog.at_level(logging.WARNING):
            warn_split_leakage(rows, make_split(rows, split, 0, SIZE), split, SIZE)
        assert ("validation patches share pixels with training patches" in caplog.text) == warned
    cut = Split(data_split_method="random", data_split_by=("0.2",), fold_method=None)
    warn_split_leakage(rows, make_split(rows, cut), cut, SIZE)
    assert "test patches share pixels" in caplog.text


def placed(rows):
    boxes = [shapely.box(i * 0.01, 0, i * 0.01 + 0.01, 0.01) for i in range(len(rows))]
    return rows.assign(geometry=[shapely.to_wkb(box) for box in boxes])


def test_a_distance_is_kilometres_or_unknown():
    rows = placed(frame(10, scenes=2))
    centres = patch_centres(rows)
    assert nearest_km(centres, np.array([0]), np.array([1, 5])) == pytest.approx(1.11195, rel=1e-4)
    assert nearest_km(centres, np.array([0, 9]), np.array([4])) == pytest.approx(4 * 1.11195, rel=1e-4)
    assert nearest_km(centres, np.array([0]), np.array([], int)) is None
    assert patch_centres(rows.assign(geometry=None)) is patch_centres(frame()) is None
    rows.loc[3, "geometry"] = None
    assert patch_centres(rows) is None


def test_the_description_says_what_the_new_options_do():
    rows, options = frame(60, SIZE // 2), {"fold_method": "group-stratified", "total_folds": 3, "where": "year > 0"}
    found = preview_splits(placed(rows), SIZE, Split(**options), strict=True)
    text = " ".join(" ".join(split_lines(found)).split())
    assert "3 folds by group-stratified" in text
    assert "where year > 0" in text
    assert "km between the nearest centres" in text
    found = preview_splits(rows, SIZE, Split(total_folds=7, purge_overlap=True), strict=True)
    text = " ".join(" ".join(split_lines(found)).split())
    assert "unknown, patches have no georeference" in text
    assert f"by fold: {found.folds[0].purged}, " in text
    assert {fold.val_leak for fold in found.folds} == {0}
    column = preview_splits(rows, SIZE, Split(data_split_method="column"), strict=True)
    assert len(column.folds) == 1
    assert "test part by column (split)" in column.words
