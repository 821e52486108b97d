"""Option groups: limits, defaults of the seed, one declaration for command line and notebook."""

import dataclasses
from pathlib import Path

import pytest

from darts_train.base.errors import UserError
from darts_train.options.learning import Data, Hyperparameters, Split, Training
from darts_train.options.preprocessing import SATELLITE_BANDS, Output, Parallel, Patches, Terrain
from darts_train.options.searching import Repeats, Scoring, Sweep, Tune


@pytest.mark.parametrize(
    ("make", "words"),
    [
        (lambda: Patches(patch_size=1), "--patch-size: 1 is below the least value, 2"),
        (lambda: Patches(patch_size=10**20), "--patch-size: 100000000000000000000 is above the greatest value, 16384"),
        (lambda: Terrain(tpi_outer_radius=1e308), "--tpi-outer-radius: 1e+308 is above the greatest value, 10000"),
        (lambda: Parallel(workers=10**20), "--workers"),
        (lambda: Patches(patch_size=64, stride=65), "--stride: 65 is above --patch-size, 64"),
        (
            lambda: Patches(patch_size=64, stride=32, overlap=16),
            "--stride 32 leaves an overlap of 32, but",
        ),
        (lambda: Patches(min_valid_fraction=1.5), "--min-valid-fraction: 1.5 is above"),
        (lambda: Hyperparameters(learning_rate=0.0), "--learning-rate: 0.0 must be greater than 0"),
        (lambda: Hyperparameters(learning_rate=float("nan")), "--learning-rate: nan is not a finite number"),
        (lambda: Training(save_top_k=-2), "--save-top-k"),
        (lambda: Split(total_folds=1), "--total-folds"),
        (lambda: Tune(n_trials=0), "--n-trials"),
    ],
)
def test_limits(make, words):
    with pytest.raises(UserError) as error:
        make()
    assert words in str(error.value)


def test_groups_are_frozen_and_keyword_only():
    with pytest.raises(dataclasses.FrozenInstanceError):
        Patches().overlap = 3  # type: ignore[misc]
    with pytest.raises(TypeError):
        Data(Path("x"))  # type: ignore[misc]


def test_defaults_are_those_of_the_reference_systems():
    assert dataclasses.asdict(Hyperparameters()) == {
        "model_arch": "Unet",
        "model_encoder": "dpn107",
        "model_encoder_weights": None,
        "model_options": None,
        "pad_to_stride": False,
        "resize_to": None,
        "augment": True,
        "augmentations": None,
        "augment_config": None,
        "mixup": 0.0,
        "cutmix": 0.0,
        "learning_rate": 1e-3,
        "gamma": 0.9,
        "focal_loss_alpha": None,
        "focal_loss_gamma": 2.0,
        "batch_size": 8,
        "loss": "focal",
        "loss_options": None,
        "class_weights": None,
        "optimizer": "adamw",
        "weight_decay": None,
        "decay_norms": True,
        "betas": "0.9,0.999",
        "momentum": 0.9,
        "layer_decay": 1.0,
        "unfreeze_at_epoch": 0,
        "lr_scheduler": "exponential",
        "lr_options": None,
        "accumulate_grad_batches": 1,
        "gradient_clip": 0.0,
        "ema_decay": 0.0,
        "swa_start_epoch": 0,
        "swa_lr": None,
    }
    assert Patches(patch_size=64, stride=48) == Patches(patch_size=64, overlap=16) == Patches(patch_size=64)
    assert Patches(patch_size=64, stride=64, overlap=0).shared == 0
    assert (Patches().patch_size, Patches().overlap, Patches().exclude_nan) == (1024, 16, True)
    assert (Terrain().tpi_outer_radius, Terrain().tpi_inner_radius) == (100, 0)
    assert (Training().max_epochs, Training().check_val_every_n_epoch, Training().early_stopping_patience) == (
        100,
        3,
        5,
    )
    assert (Tune().n_trials, Sweep().n_trials, Repeats().n_randoms) == (100, 10, 3)
    assert Scoring().scoring_metric == ("val/JaccardIndex", "val/Recall")
    assert len(SATELLITE_BANDS) == 10


def test_titles_are_headings():
    assert Output.title == "Output"
    from darts_train.options.searching import CrossValidation

    assert CrossValidation.title == "Cross validation"
