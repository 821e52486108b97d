"""A compiled network learns what it learns otherwise, its checkpoints do not know, and what cannot be is refused."""

import pytest
import torch

from darts_train.base.errors import UserError
from darts_train.training.fit import explained
from darts_train.training.hardware import compiling
from darts_train.training.hardware.compiling import check_compiling
from darts_train.training.module import TrainingError
from darts_train.training.optimising.averaging import TRAINED
from tests.support.runs import run, training
from tests.support.sets import make_set

CPU = torch.device("cpu")


@pytest.fixture(autouse=True)
def cheap(monkeypatch):
    """The network is traced and taken apart as for any backend, and then run as it is: no code is made."""
    monkeypatch.setattr(compiling, "BACKEND", "eager")
    compiling._obstacle.cache_clear()


def test_a_compiled_run_learns_the_same_and_its_checkpoint_does_not_know(tmp_path):
    make_set(tmp_path / "set", patches=8, size=32)
    shallow = {"model_encoder": "resnet18", "model_options": ("encoder_depth=2",)}  # fewer layers to take apart
    options = {"h": {"batch_size": 2, "ema_decay": 0.9, **shallow}, "t": {"max_epochs": 1}}
    plain = run(tmp_path / "set", tmp_path / "plain", **options)
    found = run(tmp_path / "set", tmp_path / "run", h=options["h"], t=options["t"] | {"compile": True})
    ours, theirs = (torch.load(result.best_checkpoint, weights_only=True) for result in (found, plain))
    for part in ("state_dict", TRAINED):
        assert ours[part].keys() == theirs[part].keys()
        for name, value in ours[part].items():
            torch.testing.assert_close(value, theirs[part][name], rtol=1e-3, atol=1e-4)


def test_where_nothing_can_be_compiled_it_is_said_before_the_training(monkeypatch, tmp_path):
    def missing(*args, **settings):
        raise RuntimeError("No working C++ compiler found\nin three places")

    monkeypatch.setattr(compiling.torch, "compile", missing)
    make_set(tmp_path / "set", patches=8, size=32)
    with pytest.raises(UserError, match=r"\(No working C\+\+ compiler found\); it needs a C\+\+ compiler"):
        run(tmp_path / "set", tmp_path / "run", t={"compile": True})
    assert not (tmp_path / "run").exists()


def test_what_excludes_each_other_is_refused():
    check_compiling(training(gradient_checkpointing=True), CPU)
    with pytest.raises(UserError, match="--compile and --gradient-checkpointing"):
        check_compiling(training(gradient_checkpointing=True, compile=True), CPU)


def test_a_network_that_torch_cannot_compile_is_said_in_one_line():
    error = torch._dynamo.exc.Unsupported("data dependent\nwith a long story")
    found = explained(error, 4)
    assert isinstance(found, TrainingError)
    assert str(found) == "--compile: torch cannot compile this network (data dependent); leave it out."


@pytest.mark.slow
def test_code_is_made_where_there_is_a_compiler(monkeypatch):
    from torch._inductor import config

    monkeypatch.setattr(config, "cpp_cache_precompile_headers", False)  # a second compilation would repay them
    monkeypatch.setattr(compiling, "BACKEND", "inductor")
    network = torch.nn.Sequential(torch.nn.Conv2d(2, 4, 3), torch.nn.BatchNorm2d(4))
    x = torch.rand(2, 2, 8, 8)
    try:
        found = compiling.compiled(network)(x)
    except Exception as error:
        if "compiler" not in str(error):
            raise
        pytest.skip("no compiler")
    torch.testing.assert_close(found, network(x))
