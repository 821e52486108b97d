"""Bands that are derived while training: a run, its test and its map see them as if they had been stored."""

import json

import numpy as np
import pytest
import rasterio
import torch

from darts_train.artifacts.baselines import _asked_bands
from darts_train.base.errors import UserError
from darts_train.dataset.reader import TrainData
from darts_train.experiments.evaluate_run import open_for_model
from darts_train.experiments.one_run.augmentation_file import with_read_augmentations
from darts_train.experiments.one_run.network import make_module
from darts_train.experiments.one_run.settings import make_reader, prepare_run, run_fingerprint
from darts_train.export.convert import convert_lightning_checkpoint
from darts_train.inference.models import activation
from darts_train.models.model_file import load_model_file
from darts_train.options.learning import Data, Device, Split
from darts_train.options.model_files import Convert
from darts_train.raster.catalogue import CATALOGUE
from tests.support.pipelines import node, tree
from tests.support.predicting import predicted
from tests.support.runs import hyperparameters, run, training
from tests.support.sets import BAND_NAMES, make_set

DERIVED = ("ndvi", "spyndex:NDWI")


@pytest.fixture(scope="module")
def root(tmp_path_factory):
    root = tmp_path_factory.mktemp("derived") / "set"
    make_set(root, patches=8, size=32, bands=4, nodata=True)
    return root


@pytest.fixture(scope="module")
def finished(root, tmp_path_factory):
    """A run of one epoch."""
    place = tmp_path_factory.mktemp("runs") / "run-aaaaaaaa"
    run(root, place, t={"max_epochs": 1}, data={"derive_bands": DERIVED, "bands": ("red", "nir")})
    return place


def prepared(root, settings=None, **data):
    data = {"derive_bands": DERIVED} | data
    return prepare_run(
        Data(train_data_dir=root, **data), Split(), settings or hyperparameters(), Device(device="cpu"), 0
    )


def test_a_run_records_what_it_derived(root, finished):
    record = json.loads((finished / "run.json").read_text())
    assert record["settings"]["data"]["derive_bands"] == list(DERIVED)
    model = load_model_file(finished / "checkpoints" / "best.ckpt")
    assert model.spec.names == ("red", "nir", *DERIVED)
    assert model.derived == DERIVED
    assert model.spec.bands[2] == CATALOGUE["ndvi"]
    assert "derived" not in prepared(root, derive_bands=()).config


def test_its_test_derives_them_again(root, finished):
    model = load_model_file(finished / "checkpoints" / "best.ckpt")
    opened, layer = open_for_model(Data(train_data_dir=root), model)
    assert {band.name for band in opened.bands} == {"green", "red", "nir"}  # green: of NDWI
    found = prepared(root, bands=("red", "nir"))
    x = opened.read(0)[0]
    expected = model.spec.normalise(found.derivation(x))
    assert np.array_equal(layer(torch.from_numpy(x.view(np.int16))[None])[0].numpy(), expected)
    for same in ({"bands": ("red", "nir"), "derive_bands": DERIVED}, {"derive_bands": DERIVED}):
        open_for_model(Data(train_data_dir=root, **same), model)
    for other in ({"bands": ("red", "nir")}, {"derive_bands": ("ndvi",)}):
        with pytest.raises(UserError, match=r"the model was trained .*; leave the option out"):
            open_for_model(Data(train_data_dir=root, **other), model)


def test_a_map_of_a_scene_with_the_sources_alone_is_that_of_training(root, finished, tmp_path):
    """The file converted, a GeoTIFF of the codes of a patch, and the module of the run on that patch."""
    found = prepared(root, bands=("red", "nir"))
    module = make_module(found, hyperparameters(), training(), 42).eval()
    state = torch.load(finished / "checkpoints" / "best.ckpt", weights_only=True)["state_dict"]
    module.load_state_dict(state)
    whole = TrainData.open(root)
    codes = whole.read(1)[0]
    with torch.inference_mode():
        logits = module(torch.from_numpy(found.data.read(1)[0].view(np.int16))[None])
    scene = tmp_path / "scene.tif"
    profile = {"driver": "GTiff", "width": 32, "height": 32, "count": 4, "dtype": "uint16", "nodata": 65535}
    transform = rasterio.Affine(10, 0, 500000, 0, -10, 7000000)
    with rasterio.open(scene, "w", **profile, crs="EPSG:32608", transform=transform) as file:
        file.write(codes)
        file.descriptions = BAND_NAMES[:4]
    converted = convert_lightning_checkpoint(
        Convert(
            lightning_checkpoint=finished / "checkpoints" / "best.ckpt", out_directory=tmp_path, checkpoint_name="m"
        )
    )
    assert load_model_file(converted.path).derived == DERIVED
    (done,) = predicted(
        model=converted.path, input=(scene,), out_dir=tmp_path / "maps", scale=1e-4, offset=-0.1, device="cpu"
    ).maps
    with rasterio.open(done.probabilities) as file:
        chances = file.read(1)
    known = (codes != 65535).all(axis=0)
    assert known.any()
    assert not known.all()
    percent = activation(logits.numpy())[0, 0] * 100
    assert np.abs(chances[known] - percent[known]).max() <= 0.51


def test_statistics_are_of_derived_values_too(root):
    found = prepared(root, bands=("red",), normalisation="quantile")
    codes = np.stack([found.derivation(found.data.read(row)[0]) for row in found.indices.train])
    for channel, (band, numbers) in enumerate(zip(found.bands, found.config["statistics"], strict=True)):
        part = codes[:, channel]
        values = band.offset + band.scale * part[part != 65535].astype(np.float64)
        assert numbers["valid"] == values.size
        assert numbers["mean"] == pytest.approx(values.mean(), abs=1e-9)
        assert [numbers["q01"], numbers["q99"]] == pytest.approx(np.percentile(values, (1, 99)), abs=1e-9)


def test_augmentation_comes_after_wherever_it_is_done(root):
    plain = hyperparameters(augmentations=("RandomBrightnessContrast:p=1",))
    found = prepared(root, plain)
    module = make_module(found, plain, training(), 1)
    x, y = (torch.from_numpy(part)[None] for part in found.data.read(3))
    codes = x.view(torch.int16)
    augmented, _ = module.augmented(codes, y, seed=5)
    seen = module.input(codes)
    assert not torch.equal(augmented[:, :4], seen[:, :4])  # light
    assert torch.equal(augmented[:, 4:], seen[:, 4:])  # as of indices that are stored


def test_a_pipeline_of_the_reader_gets_derived_bands(root, tmp_path):
    path = tmp_path / "pipeline.json"
    path.write_text(json.dumps(tree(node("MedianBlur", blur_limit=[3, 3], p=1.0))))
    settings = with_read_augmentations(hyperparameters(augment_config=path))
    found = prepared(root, settings)
    reader = make_reader(settings, found, 1)
    x, y = found.data.read(3)
    (drawn, labels), whole = reader(x, y, 7), found.derivation(x)
    assert drawn.shape == (6, 32, 32)
    assert np.array_equal(drawn[4:], whole[4:])
    assert not np.array_equal(drawn[:4], whole[:4])
    module = make_module(found, settings, training(), 1)
    batch = torch.from_numpy(drawn.view(np.int16))[None]
    assert module.step_input(batch, torch.from_numpy(labels)[None], 1).x.shape == (1, 6, 32, 32)
    assert module.input(torch.from_numpy(x.view(np.int16))[None]).shape == (1, 6, 32, 32)  # of validation


def test_what_is_derived_decides_what_is_learned(root):
    hashes = {
        run_fingerprint(prepared(root, derive_bands=bands), hyperparameters(), training(), 0, 1)
        for bands in (None, (), ("ndvi",), ("ndvi", "gndvi"))
    }
    assert len(hashes) == 3


def test_a_baseline_stands_beside_networks_of_the_same_bands():
    same = {"data": {"bands": ["red", "nir"], "derive_bands": ["ndvi", "gndvi"]}}
    assert _asked_bands(same) == _asked_bands({"data": {"bands": ["nir", "red"], "derive_bands": ["gndvi", "ndvi"]}})
    assert _asked_bands(same) != _asked_bands({"data": {"bands": ["nir", "red"]}})
    assert _asked_bands({"data": {}}) == _asked_bands({"data": {"derive_bands": None}}) == (None, frozenset())
