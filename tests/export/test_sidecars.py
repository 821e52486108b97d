"""Exports for habitat-mapper and Deepness: what those programs make of a raster's counts is what our network says."""

import json
from datetime import date

import numpy as np
import onnx
import onnxruntime
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from pydantic import ValidationError

from darts_train.base.errors import UserError
from darts_train.dataset.band_numbers import BandNumbers
from darts_train.export.export import export_model
from darts_train.export.graphs import onnx as onnx_module
from darts_train.export.sidecars import habitat
from darts_train.export.sidecars.counts import Counts
from darts_train.export.sidecars.dress import gaps_as_nan, logit
from darts_train.export.sidecars.habitat import HabitatConfig
from darts_train.export.sidecars.legacy_heads import combine, pair
from darts_train.inference.models import open_model
from darts_train.models.input_spec import InputSpecification
from darts_train.models.model_file import load_model_file
from darts_train.options.exporting import Export
from darts_train.options.sidecars import Sidecars
from darts_train.raster.band import Band
from darts_train.raster.encoding import encode
from tests.support.exporting import quick_build, saved_model
from tests.support.habitat import bartlett_hann, blended, mapped

TINY = (("encoder_depth", 1), ("encoder_channels", 4))
OPTICAL = tuple(Band(name, 1e-4, -0.1, -0.1, 0.5, True) for name in ("blue", "green", "red"))
TRAINED = {"scale": 1e-4, "offset": 0.0, "nodata": 0.0, "band_names": ["blue", "green", "red"]}


@pytest.fixture(scope="module", autouse=True)
def _quick():
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(onnx_module, "build", quick_build)
        yield


@pytest.fixture(scope="module")
def place(tmp_path_factory):
    torch.set_num_threads(1)
    return tmp_path_factory.mktemp("models")


@pytest.fixture(scope="module")
def model_path(place):
    return saved_model(place / "model.ckpt", bands=OPTICAL, options=TINY, settings=TRAINED, threshold=0.37)


@pytest.fixture(scope="module")
def exported(place, model_path):
    out = place / "net.onnx"
    sidecars = Sidecars(sidecar="habitat-mapper", sidecar_name="kelp-x", revision="20260901")
    return export_model(Export(model=model_path, out=out), sidecars), out, place / "kelp-x_20260901.json"


def scene(bands=3, height=75, width=90, gap=True):
    """Counts uint16, a corner of them without data."""
    counts = np.random.default_rng(1).integers(1, 6000, (bands, height, width)).astype(np.uint16)
    if gap:
        counts[:, :30, :20] = 0
    return counts


def our_logits(model, counts, scale=1e-4, offset=0.0, nodata=0):
    """Logits of our own network for windows of counts, by way of the codes of training."""
    values = counts.astype(np.float32) * np.float32(scale) + np.float32(offset)
    values[counts == nodata] = np.nan
    codes = np.stack([encode(one, model.spec.bands)[0] for one in values])
    with torch.no_grad():
        return model.network(torch.from_numpy(model.spec.normalise(codes))).numpy()


def same_classes(model, found, total, ours, threshold):
    """Equal wherever rounding could not decide."""
    expected = (ours[0] > logit(threshold)).astype(np.uint8)
    near = np.abs(ours[0] - logit(threshold)) < 1e-4
    assert near.mean() < 0.01
    assert 0.02 < expected.mean() < 0.98
    assert np.array_equal(found[~near], expected[~near])


def test_the_class_map_of_habitat_mapper_is_ours(exported, model_path):
    _, out, path = exported
    config, counts, model = json.loads(path.read_text()), scene(), load_model_file(model_path)
    found, total = mapped(out, config, counts, 32)
    ours = blended(counts, 32, lambda windows: our_logits(model, windows))
    assert np.abs(total - (ours - logit(0.37))).max() < 1e-3
    same_classes(model, found, total, ours, 0.37)


def test_the_json(exported, model_path):
    result, out, path = exported
    config = json.loads(path.read_text())
    assert HabitatConfig.model_validate(config).to_json() == config
    assert (config["activation"], config["normalization"], config["max_pixel_value"]) == ("sigmoid", None, 1.0)
    assert (config["input_channels"], config["model_filename"]) == (3, "net.onnx")
    assert config["dependencies"] == [str(out)]
    assert "model_cls" not in config
    assert str(path) in result.summary()
    facts = {entry.key: entry.value for entry in onnx.load(out).metadata_props}
    assert (json.loads(facts["graph_input"]), json.loads(facts["sidecar"])) == ("counts", "habitat-mapper")
    assert json.loads(facts["ranges"]) == [[0.0, 0.3]] * 3
    assert json.loads(facts["graph_nodata"]) == {"count": 0.0, "all_bands_zero": False}
    with pytest.raises(UserError, match="made for habitat-mapper"):
        open_model(out, None, "cpu")


def test_padding_is_within_the_graph(exported):
    session = onnxruntime.InferenceSession(str(exported[1]), providers=["CPUExecutionProvider"])
    assert session.run(None, {"image": scene(3, 33, 47)[None].astype(np.float32)})[0].shape == (1, 1, 33, 47)


def test_z_scores_are_its_standard(place):
    """Where the raster has no gaps: then nothing is left for the graph to know."""
    numbers = tuple(
        BandNumbers(valid=1000, minimum=0.0, maximum=0.6, mean=0.2, std=0.1, q01=0.01, q99=0.5) for _ in OPTICAL
    )
    spec = InputSpecification.from_set(OPTICAL, None, 0.0, "zscore", lambda: numbers)
    source = {"scale": 1e-4, "offset": 0.0, "band_names": ["blue", "green", "red"]}
    path = saved_model(place / "z.ckpt", options=TINY, spec=spec, settings=source, threshold=0.5)
    url = Sidecars(sidecar="habitat-mapper", revision="20260901-b", dependency_base_url="https://example.org/m/")
    export_model(Export(model=path, out=place / "z.onnx"), url)
    config, model, counts = (
        json.loads((place / "z_20260901-b.json").read_text()),
        load_model_file(path),
        scene(gap=False),
    )
    assert config["normalization"] == "standard"
    assert config["mean"] == pytest.approx([2000.0] * 3)
    assert config["std"] == pytest.approx([1000.0] * 3)
    assert config["dependencies"] == ["https://example.org/m/z.onnx"]
    found, total = mapped(place / "z.onnx", config, counts, 32)
    ours = blended(counts, 32, lambda windows: our_logits(model, windows, nodata=-1))
    assert np.abs(total - ours).max() < 1e-3
    same_classes(model, found, total, ours, 0.5)


def test_two_heads(place, model_path):
    species = saved_model(
        place / "species.ckpt", bands=OPTICAL, options=TINY, settings=TRAINED, classes=("macro", "nereo")
    )
    sidecars = Sidecars(sidecar="habitat-mapper", sidecar_name="two", revision="20260901", species_model=species)
    export_model(Export(model=model_path, out=place / "two.onnx"), sidecars)
    config, counts = json.loads((place / "two_20260901.json").read_text()), scene(height=32, width=48)[None]
    assert config["model_cls"] == "habitat_mapper.model.LegacyKelpRGBModel"
    assert config["activation"] is None
    session = onnxruntime.InferenceSession(str(place / "two.onnx"), providers=["CPUExecutionProvider"])
    found = session.run(None, {"image": counts.astype(np.float32)})[0]
    assert found.shape == (1, 3, 32, 48)
    kelp, nereo = (our_logits(load_model_file(path), counts)[0, 0] for path in (model_path, species))
    probabilities, classes = combine(found)
    decided = np.abs(kelp - logit(0.37)) > 1e-4
    assert np.array_equal(classes[0][decided], np.where(kelp > logit(0.37), 1 + (nereo > 0), 0)[decided])
    assert probabilities.sum(axis=1) == pytest.approx(1, abs=1e-5)
    p, q = 1 / (1 + np.exp(-(kelp - logit(0.37)))), 1 / (1 + np.exp(-nereo))
    assert probabilities[0] == pytest.approx(np.stack([1 - p, p * (1 - q), p * q]), abs=1e-4)
    facts = {entry.key: entry.value for entry in onnx.load(place / "two.onnx").metadata_props}
    assert json.loads(facts["heads"]) == [1, 2]
    assert json.loads(facts["classes"]) == ["background", "macro", "nereo"]


def test_channels_of_heads():
    z = torch.tensor([[[[2.0]]]])
    assert pair(z, 1) is z
    assert pair(z, 2)[0, :, 0, 0].tolist() == [0, 2]
    assert pair(torch.arange(3.0).reshape(1, 3, 1, 1), 2)[0, :, 0, 0].tolist() == [1, 2]


@settings(max_examples=50, deadline=None)
@given(st.lists(st.floats(-20, 20), min_size=2, max_size=2))
def test_both_forms_of_heads_say_the_same(values):
    kelp, nereo = (np.float32(value) for value in values)
    one = combine(np.array([kelp, 0, nereo], np.float32).reshape(1, 3, 1, 1))
    two = combine(np.array([0, kelp, 0, nereo], np.float32).reshape(1, 4, 1, 1))
    assert one[0] == pytest.approx(two[0], abs=1e-6)
    assert kelp == pytest.approx(0, abs=1e-6) or np.array_equal(one[1], two[1])
    with pytest.raises(ValueError, match="3 or 4"):
        combine(np.zeros((1, 5, 1, 1), np.float32))


def test_deepness(place, model_path):
    out = place / "qgis.onnx"
    export_model(Export(model=model_path, out=out), Sidecars(deepness=True, deepness_resolution=300.0, tiles_size=48))
    session = onnxruntime.InferenceSession(str(out), providers=["CPUExecutionProvider"])
    assert session.get_inputs()[0].shape == ["batch", 3, 48, 48]
    assert session.get_outputs()[0].shape[1:] == [1, 48, 48]
    facts = {key: json.loads(text) for key, text in session.get_modelmeta().custom_metadata_map.items() if key in (
        "model_type", "class_names", "resolution", "tile_size", "tiles_size", "tiles_overlap", "seg_thresh",
        "standardization_mean", "standardization_std")}  # fmt: skip
    assert facts == {
        "model_type": "Segmentor", "class_names": {"0": "background", "1": "slump"}, "resolution": 300.0,
        "tile_size": 48, "tiles_size": 48, "tiles_overlap": 25, "seg_thresh": 0.37,
        "standardization_mean": [0.0] * 3, "standardization_std": [1.0] * 3,
    }  # fmt: skip
    counts, model = scene(3, 48, 48)[None], load_model_file(model_path)
    tile = np.float32(counts * 1.0 / 255.0)  # as the plugin does it
    found = session.run(None, {"image": tile})[0]
    z = our_logits(model, counts)
    assert found == pytest.approx(1 / (1 + np.exp(-z)), abs=1e-4)


def test_no_data_of_all_bands():
    image = np.array([0, 5, 0, 3, 7, 9], np.float32).reshape(1, 2, 1, 3)
    found = gaps_as_nan(image, Counts(zero_is_nodata=True))
    assert np.isnan(found[0, :, 0]).tolist() == [[False, False, False], [False, False, False]]
    image[0, 1, 0, 0] = 0
    assert np.isnan(gaps_as_nan(image, Counts(zero_is_nodata=True))[0, :, 0, 0]).all()
    marked = gaps_as_nan(np.float32(65535 / 255 * np.ones((1, 1, 1, 1))), Counts(nodata=65535), 1 / 255)
    assert np.isnan(marked).all()


@pytest.mark.parametrize("size", [8, 32, 64])
def test_half_windows_add_up_to_one(size):
    weight = bartlett_hann(size)
    assert weight[: size // 2] + weight[size // 2 :] == pytest.approx(np.ones(size // 2))


@pytest.mark.parametrize(
    ("export", "sidecars", "words"),
    [
        ({}, {"deepness": True}, "--deepness-resolution"),
        ({}, {"deepness": True, "sidecar": "habitat-mapper"}, "two different graphs"),
        ({}, {"sidecar_name": "x"}, "--sidecar-name goes with"),
        ({}, {"tiles_size": 64}, "--tiles-size goes with"),
        ({"format": "torchscript"}, {"sidecar": "habitat-mapper"}, "reads ONNX"),
        ({"out": "m.bin"}, {"sidecar": "habitat-mapper"}, r"must end in \.onnx"),
        ({"graph_padding": True}, {"sidecar": "habitat-mapper"}, "leave --graph"),
        ({}, {"sidecar": "habitat-mapper", "sidecar_name": "a/b"}, "--sidecar-name"),
        ({}, {"sidecar": "habitat-mapper", "revision": "20261301"}, "--revision"),
        ({}, {"sidecar": "habitat-mapper", "revision": "2026-01"}, "--revision"),
        ({}, {"sidecar": "habitat-mapper", "dependency_base_url": "example.org"}, "--dependency-base-url"),
    ],
)
def test_what_does_not_go_together(tmp_path, model_path, export, sidecars, words):
    asked = {"model": model_path, **export, "out": tmp_path / export.get("out", "m.onnx")}
    with pytest.raises(UserError, match=words):
        export_model(Export(**asked), Sidecars(**sidecars))
    assert not list(tmp_path.iterdir())


def test_models_that_do_not_go_together(tmp_path, place, model_path):
    other = saved_model(tmp_path / "other.ckpt", options=TINY)
    many = saved_model(tmp_path / "many.ckpt", bands=OPTICAL, options=TINY, settings=TRAINED, classes="abcd")
    for species, words in ((other, "other bands"), (many, "4 classes"), (tmp_path / "absent", "does not exist")):
        sidecars = Sidecars(sidecar="habitat-mapper", species_model=species)
        with pytest.raises(UserError, match=words):
            export_model(Export(model=model_path, out=tmp_path / "m.onnx"), sidecars)


def test_models_that_resample_are_refused(tmp_path):
    path = saved_model(tmp_path / "m.ckpt", bands=OPTICAL, options=TINY, settings=TRAINED, fit=("resize", 96))
    with pytest.raises(UserError, match="resamples patches"):
        export_model(Export(model=path, out=tmp_path / "m.onnx"), Sidecars(sidecar="habitat-mapper"))


def test_the_json_has_its_rules():
    whole = HabitatConfig(
        name="a", revision="20260901", dependencies=["https://x/m.onnx"], model_filename="m.onnx", input_channels=2,
        normalization="standard", mean=[1, 2], std=[3, 4], max_pixel_value=1.0,
    ).to_json()  # fmt: skip
    changes = (
        {"model_filename": "other.onnx"}, {"mean": [1]}, {"normalization": None}, {"revision": "2026"}, {"more": 1},
        {"std": None}, {"max_pixel_value": 0},
    )  # fmt: skip
    for change in changes:
        with pytest.raises(ValidationError):
            HabitatConfig.model_validate({**whole, **change})
    assert habitat._revision(None) == date.today().strftime("%Y%m%d")
