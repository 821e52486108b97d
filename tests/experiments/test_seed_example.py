"""The guide's configuration and its sweep file, as they are, through the command line; paths and sizes on top."""

import dataclasses
import functools
import logging

import pandas as pd
import pytest

from darts_train.cli.main import main
from darts_train.experiments import checks
from darts_train.experiments import sweep as sweep_module
from darts_train.experiments.database.storage import open_database, sqlite_url
from darts_train.experiments.fleet.hands import hands_of
from darts_train.experiments.searching.study import stored_search
from tests.support.sets import make_set

from .test_configs import GUIDE_TOML
from .test_search_space import EXAMPLE, SWEEP_YAML

BANDS = ("blue", "green", "red")


@pytest.fixture
def sweep(tmp_path, monkeypatch, capsys):
    """The command in a directory that holds both files; runs are no networks, and one point is looked at."""
    monkeypatch.chdir(tmp_path)
    hands = functools.partial(dataclasses.replace, function="tests.experiments.stub:execute")  # in its own process
    monkeypatch.setattr(sweep_module, "hands_of", lambda *asked: hands(hands_of(*asked)))
    monkeypatch.setattr(checks, "PROBED_POINTS", 1)
    monkeypatch.setattr(checks, "_check_names", lambda settings, space: None)
    (tmp_path / "configs").mkdir()
    (tmp_path / "configs/planet-sweep-config.toml").write_text(GUIDE_TOML)
    (tmp_path / "configs/planet-tcvis-sweep.yaml").write_text(SWEEP_YAML)
    make_set(tmp_path / "set", patches=12, size=32)

    def call(*further):
        code = main(
            ["optuna-sweep-smp", "--config-file", "configs/planet-sweep-config.toml", "--train-data-dir", "set",
             "--artifact-dir", "artifacts", "--sweep-db", "none", "--n-trials", "2", "--n-folds", "2",
             "--n-randoms", "1", *(part for band in BANDS for part in ("--bands", band)), *further]
        )  # fmt: skip
        said = capsys.readouterr()
        return code, said.out + said.err

    return call


def test_the_guides_files_run_as_they_are(sweep, tmp_path, caplog):
    with caplog.at_level(logging.WARNING, logger="darts"):
        code, said = sweep("--device", "cpu")
    assert code == 0, said
    # Its id does not exist yet: it is made, saying so; its metric is read as ours, said once.
    assert "there is no sweep sweep-cv-large-planet; it is made now" in said
    assert said.count("the metric val0/JaccardIndex is read as val/JaccardIndex") == 1
    stored = stored_search(
        open_database(sqlite_url(tmp_path / "artifacts/sweep-cv-large-planet/sweep.db")), "sweep-cv-large-planet"
    )
    assert stored.metrics == ("val/JaccardIndex",)
    assert dict(stored.space.parameters) == EXAMPLE
    assert (stored.facts["batch_size"], stored.facts["max_epochs"]) == (6, 60)
    assert stored.facts["early_stopping_patience"] == 0
    table = pd.read_parquet(tmp_path / "artifacts/sweep-cv-large-planet/sweep-cv-large-planet.parquet")
    assert len(table) == 4
    assert table["gamma"].eq(0.997).all()
    assert table["cv_name"].nunique() == 2


def test_without_an_id_the_sweep_has_the_files_name_and_the_command_line_counts_more(sweep, tmp_path):
    code, said = sweep("--sweep-id", "none", "--scoring-metric", "val/Recall")
    assert code == 0, said
    assert "val0" not in said.split("another runner joins with:")[0]
    stored = stored_search(
        open_database(sqlite_url(tmp_path / "artifacts/planet-tcvis-large/sweep.db")), "planet-tcvis-large"
    )
    assert stored.metrics == ("val/Recall",)
    assert "--sweep-id planet-tcvis-large" in said


def test_an_id_without_a_device_is_refused(sweep, tmp_path):
    code, said = sweep()
    assert code == 2
    assert "needs a --device" in said
    assert not (tmp_path / "artifacts").exists()
