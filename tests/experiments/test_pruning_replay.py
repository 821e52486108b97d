"""What the guide promises, on the recorded curves: the best configuration for a third of the epochs."""

import importlib.util
import statistics
from pathlib import Path

import numpy as np
import pytest

from darts_train.experiments.pruning.rule import PruningRule

BENCHMARK = Path(__file__).parents[2] / "benchmarks" / "pruning.py"


@pytest.fixture(scope="module")
def benchmark():
    spec = importlib.util.spec_from_file_location("benchmark_pruning", BENCHMARK)
    module = importlib.util.module_from_spec(spec)
    with pytest.MonkeyPatch.context() as patch:
        patch.setitem(__import__("sys").modules, spec.name, module)  # dataclasses look their module up
        spec.loader.exec_module(module)
        yield module


def test_a_third_of_the_epochs_is_enough(benchmark):
    table, epochs = benchmark.read_table()
    scores = benchmark.scores_of(table, epochs)
    best = max(scores, key=scores.get)
    error = benchmark.standard_error([run[-1] for run in table[best].values()])
    assert len(table) >= 64
    full = sum(len(run) for runs in table.values() for run in runs.values())
    orders = [np.random.default_rng(seed).permutation(list(table)).tolist() for seed in range(10)]
    found = [benchmark.replay(table, order, epochs, PruningRule(folds=True, epochs=True)) for order in orders]
    assert statistics.median(one.epochs for one in found) <= full / 3
    assert statistics.median(scores[best] - scores[one.chosen] for one in found) <= error


def test_without_rules_the_whole_is_trained(benchmark):
    table = {0: {0: [0.1, 0.2], 1: [0.2, 0.2]}, 1: {0: [0.5, 0.6], 1: [0.4]}, 2: {0: [0.3, 0.3], 1: [0.3, 0.3]}}
    searched = benchmark.replay(table, [0, 1, 2], 2, PruningRule(folds=False))
    assert (searched.epochs, searched.chosen) == (11, 2)  # 1 diverged on a fold, so it has no score
    assert set(benchmark.scores_of(table, 2)) == {0, 2}
