"""safetensors and JSON: the same model as the file of torch; halves that do not belong together are refused."""

import json
import shutil

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from darts_train.base.errors import UserError
from darts_train.models.factory import create_network
from darts_train.models.input_spec import InputSpecification
from darts_train.models.legacy import legacy_specification, norm_factors
from darts_train.models.locate import locate_model
from darts_train.models.model_file import load_lightning_checkpoint, load_model_file, make_model_config, save_model_file
from darts_train.models.safetensors_file import read_weights, write_safetensors
from darts_train.raster.catalogue import CATALOGUE


@pytest.fixture(scope="module")
def network():
    torch.manual_seed(1)
    return create_network("FCN", "dilated", None, 2, 2).eval()


@pytest.fixture(scope="module")
def config():
    spec = InputSpecification.from_set([CATALOGUE["red"], CATALOGUE["slope"]], "0.013,0.29", -1.0)
    return make_model_config("FCN", "dilated", None, spec, ("background", "slump"), 64, 255, 0.4)


@pytest.fixture
def weights(tmp_path, network, config):
    path = tmp_path / "slumps.safetensors"
    write_safetensors(path, config, network.state_dict())
    return path


def refused(path):
    with pytest.raises(UserError) as caught:
        load_model_file(path)
    assert "\n" not in str(caught.value)
    return str(caught.value)


def test_the_same_model_in_either_form(tmp_path, weights, network, config):
    save_model_file(tmp_path / "slumps.ckpt", config, network.state_dict())
    one, other = load_model_file(weights), load_model_file(tmp_path / "slumps.ckpt")
    facts = ("spec", "classes", "threshold", "patch_size", "source", "config", "fit")
    assert all(getattr(one, fact) == getattr(other, fact) for fact in facts)
    ours, theirs = one.network.state_dict(), other.network.state_dict()
    assert ours.keys() == theirs.keys()
    assert all(torch.equal(ours[name], theirs[name]) for name in ours)
    assert weights.stat().st_mode == weights.with_suffix(".json").stat().st_mode


def test_a_folder_and_a_file_are_found(tmp_path, network, config):
    write_safetensors(tmp_path / "hub" / "model.safetensors", config, network.state_dict())
    assert load_model_file(tmp_path / "hub").threshold == 0.4
    assert locate_model(tmp_path / "hub") == tmp_path / "hub" / "model.safetensors"
    assert (tmp_path / "hub" / "config.json").is_file()


def test_cut_off_weights(weights):
    data = weights.read_bytes()
    for length in (0, 7, 8, 100, len(data) // 2, len(data) - 1):
        weights.write_bytes(data[:length])
        assert "cut off" in refused(weights)
    weights.write_bytes((2**62).to_bytes(8, "little") + data[8:])  # the length of its own header
    assert "cut off" in refused(weights)


def test_a_flipped_bit_is_found(weights):
    data = bytearray(weights.read_bytes())
    data[-2] ^= 1
    weights.write_bytes(bytes(data))
    assert "damaged" in refused(weights)


@pytest.mark.parametrize("text", ["", "{", '{"a": NaN', "[1]", "7", '"x"', "\udc80", "[" * 100_000, "{}"])
def test_configs_that_are_none(weights, text):
    weights.with_suffix(".json").write_bytes(text.encode("utf-8", "surrogatepass"))
    refused(weights)


def test_halves_of_two_models(tmp_path, weights, config, network):
    write_safetensors(tmp_path / "b.safetensors", config, {k: v + 1 for k, v in network.state_dict().items()})
    shutil.copy(tmp_path / "b.json", weights.with_suffix(".json"))
    assert "another model than slumps.json" in refused(weights)
    weights.with_suffix(".json").unlink()
    assert "lacks its config, slumps.json" in refused(weights)


def test_a_config_of_another_network(weights, config):
    """Written by hand, so without the hash of the weights: other bands, other classes, another encoder."""
    beside = weights.with_suffix(".json")
    network = config["model"]
    for change, words in (
        ({"classes": ["a", "b", "c"]}, "1 outputs for 3 classes"),
        ({"classes": ["a", "b", "c"], "model": network | {"classes": 3}}, "by the config (3,"),
        ({"bands": ["red"], "model": network | {"in_channels": 1}}, "cannot be read"),
        ({"model": network | {"encoder_channels": 30}}, "do not fit its config"),
        ({"model": network | {"encoder_channels": 10**9}}, "no network has such a size"),
        ({"model": {"arch": "Unet", "encoder_name": "resnet18", "in_channels": 2, "classes": 1}}, "lacks decoder"),
        ({"model": {"encoder_name": "mit_b0", "in_channels": 2, "classes": 1, "decoder_channels": [10**6] * 5}},
         "no network has such a size"),
    ):  # fmt: skip
        beside.write_text(json.dumps(config | change))
        assert words in refused(weights)


def test_weights_alone(tmp_path, weights, network):
    assert read_weights(weights).keys() == network.state_dict().keys()
    with pytest.raises(UserError, match="a model file already"):
        load_lightning_checkpoint(weights)
    (tmp_path / "x.onnx").write_bytes(b"onnx")
    assert "is an export" in refused(tmp_path / "x.onnx")


def test_tied_weights_are_written(tmp_path, config):
    tied = torch.rand(4, 4)
    write_safetensors(tmp_path / "t.safetensors", config, {"a": tied, "b": tied, "c": tied.T, "d": tied[1:]})
    found = read_weights(tmp_path / "t.safetensors")
    assert torch.equal(found["a"], tied)
    assert torch.equal(found["c"], tied.T)
    assert torch.equal(found["d"], tied[1:])


LEAST = {"red": 0.0, "nir": 0.0, "ndvi": -1.0, "relative_elevation": -50.0, "slope": 0.0, "tc_wetness": 0.0}


@given(st.lists(st.sampled_from(sorted(LEAST)), min_size=1, unique=True), st.data())
@settings(max_examples=40, deadline=None)
def test_factors_of_the_first_generation_mean_the_same_ranges(names, data):
    from dataclasses import replace

    highs = {name: LEAST[name] + data.draw(st.floats(0.01, 1.9), label=name) for name in names}
    bands = tuple(replace(CATALOGUE[name], low=LEAST[name], high=highs[name]) for name in names)
    factors = norm_factors(InputSpecification(bands))
    assert factors is not None
    back = legacy_specification({"input_combination": names, "norm_factors": factors})
    assert [band.low for band in back.bands] == pytest.approx([band.low for band in bands])
    assert [band.high for band in back.bands] == pytest.approx([band.high for band in bands])


def test_ranges_that_factors_cannot_say():
    red = CATALOGUE["red"]
    assert norm_factors(InputSpecification((red,))) is None  # from -0.1 on
    assert norm_factors(InputSpecification((CATALOGUE["slope"],), normalisation="zscore")) is None
