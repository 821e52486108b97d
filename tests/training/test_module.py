import pytest
import torch

from darts_train.models.input_spec import InputSpecification
from darts_train.models.model_file import make_model_config
from darts_train.raster.band import Band
from darts_train.training.module import SegmentationModule
from tests.support.runs import SMALL


def config(classes=("background", "slump"), bands=3):
    spec = InputSpecification(tuple(Band(f"b{i}", 1e-4, -0.1, 0.0, 0.3, True) for i in range(bands)))
    return make_model_config(SMALL["model_arch"], SMALL["model_encoder"], None, spec, classes, 32, 255)


def test_initial_weights_depend_on_the_seed_alone():
    torch.manual_seed(1)
    first = SegmentationModule(config(), random_seed=5).model.state_dict()
    torch.manual_seed(2)
    same = SegmentationModule(config(), random_seed=5).model.state_dict()
    other = SegmentationModule(config(), random_seed=6).model.state_dict()
    assert all(torch.equal(first[name], same[name]) for name in first)
    assert any(not torch.equal(first[name], other[name]) for name in first)


def test_making_a_module_leaves_the_callers_random_numbers_alone():
    torch.manual_seed(1)
    expected = torch.rand(1)
    torch.manual_seed(1)
    SegmentationModule(config())
    assert torch.equal(torch.rand(1), expected)


def test_hyper_parameters_describe_the_model_in_plain_types(tmp_path):
    module = SegmentationModule(config(), 0.01, 0.9, False, 0.25, 2.0, 7, {"run_name": "a", "run_id": "b"})
    torch.save(dict(module.hparams), tmp_path / "h")
    found = torch.load(tmp_path / "h", weights_only=True)
    assert found["config"] == config()
    assert (found["random_seed"], found["focal_loss_alpha"], found["run"]["run_id"]) == (7, 0.25, "b")
    assert "pretrained" not in found


def test_only_the_network_has_weights():
    assert all(name.startswith("model.") for name in SegmentationModule(config()).state_dict())


@pytest.mark.parametrize(("classes", "channels"), [(("b", "s"), 1), (("b", "s", "t"), 3)])
def test_codes_become_logits(classes, channels):
    module = SegmentationModule(config(classes)).eval()
    codes = torch.randint(-(2**15), 2**15, (2, 3, 32, 32), dtype=torch.int16)
    logits = module(codes)
    assert logits.shape == (2, channels, 32, 32)
