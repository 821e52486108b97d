"""Model files whose config says what cannot be: refused in a line, before anything is built or read by them."""

import math

import pytest
import torch

from darts_train.base.errors import UserError
from darts_train.models.facts import facts_of, plain_value, read_facts
from darts_train.models.input_spec import InputSpecification
from darts_train.models.model_config import make_model_config, read_model_config
from darts_train.models.model_file import load_model_file
from darts_train.raster.catalogue import CATALOGUE

NAN, INF = math.nan, math.inf


def config(**changes):
    spec = InputSpecification.from_set([CATALOGUE["red"]], None, 0.0)
    return make_model_config("Unet", "resnet18", None, spec, ("background", "slump"), 64, 255) | changes


def legacy(classes=1, **changes):
    model = {"arch": "Unet", "encoder_name": "resnet18", "in_channels": 1, "classes": classes}
    return {"model": model, "bands": ["red"], **changes}


@pytest.mark.parametrize(
    ("key", "value"),
    [
        ("scale", "abc"), ("scale", 0), ("scale", -1.0), ("scale", NAN), ("scale", INF), ("offset", INF),
        ("offset", NAN), ("nodata", "x"), ("nodata", INF), ("tpi_outer_radius", "abc"), ("tpi_inner_radius", NAN),
        ("band_names", "abc"), ("optional_bands", 3),
    ],
)  # fmt: skip
def test_settings_of_images_that_no_image_can_be_read_with(key, value):
    with pytest.raises(UserError, match=rf"its config is wrong at source\.{key}"):
        read_model_config(config(source={key: value}))
    said = config() | {"stride": 32, "source": {key: value}}
    with pytest.raises(UserError, match=rf"x\.onnx: its config is wrong at source\.{key}"):
        facts_of(said, "x.onnx")


@pytest.mark.parametrize("source", [{}, {"scale": 1e-4, "nodata": NAN, "offset": 0, "band_names": ["red"]}])
def test_settings_that_can_be(source):
    assert dict(read_model_config(config(source=source)).source).keys() == source.keys()


def test_a_source_that_is_no_table():
    with pytest.raises(UserError, match=r"x\.onnx: its config is wrong at source: a table is wanted, not a list"):
        facts_of(config() | {"stride": 32, "source": [1]}, "x.onnx")


@pytest.mark.parametrize("classes", [None, "abc", INF, [1], -3, 0, 10**12])
def test_an_older_file_whose_number_of_classes_is_none(classes):
    with pytest.raises(UserError, match=r"its config is wrong at model\.classes"):
        read_model_config(legacy(classes))


@pytest.mark.parametrize(
    "changes",
    [
        {"norm_factors": {"red": "x"}}, {"norm_factors": {"red": None}}, {"norm_factors": {"red": NAN}},
        {"norm_factors": {"red": INF}}, {"norm_factors": {"red": 1e-320}},
        {"band_factors": 3, "band_offsets": 2}, {"band_factors": ["x"], "band_offsets": [0.0]},
        {"band_factors": [1.0], "band_offsets": [NAN]}, {"band_factors": [1.0], "band_offsets": [1e300]},
    ],
)  # fmt: skip
def test_an_older_file_whose_factors_are_none(changes):
    with pytest.raises(UserError, match=r"its (norm_factors|band_factors|band_offsets|factor) "):
        read_model_config(legacy(**changes))


def test_factors_of_bands_that_the_network_has_not_are_passed_over():
    found = read_model_config(legacy(norm_factors={"red": 1 / 3000, "dem": None}))
    assert found.spec.bands[0].high == pytest.approx(0.3)


@pytest.mark.parametrize("side", [10**9, 10**30])
def test_a_patch_larger_than_any(side):
    with pytest.raises(UserError, match="its config is wrong at patch_size"):
        read_model_config(config(patch_size=side))
    with pytest.raises(UserError, match=r"x\.onnx: what is said of the model makes no sense"):
        facts_of(config() | {"stride": 32, "patch_size": side}, "x.onnx")


@pytest.mark.parametrize(("key", "value"), [("patch_size", INF), ("stride", INF), ("threshold", NAN), ("threshold", 2)])
def test_facts_of_an_export_that_make_no_sense(key, value):
    with pytest.raises(UserError, match=r"x\.onnx: what is said of the model "):
        facts_of(config() | {"stride": 32, key: value}, "x.onnx")


def test_a_fill_that_float32_cannot_say():
    with pytest.raises(UserError, match="--nodata-fill: 1e\\+300 is not a finite number"):
        InputSpecification((CATALOGUE["red"],), 1e300)


def test_weights_that_are_not_all_named(tmp_path):
    path = tmp_path / "model.ckpt"
    torch.save({"config": config(), "statedict": {1: torch.zeros(1), "a": torch.zeros(1)}}, path)
    with pytest.raises(UserError, match=r"model\.ckpt is not a model file"):
        load_model_file(path)


def test_json_nested_without_end(tmp_path):
    deep = "[" * 100_000
    (tmp_path / "facts.json").write_text(deep)
    with pytest.raises(UserError, match=r"facts\.json is no JSON"):
        read_facts(tmp_path / "facts.json", "--facts")
    assert plain_value(deep) == deep
