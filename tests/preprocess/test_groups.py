"""group-train-data on whole sets: what it writes, what folds make of it, what it refuses."""

import json
from dataclasses import replace

import numpy as np
import pandas as pd
import pytest
import shapely

from darts_train.cli.main import main
from darts_train.dataset.grouping.descriptor import descriptors
from darts_train.dataset.grouping.units import Units
from darts_train.dataset.reader import TrainData
from darts_train.dataset.schema import SceneRecord, Tile
from darts_train.dataset.splitting.certificate import certify
from darts_train.dataset.splitting.splits import make_split
from darts_train.dataset.writer import TrainDataWriter
from darts_train.options.grouping import Grouping
from darts_train.options.learning import Split
from darts_train.options.preprocessing import Inspect
from darts_train.preprocess.grouping.groups import group_train_data
from tests.support.sets import make_config, make_row

SIZE = 32


def hills(seed, side=2 * SIZE):
    """Codes uint16 [2, side, side] of a place that no other seed has."""
    rng = np.random.default_rng(seed)
    frequency = np.hypot(np.fft.fftfreq(side)[:, None], np.fft.rfftfreq(side)[None, :])
    frequency[0, 0] = np.inf
    found = np.fft.irfft2(np.fft.rfft2(rng.normal(size=(2, side, side))) / frequency, (side, side))
    return 3000 + 400 * found / found.std()


def towards(a, b, share):
    """A scene between two places, by equal steps of the angle."""
    turn = share * np.pi / 2
    return 3000 + np.cos(turn) * (hills(a) - 3000) + np.sin(turn) * (hills(b) - 3000)


def write(root, scenes, **fields):
    """A set of scenes by name, each cut into four patches; `fields` of the rows, by scene."""
    config = make_config(2, SIZE)
    with TrainDataWriter.open(root, config) as writer:
        for number, (name, pixels) in enumerate(scenes.items()):
            corners = [(x, y) for y in (0, SIZE) for x in (0, SIZE)]
            y = np.zeros((4, SIZE, SIZE), np.uint8)
            y[number % 4, :8] = 1
            further = {key: values[name] for key, values in fields.items() if name in values}
            rows = [
                replace(make_row(config, y[i], patch_id=i, sample_id=name, **further), x=at[0], y=at[1])
                for i, at in enumerate(corners)
            ]
            x = np.stack([pixels[:, y : y + SIZE, x : x + SIZE] for x, y in corners]).astype(np.uint16)
            writer.commit(Tile(name, 0, rows, x, y, SceneRecord(name, patches=4)))
        writer.finalise()
    return root


def planted():
    """Twelve places, some of them again in another light; s0 … s4 are a chain, of which only neighbours are alike."""
    scenes = {f"p{i}": hills(i) for i in range(12)}
    scenes |= {f"q{i}": 0.5 * hills(i) + 900 for i in range(4)}
    scenes |= {f"s{i}": towards(50, 51, i / 4) for i in range(5)}
    scenes |= {"flat0": np.full((2, 64, 64), 500.0), "flat1": np.full((2, 64, 64), 500.0)}
    return scenes


def group(root, **options):
    return group_train_data(Inspect(train_data_dir=root), Grouping(**options))


def of_scene(root):
    metadata = TrainData.open(root).metadata
    assert (metadata.groupby("sample_id")["group"].nunique() == 1).all()
    return dict(zip(metadata["sample_id"], metadata["group"], strict=True))


@pytest.fixture(scope="module")
def grouped(tmp_path_factory):
    root = write(tmp_path_factory.mktemp("groups") / "set", planted())
    before = TrainData.open(root).data_hash
    report = group(root)
    assert TrainData.open(root).data_hash == before
    return root, report


def test_planted_pairs_and_chains_are_together_and_others_are_not(grouped):
    root, report = grouped
    groups = of_scene(root)
    for i in range(4):
        assert groups[f"p{i}"] == groups[f"q{i}"] == f"site-p{i}"
    assert {groups[f"s{i}"] for i in range(5)} == {"site-s0"}
    data = TrainData.open(root)
    vectors = dict(zip(sorted(groups), descriptors(data, Units.of(data.metadata, "sample")), strict=True))
    assert vectors["s0"] @ vectors["s4"] < 0.9 < vectors["s0"] @ vectors["s1"]  # the ends are alike by the chain alone
    assert len(set(groups.values())) == 12 + 1 + 2
    assert report.likeness.unknown == 2  # flat ones are like no other, not like each other
    assert [len(each.members) for each in report.groups][:6] == [5, 2, 2, 2, 2, 1]


@pytest.mark.parametrize("split", [
    Split(fold_method="group-stratified", total_folds=3),
    Split(fold_method="group-stratified", total_folds=4, stratify_by=("empty", "patch_id")),
])  # fmt: skip
def test_no_pair_above_the_threshold_is_ever_split(grouped, split):
    data = TrainData.open(grouped[0])
    units = Units.of(data.metadata, "sample")
    vectors = descriptors(data, units)
    alike = vectors @ vectors.T >= 0.9
    folds = [make_split(data.metadata, split, fold) for fold in range(split.total_folds)]
    for indices in folds:
        train, val = (set(units.of_patch[part]) for part in (indices.train, indices.val))
        assert not any(alike[i, j] for i in train for j in val)
        assert abs(len(indices.val) - len(data) / split.total_folds) <= 12  # patches, not groups, are balanced
    certificate = certify(data.metadata, SIZE, split, folds)
    assert [shared.groups for shared in certificate.shared] == [0] * split.total_folds
    leaking = Split(fold_method="kfold", total_folds=3)
    folds = [make_split(data.metadata, leaking, fold) for fold in range(3)]
    assert any(shared.groups for shared in certify(data.metadata, SIZE, leaking, folds).shared)


def test_groups_do_not_depend_on_the_order_of_scenes(grouped, tmp_path):
    scenes = planted()
    backwards = [name for name in reversed(scenes) if name[0] == "s" or name in ("p0", "q0", "p9")]
    root = write(tmp_path / "set", {name: scenes[name] for name in backwards})
    group(root)
    assert of_scene(root) == {name: of_scene(grouped[0])[name] for name in backwards}


def test_ground_columns_and_a_split_that_straddles(tmp_path, capsys):
    wkb = {name: shapely.to_wkb(shapely.box(*box)) for name, box in {
        "a": (0, 60, 0.1, 60.1), "b": (0.09, 60, 0.19, 60.1), "c": (1, 60, 1.1, 60.1), "d": (2, 60, 2.1, 60.1)}.items()
    }  # fmt: skip
    region = {"a": "x", "b": "y", "c": "y", "d": "z"}
    root = write(tmp_path / "set", {name: hills(i) for i, name in enumerate("abcd")}, geometry=wkb, region=region)
    from darts_train.dataset.added_columns import add_columns

    parts = {"a": "train", "b": "val", "c": "train", "d": "test"}
    names = TrainData.open(root).metadata["sample_id"]
    add_columns(root, pd.DataFrame({"split": [parts[name] for name in names]}))
    report = group(root)
    assert of_scene(root) == {"a": "site-a", "b": "site-a", "c": "site-c", "d": "site-d"}
    (straddling,) = report.straddling
    assert straddling.pixels == {
        "train": {"background": 4 * SIZE**2 - 8 * SIZE, "positive": 8 * SIZE},
        "val": {"background": 4 * SIZE**2 - 8 * SIZE, "positive": 8 * SIZE},
    }
    arguments = ["--train-data-dir", str(root), "--same", "region", "--report", str(tmp_path / "r.json"), "--json"]
    assert main(["group-train-data", *arguments]) == 0
    assert json.loads(capsys.readouterr().out) == json.loads((tmp_path / "r.json").read_text()) | {}
    assert of_scene(root) == {
        "a": "site-a",
        "b": "site-a",
        "c": "site-a",
        "d": "site-d",
    }  # a-b by ground, b-c by region


def test_large_groups_are_kept_whole_unless_asked_and_the_sheet_shows_them(tmp_path):
    root = write(tmp_path / "set", {f"s{i}": towards(50, 51, i / 4) for i in range(5)})
    report = group(root, max_group=2, dry_run=True, sheet=tmp_path / "sheet.png")
    assert [each.name for each in report.oversized] == ["site-s0"]
    assert "kept whole" in report.summary()
    assert (tmp_path / "sheet.png").read_bytes().startswith(b"\x89PNG")
    assert TrainData.open(root).metadata["group"].isna().all()  # a dry run
    tightened = group(root, max_group=3, max_group_action="tighten")
    assert max(len(each.members) for each in tightened.groups) <= 3
    assert tightened.tightened[1] > 0
    assert "may leak" in tightened.summary()


def test_patches_are_units_where_that_is_asked(tmp_path):
    root = write(tmp_path / "set", {"a": hills(0), "b": hills(0)})
    report = group(root, unit="patch", similarity=0.99)
    assert report.units == 8
    assert {each.members for each in report.groups} == {(f"a#{i}", f"b#{i}") for i in range(4)}
    report = group(root, unit="patch", by=("similarity", "columns"), same=("sample_id",))
    assert len(report.groups) == 1  # samples that have any alike patches


@pytest.mark.parametrize(("options", "said"), [
    ({"--by": "footprint"}, "no sample has a place"),
    ({"--by": "columns"}, "--same"),
    ({"--by": "similarity", "--same": "region"}, "--same has no effect"),
    ({"--same": "regoin"}, "nearest: region"),
    ({"--bands": "purple"}, "purple"),
    ({"--similarity": "1.5"}, "--similarity"),
    ({"--embedding-weights": "imagenet"}, "--embedding"),
    ({"--split-column": "part"}, "part"),
    ({"--split-column": "x"}, "numbers"),
    ({"--sheet": "{set}/sheet.png"}, "lies in the train data directory"),
    ({"--sheet": "sheet.jpg"}, "must end in .png"),
    ({"--report": "report.txt"}, "must end in .json"),
])  # fmt: skip
def test_what_cannot_be_is_said_in_two_lines(grouped, options, said, capsys):
    root, _ = grouped
    arguments = [part.format(set=root) for pair in options.items() for part in pair]
    assert main(["group-train-data", "--train-data-dir", str(root), *arguments]) == 2
    lines = capsys.readouterr().err.strip().splitlines()
    assert len(lines) <= 2
    assert said in " ".join(lines)
