"""Nested cross-validation: searches that never see what tests them, and a result that goes on after a kill."""

import json
import math
from types import SimpleNamespace

import pandas as pd
import pytest

from darts_train.artifacts.run_record import read_record
from darts_train.base.errors import UserError
from darts_train.dataset.splitting.certificate import Certificate
from darts_train.experiments.nested import nested_cross_validation_smp
from darts_train.experiments.settings import Settings
from darts_train.experiments.trust.certificates import certify_outer
from darts_train.experiments.trust.nested_result import NestedResult, OuterFold
from darts_train.metrics.intervals import mean_interval
from darts_train.options.learning import Artifacts, Data, Device, Split, Tracking
from darts_train.options.nested import Nested, Trust
from darts_train.options.searching import Repeats, Scoring
from tests.support.runs import hyperparameters, training
from tests.support.sets import make_set

from . import stub

SPACE = "hyperparameters:\n  learning_rate: [1e-4, 1e-3]\n"


@pytest.fixture(scope="module")
def root(tmp_path_factory):
    path = tmp_path_factory.mktemp("sets") / "set"
    make_set(path, patches=24, size=32, scenes=6)
    return path


def calling(root, directory):
    """Nested with runs and tests that are no networks; `seen` are the splits of the runs, `tested` of the tests."""
    seen, tested = [], []

    def execute(place, data, split, *rest):
        seen.append((place, split))
        return stub.execute(place, data, split, *rest)

    def test(*, test, data, split, artifacts, device, tracking):
        tested.append(split)
        fold = int(split.data_split_by[0].split(":")[1][0])
        drawn = split.data_split_by[0].startswith("stratified")
        iou = 0.9 if drawn else 0.5 + 0.1 * fold
        return SimpleNamespace(metrics={"test/JaccardIndex": iou, "test/Recall": iou})

    def call(space=SPACE, split=None, repeats=None, scoring=None, trust=None, data=root, **options):
        (directory / "hp.yaml").write_text(space)
        given = {"nested_name": "n", "outer_folds": 2, "hpconfig": directory / "hp.yaml", "n_trials": "grid"}
        return nested_cross_validation_smp(
            Data(train_data_dir=data),
            Split(**{"total_folds": 2, "fold_method": "group-stratified", **(split or {})}),
            hyperparameters(),
            training(),
            Nested(**{**given, **{k: v for k, v in options.items() if k not in ("execute", "test")}}),
            Repeats(**{"n_randoms": 1, "n_folds": 1, **(repeats or {})}),
            Scoring(**{"scoring_metric": ("val/JaccardIndex",), **(scoring or {})}),
            Trust(**(trust or {})),
            Artifacts(artifact_dir=directory / "a"),
            Device(device="cpu"),
            Tracking(),
            execute=options.get("execute", execute),
            test=options.get("test", test),
        )

    call.seen, call.tested = seen, tested
    return call


@pytest.fixture
def nested(root, tmp_path):
    return calling(root, tmp_path)


@pytest.fixture(scope="module")
def done(root, tmp_path_factory):
    """One that was killed in the test of its second outer fold and called again, and then asked for more."""
    directory = tmp_path_factory.mktemp("nested")
    call = calling(root, directory)

    def killed(**options):
        if options["split"].data_split_by[0].endswith(":1/2"):
            raise KeyboardInterrupt
        return SimpleNamespace(metrics={"test/JaccardIndex": 0.4, "test/Recall": 0.4})

    with pytest.raises(KeyboardInterrupt):
        call(test=killed)
    before = len(call.seen)
    again = call()
    repeated = len(call.seen) - before
    return SimpleNamespace(
        directory=directory, call=call, again=again, repeated=repeated, result=call(with_random_split=True)
    )


def test_each_outer_fold_has_a_search_a_winner_and_a_test(done):
    result = done.result
    assert result.complete
    assert [fold.outer_score for fold in result.folds] == [0.4, 0.6]
    assert (result.score, result.random_score) == (pytest.approx(0.5), pytest.approx(0.9))
    assert result.interval == mean_interval([0.4, 0.6])
    inner = 0.8 + (42 % 7) / 1000  # the stub's, at 1e-3, in fold 0
    assert result.inner_score == pytest.approx(inner)
    assert [fold.parameters for fold in result.folds] == [{"learning_rate": 0.001}] * 2
    words = result.summary()
    assert f"too good by {inner - 0.5:.4f}" in words
    assert "a random split would have claimed 0.9000: too good by 0.4000" in words
    assert "leak-free" in words
    table = pd.read_parquet(done.directory / "a" / "n" / "n.parquet")
    assert table["outer_score"].tolist() == [0.4, 0.6]
    assert {"learning_rate", "test/Recall", "random_score", "best_cv"} <= set(table.columns)


def test_called_again_it_repeats_nothing(done):
    assert done.repeated == 1  # the winner of the second, whose stub knows no fingerprint
    assert done.again.random_score is None
    assert [fold.outer_score for fold in done.again.folds] == [fold.outer_score for fold in done.result.folds]


def test_directories_are_those_of_the_design(done):
    root = done.directory / "a"
    found = {path.parent.relative_to(root).as_posix() for path in root.glob("**/run.json")}
    kinds = {name.rsplit("/", 1)[0] for name in found} - {"n/random0/_runs", "n/random1/_runs"}
    assert kinds == {f"n/outer{f}/{place}" for f in (0, 1) for place in (f"n-outer{f}-cv0", f"n-outer{f}-cv1", "_runs")}
    record = read_record(next((root / "n" / "outer1" / "_runs").iterdir()))
    assert (record.run_name, record.tune_name) == ("n-outer1-retrain", "n-outer1")
    certificate = json.loads((root / "n" / "leakage.json").read_text())
    assert [(fold["outer"], fold["fold"]) for fold in certificate["folds"]] == [
        (0, None), (0, 0), (1, None), (1, 0),
    ]  # fmt: skip
    assert len(json.loads((root / "n" / "outer1" / "leakage.json").read_text())["folds"]) == 2


def test_no_run_sees_the_outer_fold_that_tests_it(done):
    for place, split in done.call.seen:
        folder = place.directory.parent.parent.name
        method = "group-stratified" if folder.startswith("outer") else "stratified"
        assert split.data_split_by == (f"{method}:{folder[-1]}/2",)
    assert [split.data_split_by[0] for split in done.call.tested] == [
        "group-stratified:1/2",
        "stratified:0/2",
        "stratified:1/2",
    ]


def test_names_of_something_else_and_other_settings_are_refused(done):
    with pytest.raises(UserError, match="outer_folds"):
        done.call(outer_folds=3)
    taken = done.directory / "a" / "m"
    taken.mkdir()
    (taken / "file").touch()
    with pytest.raises(UserError, match="choose another name"):
        done.call(nested_name="m")


def test_an_outer_fold_without_a_winner_makes_it_incomplete(nested, tmp_path):
    def fail(*args):
        raise UserError("no")

    result = nested(execute=fail, n_trials=1)
    assert not result.complete
    assert math.isnan(result.score)
    assert "incomplete" in result.summary()
    (tmp_path / "a" / "n" / "outer0" / "outer.json").write_text("{")
    with pytest.raises(UserError, match=r"outer\.json"):
        nested(execute=fail, n_trials=1)


def test_less_is_better(tmp_path):
    folds = (OuterFold(0, 3, 0.3, 0.5), OuterFold(1, 3, 0.2, 0.4, parameters={}))
    result = NestedResult("n", tmp_path, folds, "minimize", Certificate(()), tmp_path)
    assert result.optimism(result.inner_score, result.score) == pytest.approx(0.2)
    assert OuterFold.from_json(json.loads(json.dumps(folds[1].to_json()))) == folds[1]


@pytest.mark.parametrize(
    ("options", "part"),
    [
        ({"split": {"data_split_method": "random", "data_split_by": ("0.2",)}}, "the outer folds are the test parts"),
        ({"hpconfig": None}, "--hpconfig"),
        ({"split": {"fold_method": None}}, "--fold-method none"),
        ({"space": SPACE + "  fold_method: [kfold, stratified]\n", "n_trials": 1}, "fold_method. cannot be searched"),
        ({"outer_folds": 7}, "groups .* for --total-folds 7; the largest that works is 6"),
        ({"sampler": "tpe"}, "--sampler"),
        ({"nested_name": "_x"}, "--nested-name"),
        ({"repeats": {"n_folds": 3}}, "--n-folds"),
        ({"split": {"fold_method": "kfold"}, "trust": {"require_leak_free": True}}, "outer fold 0, fold 0: val shares"),
    ],
)
def test_what_cannot_work_is_refused_before_anything_is_written(nested, tmp_path, options, part):
    with pytest.raises(UserError, match=part):
        nested(**options)
    assert not (tmp_path / "a").exists()


def test_planted_overlap_is_refused_or_purged(nested, root, tmp_path):
    """The set again, its windows moved over each other: what was apart overlaps within every scene."""
    planted = tmp_path / "planted"
    planted.mkdir()
    for path in root.iterdir():
        if path.name != "metadata.parquet":
            (planted / path.name).symlink_to(path)
    rows = pd.read_parquet(root / "metadata.parquet")
    rows.assign(x=rows["x"] - 8 * (rows["x"] // 32 % 2)).to_parquet(planted / "metadata.parquet")
    folds = {"fold_method": "stratified"}
    with pytest.raises(
        UserError, match=r"outer fold 0: test shares .* pixels .* with train\+val; give --purge-overlap"
    ):
        nested(data=planted, split=folds, outer_method="kfold", outer_folds=5)
    assert not (tmp_path / "a").exists()
    settings = Settings(
        Data(train_data_dir=planted), Split(total_folds=2, purge_overlap=True, **folds), hyperparameters(), training()
    )
    for certificate in certify_outer(settings, "kfold", 5, 2):
        certificate.require()
        assert all(shared.pixels == 0 for shared in certificate.shared)


def test_an_interval_of_a_mean():
    low, high = mean_interval([1.0, 2.0, 3.0])
    assert (low, high) == (pytest.approx(2 - 4.302652729911275 / 3**0.5), pytest.approx(2 + 4.302652729911275 / 3**0.5))
    assert mean_interval([1.0]) is None
    assert mean_interval([1.0, math.nan]) is None
