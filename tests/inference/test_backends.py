"""What runs a network: torch in its arithmetics and threads, ONNX Runtime where it is."""

import numpy as np
import pytest
import torch
from torch import nn

from darts_train.base.errors import UserError
from darts_train.inference.backends.onnx_runtime import CPU, CUDA, providers
from darts_train.inference.backends.protocol import Lanes
from darts_train.inference.backends.torch_network import TorchBackend
from darts_train.inference.models import activation
from darts_train.models.fit import Fit
from darts_train.models.input_spec import InputLayer

from .test_windows import SPEC, model_of

CODES = np.random.default_rng(0).integers(0, 10000, (3, 2, 48, 48), np.uint16)
HERE = torch.device("cpu")


def network() -> nn.Module:
    torch.manual_seed(0)
    return nn.Sequential(nn.Conv2d(2, 8, 3, padding=1), nn.ReLU(), nn.Conv2d(8, 1, 3, padding=1)).eval()


def test_windows_one_by_one_are_those_of_a_batch(monkeypatch):
    backend = TorchBackend.on(HERE, network(), InputLayer(SPEC))
    together = backend.logits(CODES)
    monkeypatch.setattr("darts_train.inference.backends.torch_network._WORTH_A_THREAD", 1)
    before = torch.get_num_threads()
    try:
        torch.set_num_threads(2)
        apart = backend.logits(CODES)
    finally:
        torch.set_num_threads(before)
    np.testing.assert_allclose(apart, together, atol=1e-6)
    assert apart.shape == (3, 1, 48, 48)


@pytest.mark.parametrize(
    ("cores", "side", "batch", "lanes"),
    [
        (2, 512, 4, Lanes(1, 2, 1)),
        (16, 512, 4, Lanes(1, 4, 4)),
        (16, 512, 1, Lanes(1)),
        (1, 512, 4, Lanes(4)),
        (8, 128, 4, Lanes(4)),  # small windows are quicker together
    ],
)
def test_cores_are_shared_out_between_large_windows(cores, side, batch, lanes, monkeypatch):
    monkeypatch.setattr(torch, "get_num_threads", lambda: cores)
    assert TorchBackend.on(HERE, network(), InputLayer(SPEC)).lanes(side, batch) == lanes


def test_arithmetic_is_float32_unless_told_otherwise():
    exact = TorchBackend.on(HERE, network(), InputLayer(SPEC), "auto")
    coarse = TorchBackend.on(HERE, network(), InputLayer(SPEC), "bf16-mixed")
    assert (exact.autocast, coarse.autocast) == (None, torch.bfloat16)
    apart = np.abs(exact.logits(CODES) - coarse.logits(CODES)).max()
    assert 1e-5 < apart < 0.05
    assert coarse.logits(CODES).dtype == np.float32
    np.testing.assert_array_equal(model_of(coarse).exact_logits(CODES), exact.logits(CODES))
    with pytest.raises(UserError, match="--precision: 16-mixed needs a CUDA device"):
        TorchBackend.on(HERE, network(), InputLayer(SPEC), "16-mixed")


@pytest.mark.parametrize("channels", [1, 3])
def test_the_sigmoid_of_tensors_is_that_of_arrays(channels):
    logits = np.random.default_rng(1).normal(0, 30, (2, channels, 9, 9)).astype(np.float32)
    np.testing.assert_allclose(activation(torch.from_numpy(logits)).numpy(), activation(logits), rtol=2e-6, atol=1e-30)


def test_probabilities_are_the_sigmoid_of_the_logits():
    model = model_of(TorchBackend.on(HERE, network(), InputLayer(SPEC)))
    np.testing.assert_allclose(model.probabilities(CODES), activation(model.backend.logits(CODES)), rtol=2e-6)


def test_onnx_runtime_runs_where_it_can():
    both = ["TensorrtExecutionProvider", CUDA, CPU]
    assert providers(None, [CPU]) == providers("auto", [CPU]) == providers("cpu", both) == [CPU]
    assert providers("auto", both) == providers("cuda", both) == providers("0", both) == [(CUDA, {"device_id": 0}), CPU]
    assert providers("cuda:1", both)[0] == (CUDA, {"device_id": 1})
    with pytest.raises(UserError, match="--device: the ONNX Runtime installed here runs on the CPU, not on cuda:1"):
        providers("cuda:1", [CPU])
    with pytest.raises(UserError, match="--device: there is no tpu"):
        providers("tpu", both)


@pytest.mark.parametrize(("kind", "size", "expected"), [("tile", 64, 32), ("pad", 32, 32), ("resize", 96, 64)])
def test_the_stride_of_a_fitted_network(kind, size, expected):
    """A patch of 64 pixels that the network sees in 96 must move by 64 for its image to move by a multiple of 32."""
    found = Fit(kind, size, 64, 0.0).stride(32)
    assert found == expected
    if kind == "resize":
        assert found * size / 64 % 32 == 0


@pytest.mark.gpu
@pytest.mark.skipif(not torch.cuda.is_available(), reason="no CUDA device")
def test_a_device_says_what_the_cpu_says():
    device = torch.device("cuda:0")
    expected = TorchBackend.on(HERE, network(), InputLayer(SPEC)).logits(CODES)
    exact = TorchBackend.on(device, network(), InputLayer(SPEC), "32")
    np.testing.assert_allclose(exact.logits(CODES), expected, atol=1e-3)  # TF32
    usual = TorchBackend.on(device, network(), InputLayer(SPEC))
    assert np.abs(usual.logits(CODES) - expected).max() < 0.05
    assert usual.lanes(512, 4) == Lanes(4, 2)
