"""What an encoder sees in a sample: its deepest features, averaged over the picture, over all patches.

The features are those before a classifier (the penultimate layer of one), not its classes. Each patch goes through the
shared input layer, scaled by its own 1st and 99th percentile, so that brightness and contrast drop out; named weights
want ImageNet's mean and spread after that. A model file of ours brings its own bands and ranges.
"""

import warnings
from pathlib import Path

import numpy as np
import torch
from torch import nn
from torch.nn import functional

from darts_train.base.errors import UserError, listing
from darts_train.base.progress import track
from darts_train.dataset.grouping.descriptor import unit_vectors
from darts_train.dataset.grouping.units import Units
from darts_train.dataset.reader import TrainData
from darts_train.models.factory import check_names
from darts_train.models.input_spec import InputLayer, InputSpecification
from darts_train.models.model_file import load_model_file
from darts_train.models.safetensors_file import SUFFIX, config_beside, read_weights
from darts_train.models.tensor_file import read_tensor_file
from darts_train.models.torch_device import torch_device
from darts_train.raster.band import NODATA

BATCH = 16  # patches
SIDE = 224  # pixels to which patches are resampled: what most encoders were trained with
MEAN, STD = (0.485, 0.456, 0.406), (0.229, 0.224, 0.225)  # of ImageNet
RGB = 3


class Embedder(nn.Module):
    """Patches int16 or float [n, c, h, w] → pooled features float32 [n, d]."""

    mean: torch.Tensor
    std: torch.Tensor

    def __init__(self, encoder: nn.Module, spec: InputSpecification, channels: int, natural: bool) -> None:
        super().__init__()
        self.encoder, self.input, self.channels = encoder.eval(), InputLayer(spec), channels
        numbers = (MEAN, STD) if natural else ((0.0,), (1.0,))
        for name, values in zip(("mean", "std"), numbers, strict=True):
            given = torch.tensor(values if len(values) == channels else [sum(values) / len(values)])
            self.register_buffer(name, given[:, None, None], persistent=False)

    @torch.inference_mode()
    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """Features; one band is shown as grey to an encoder of three."""
        picture = functional.interpolate(self.input(x), (SIDE, SIDE), mode="bilinear", antialias=True)
        picture = (picture - self.mean) / self.std
        if picture.shape[1] == 1 < self.channels:
            picture = picture.expand(-1, self.channels, -1, -1)
        pooled: torch.Tensor = self.encoder(picture)[-1].mean(dim=(-2, -1))
        return pooled.float()


def encoder_features(
    data: TrainData, units: Units, encoder: str, weights: str | None, device: str | None
) -> np.ndarray:
    """Features of all units, unit vectors float32 [n, d]: means over their patches, by their share of valid pixels.

    Patches of one value, or without data, count nothing; a unit that has no others is zeros.

    Args:
        data: the set, with the bands to look at.
        units: samples or patches.
        encoder: a name of segmentation-models-pytorch, `tu-` for those of timm.
        weights: a file of weights, a model file, or a name such as `imagenet`.
        device: as `--device`.

    Raises:
        UserError: no such encoder, weights or device, or they do not fit the encoder or the bands.
    """
    where = torch_device(device)
    embedder = _embedder(data, encoder, weights).to(where)
    sums: np.ndarray | None = None
    starts = range(0, len(data), BATCH)
    for start in track(starts, "embeddings", len(starts)):
        rows = np.arange(start, min(start + BATCH, len(data)))
        x, _ = data.read_many(rows, checked=False)
        given = torch.from_numpy(x.view(np.int16) if x.dtype == np.uint16 else x).to(where)
        features = embedder(given).cpu().numpy() * _told(x)[:, None]
        if sums is None:
            sums = np.zeros((len(units), features.shape[1]), np.float32)
        np.add.at(sums, units.of_patch[rows], features)
    assert sums is not None  # an opened set has patches
    return unit_vectors(sums)


def _told(x: np.ndarray) -> np.ndarray:
    """Share of valid pixels of each patch, 0 where no band has two values: float32 [n]."""
    valid = x != NODATA if x.dtype == np.uint16 else np.isfinite(x)
    low = np.where(valid, x, np.inf).min(axis=(2, 3))
    high = np.where(valid, x, -np.inf).max(axis=(2, 3))
    return np.where((high > low).any(axis=1), valid.mean(axis=(1, 2, 3)), 0).astype(np.float32)


def _embedder(data: TrainData, encoder: str, weights: str | None) -> Embedder:
    try:
        check_names("Unet", encoder)
    except UserError as error:
        raise UserError(str(error).replace("--model-encoder", "--embedding")) from None
    if weights is None:
        raise UserError(
            f"--embedding {encoder} needs --embedding-weights: a file, or imagenet; random weights see nothing."
        )
    own = InputSpecification(data.bands, 0.0, "sample-quantile")
    channels = RGB if len(data.bands) == 1 else len(data.bands)
    if not Path(weights).is_file():
        return Embedder(_named(encoder, channels, weights), own, channels, natural=True)
    file = Path(weights)
    if file.suffix == SUFFIX:
        content = {"statedict": None} if config_beside(file).is_file() else read_weights(file)
    else:
        content = read_tensor_file(file, "file of weights")
    if isinstance(content, dict) and ("statedict" in content or "hyper_parameters" in content):
        return _of_model_file(data, encoder, file)
    network = _plain(encoder, channels)
    _load(network, content, Path(weights))
    return Embedder(network, own, channels, natural=True)


def _named(encoder: str, channels: int, weights: str) -> nn.Module:
    from segmentation_models_pytorch.encoders import get_encoder

    if Path(weights).suffix or len(Path(weights).parts) > 1:
        raise UserError(f"--embedding-weights: {weights} does not exist.")
    if encoder.startswith("tu-") and weights != "imagenet":  # would be fetched under any name
        raise UserError(f"--embedding-weights: {weights} is no file, and {encoder} knows imagenet alone.")
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # of `tu-` encoders, whose weights have no name
            found: nn.Module = get_encoder(encoder, in_channels=channels, weights=weights)
    except Exception as error:  # the hub client raises its own, httpx's and requests' errors
        reason = str(error).strip("\"'").split("\n")[0].rstrip(".")
        raise UserError(
            f"--embedding-weights: {weights} of {encoder} is no file and cannot be had ({reason[:80]}). Weights are "
            f"fetched where there is a network: darts download-weights --model-encoder {encoder}."
        ) from None
    return found


def _plain(encoder: str, channels: int) -> nn.Module:
    from segmentation_models_pytorch.encoders import get_encoder

    found: nn.Module = get_encoder(encoder, in_channels=channels, weights=None)
    return found


def _of_model_file(data: TrainData, encoder: str, path: Path) -> Embedder:
    """The encoder of a trained network, which sees what it saw in training."""
    loaded = load_model_file(path)
    if loaded.encoder != encoder:
        raise UserError(f"--embedding-weights: {path} has the encoder {loaded.encoder}, not {encoder}.")
    names = tuple(band.name for band in data.bands)
    if names != loaded.spec.names:
        raise UserError(f"--embedding-weights: {path} is of the bands {listing(loaded.spec.names, 20)}; give --bands.")
    return Embedder(loaded.network.get_submodule("encoder"), loaded.spec, len(names), natural=False)


def _load(network: nn.Module, content: object, path: Path) -> None:
    """Weights of the encoder by name, as segmentation-models-pytorch or timm call them; a classifier's are left out."""
    given = content.get("state_dict", content) if isinstance(content, dict) else None
    if not isinstance(given, dict) or not all(torch.is_tensor(value) for value in given.values()):
        raise UserError(f"--embedding-weights: {path} holds no weights by name.")
    own = network.state_dict()
    known = {name.removeprefix(prefix): value for prefix in ("", "encoder.", "model.") for name, value in given.items()}
    found = {name: name if name in known else name.removeprefix("model.") for name in own}
    absent = [name for name in found.values() if name not in known]
    if absent:
        raise UserError(f"--embedding-weights: {path} is of another encoder; it lacks {listing(absent, 2)}.")
    state: dict[str, torch.Tensor] = {name: known[stored] for name, stored in found.items()}
    other = [name for name, value in state.items() if value.shape != own[name].shape]
    if other:
        raise UserError(
            f"--embedding-weights: {path} does not fit: {other[0]} is {tuple(state[other[0]].shape)} there and "
            f"{tuple(own[other[0]].shape)} here; are these the --bands it was trained with?"
        )
    network.load_state_dict(state)
