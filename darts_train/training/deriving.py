"""`--derive-bands` on the device: codes of the stored bands become codes of the network's bands, before all else.

    stored codes ── derive ──▶ codes ── decode, normalise ──▶ augment ──▶ network

As at preprocessing, formulas are of physical values, in float64, before any augmentation, and what they give is
rounded to codes: NumPy (`features/derived.py`) and a device give the same codes, but where a function that is not
correctly rounded (a power, an exponential) falls on the edge between two. On a CPU it is NumPy itself that computes,
a patch after the other on each of torch's threads, since its rows stay in the cache.
"""

import functools
from collections.abc import Sequence

import numpy as np
import torch
from torch import Tensor, nn

from darts_train.base.errors import UserError, listing
from darts_train.base.log import logger
from darts_train.dataset.reader import TrainData
from darts_train.features.derived import OPTION, Derivation, derivation
from darts_train.features.spectral import Index, greatest_of
from darts_train.models.cpu_threads import one_by_one
from darts_train.models.input_spec import InputLayer, InputSpecification
from darts_train.options.learning import Data
from darts_train.raster.band import MAX_CODE, NODATA, Band

_WORTH_A_THREAD = 2**16  # pixels of a patch
_TOGETHER = 2**24  # pixels that a device works on at once: 128 MB for each step of a formula
_log = logger("training")


def open_sources(data: Data) -> tuple[TrainData, Derivation | None]:
    """The set with the bands that are to be read, and how the network's bands are made of them; None: they are these.

    Raises UserError as `TrainData.open`, where a band cannot be derived, and for a set of values without units.
    """
    opened = TrainData.open(data.train_data_dir, data.bands)
    if not data.derive_bands:
        return opened, None
    return deriving_from(opened, [*(band.name for band in opened.bands), *data.derive_bands], data.derive_bands)


def deriving_from(opened: TrainData, names: Sequence[str], derived: Sequence[str]) -> tuple[TrainData, Derivation]:
    """As `open_sources`, of an opened set: `names` are all bands of the network, `derived` those to be computed."""
    if not opened.encoded:
        raise UserError(f"{OPTION}: {opened.root} holds values without units, of which no index can be made.")
    made = derivation(names, derived, opened.config.bands, str(opened.root))
    return TrainData.open(opened.root, [band.name for band in made.stored]), made


class DeriveLayer(nn.Module):
    """Codes of the stored bands → codes of the network's, where the batch is. Has no weights."""

    def __init__(self, made: Derivation) -> None:
        super().__init__()
        self.made = made

    @torch.no_grad()
    def forward(self, codes: Tensor) -> Tensor:
        """int16 [n, k, h, w] of int16 (or uint16) [n, c, h, w]; no data stays -1. Raises ValueError for another dtype.

        Never in less than float64, whatever precision the network has.
        """
        if codes.dtype == torch.uint16:
            codes = codes.view(torch.int16)
        if codes.dtype != torch.int16:
            raise ValueError(f"codes are int16 or uint16, not {codes.dtype}")
        if codes.device.type == "cpu":
            return self._on_cpu(codes)
        if not runs_on(self.made, codes.device):
            return self._on_cpu(codes.cpu()).to(codes.device)
        out = codes.new_empty((len(codes), len(self.made.bands), *codes.shape[-2:]))
        together = max(_TOGETHER // max(codes.shape[-1] * codes.shape[-2], 1), 1)
        for first in range(0, len(codes), together):
            part = slice(first, first + together)
            derive_on_device(self.made, codes[part], out[part])
        return out

    def _on_cpu(self, codes: Tensor) -> Tensor:
        stored = codes.contiguous().numpy().view(np.uint16)
        out = np.empty((len(stored), len(self.made.bands), *stored.shape[-2:]), np.uint16)
        pairs = list(zip(stored, out, strict=True))
        one_by_one(lambda pair: self.made.write(*pair), pairs, stored[:1, 0].size >= _WORTH_A_THREAD)
        return torch.from_numpy(out.view(np.int16))


class StoredInputLayer(InputLayer):
    """Codes of the stored bands → what the network sees of its own."""

    def __init__(self, spec: InputSpecification, marked: bool, derive: DeriveLayer) -> None:
        super().__init__(spec, marked)
        self.derive = derive

    def forward(self, x: Tensor, bands: slice = slice(None), out: Tensor | None = None) -> Tensor:
        """See `InputLayer.forward`; all bands at once."""
        return super().forward(self.derive(x), bands, out)


def input_layer(spec: InputSpecification, marked: bool = False, made: Derivation | None = None) -> InputLayer:
    """The layer for batches of the stored bands."""
    return InputLayer(spec, marked) if made is None else StoredInputLayer(spec, marked, DeriveLayer(made))


def derive_on_device(made: Derivation, codes: Tensor, out: Tensor) -> None:
    """`Derivation.__call__` in torch: int16 [n, c, h, w] into `out` int16 [n, k, h, w], on any device."""
    values = {
        place: _decoded(codes[:, place], made.stored[place])
        for place in sorted({place for _, places, _ in made.computed() for place in places})
    }
    for i, (places, derived) in enumerate(zip(made.sources, made.derived, strict=True)):
        if not derived:
            out[:, i] = codes[:, places[0]]
    for i, places, index in made.computed():
        limits = greatest_of([made.stored[place] for place in places])
        parts = [
            values[place] if limit is None else values[place].clamp(0.0, limit)
            for place, limit in zip(places, limits, strict=True)
        ]
        out[:, i] = _encoded(index.formula(*parts), made.bands[i])


def _decoded(codes: Tensor, band: Band) -> Tensor:
    """Values float64, rounded to float32 as `raster.encoding.decode` gives them; NaN where there is no data."""
    whole = codes.to(torch.int32) & 0xFFFF
    values = (whole.to(torch.float64) * band.scale + band.offset).to(torch.float32).to(torch.float64)
    return values.masked_fill_(whole == NODATA, torch.nan)


def _encoded(values: Tensor, band: Band) -> Tensor:
    """Codes int16 of an index float64, as `Index.of` and `raster.encoding.encode` make them."""
    exact = (values.to(torch.float32).to(torch.float64) - band.offset) / band.scale
    codes = exact.round_().clamp_(0, MAX_CODE)
    return codes.masked_fill_(~values.isfinite(), NODATA).to(torch.int32).to(torch.int16)


@functools.lru_cache(maxsize=64)
def runs_on(made: Derivation, device: torch.device) -> bool:
    """Whether all formulas can be computed on a device: asked with a few numbers. Says in a warning which cannot."""
    lacking = [made.bands[i].name for i, _, index in made.computed() if not _computes(index, device)]
    if lacking:
        _log.warning("%s: %s can be computed on the CPU alone, which takes time.", OPTION, listing(lacking))
    return not lacking


def _computes(index: Index, device: torch.device) -> bool:
    try:
        found = index.formula(*(torch.ones(2, dtype=torch.float64, device=device) for _ in index.bands))
    except Exception:  # whatever a formula does that is NumPy's alone
        return False
    return isinstance(found, Tensor) and (found.shape, found.dtype, found.device.type) == (
        (2,), torch.float64, device.type,
    )  # fmt: skip
