"""Model files: what is written comes back; what is foreign, cut off or hostile is refused in one line."""

import os
import pickle
from fractions import Fraction

import pytest
import torch

from darts_train.base.errors import UserError
from darts_train.features.masking import SETTINGS, rules_of
from darts_train.models.factory import create_network
from darts_train.models.input_spec import InputSpecification
from darts_train.models.model_config import SOURCE_SETTINGS, read_model_config
from darts_train.models.model_file import (
    load_lightning_checkpoint,
    load_model_file,
    make_model_config,
    save_model_file,
)
from darts_train.options.masking import Masking
from darts_train.preprocess.job import plain_settings
from darts_train.raster.catalogue import CATALOGUE

BANDS = ("red", "ndvi", "slope")


class Bomb:
    """Runs a command when it is unpickled."""

    def __init__(self, target):
        self.target = target

    def __reduce__(self):
        return (os.system, (f"touch {self.target}",))


@pytest.fixture(scope="module")
def network():
    torch.manual_seed(0)
    return create_network("Unet", "resnet18", None, 3, 2).eval()


@pytest.fixture(scope="module")
def config():
    spec = InputSpecification.from_set([CATALOGUE[name] for name in BANDS], "v1", -1.0)
    return make_model_config("Unet", "resnet18", "imagenet", spec, ("background", "slump"), 64, 255, 0.4)


def test_how_indices_are_masked_goes_with_the_model():
    masking = Masking(mask_indices_by_qa=True, qa_band="cloud", optional_bands=("dem",), unknown_elevation="land")
    spec = InputSpecification.from_set([CATALOGUE["red"]], None, 0.0)
    config = make_model_config(
        "Unet", "resnet18", None, spec, ("background", "kelp"), 64, 255, settings=plain_settings(masking)
    )
    assert rules_of(read_model_config(config).source) == rules_of(vars(masking))
    assert set(SETTINGS) <= set(SOURCE_SETTINGS)


def test_a_model_file_comes_back(tmp_path, network, config):
    path = tmp_path / "deep" / "model.ckpt"
    save_model_file(path, config, network.state_dict())
    model = load_model_file(path)
    assert model.spec == InputSpecification.from_set([CATALOGUE[name] for name in BANDS], "v1", -1.0)
    assert (model.classes, model.threshold, model.patch_size) == (("background", "slump"), 0.4, 64)
    assert (model.arch, model.encoder) == ("Unet", "resnet18")
    assert not model.network.training
    x = torch.rand(1, 3, 32, 32)
    with torch.no_grad():
        assert torch.equal(model.network(x), network(x))
    assert torch.load(path, weights_only=True)["config"] == config
    assert [file.name for file in path.parent.iterdir()] == ["model.ckpt"]


def test_a_lightning_checkpoint_is_a_model_too(tmp_path, network, config):
    path = tmp_path / "best.ckpt"
    state = {f"model.{name}": tensor for name, tensor in network.state_dict().items()}
    further = {"state_dict": state | {"metrics.total": torch.zeros(2)}, "hyper_parameters": {"config": config, "lr": 1}}
    torch.save(further, path)
    read, weights = load_lightning_checkpoint(path)
    assert read == config
    assert weights.keys() == network.state_dict().keys()
    assert load_model_file(path).threshold == 0.4


def test_multiclass(tmp_path):
    spec = InputSpecification.from_set([CATALOGUE["red"]], None, 0.0)
    names = ("land", "water", "snow")
    config = make_model_config("FPN", "mobilenet_v2", None, spec, names, 64, 255)
    save_model_file(tmp_path / "m.ckpt", config, create_network("FPN", "mobilenet_v2", None, 1, 3).state_dict())
    assert load_model_file(tmp_path / "m.ckpt").classes == names


def test_older_files_of_the_first_generation(tmp_path, network):
    factors = {"red": 1 / 3000, "ndvi": 1 / 20000, "slope": 1 / 90}
    model = {"arch": "Unet", "encoder_name": "resnet18", "in_channels": 3, "classes": 1, "activation": "sigmoid"}
    config = {"model_framework": "smp", "model": model, "input_combination": list(BANDS), "norm_factors": factors}
    save_model_file(tmp_path / "old.ckpt", config, network.state_dict())
    loaded = load_model_file(tmp_path / "old.ckpt")
    ranges = [pytest.approx((band.low, band.high)) for band in loaded.spec.bands]
    assert ranges == [(0.0, 0.3), (-1.0, 1.0), (0.0, 90.0)]
    assert (len(loaded.classes), loaded.threshold, loaded.patch_size) == (2, 0.5, 1024)
    with torch.no_grad():
        assert loaded.network(torch.rand(1, 3, 32, 32)).min() < 0  # logits, whatever the file said of an activation


@pytest.mark.parametrize(
    "bands",
    [
        list(BANDS),
        {"bands": list(BANDS)},
        {"bands": list(BANDS), "band_factors": [1 / 6000, 1 / 20000, 1 / 90], "band_offsets": [1 / 6, 0.0, 0.0]},
    ],
)
def test_older_files_of_the_later_generations(tmp_path, network, bands):
    model = {"arch": "Unet", "encoder_name": "resnet18", "in_channels": 3, "classes": 1}
    save_model_file(tmp_path / "old.ckpt", {"model": model, "bands": bands}, network.state_dict())
    spec = load_model_file(tmp_path / "old.ckpt").spec
    assert [pytest.approx((band.low, band.high)) for band in spec.bands] == [(-0.1, 0.5), (-1.0, 1.0), (0.0, 90.0)]


def test_older_bands_that_nobody_knows(tmp_path, network):
    model = {"arch": "Unet", "encoder_name": "resnet18", "in_channels": 3, "classes": 1}
    save_model_file(tmp_path / "old.ckpt", {"model": model, "bands": ["red", "ndvi", "slopes"]}, network.state_dict())
    with pytest.raises(UserError, match=r"old\.ckpt.*slopes.*nearest: slope"):
        load_model_file(tmp_path / "old.ckpt")


def refused(path):
    with pytest.raises(UserError) as caught:
        load_model_file(path)
    message = str(caught.value)
    assert str(path) in message
    assert "\n" not in message
    return message


@pytest.mark.parametrize("raw", [True, False])
def test_no_file_is_ever_run(tmp_path, raw):
    target, path = tmp_path / "ran", tmp_path / "bomb.ckpt"
    if raw:
        path.write_bytes(pickle.dumps(Bomb(target)))
    else:
        torch.save({"config": {"model": Bomb(target)}, "statedict": {}}, path)
    refused(path)
    with pytest.raises(UserError):
        load_lightning_checkpoint(path)
    assert not target.exists()


def test_objects_of_other_programs_are_not_unpickled(tmp_path):
    torch.save({"state_dict": {}, "hyper_parameters": {"scheme": Fraction(1, 3)}}, tmp_path / "old.ckpt")
    message = refused(tmp_path / "old.ckpt")
    assert "fractions.Fraction" in message
    assert "not unpickled" in message


def test_every_cut_off_file_is_refused(tmp_path, network, config):
    whole = tmp_path / "whole.ckpt"
    save_model_file(whole, config, network.state_dict())
    data = whole.read_bytes()
    for length in (0, 1, 100, len(data) // 2, len(data) - 1):
        (tmp_path / "cut.ckpt").write_bytes(data[:length])
        assert "cut off" in refused(tmp_path / "cut.ckpt")


@pytest.mark.parametrize(
    "content", [[1], {}, {"config": {}}, {"config": 3, "statedict": {}}, {"state_dict": {}}, "text"]
)
def test_files_of_other_programs(tmp_path, content):
    torch.save(content, tmp_path / "foreign.ckpt")
    refused(tmp_path / "foreign.ckpt")


def test_a_flipped_bit_is_found(tmp_path, network, config):
    path = tmp_path / "m.ckpt"
    save_model_file(path, config, network.state_dict())
    name = max(network.state_dict(), key=lambda key: network.state_dict()[key].numel())
    weights = network.state_dict()[name].numpy().tobytes()
    content = bytearray(path.read_bytes())
    content[content.index(weights) + 2] ^= 1
    path.write_bytes(bytes(content))
    with pytest.raises(UserError, match="damaged"):
        load_model_file(path)


def test_text_directories_and_nothing(tmp_path):
    (tmp_path / "notes.ckpt").write_text("not a model")
    for path in (tmp_path / "notes.ckpt", tmp_path, tmp_path / "absent.ckpt"):
        refused(path)


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ({"threshold": "high"}, "threshold"),
        ({"threshold": 0}, "threshold"),
        ({"classes": ["one"]}, "classes"),
        ({"classes": ["a", "b", "c"]}, "1 outputs for 3 classes"),
        ({"fit": "letterbox"}, "fit"),
        ({"model_framework": "keras"}, "model_framework"),
        ({"patch_size": None}, "patch_size"),
        ({"model": None}, "model"),
        ({"model": {"arch": "Unet", "encoder_name": "resnet18", "in_channels": 9, "classes": 1}}, "9 inputs for 3"),
        ({"model": {"encoder_name": "resnet18", "in_channels": 3, "classes": 1, "checkpoint_path": "x"}}, "not known"),
        ({"model": {"encoder_name": "tu-hf-hub:a/b", "in_channels": 3, "classes": 1}}, "no encoder"),
        ({"model": {"encoder_name": "resnet34", "in_channels": 3, "classes": 1}}, "do not fit its config"),
    ],
)
def test_wrong_configs_are_named(tmp_path, network, config, change, words):
    save_model_file(tmp_path / "wrong.ckpt", config | change, network.state_dict())
    assert words in refused(tmp_path / "wrong.ckpt")


def test_weights_that_do_not_fit(tmp_path, network, config):
    weights = dict(network.state_dict())
    name = next(iter(weights))
    for changed in (
        {name: weights[name][:1]},
        {name: torch.full_like(weights[name], torch.nan)},
        {"more": torch.ones(1)},
    ):
        save_model_file(tmp_path / "wrong.ckpt", config, weights | changed)
        refused(tmp_path / "wrong.ckpt")
    del weights[name]
    save_model_file(tmp_path / "wrong.ckpt", config, weights)
    assert f"lacks {name}" in refused(tmp_path / "wrong.ckpt")


def test_a_model_file_is_no_checkpoint(tmp_path, network, config):
    save_model_file(tmp_path / "model.ckpt", config, network.state_dict())
    with pytest.raises(UserError, match="a model file already"):
        load_lightning_checkpoint(tmp_path / "model.ckpt")


def test_a_failed_write_leaves_the_old_file(tmp_path, network, config):
    save_model_file(tmp_path / "model.ckpt", config, network.state_dict())
    before = (tmp_path / "model.ckpt").read_bytes()
    with pytest.raises((AttributeError, pickle.PicklingError, TypeError)):
        save_model_file(tmp_path / "model.ckpt", config | {"name": lambda: 0}, network.state_dict())
    assert (tmp_path / "model.ckpt").read_bytes() == before
    assert len(list(tmp_path.iterdir())) == 1
