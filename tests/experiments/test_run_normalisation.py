"""A run knows its training patches, and no others; its test, and whoever opens its checkpoint, do as it did."""

import numpy as np
import pytest

from darts_train.base.errors import UserError
from darts_train.dataset.band_numbers import BandNumbers
from darts_train.dataset.normalisation import training_numbers
from darts_train.dataset.reader import TrainData
from darts_train.experiments.evaluate_run import open_for_model
from darts_train.experiments.one_run.settings import prepare_run
from darts_train.models.model_file import load_model_file
from darts_train.options.learning import Data, Device, Split
from tests.support.runs import hyperparameters, run
from tests.support.sets import make_set


@pytest.fixture(scope="module")
def root(tmp_path_factory):
    root = tmp_path_factory.mktemp("normalisation") / "set"
    make_set(root, patches=8, size=32)
    return root


def prepared(root, fold=0, **data):
    return prepare_run(Data(train_data_dir=root, **data), Split(), hyperparameters(), Device(device="cpu"), fold)


def test_statistics_are_those_of_the_training_patches(root):
    found = prepared(root, normalisation="zscore")
    kept = [BandNumbers.from_plain(one) for one in found.config["statistics"]]
    assert tuple(kept) == training_numbers(TrainData.open(root), found.indices.train)
    assert found.config["ranges"] == [[one.mean, one.mean + one.std] for one in kept]
    other = prepared(root, fold=1, normalisation="zscore")
    assert set(other.indices.train) != set(found.indices.train)
    assert other.config["statistics"] != found.config["statistics"]


def test_the_default_asks_for_none(root, monkeypatch):
    monkeypatch.setattr("darts_train.experiments.one_run.settings.training_numbers", lambda *_: pytest.fail("counted"))
    for kind in ("ranges", "sample-minmax"):
        assert "statistics" not in prepared(root, normalisation=kind).config


def test_older_sets_have_no_units_to_count_in(root, monkeypatch):
    opened = TrainData.open(root)
    opened.encoded = False
    monkeypatch.setattr(TrainData, "open", classmethod(lambda cls, *_: opened))
    with pytest.raises(UserError, match="use ranges, sample-minmax or sample-quantile"):
        prepared(root, normalisation="quantile")


def test_a_test_sees_what_the_run_saw(root, tmp_path):
    place = tmp_path / "_runs" / "run-aaaaaaaa"
    run(root, place, t={"max_epochs": 1}, data={"normalisation": "zscore"})
    model = load_model_file(place / "checkpoints" / "best.ckpt")
    opened, layer = open_for_model(Data(train_data_dir=root), model)
    spec = layer.spec
    assert spec == model.spec
    assert (spec.normalisation, len(spec.numbers)) == ("zscore", 3)
    assert "zscore" in (place / "hparams.yaml").read_text()
    seen = spec.normalise(np.stack([opened.read(i)[0] for i in range(8)]))
    assert abs(float(seen.mean())) < 0.2  # all of the set; the training part is most of it
