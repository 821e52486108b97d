"""What limits a training: judged from rates, and measured on a real set for a moment."""

import pytest
import torch

from darts_train.base.errors import UserError
from darts_train.experiments.bench import bench
from darts_train.experiments.bench_result import BenchResult
from darts_train.options.learning import Data, Device, Run, Split
from darts_train.options.tools import Bench
from darts_train.training.bare import BareSteps
from tests.support.runs import hyperparameters, training
from tests.support.sets import make_set


def result(network, loader, together, **changes):
    given = {"batch_size": 8, "device": "cuda:0", "precision": "32", "cache": None, "threads": 2, "cores": 4}
    return BenchResult(network=network, loader=loader, together=together, **(given | changes))


@pytest.mark.parametrize(
    ("rates", "changes", "limit", "advice"),
    [
        ((100, 500, 95), {}, "network", "--batch-size"),
        ((100, 500, 95), {"device": "cpu"}, "network", "--model-encoder"),
        ((100, 50, 45), {}, "loader", "--num-workers 4"),
        ((100, 50, 45), {"threads": 4}, "loader", "--cache device"),
        ((100, 50, 45), {"cache": "memory", "threads": 0}, "loader", "--cache device"),
        ((100, 150, 60), {"device": "cpu"}, "cores", "--cache memory"),
        ((100, 150, 60), {"device": "cpu", "cache": "memory", "threads": 0}, "cores", "OMP_NUM_THREADS"),
    ],
)
def test_what_limits_and_what_to_change(rates, changes, limit, advice):
    found = result(*rates, **changes)
    assert found.limit == limit
    assert advice in found.advice[0]
    assert found.to_dict()["limit"] == limit
    assert advice in found.summary()


@pytest.fixture(scope="module")
def root(tmp_path_factory):
    path = tmp_path_factory.mktemp("sets") / "set"
    make_set(path, patches=16, size=32)
    return path


def measured(root, h=None, t=None):
    torch.set_num_threads(1)
    return bench(
        Data(train_data_dir=root),
        Split(),
        hyperparameters(**(h or {})),
        training(**(t or {})),
        Run(),
        Device(device="cpu"),
        Bench(bench_seconds=0.05),
    )


def test_a_set_is_measured_and_nothing_is_left(root, tmp_path):
    files, state = sorted(root.rglob("*")), torch.random.get_rng_state()
    found = measured(root, t={"cache": str(tmp_path / "cache"), "num_workers": 1})
    assert min(found.network, found.loader, found.together) > 0
    assert found.together < 2 * min(found.network, found.loader)
    assert (found.device, found.precision, found.batch_size, found.cache) == ("cpu", "32", 4, None)
    assert sorted(root.rglob("*")) == files
    assert not list(tmp_path.iterdir())
    assert torch.equal(torch.random.get_rng_state(), state)


def test_patches_in_memory_are_measured_in_bfloat16(root):
    found = measured(root, t={"cache": "memory", "precision": "bf16-mixed"}, h={"accumulate_grad_batches": 2})
    assert (found.cache, found.threads, found.precision) == ("memory", 0, "bf16-mixed")


def test_too_little_memory_is_said_in_one_line(root, monkeypatch):
    def full(self, batch):
        raise torch.OutOfMemoryError("CUDA out of memory.")

    monkeypatch.setattr(BareSteps, "__call__", full)
    with pytest.raises(UserError, match="--batch-size 4"):
        measured(root)
