"""Figures of the guides are those that the code draws, and say what it computes."""

import importlib.util
from pathlib import Path

import pytest

from darts_train.figures.strategies import boundary
from darts_train.metrics.combine import combine

ROOT = Path(__file__).parents[2]
NAMES = ("arithmetic", "geometric", "harmonic", "min")


@pytest.fixture(scope="module")
def hooks():
    spec = importlib.util.spec_from_file_location("docs_hooks", ROOT / "docs" / "hooks.py")
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def test_the_figure_of_strategies_is_up_to_date(hooks):
    assert hooks.STRATEGIES.read_bytes() == hooks.strategies(), "python docs/hooks.py draws it"
    assert hooks.STRATEGIES.stat().st_size < 30_000


def test_the_table_beside_it_says_the_same(hooks):
    lines = (ROOT / "docs" / "guides" / "cross-validate.md").read_text().splitlines()
    for name in NAMES:
        (line,) = [line for line in lines if line.startswith(f"| `{name}`")]
        assert line.split("|")[2:5] == [f" {combine(run, name):.2f} " for run in hooks.RUNS]


@pytest.mark.parametrize("name", NAMES)
@pytest.mark.parametrize("level", [0.1, 0.5, 0.9])
def test_a_boundary_has_its_level(name, level):
    found = boundary(lambda x, y: combine((x, y), name), level)
    assert [x for x, _ in found] == sorted(x for x, _ in found)
    for x, y in found[1:]:
        assert combine((x, y), name) == pytest.approx(level, abs=1e-3) or y == 0.0 or name == "min"
        assert combine((x, y), name) >= level


def test_a_level_that_is_never_reached_has_no_boundary():
    assert boundary(lambda x, y: 0.2, 0.5) == []
