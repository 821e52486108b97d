import pytest
import torch

from darts_train.base.errors import UserError
from darts_train.training.hardware.devices import arithmetic, resolve_device, resolve_precision
from darts_train.training.seeds import mixed_seed

CPU = torch.device("cpu")


def test_the_cpu_is_one_device():
    assert resolve_device("cpu") == ("cpu", 1)


def test_a_device_that_is_not_there_is_refused_with_those_that_are():
    with pytest.raises(UserError, match="cpu"):
        resolve_device("cuda:97")


@pytest.mark.parametrize(("amx", "found"), [(True, "bf16-mixed"), (False, "32")])
def test_auto_takes_what_the_cpu_is_quicker_with(amx, found, monkeypatch):
    monkeypatch.setattr(torch.cpu, "_is_amx_tile_supported", lambda: amx)
    monkeypatch.setattr(torch.cpu, "_is_avx512_bf16_supported", lambda: True)
    assert resolve_precision("auto", CPU) == found


def test_precision_on_the_cpu():
    assert resolve_precision("32", CPU) == "32"
    assert resolve_precision("bf16-mixed", CPU) == "bf16-mixed"
    with pytest.raises(UserError, match="needs a CUDA device"):
        resolve_precision("16-mixed", CPU)


def test_the_cpu_is_deterministic_only_while_training():
    before = torch.are_deterministic_algorithms_enabled()
    with arithmetic(CPU):
        assert torch.are_deterministic_algorithms_enabled()
    assert torch.are_deterministic_algorithms_enabled() == before


def test_settings_come_back_after_an_error():
    with pytest.raises(ValueError, match="stop"), arithmetic(CPU):
        raise ValueError("stop")
    assert not torch.are_deterministic_algorithms_enabled()


def test_seeds_of_neighbours_are_unrelated():
    seeds = {mixed_seed(seed, stream, n) for seed in range(20) for stream in ("a", "b") for n in range(20)}
    assert len(seeds) == 800
    assert all(0 <= seed < 2**63 for seed in seeds)
