"""Stand-in train data that fit a shipped preset: its bands and classes, and the columns it splits and weighs by."""

from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from darts_train.cli import main as _main  # noqa: F401  (declares the commands)
from darts_train.cli.config_file import read_options
from darts_train.dataset.added_columns import add_columns
from darts_train.dataset.schema import SceneRecord, Tile
from darts_train.dataset.set_config import SetConfig
from darts_train.dataset.writer import TrainDataWriter
from darts_train.options.preprocessing import SATELLITE_BANDS
from darts_train.options.presets import FILES
from darts_train.raster.band import Band
from darts_train.raster.catalogue import CATALOGUE
from tests.support.sets import make_patch, make_row

CONFIGS = Path(__file__).parents[2] / "configs"
SHARES = ("qa_corrupted_pixels_pct", "water_pixels_pct", "dem_nan_pixels_pct", "dem_zero_pixels_pct")


def preset_values(name: str, command: str = "train-smp") -> dict[str, Any]:
    """Options of a preset by name; nothing in its file may be unknown."""
    values, complaints = read_options(CONFIGS / FILES[name], command)
    assert complaints == []
    return values


def stand_in(root: Path, name: str, patches: int, size: int) -> None:
    """Write a set for a preset: one scene, region and group for each patch; the first is val, the second test."""
    values = preset_values(name)
    names = values.get("bands") or values.get("band_names") or SATELLITE_BANDS
    bands = tuple(_band(band) for band in names)
    config = SetConfig(bands, size, tuple(values.get("classes") or ("background", "positive")), command="stand-in")
    rng = np.random.default_rng(0)
    with TrainDataWriter.open(root, config) as writer:
        for number in range(patches):
            x, y = make_patch(config, rng, positive=number % 3 != 2)
            place = {"sample_id": f"s{number:02d}", "region": f"r{number % 10}", "source": "stand-in"}
            row = make_row(config, y, patch_id=0, x=0, group=f"g{number}", **place)
            scene = SceneRecord(scene_id=place["sample_id"], patches=1, source="stand-in", region=place["region"])
            writer.commit(Tile(place["sample_id"], 0, [row], x[None], y[None], scene))
        writer.finalise()
    parts = np.array(["val", "test", *["train"] * (patches - 2)], object)
    add_columns(root, pd.DataFrame({"split": parts, **{column: rng.random(patches) for column in SHARES}}))


def _band(name: str) -> Band:
    light = CATALOGUE.get(name)
    return Band(name, 1e-4, -0.1, -0.1, 0.5, light is not None and light.optical)


def arguments(name: str, root: Path, **changes: Any) -> list[str]:
    """A call that trains a preset on its stand-in for two epochs of four patches, from scratch: nothing is fetched."""
    few = {"train_data_dir": root / "set", "artifact_dir": root / "artifacts", "model_encoder_weights": "none",
           "max_epochs": 2, "batch_size": 2, "accumulate_grad_batches": 1, "num_workers": 0, "precision": "auto",
           "samples_per_epoch": 4, "device": "cpu", "log_dir": root / "logs"}  # fmt: skip
    if "bands" not in preset_values(name):
        few["bands"] = "none"
    options = [f"--{key.replace('_', '-')}={value}" for key, value in (few | changes).items()]
    return ["train-smp", "--strict-config", "--config-file", str(CONFIGS / FILES[name]), *options]
