"""Small networks as model files, to be exported."""

from collections.abc import Sequence
from pathlib import Path

import torch

from darts_train.models.factory import create_network
from darts_train.models.input_spec import InputSpecification
from darts_train.models.model_file import make_model_config, save_model_file
from darts_train.raster.band import Band
from darts_train.raster.catalogue import CATALOGUE

BANDS = (CATALOGUE["red"], CATALOGUE["slope"])


def saved_model(
    path: Path,
    arch: str = "FCN",
    encoder: str = "dilated",
    classes: Sequence[str] = ("background", "slump"),
    bands: Sequence[Band] = BANDS,
    options=(),
    threshold: float = 0.4,
    settings=None,
    patch_size: int = 64,
    fit=None,
    spec: InputSpecification | None = None,
) -> Path:
    """A network with random weights, the same at every call, as a model file."""
    torch.manual_seed(0)
    spec = spec or InputSpecification.from_set(bands, "v1" if bands[0].optical else None, -1.0)
    options = tuple(options)
    source = settings or {"scale": 1e-4}
    config = make_model_config(
        arch, encoder, None, spec, classes, patch_size, 255, threshold, source, options, fit
    )  # fmt: skip
    network = create_network(arch, encoder, None, len(spec.bands), len(classes), options)
    save_model_file(path, config, network.state_dict())
    return path
