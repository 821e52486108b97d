"""Small models and rasters for the tests of maps."""

from pathlib import Path

import numpy as np
import rasterio
import torch
from affine import Affine
from torch import nn

from darts_train.inference.models import MapModel
from darts_train.models.factory import create_network
from darts_train.models.input_spec import InputSpecification
from darts_train.models.model_file import make_model_config, save_model_file
from darts_train.raster.catalogue import CATALOGUE

BANDS = ("red", "green", "blue", "ndvi")
FILE_BANDS = ("blue", "green", "red", "nir")
UTM = "EPSG:32608"


def specification(fill: float = 0.0) -> InputSpecification:
    return InputSpecification.from_set([CATALOGUE[name] for name in BANDS], None, fill)


def write_model(path: Path, classes=("background", "slump"), patch_size: int = 64, **settings) -> Path:
    """A model file of a small network with random weights, trained (so it says) on counts of 1e-4."""
    torch.manual_seed(0)
    config = make_model_config(
        "Linknet", "tu-lcnet_035", None, specification(), classes, patch_size, 255, 0.5, {"scale": 1e-4, **settings}
    )
    network = create_network("Linknet", "tu-lcnet_035", None, len(BANDS), len(classes))
    nn.init.normal_(network.segmentation_head[0].weight, std=3.0)  # probabilities that differ from pixel to pixel
    with torch.no_grad():  # around one half, so that a map has many objects
        logits = network.eval()(torch.rand(1, len(BANDS), 128, 128))
        network.segmentation_head[0].bias -= logits.median(dim=-1).values.median(dim=-1).values[0]
    save_model_file(path, config, network.state_dict())
    return path


def write_scene(path: Path, height: int = 100, width: int = 150, crs: str | None = UTM, hole: bool = True) -> Path:
    """A raster of four bands of counts; the upper left 20 × 30 pixels have no data where `hole`."""
    rng = np.random.default_rng(7)
    counts = rng.integers(300, 4000, (len(FILE_BANDS), height, width), np.uint16)
    if hole:
        counts[:, :20, :30] = 0
    degrees = crs == "EPSG:4326"
    step = 1e-4 if degrees else 3.0
    transform = Affine(step, 0, -135.0 if degrees else 500000, 0, -step, 69.0 if degrees else 7600000)
    profile = {"driver": "GTiff", "width": width, "height": height, "count": len(FILE_BANDS), "dtype": "uint16"}
    place = {"crs": crs, "transform": transform} if crs else {}
    with rasterio.open(path, "w", nodata=0, **profile, **place) as dataset:
        dataset.write(counts)
        for i, name in enumerate(FILE_BANDS):
            dataset.set_band_description(i + 1, name)
    return path


class PointBackend:
    """A network that looks at one pixel at a time (a 1 × 1 convolution): no window can matter to it."""

    def __init__(self, spec: InputSpecification, channels: int) -> None:
        self.spec = spec
        self.weights = np.random.default_rng(3).normal(0, 2, (channels, len(spec.bands))).astype(np.float32)
        self.seen: list[np.ndarray] = []

    def logits(self, codes: np.ndarray) -> np.ndarray:
        self.seen.append(codes.copy())
        return np.einsum("kc,nchw->nkhw", self.weights, self.spec.normalise(codes)).astype(np.float32)


def point_model(classes=("background", "slump"), patch_size: int = 32) -> MapModel:
    spec = specification()
    backend = PointBackend(spec, 1 if len(classes) == 2 else len(classes))
    return MapModel(Path("point"), backend, spec, tuple(classes), 0.5, patch_size, {"scale": 1e-4})
