"""The leakage certificate, against its plain definition over all pairs and pixels."""

import json

import numpy as np
import pandas as pd
import pytest
import shapely
from hypothesis import given, settings
from hypothesis import strategies as st

from darts_train.base.errors import UserError
from darts_train.dataset import ground
from darts_train.dataset.ground import EARTH_METRES, Ground
from darts_train.dataset.splitting.certificate import Certifier, certify
from darts_train.dataset.splitting.outer_fold import outer_fold, read_outer_fold
from darts_train.dataset.splitting.splits import make_split
from darts_train.dataset.windows import Windows
from darts_train.options.learning import Split

placed = st.tuples(st.sampled_from(["s0", "s1"]), st.integers(0, 20), st.integers(0, 20))
DEGREE = EARTH_METRES * np.pi / 180


def frame(rows, boxes=None, groups=None) -> pd.DataFrame:
    table = pd.DataFrame(rows, columns=["sample_id", "x", "y"])
    table["region"], table["empty"] = "R", False
    if boxes is not None:
        table["geometry"] = [None if box is None else shapely.to_wkb(shapely.box(*box)) for box in boxes]
    if groups is not None:
        table["group"] = groups
    return table


def pixels_of(row, size):
    return {(row[0], row[1] + i, row[2] + j) for i in range(size) for j in range(size)}


@given(st.lists(placed, min_size=2, max_size=14), st.integers(1, 6), st.data())
@settings(max_examples=50, deadline=None)
def test_pixels_scenes_and_groups_are_those_of_the_definition(rows, size, data):
    indices = st.lists(st.integers(0, len(rows) - 1), unique=True, min_size=1)
    a, b = sorted(data.draw(indices)), sorted(data.draw(indices))
    groups = data.draw(st.lists(st.sampled_from(["g", "h", None]), min_size=len(rows), max_size=len(rows)))
    table = frame(rows, groups=groups)
    there = set().union(*(pixels_of(rows[i], size) for i in b))
    counts = [len(pixels_of(rows[i], size) & there) for i in a]
    windows = Windows.of(table, size)
    assert windows.shared_pixels(np.array(a), np.array(b)) == sum(counts)
    assert windows.meeting(np.array(a), np.array(b)).tolist() == [
        i for i, count in zip(a, counts, strict=True) if count
    ]
    found = Certifier(table, size).shared("val", np.array(a), "train", np.array(b))
    assert (found.pixels, found.overlapping) == (sum(counts), sum(count > 0 for count in counts))
    assert found.scenes == len({rows[i][0] for i in a} & {rows[i][0] for i in b})
    names = [rows[i][0] if group is None else f"={group}" for i, group in enumerate(groups)]
    known = any(group is not None for group in groups)
    assert found.groups == (len({names[i] for i in a} & {names[i] for i in b}) if known else None)
    assert found.clean == (not any((found.pixels, found.scenes, found.groups)))


def haversine(one, other):
    (lon1, lat1), (lon2, lat2) = np.radians(one), np.radians(other)  # [2, 1, n], [2, m, 1]
    h = np.sin((lat2 - lat1) / 2) ** 2 + np.cos(lat1) * np.cos(lat2) * np.sin((lon2 - lon1) / 2) ** 2
    return 2 * EARTH_METRES * np.arcsin(np.sqrt(h))


def outline(box):
    """Many points of the border of a box, and of its inside."""
    lon, lat = (np.linspace(box[i], box[i + 2], 12) for i in (0, 1))
    return np.stack(np.meshgrid(lon, lat), -1).reshape(-1, 2)


corners = st.tuples(st.floats(-0.3, 0.3), st.floats(-0.3, 0.3), st.floats(0.005, 0.05), st.floats(0.005, 0.05))


@given(
    st.lists(corners, min_size=2, max_size=12), st.sampled_from([(0, 0), (179.9, 66), (-179.9, -70), (20, 89)]),
    st.data(),
)  # fmt: skip
@settings(max_examples=50, deadline=None)
def test_the_least_distance_is_that_of_all_pairs(places, origin, data):
    """The date line and the pole, too; a grid of points over each footprint is right to its spacing."""
    boxes = [(origin[0] + x, origin[1] + y, origin[0] + x + w, origin[1] + y + h) for x, y, w, h in places]
    cut = data.draw(st.integers(1, len(boxes) - 1))
    a, b = np.arange(cut), np.arange(cut, len(boxes))
    found = Ground.of(frame([(f"s{i}", 0, 0) for i in range(len(boxes))], boxes)).metres(a, b)
    points = [outline(box) for box in boxes]
    plain = min(haversine(points[i][:, None].T, points[j][None].T).min() for i in a for j in b)
    assert found <= plain + 1
    assert found >= plain - 0.05 * DEGREE / 11 * 1.5


def test_blocks_change_nothing(monkeypatch):
    rng = np.random.default_rng(0)
    corner = rng.uniform(0, 0.5, (60, 2))
    boxes = [(x, 60 + y, x + 0.02, 60 + y + 0.01) for x, y in corner]
    rows = frame([(f"s{i % 7}", 0, 0) for i in range(60)], boxes)
    a, b = np.flatnonzero(corner[:, 0] < 0.2), np.flatnonzero(corner[:, 0] > 0.3)
    whole = Ground.of(rows)
    monkeypatch.setattr(ground, "_BLOCK", 3)
    parts = Ground.of(rows)
    assert parts.metres(a, b) == whole.metres(a, b) > 0
    everything = np.arange(60)
    assert parts.shared(everything, everything).tolist() == whole.shared(everything, everything).tolist()
    shapes = [shapely.box(*box) for box in boxes]
    plain = {
        i for i in everything for j in everything
        if i % 7 != j % 7 and shapes[i].intersection(shapes[j]).area > 1e-3 * 0.0002
    }  # fmt: skip
    assert set(whole.shared(everything, everything).tolist()) == plain


def test_known_distances():
    boxes = [(0, 0, 1, 1), (3, 0, 4, 1), (1, 0, 2, 1), (179, 60, 180, 61), (-179, 60, -178, 61), None]
    found = Ground.of(frame([(f"s{i}", 0, 0) for i in range(6)], boxes))
    near = lambda one, other: found.metres(np.array([one]), np.array([other]))  # noqa: E731
    assert near(0, 1) == pytest.approx(2 * DEGREE * np.cos(np.radians(1)), rel=1e-3)
    assert near(0, 2) == pytest.approx(0, abs=1e-3)
    assert near(3, 4) == pytest.approx(DEGREE * np.cos(np.radians(61)), rel=1e-3)
    assert near(0, 5) is None
    assert found.metres(np.array([], int), np.array([0])) is None


SCENES = [("a", 0, 0), ("a", 8, 0), ("b", 0, 0), ("b", 8, 0), ("c", 0, 0), ("c", 8, 0)]


def certificate(rows, split, size=8):
    folds = [make_split(rows, split, fold, size) for fold in range(split.total_folds)]
    return certify(rows, size, split, folds)


def test_a_fold_by_scenes_is_free_of_leaks_and_its_file_says_so(tmp_path):
    boxes = [(i, 60, i + 0.5, 60.5) for i in (0, 0, 10, 10, 20, 20)]
    split = Split(fold_method="group-stratified", total_folds=3)
    found = certificate(frame(SCENES, boxes, ["p", "p", "q", "q", None, None]), split)
    assert found.leak_free
    found.require(strict=True)
    assert "leak-free: 0 pixels, 0 scenes, 0 groups shared; nearest patches 5" in found.summary()
    found.write(tmp_path, "hash")
    content = json.loads((tmp_path / "leakage.json").read_text())
    assert (content["leak_free"], content["data_hash"], len(content["folds"])) == (True, "hash", 3)
    assert content["folds"][1]["shared"][0]["metres"] > 500_000


def test_planted_overlap_is_named_refused_and_purged():
    rows = frame([("a", 0, 0), ("a", 4, 0), ("b", 0, 0), ("b", 20, 0), ("c", 0, 0), ("c", 20, 0)])
    split = Split(fold_method="kfold", total_folds=6)
    found = certificate(rows, split)
    assert not found.leak_free
    with pytest.raises(UserError, match=r"fold 0: val shares 1 scenes and 32 pixels .* with train; .*--purge-overlap"):
        found.require()
    purged = certificate(rows, Split(fold_method="kfold", total_folds=6, purge_overlap=True))
    purged.require()
    with pytest.raises(UserError, match="--require-leak-free: fold 2: val shares 1 scenes"):
        purged.require(strict=True)
    assert "unknown apart" in purged.summary()


def test_the_same_ground_in_another_scene_is_overlap():
    boxes = [(0, 60, 1, 61), (5, 60, 6, 61), (0.5, 60, 1.5, 61), (10, 60, 11, 61)]
    rows = frame([(name, 0, 0) for name in "abcd"], boxes)
    split = Split(fold_method="group-stratified", total_folds=4)
    with pytest.raises(UserError, match="in 1 patches the ground of another scene"):
        certificate(rows, split).require()
    certificate(rows, Split(fold_method="group-stratified", total_folds=4, purge_overlap=True)).require(strict=True)


def test_what_is_not_known_is_not_free():
    rows = frame(SCENES).drop(columns="x")
    found = certificate(rows, Split(fold_method="kfold", total_folds=6))
    assert found.folds[0].shared[0].pixels is None
    found.require()
    with pytest.raises(UserError, match="unknown pixels"):
        found.require(strict=True)
    assert certificate(rows, Split(fold_method="group-stratified", total_folds=3)).leak_free  # no scene in both


@given(st.integers(2, 5), st.sampled_from(["kfold", "stratified", "group-stratified"]), st.booleans())
@settings(max_examples=10, deadline=None)
def test_outer_folds_are_each_rows_test_part_once_and_nothing_of_them_is_learned(folds, method, purge):
    rows = frame([(f"s{i // 4}", 20 * (i % 4 // 2) + 7 * (i % 2), 0) for i in range(24)])
    rows["empty"] = np.arange(24) % 3 == 0
    base = Split(fold_method="kfold", total_folds=2, purge_overlap=purge)
    tested = []
    for fold in range(folds):
        split = outer_fold(base, method, fold, folds)
        made = [make_split(rows, split, inner, 8) for inner in (0, 1)]
        assert made[0].test.tolist() == made[1].test.tolist()
        for indices in made:
            learned = np.union1d(indices.train, indices.val)
            assert not np.intersect1d(learned, indices.test).size
            if purge:
                assert not Windows.of(rows, 8).meeting(learned, indices.test).size
                assert len(learned) + indices.purged + len(indices.test) == 24
        tested += made[0].test.tolist()
    assert sorted(tested) == list(range(24))


@pytest.mark.parametrize("given", ["kfold", "kfold:5/5", "fold:0/5", "kfold:0/5:", "kfold:-1/5"])
def test_what_is_no_outer_fold(given):
    with pytest.raises(UserError, match="METHOD:FOLD/FOLDS"):
        read_outer_fold((given,))


def test_groups_of_outer_folds_are_those_of_the_split():
    split = outer_fold(Split(group_by="site: a", fold_method="group-stratified"), "group-stratified", 2, 3)
    assert split.data_split_by == ("group-stratified:2/3:site: a",)
    assert read_outer_fold(split.data_split_by)[0].group_by == "site: a"
