"""Which patches are kept, and the smaller set that is made of them."""

import dataclasses
import json

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from darts_train.artifacts.patch_errors import AUDIT_FILE, TEST_PATCHES, read_patch_errors
from darts_train.base.errors import UserError
from darts_train.dataset.added_columns import add_columns
from darts_train.dataset.checks import validate_train_data
from darts_train.dataset.choosing.choice import NOT_DRAWN, BackgroundRule, choose_patches
from darts_train.dataset.choosing.subset import write_subset
from darts_train.dataset.layout import CONFIG, LABELS, SCENES
from darts_train.dataset.reader import TrainData
from darts_train.dataset.set_config import SetConfig
from darts_train.dataset.writer import TrainDataWriter
from darts_train.options.filtering import Filter
from darts_train.options.preprocessing import Inspect
from darts_train.preprocess.filter_train_data import filter_train_data
from tests.support.sets import make_old_set, make_set


def table(count=20, positives=5, **columns):
    frame = pd.DataFrame({"sample_id": "a", "patch_id": range(count), "empty": [i >= positives for i in range(count)]})
    return frame.assign(**columns)


def rule(text=None, per_positive=None, hardest=None, seed=42):
    return BackgroundRule.parse(text, per_positive, hardest, seed)


@pytest.mark.parametrize(
    ("how", "background"),
    [
        ({"text": "4"}, 4), ({"text": "0"}, 0), ({"text": "99"}, 15), ({"text": "0.2"}, 3), ({"text": "20%"}, 3),
        ({"text": "1.0"}, 15), ({"per_positive": 2.0}, 10), ({"per_positive": 9.0}, 15), ({}, 15),
    ],
)  # fmt: skip
def test_all_foreground_and_some_background(how, background):
    choice = choose_patches(table(), None, rule(**how))
    assert choice.kept[:5].tolist() == [0, 1, 2, 3, 4]
    assert len(choice.kept) == 5 + background
    assert choice.dropped == ({NOT_DRAWN: 15 - background} if background < 15 else {})


@given(st.integers(0, 26), st.integers(0, 26), st.integers(0, 1000))
@settings(max_examples=20)
def test_chance_is_nested_and_knows_the_patch_by_name(few, more, seed):
    few, more = sorted((few, more))
    frame = table(30, 4)
    small, large = (set(choose_patches(frame, None, rule(str(n), seed=seed)).kept) for n in (few, more))
    assert small <= large
    turned = frame.iloc[::-1].reset_index(drop=True)
    again = choose_patches(turned, None, rule(str(few), seed=seed)).kept
    assert set(turned["patch_id"].iloc[again]) == small


def test_a_part_alone_is_thinned():
    frame = table(20, 4, split=["train", "val"] * 10)
    thinned = dataclasses.replace(rule("0"), thin_where="split == 'train'")
    assert choose_patches(frame, None, thinned).kept.tolist() == [0, 1, 2, 3, *range(5, 20, 2)]
    twice = dataclasses.replace(rule(per_positive=2.0), thin_where="split == 'train'")
    assert len(choose_patches(frame, None, twice).kept) == 4 + 8 + 2 * 2


def test_another_seed_draws_others():
    assert len({tuple(choose_patches(table(60), None, rule("10", seed=seed)).kept) for seed in range(5)}) == 5


def test_the_hardest_background_is_kept():
    errors = np.arange(20.0)
    errors[19] = np.nan  # not predicted
    kept = choose_patches(table(), None, rule(hardest=3), errors).kept
    assert kept.tolist() == [0, 1, 2, 3, 4, 16, 17, 18]
    both = choose_patches(table(), None, rule("2", hardest=3), errors).kept
    assert len(both) == 10
    assert set(kept) < set(both)
    with pytest.raises(UserError, match="--errors"):
        choose_patches(table(), None, rule(hardest=3))


def test_conditions_hold_for_foreground_too_and_are_counted_one_by_one():
    frame = table(share=np.arange(20) / 20)
    choice = choose_patches(frame, "share >= 0.1 and share < 0.5", rule())
    assert choice.kept.tolist() == list(range(2, 10))
    assert choice.dropped == {"not share >= 0.1": 2, "not share < 0.5": 10}


@pytest.mark.parametrize("text", ["-1", "1.5", "many", "120%", "", "nan"])
def test_background_is_a_number_or_a_share(text):
    with pytest.raises(UserError, match="--background"):
        rule(text)


def filtered(root, out, **options):
    return filter_train_data(Filter(train_data_dir=root, out_dir=out, **options))


@pytest.fixture(scope="module")
def whole(tmp_path_factory):
    root = tmp_path_factory.mktemp("sets") / "whole"
    make_set(root, patches=16, size=16, bands=2)
    data = TrainData.open(root)
    add_columns(root, pd.DataFrame({"group": [f"g{i % 3}" for i in range(16)], "hard": np.arange(16.0)}))
    features = [
        {"type": "Feature", "properties": {"sample_id": name}, "geometry": {"type": "Point", "coordinates": [0, 0]}}
        for name in ("scene00", "scene03")
    ]
    (root / LABELS).write_text(json.dumps({"type": "FeatureCollection", "features": features}))
    return root, data


def test_a_smaller_set_is_a_set(whole, tmp_path):
    root, before = whole
    summary = filtered(root, tmp_path / "set", where="hard % 3 < 1 and hard < 12")
    after = TrainData.open(tmp_path / "set")
    rows = [0, 3, 6, 9]
    assert (summary.kept, summary.patches, len(after)) == (4, 16, 4)
    assert validate_train_data(Inspect(train_data_dir=tmp_path / "set")).ok
    for place, row in enumerate(rows):
        assert all(np.array_equal(a, b) for a, b in zip(after.read(place), before.read(row), strict=True))
    assert after.metadata["hard"].tolist() == rows
    assert after.metadata["group"].tolist() == ["g0"] * 4
    same = ["patch_id", "sample_id", "region", "x", "valid_fraction", "checksum", "source"]
    assert after.metadata[same].equals(before.metadata[same].iloc[rows].reset_index(drop=True))
    scenes = pd.read_parquet(tmp_path / "set" / SCENES).set_index("scene_id")
    assert scenes["patches"].to_dict() == {"scene00": 2, "scene01": 1, "scene02": 1, "scene03": 0}
    assert scenes["status"]["scene03"] == "left out"
    features = json.loads((tmp_path / "set" / LABELS).read_text())["features"]
    assert [feature["properties"]["sample_id"] for feature in features] == ["scene00"]
    config = SetConfig.read(tmp_path / "set" / CONFIG)
    assert config.settings["source_data_hash"] == before.data_hash
    assert (config.settings["seed"], config.command) == (42, "filter-train-data")


def test_chunks_are_copied_as_they_are(whole, tmp_path):
    root, _ = whole
    filtered(root, tmp_path / "set", where="patch_id == 2")
    for name, key in (("x", ".0.0.0"), ("y", ".0.0")):
        source, copy = (
            place / "data.zarr" / name / f"c.{row}{key}" for place, row in ((root, 6), (tmp_path / "set", 1))
        )
        assert source.read_bytes() == copy.read_bytes()


def test_a_dry_run_writes_nothing_and_says_what_goes(whole, tmp_path):
    summary = filtered(whole[0], tmp_path / "set", background="1", where="hard > 0", dry_run=True)
    assert list(tmp_path.iterdir()) == []
    text = summary.summary()
    assert all(part in text for part in ("background only", "dropped 1: not hard > 0", "would hold"))


def test_a_killed_copy_goes_on_with_the_same_bytes(whole, tmp_path, monkeypatch):
    options = {"background": "50%"}
    filtered(whole[0], tmp_path / "one", **options)
    commit, calls = TrainDataWriter.commit, []

    def dying(self, tile):
        calls.append(tile)
        if len(calls) == 3:
            raise KeyboardInterrupt
        commit(self, tile)

    monkeypatch.setattr(TrainDataWriter, "commit", dying)
    with pytest.raises(KeyboardInterrupt):
        filtered(whole[0], tmp_path / "two", **options)
    monkeypatch.undo()
    filtered(whole[0], tmp_path / "two", **options)
    files = [
        {p.relative_to(r): p.read_bytes() for p in r.rglob("*") if p.is_file() and p.name != "lock"}
        for r in (tmp_path / "one", tmp_path / "two")
    ]
    assert files[0] == files[1]


def test_what_cannot_be_filtered(whole, tmp_path):
    root, _ = whole
    make_old_set(tmp_path / "old", patches=3, size=16)
    with pytest.raises(UserError, match="older make"):
        filtered(tmp_path / "old", tmp_path / "set")
    with pytest.raises(UserError, match="is the set itself"):
        filtered(root, root)
    with pytest.raises(UserError, match="Nothing is kept"):
        filtered(root, tmp_path / "set", where="hard > 99")
    with pytest.raises(UserError, match="--thin-where: how much"):
        filtered(root, tmp_path / "set", thin_where="hard > 9")
    with pytest.raises(UserError, match="no column hart"):
        filtered(root, tmp_path / "set", where="hart > 9")
    filtered(root, tmp_path / "set", where="hard > 9")
    with pytest.raises(UserError, match="other settings"):
        filtered(root, tmp_path / "set", where="hard > 8")


def test_a_set_that_is_stored_otherwise_is_stored_anew(whole, tmp_path, monkeypatch):
    monkeypatch.setattr("darts_train.dataset.choosing.subset._alike", lambda data, root: False)
    _, data = whole
    config = SetConfig(data.config.bands, 16, data.config.classes, command="filter-train-data")
    write_subset(data, np.array([1, 5]), tmp_path / "set", config, overwrite=False)
    after = TrainData.open(tmp_path / "set")
    assert after.metadata["checksum"].tolist() == [data.metadata["checksum"][i] for i in (1, 5)]


def errors_of(whole, path, **columns):
    pd.DataFrame(columns).to_parquet(path)
    _, data = whole
    return read_patch_errors(path, None, data.metadata, data.data_hash)


def test_errors_by_row_and_by_name(whole, tmp_path):
    found = errors_of(whole, tmp_path / "a.parquet", patch=[3, 1], loss=[0.5, 2.0])
    assert found.values[[1, 3]].tolist() == [2.0, 0.5]
    assert np.isnan(found.values[[0, 2]]).all()
    named = errors_of(
        whole, tmp_path / "b.parquet", sample_id=["scene01", "gone"], patch_id=[1, 0], score=[1.0, 9.0], fp=[7, 8]
    )
    assert (named.ranked, named.values[5]) == ("error_score", 1.0)
    assert named.columns["error_fp"][5] == 7


def test_errors_choose_hard_negatives(whole, tmp_path):
    root, data = whole
    run = tmp_path / "run"
    run.mkdir()
    pd.DataFrame({"patch": range(16), "loss": np.arange(16.0)}).to_parquet(run / TEST_PATCHES)
    summary = filtered(root, tmp_path / "set", errors=run, hard_negatives=1, where="error_loss < 15")
    hardest = max(i for i in range(15) if data.metadata["empty"][i])
    kept = TrainData.open(tmp_path / "set").metadata
    assert kept["hard"][kept["empty"]].tolist() == [hardest]
    assert summary.kept == 1 + int((~data.metadata["empty"][:15]).sum())


@pytest.mark.parametrize(
    ("columns", "message"),
    [
        ({"patch": [1, 1], "loss": [1.0, 2.0]}, "a patch twice"),
        ({"patch": [99], "loss": [1.0]}, "about patch 99"),
        ({"loss": [1.0]}, "neither a column patch"),
        ({"patch": [1], "mistake": [1.0]}, "no column loss, error or score"),
        ({"sample_id": ["gone"], "patch_id": [1], "loss": [1.0]}, "none of the patches"),
    ],
)
def test_errors_that_cannot_be_used(whole, tmp_path, columns, message):
    with pytest.raises(UserError, match=message):
        errors_of(whole, tmp_path / "a.parquet", **columns)


def test_errors_of_another_set_or_none_at_all(whole, tmp_path):
    _, data = whole
    with pytest.raises(UserError, match="has neither"):
        read_patch_errors(tmp_path, None, data.metadata, data.data_hash)
    with pytest.raises(UserError, match="does not exist"):
        read_patch_errors(tmp_path / "no", None, data.metadata, data.data_hash)
    pd.DataFrame({"patch": [1], "loss": [1.0]}).to_parquet(tmp_path / AUDIT_FILE)
    (tmp_path / "oof.json").write_text('{"data_hash": "another"}')
    with pytest.raises(UserError, match="another set"):
        read_patch_errors(tmp_path, None, data.metadata, data.data_hash)
