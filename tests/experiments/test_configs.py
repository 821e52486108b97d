"""The shipped example, and the guide's own, are read by the commands they are for."""

from pathlib import Path

import pytest

import darts_train.cli.main  # noqa: F401  (declares the commands)
from darts_train.cli.config_file import read_options
from darts_train.cli.registry import options_for
from darts_train.experiments.database.storage import database_url
from darts_train.experiments.searching.sampling import point
from darts_train.experiments.settings import Settings
from darts_train.experiments.space.densities import Beta, LogNormal, Normal
from darts_train.experiments.space.hyperparameters import read_hyperparameters
from darts_train.experiments.space.parameters import (
    Choice,
    Constant,
    IntUniform,
    LogUniform,
    QUniform,
    ReversedLogUniform,
    Uniform,
)
from darts_train.experiments.space.wandb import parse_wandb_sweep, read_wandb_sweep
from darts_train.models.arguments import parse_options
from darts_train.options.learning import Data, Hyperparameters, Split, Training
from darts_train.options.searching import Sweep
from darts_train.training.augmentation.text import parse_steps
from darts_train.training.losses.terms import parse_terms

from .test_search_space import EXAMPLE, SWEEP_YAML

CONFIGS = Path(__file__).parents[2] / "configs"
# The guide's sweep configuration: its keys, under its headings.
GUIDE_TOML = """\
[darts.wandb]
wandb-project = "darts"
wandb-entity = "your-wandb-username"

[darts.sweep]
n-trials = 100
sweep-db = "postgresql://pguser@localhost:5432/sweeps"
n_folds = 3
n_randoms = 3
sweep-id = "sweep-cv-large-planet"

[darts.training]
num-workers = 16
max-epochs = 60
log-every-n-steps = 100
check-val-every-n-epoch = 5
plot-every-n-val-epochs = 4 # == 20 epochs
early-stopping-patience = 0

[darts.hyperparameters]
batch-size = 6
augment = true

[darts.training_preprocess]
ee-project = "your-ee-project"
tpi-outer-radius = 100
tpi-inner-radius = 0
bands = [
    'blue',
    'green',
    'red',
    'nir',
    'ndvi',
    'tc_brightness',
    'tc_greenness',
    'tc_wetness',
    'relative_elevation',
    'slope',
]
patch-size = 896
overlap = 0 # increase to 64 if exclude-nan = True
exclude-nopositive = false
exclude-nan = false
test-val-split = 0.05
test-regions = ['Taymyrsky Dolgano-Nenetsky District']

[darts.paths]
data-dir = "/large-storage/planet_data"
labels-dir = "../ML_training_labels/retrogressive_thaw_slumps" # (1)
arcticdem-dir = "/large-storage/darts-nextgen/data/datacubes/arcticdem"
tcvis-dir = "/large-storage/darts-nextgen/data/datacubes/tcvis"
admin-dir = "/large-storage/darts-nextgen/data/aux/admin"
train-data-dir = "/fast-storage/darts-nextgen/data/training/planet_native_tcvis_896_partial" # (2)
preprocess-cache = "/large-storage/darts-nextgen/data/cache"
sweep-config = "configs/planet-tcvis-sweep.yaml"
artifact-dir = "/large-storage/darts-nextgen/artifacts"
"""


def test_the_shipped_space_is_the_guides():
    shipped, guide = read_wandb_sweep(CONFIGS / "planet-tcvis-sweep.yaml"), _parse(SWEEP_YAML)
    assert dict(shipped.space.parameters) == EXAMPLE == dict(guide.space.parameters)
    assert (shipped.name, shipped.method, shipped.metric) == ("planet-tcvis-large", "random", "val/JaccardIndex")


def _parse(text):
    import yaml

    return parse_wandb_sweep(yaml.safe_load(text), "guide")


def test_the_shipped_configuration_has_nothing_unknown():
    for command in ("optuna-sweep-smp", "preprocess-planet-train-data"):
        values, warnings = read_options(CONFIGS / "planet-sweep-config.toml", command)
        assert [text for text in warnings if "unknown" in text] == []
        assert values["bands"] is not None


@pytest.mark.parametrize("shipped", [True, False])
def test_both_configurations_give_a_sweep_the_same_options(tmp_path, shipped):
    guide = tmp_path / "config.toml"
    guide.write_text(GUIDE_TOML)
    values, warnings = read_options(CONFIGS / "planet-sweep-config.toml" if shipped else guide, "optuna-sweep-smp")
    assert [text for text in warnings if "unknown" in text] == []
    known = {name: values[name] for name in values if name in options_for("optuna-sweep-smp")}
    sweep = Sweep(**{name: known[name] for name in ("sweep_config", "n_trials", "sweep_db", "sweep_id")})
    assert (sweep.n_trials, sweep.sweep_id) == (100, "sweep-cv-large-planet")
    assert database_url(sweep.sweep_db).database == "sweeps"
    assert (known["n_folds"], known["n_randoms"], known["batch_size"], known["max_epochs"]) == (3, 3, 6, 60)
    assert (known["early_stopping_patience"], known["num_workers"], known["augment"]) == (0, 16, True)


def test_the_examples_of_whole_spaces_are_read(caplog):
    space = read_hyperparameters(CONFIGS / "search-space.toml")
    sweep = read_wandb_sweep(CONFIGS / "search-space.yaml")
    assert (sweep.method, sweep.run_cap, sweep.early_terminate.min_iter) == ("tpe", 200, 3)
    kinds = {type(one) for found in (space, sweep.space) for one in found.parameters.values()}
    assert kinds == {
        Constant,
        Choice,
        IntUniform,
        Uniform,
        LogUniform,
        ReversedLogUniform,
        QUniform,
        LogNormal,
        Beta,
        Normal,
    }
    for found in (space, sweep.space):
        for number in range(8):
            settings = Settings(Data(train_data_dir="d"), Split(), Hyperparameters(), Training())
            network = settings.replace(point(found, number)).hyperparameters
            parse_options(network.model_options)
            parse_terms(network.loss, network.loss_options)
            parse_steps(network.augmentations or ())
    assert not caplog.records
