"""What the counts of a raster mean to a network, for programs that hand counts to a graph.

darts_train reads a raster as values (`v = count · scale + offset`), other programs hand its counts to the graph, times
one factor at most. So the bands of the model are told in counts, and the graph normalises these: the same straight
line, clipped alike. Bands that training computed must be in the raster, in their own unit.
"""

from dataclasses import dataclass, replace

from darts_train.base.errors import UserError, listing
from darts_train.base.log import logger
from darts_train.models.model_file import LoadedModel
from darts_train.options.sidecars import Sidecars

_log = logger("export")


@dataclass(frozen=True)
class Counts:
    """Value of one count and of count 0; the count of no data, or None; whether all bands 0 is no data."""

    scale: float = 1.0
    offset: float = 0.0
    nodata: float | None = None
    zero_is_nodata: bool = False

    @property
    def gaps(self) -> bool:
        """Whether a raster can say that there is no data."""
        return self.nodata is not None or self.zero_is_nodata


def counts_of(model: LoadedModel, options: Sidecars) -> Counts:
    """What counts mean: as the options say, else as in training, else that they are values."""
    source = {} if model.source.get("float_steps") else model.source  # else of codes, not of counts
    scale, offset, nodata = (_number(getattr(options, key), source.get(key)) for key in ("scale", "offset", "nodata"))
    zero = bool(model.source.get("zero_is_nodata")) and options.nodata is None
    return Counts(1.0 if scale is None else scale, offset or 0.0, nodata, zero)


def _number(said: float | None, trained: object) -> float | None:
    return float(trained) if said is None and isinstance(trained, int | float) else said


def require_counts(model: LoadedModel, option: str) -> None:
    """Raise UserError, before the work, where a graph cannot make what the network sees of a raster's counts."""
    if model.fit.kind == "resize":
        raise UserError(
            f"{option}: this model resamples patches, which a graph cannot; train it with --fit tile or pad."
        )
    stored = model.source.get("band_names")
    computed = [
        name for name in model.spec.names if name in model.derived or (isinstance(stored, list) and name not in stored)
    ]
    if computed:
        _log.warning(
            "%s: the program computes no bands; its raster must hold %s in the unit of training, as bands of it.",
            option,
            listing(computed),
        )


def in_counts(model: LoadedModel, counts: Counts, factor: float = 1.0) -> LoadedModel:
    """The model, its bands told in `count · factor`: what it calls their values is what the program hands over.

    Bands of light are scaled as `counts` says; those that training computed are in the unit of training.
    """
    stored = model.source.get("band_names")
    bands = []
    for band in model.spec.bands:
        own = band.name in model.derived or (isinstance(stored, list) and band.name not in stored)
        scale, offset = (1.0, 0.0) if own else (counts.scale, counts.offset)
        low, high = ((value - offset) / scale * factor for value in (band.low, band.high))
        bands.append(replace(band, scale=1.0, offset=0.0, low=low, high=high))
    return replace(model, spec=replace(model.spec, bands=tuple(bands)))
