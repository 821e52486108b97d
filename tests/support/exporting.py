"""Small networks as model files, to be exported."""

import io
import warnings
from collections.abc import Sequence
from pathlib import Path

import onnx
import torch

from darts_train.export.graphs.comparison import sample_image
from darts_train.models.factory import create_network
from darts_train.models.input_spec import InputSpecification
from darts_train.models.model_file import make_model_config, save_model_file
from darts_train.raster.band import Band
from darts_train.raster.catalogue import CATALOGUE

BANDS = (CATALOGUE["red"], CATALOGUE["slope"])


def quick_build(model, opset: int, free: bool):
    """What `graphs.onnx.build` gives, by torch's older exporter: a tenth of the time, and enough for small networks."""
    target = io.BytesIO()
    axes = {0: "batch", 2: "height", 3: "width"} if free else {0: "batch"}
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        torch.onnx.export(
            model.network,
            (sample_image(model, (2, model.side, model.side)),),
            target,
            dynamo=False,
            opset_version=opset,
            input_names=["image"],
            output_names=["logits"],
            dynamic_axes={"image": axes, "logits": axes},
        )
    return onnx.load_from_string(target.getvalue())


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
    if arch == "FCN":
        _balance(network, len(spec.bands))
    save_model_file(path, config, network.state_dict())
    return path


def _balance(network, bands: int) -> None:
    """Logits of both signs, a few units wide: a map of one class would agree with everything."""
    with torch.no_grad():
        logits = network.eval()(torch.rand(1, bands, 32, 32))
        factor = 2 / logits.std()
        network.segmentation_head.weight.mul_(factor)
        network.segmentation_head.bias.mul_(factor).sub_(factor * logits.mean())
