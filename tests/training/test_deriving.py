"""Derived bands where the network is: the codes that NumPy gives, and a layer that takes stored ones."""

import numpy as np
import pytest
import torch

from darts_train.base.errors import UserError
from darts_train.features.derived import Derivation, derivation
from darts_train.features.kelp import ELEVATION, FORMULAS
from darts_train.features.spectral import INDICES, Index
from darts_train.models.input_spec import InputLayer, InputSpecification
from darts_train.options.learning import Data
from darts_train.raster.band import NODATA, Band
from darts_train.raster.catalogue import CATALOGUE
from darts_train.training.deriving import (
    DeriveLayer,
    derive_on_device,
    input_layer,
    open_sources,
    runs_on,
)
from tests.support.sets import make_old_set, make_set

NAMES = ("blue", "green", "red", "nir")
BANDS = tuple(CATALOGUE[name] for name in NAMES)
DERIVED = (*INDICES, "kNDVI", "spyndex:MSAVI", "spyndex:AVI")  # an exponential, a root, a third power


def some_codes(seed, patches=3, size=24):
    random = np.random.default_rng(seed)
    codes = random.integers(0, 10001, (patches, 4, size, size)).astype(np.uint16)
    codes[random.random(codes.shape) < 0.1] = NODATA
    codes[0, :, 0, 0] = 1000, 1000, 1000, 1000  # nothing reflected: 0 / 0
    return codes


def tensor(codes):
    return torch.from_numpy(codes.view(np.int16))


def test_tensors_give_the_codes_that_numpy_gives():
    made, codes = derivation((*NAMES, *DERIVED), DERIVED, BANDS, "set"), some_codes(1)
    assert runs_on(made, torch.device("cpu"))
    expected = made(codes)
    found = torch.empty(expected.shape, dtype=torch.int16)
    derive_on_device(made, tensor(codes), found)
    apart = np.abs(found.numpy().view(np.uint16).astype(int) - expected.astype(int))
    assert apart.max() <= 1
    assert (apart > 0).mean() < 1e-4
    assert np.array_equal(found.numpy() == -1, expected == NODATA)
    assert torch.equal(DeriveLayer(made)(tensor(codes)), tensor(expected))


def test_every_index_of_kelp_runs_on_a_device():
    bands = (*BANDS, CATALOGUE["swir16"], Band("dem", 0.2, -100.0, 0.0, 100.0))
    names = tuple(f"kelp:{name}" for name in FORMULAS if name != ELEVATION)
    made = derivation(names, names, bands, "set")
    assert runs_on(made, torch.device("cpu"))
    codes = np.random.default_rng(5).integers(0, 10001, (1, len(made.stored), 24, 24)).astype(np.uint16)
    found = torch.empty((1, len(names), 24, 24), dtype=torch.int16)
    derive_on_device(made, tensor(codes), found)
    assert np.abs(found.numpy().view(np.uint16).astype(int) - made(codes).astype(int)).max() <= 1


def test_autocast_does_not_reach_formulas():
    made, codes = derivation((*NAMES, "kNDVI"), ("kNDVI",), BANDS, "set"), some_codes(3)
    found = torch.empty((3, 5, 24, 24), dtype=torch.int16)
    with torch.autocast("cpu", torch.bfloat16):
        derive_on_device(made, tensor(codes), found)
    assert np.abs(found.numpy().view(np.uint16).astype(int) - made(codes).astype(int)).max() <= 1


def test_the_layer_sees_stored_codes_as_another_sees_all_bands():
    made, codes = derivation(("red", "ndvi", "evi"), ("ndvi", "evi"), BANDS, "set"), some_codes(4)
    spec = InputSpecification(made.bands, -1.0)
    read = codes[:, [0, 2, 3]]
    layer = input_layer(spec, made=made)
    assert torch.equal(layer(tensor(read)), InputLayer(spec)(tensor(made(read))))
    assert np.array_equal(layer(tensor(read)).numpy(), spec.normalise(made(read)))
    assert type(input_layer(spec)) is InputLayer
    with pytest.raises(ValueError, match="int16 or uint16"):
        layer(torch.zeros(1, 3, 4, 4))


@pytest.mark.parametrize("formula", [lambda red: np.asarray(red), lambda red: 1.0, lambda red: red.astype(float)])
def test_a_formula_of_numpy_alone_is_known(formula, monkeypatch, caplog):
    monkeypatch.setitem(INDICES, "odd", Index(("red",), formula))
    made = Derivation(BANDS, (Band("odd", 1e-4, 0.0, 0.0, 1.0),), ((2,),), (True,))
    runs_on.cache_clear()
    assert not runs_on(made, torch.device("cpu"))
    assert "--derive-bands: odd can be computed on the CPU alone" in caplog.text
    runs_on.cache_clear()


def test_sets_are_opened_with_what_is_needed(tmp_path):
    make_set(tmp_path / "set", patches=4, bands=4, size=16)
    plain, made = open_sources(Data(train_data_dir=tmp_path / "set"))
    assert made is None
    assert len(plain.bands) == 4
    for derive in (None, ()):
        assert open_sources(Data(train_data_dir=tmp_path / "set", derive_bands=derive))[1] is None
    data, made = open_sources(Data(train_data_dir=tmp_path / "set", bands=("red",), derive_bands=("ndvi",)))
    assert [band.name for band in data.bands] == ["red", "nir"]
    assert made is not None
    assert [band.name for band in made.bands] == ["red", "ndvi"]
    make_old_set(tmp_path / "old", 4, 16, 4)
    with pytest.raises(UserError, match=r"--derive-bands: .* holds values without units"):
        open_sources(Data(train_data_dir=tmp_path / "old", derive_bands=("ndvi",)))
