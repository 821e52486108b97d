"""A small untrained model on the bundled scenes' bands: maps need weights, not good ones."""

from pathlib import Path

import pytest
import torch

from darts_train.models.factory import create_network
from darts_train.models.input_spec import InputSpecification
from darts_train.models.model_file import make_model_config, save_model_file
from darts_train.raster.band import Band

BANDS = tuple(
    Band(name, 1e-4, 0.0, 0.0, 1.0, optical=True) for name in ("blue", "green", "red", "nir", "swir16", "swir22")
)
SIDE = 64


def write_model(path: Path, classes: tuple[str, ...], bands: tuple[Band, ...] = BANDS) -> Path:
    torch.manual_seed(0)
    network = create_network("Unet", "resnet18", None, len(bands), len(classes)).eval()
    spec = InputSpecification(bands, 0.0)
    settings = {"scale": 1e-4}
    config = make_model_config("Unet", "resnet18", None, spec, classes, SIDE, 255, settings=settings)
    save_model_file(path, config, network.state_dict())
    return path


@pytest.fixture(scope="session")
def model_file(tmp_path_factory) -> Path:
    return write_model(tmp_path_factory.mktemp("model") / "cloud.ckpt", ("background", "cloud"))


@pytest.fixture(scope="session")
def five_classes(tmp_path_factory) -> Path:
    return write_model(tmp_path_factory.mktemp("model") / "five.ckpt", ("land", "shadow", "water", "snow", "cloud"))
