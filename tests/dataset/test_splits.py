import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from sklearn.model_selection import (
    GroupShuffleSplit,
    KFold,
    StratifiedGroupKFold,
    StratifiedKFold,
    StratifiedShuffleSplit,
)

from darts_train.base.errors import UserError
from darts_train.dataset.splitting.splits import make_split
from darts_train.options.learning import Split

METHODS = ("kfold", "stratified", "shuffle", "region", "region-stratified")


def frame(n: int, regions: int = 3, seed: int = 0, positives: float = 0.5) -> pd.DataFrame:
    rng = np.random.default_rng(seed)
    return pd.DataFrame(
        {
            "sample_id": [f"s{i}" for i in rng.integers(0, 5, n)],
            "region": [f"Region {i}" for i in rng.integers(0, regions, n)],
            "empty": rng.random(n) >= positives,
        }
    )


@st.composite
def cases(draw):
    rows = frame(
        draw(st.integers(4, 60)),
        draw(st.integers(1, 8)),
        draw(st.integers(0, 99)),
        draw(st.sampled_from([0, 0.2, 0.5, 1])),
    )
    method = draw(st.sampled_from([None, "random", "region", "sample"]))
    by = {
        None: None,
        "random": ("0.25",),
        "region": (draw(st.sampled_from(sorted(rows.region.unique()))),),
        "sample": tuple(draw(st.sets(st.sampled_from(sorted(rows.sample_id.unique())), min_size=1))),
    }[method]
    folds = draw(st.integers(2, 6))
    split = Split(
        data_split_method=method,
        data_split_by=by,
        fold_method=draw(st.sampled_from([None, *METHODS])),
        total_folds=folds,
        subsample=draw(st.none() | st.integers(3, len(rows))),
    )
    return rows, split, draw(st.integers(0, folds - 1))


@given(cases())
@settings(max_examples=50, deadline=None)
def test_parts_are_disjoint_cover_the_rows_and_keep_regions_apart(case):
    rows, split, fold = case
    try:
        parts = make_split(rows, split, fold)
    except UserError:
        return  # too few of something; the messages are tested below
    again = make_split(rows, split, fold)
    train, val, test = set(parts.train), set(parts.val), set(parts.test)
    assert parts.hash == again.hash
    assert all(len(part) for part in (train, val, test))
    assert len(train | val | test) == (split.subsample or len(rows))
    assert all(np.array_equal(part, np.unique(part)) for part in (parts.train, parts.val, parts.test))
    if split.fold_method is None:
        assert train == val
    else:
        assert not train & val
    if split.data_split_method is None:
        assert test == train | val
    else:
        assert not test & (train | val)
    if split.fold_method in ("region", "region-stratified"):
        assert not set(rows.region[list(train)]) & set(rows.region[list(val)])
    if split.data_split_method == "region":
        assert not set(rows.region[list(test)]) & set(rows.region[list(train | val)])


@pytest.mark.parametrize("method", ["kfold", "stratified", "region-stratified"])
def test_validation_parts_of_all_folds_are_the_training_rows_once_each(method):
    rows = frame(50, regions=6)
    split = Split(data_split_method="random", data_split_by=("0.2",), fold_method=method, total_folds=4)
    folds = [make_split(rows, split, fold) for fold in range(4)]
    together = np.concatenate([part.val for part in folds])
    assert len(together) == len(set(together)) == 40
    assert {part.hash for part in folds} != {folds[0].hash}
    assert all(np.array_equal(part.test, folds[0].test) for part in folds)


@pytest.mark.parametrize(
    ("method", "oracle"),
    [
        ("kfold", KFold(4)),
        ("stratified", StratifiedKFold(4, shuffle=True, random_state=42)),
        ("shuffle", StratifiedShuffleSplit(4, test_size=1 / 4, random_state=42)),
        ("region", GroupShuffleSplit(4, test_size=1 / 4, random_state=42)),
        ("region-stratified", StratifiedGroupKFold(4, shuffle=True, random_state=42)),
    ],
)
def test_folds_are_those_of_scikit_learn(method, oracle):
    rows = frame(61, regions=7, positives=0.3)
    split = Split(fold_method=method, total_folds=4)
    groups = rows["region"] if "region" in method else None
    for fold, (train, val) in enumerate(oracle.split(rows, ~rows["empty"], groups)):
        parts = make_split(rows, split, fold)
        assert parts.train.tolist() == sorted(train)
        assert parts.val.tolist() == sorted(val)


def test_folds_of_what_a_test_part_left_name_patches_not_positions():
    rows = frame(40, regions=2)
    split = Split(data_split_method="region", data_split_by=("Region 0",), fold_method="kfold", total_folds=2)
    parts = make_split(rows, split, 0)
    rest = rows.index[rows.region != "Region 0"].to_numpy()
    train, val = next(iter(KFold(2).split(rest)))
    assert parts.train.tolist() == rest[train].tolist()
    assert parts.val.tolist() == rest[val].tolist()
    assert parts.test.tolist() == rows.index[rows.region == "Region 0"].tolist()


def test_the_fraction_is_that_of_the_test_part_and_its_first_seed_is_42():
    rows = frame(80)
    parts = make_split(rows, Split(data_split_method="random", data_split_by=("0.1",)))
    assert parts.test.tolist() == sorted(rows.sample(frac=0.1, random_state=42).index)
    assert len(parts.test) == 8


def test_a_random_test_part_is_drawn_again_until_it_has_a_positive():
    rows = frame(50).assign(empty=True)
    first = rows.sample(frac=0.1, random_state=42).index
    positive = next(i for i in rows.sample(frac=0.1, random_state=43).index if i not in first)
    rows.loc[positive, "empty"] = False
    parts = make_split(rows, Split(data_split_method="random", data_split_by=("0.1",)))
    assert parts.test.tolist() == sorted(rows.sample(frac=0.1, random_state=43).index)


def test_a_random_test_part_without_any_positive_is_taken_with_a_warning(caplog):
    rows = frame(50).assign(empty=True)
    parts = make_split(rows, Split(data_split_method="random", data_split_by=("0.1",)))
    assert parts.test.tolist() == sorted(rows.sample(frac=0.1, random_state=42).index)
    assert "no positive patch in the test part" in caplog.text


def test_the_subsample_is_drawn_with_seed_42_before_the_split():
    rows = frame(50)
    parts = make_split(rows, Split(subsample=20, fold_method="kfold", total_folds=4), fold=1)
    drawn = rows.sample(n=20, random_state=42).index.to_numpy()
    assert parts.val.tolist() == sorted(drawn[5:10])
    assert parts.test.tolist() == sorted(drawn)


def test_the_table_says_of_every_patch_where_it_went():
    rows = frame(30)
    parts = make_split(rows, Split(data_split_method="random", data_split_by=("0.2",), subsample=20))
    table = parts.table(rows)
    assert list(table.columns) == ["sample_id", "region", "empty", "train", "val", "test"]
    assert len(table) == 30
    assert table[["train", "val", "test"]].sum(axis=1).tolist().count(0) == 10
    assert table.index[table["val"]].tolist() == parts.val.tolist()
    assert f"{len(parts.val)} validate" in parts.summary()


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"fold_method": "kfold", "total_folds": 13}, r"12 patches for --total-folds 13; the largest that works is 12"),
        ({"fold_method": "region", "total_folds": 5}, r"3 regions for --total-folds 5; the largest that works is 3"),
        ({"fold_method": "region-stratified", "total_folds": 4}, r"3 regions for --total-folds 4; .* is 3"),
        ({"fold_method": "stratified", "total_folds": 11}, r"10 patches of a kind .* 11; .* is 10"),
        ({"data_split_method": "random"}, "needs a fraction in --data-split-by"),
        ({"data_split_method": "sample", "data_split_by": ()}, "needs names in --data-split-by"),
        ({"data_split_method": "random", "data_split_by": ("1.5",)}, "1.5 is not one fraction"),
        ({"data_split_method": "random", "data_split_by": ("nan",)}, "nan is not one fraction"),
        ({"data_split_method": "random", "data_split_by": ("0.2", "0.3")}, "0.2, 0.3 is not one fraction"),
        ({"data_split_method": "random", "data_split_by": ("north",)}, "north is not one fraction"),
        ({"data_split_method": "random", "data_split_by": ("0.01",)}, "of 12 patches 0 would test and 12 train"),
        ({"data_split_method": "random", "data_split_by": ("0.99",)}, "of 12 patches 12 would test and 0 train"),
        (
            {"data_split_method": "region", "data_split_by": ("Regoin a",)},
            "no region Regoin a in the set; nearest: Region a",
        ),
        ({"data_split_method": "sample", "data_split_by": ("xyz",)}, "no sample_id xyz in the set; there are s0"),
        ({"data_split_method": "region", "data_split_by": ("Region a", "Region b", "Region c")}, "12 would test and 0"),
        ({"data_split_by": ("Region a",)}, "--data-split-by Region a needs a --data-split-method"),
        ({"subsample": 13}, "13 patches of 12 in the set"),
    ],
)
def test_what_cannot_be_split_says_why(options, message):
    rows = pd.DataFrame(
        {
            "sample_id": [f"s{i % 4}" for i in range(12)],
            "region": [f"Region {'abc'[i % 3]}" for i in range(12)],
            "empty": [i >= 2 for i in range(12)],
        }
    )
    with pytest.raises(UserError, match=message):
        make_split(rows, Split(**options))


@pytest.mark.parametrize("fold", [-1, 5])
def test_a_fold_that_does_not_exist_is_refused(fold):
    with pytest.raises(UserError, match=f"--fold: {fold} does not exist; with --total-folds 5 it is 0 to 4"):
        make_split(frame(20), Split(total_folds=5), fold)


def test_one_region_cannot_be_folded_by_region():
    with pytest.raises(UserError, match="1 of 2 regions that it needs at least"):
        make_split(frame(20, regions=1), Split(fold_method="region", total_folds=3))


def test_a_lone_positive_cannot_be_shuffled_on_both_sides():
    rows = frame(20).assign(empty=[False, *[True] * 19])
    with pytest.raises(UserError, match="only 1 positive patch of 20"):
        make_split(rows, Split(fold_method="shuffle", total_folds=3))


def test_few_positives_are_said_by_us_and_not_by_the_library(caplog, recwarn):
    rows = frame(20).assign(empty=[False, False, *[True] * 18])
    make_split(rows, Split(fold_method="stratified", total_folds=5))
    assert "2 positive patches for 5 folds" in caplog.text
    assert not list(recwarn)
