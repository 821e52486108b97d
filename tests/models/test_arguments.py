"""Further arguments of a network: as text, in the model file, in the network."""

import pytest
import torch

from darts_train.base.errors import UserError
from darts_train.models.arguments import hashable, parse_options, plain
from darts_train.models.factory import check_patch_size, create_network, stride
from darts_train.models.input_spec import InputSpecification
from darts_train.models.model_file import load_model_file, make_model_config, save_model_file
from darts_train.raster.band import Band

SHALLOW = ("encoder_depth=3", "decoder_channels=32,16,8")


def test_values_are_what_they_look_like():
    texts = ("encoder_depth=3", "decoder_channels=64, 32,16", "decoder_use_norm=false", "decoder_attention_type=scse")
    assert dict(parse_options(texts)) == {
        "encoder_depth": 3,
        "decoder_channels": (64, 32, 16),
        "decoder_use_norm": False,
        "decoder_attention_type": "scse",
    }
    assert parse_options(None) == ()
    assert hashable(plain(parse_options(SHALLOW))) == parse_options(SHALLOW)


@pytest.mark.parametrize(
    ("texts", "words"),
    [
        (("encoder_depth",), "is not name=value"),
        (("=3",), "is not name=value"),
        (("encoder_deep=3",), "nearest: encoder_depth"),
        (("checkpoint_path=x",), "no argument 'checkpoint_path'"),
        (("activation=sigmoid",), "no argument 'activation'"),
        (("encoder_depth=3", "encoder_depth=4"), "given twice"),
    ],
)
def test_what_is_no_argument_is_refused(texts, words):
    with pytest.raises(UserError, match=words):
        parse_options(texts)


def test_a_shallow_network_has_a_smaller_stride_and_comes_back_from_its_file(tmp_path):
    options = parse_options(SHALLOW)
    assert stride("Unet", "mobilenet_v2", options) == 8
    check_patch_size("Unet", "mobilenet_v2", 40, options=options)
    network = create_network("Unet", "mobilenet_v2", None, 2, 2, options).eval()
    spec = InputSpecification((Band("red", 1e-4, 0, 0, 1), Band("nir", 1e-4, 0, 0, 1)), 0.0)
    config = make_model_config("Unet", "mobilenet_v2", None, spec, ("a", "b"), 40, 255, options=options)
    save_model_file(tmp_path / "m.ckpt", config, network.state_dict())
    loaded = load_model_file(tmp_path / "m.ckpt")
    assert loaded.options == options
    x = torch.rand(1, 2, 40, 40)
    assert torch.equal(loaded.network(x), network(x))


def test_arguments_that_contradict_each_other_are_said():
    with pytest.raises(UserError, match="encoder_depth"):
        create_network("Unet", "mobilenet_v2", None, 2, 2, parse_options(("encoder_depth=3",)))
