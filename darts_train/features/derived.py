"""Bands that a set does not hold, made of the codes that it does: `--derive-bands`.

What comes out are codes again, in the encoding that the band would have had if preprocessing had stored it. So whatever
looks at a patch, and the file of a model, need not know which of its bands were stored. The sources have been rounded
to their own codes by then, so a band can differ from its stored twin by what these steps make of it.

Here in NumPy, for processes without a device; `training/deriving.py` does the same where the network is.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from darts_train.base.errors import UserError, listing
from darts_train.features.known import check_units, encoding_of, index_of, needs_elevation, require_sources
from darts_train.features.spectral import Index
from darts_train.raster.band import Band
from darts_train.raster.encoding import decode, encode

OPTION = "--derive-bands"
Codes = npt.NDArray[np.uint16]


@dataclass(frozen=True)
class Derivation:
    """From the bands that are read to those of the network; plain values, so that processes can hand it on.

    Attributes:
        stored: bands of the codes that come in, in their order.
        bands: bands of the codes that go out.
        sources: of each of `bands` the places in `stored` of what it is made of, in the order of its formula.
        derived: of each whether it is computed; else it is its only source.
    """

    stored: tuple[Band, ...]
    bands: tuple[Band, ...]
    sources: tuple[tuple[int, ...], ...]
    derived: tuple[bool, ...]

    def __call__(self, codes: Codes) -> Codes:
        """Codes uint16 [..., c, h, w] of the stored bands → [..., k, h, w] of the network's; no data stays no data.

        Raises ValueError for another dtype or number of bands.
        """
        if codes.dtype != np.uint16 or codes.ndim < 3 or codes.shape[-3] != len(self.stored):
            raise ValueError(f"expected uint16 [..., {len(self.stored)}, h, w], got {codes.dtype} {codes.shape}")
        result = np.empty((*codes.shape[:-3], len(self.bands), *codes.shape[-2:]), np.uint16)
        patches = codes.reshape(-1, *codes.shape[-3:])
        for patch, found in zip(patches, result.reshape(-1, *result.shape[-3:]), strict=True):
            self.write(patch, found)
        return result

    def write(self, codes: Codes, out: Codes) -> None:
        """The bands of one patch [c, h, w] into `out` [k, h, w]. Needed bands are decoded once."""
        needed = sorted({place for _, places, _ in self.computed() for place in places})
        values = decode(codes[needed], [self.stored[place] for place in needed])
        by_place = dict(zip(needed, values, strict=True))
        for i, (places, derived) in enumerate(zip(self.sources, self.derived, strict=True)):
            if not derived:
                out[i] = codes[places[0]]
        for i, places, index in self.computed():
            found = index.of([by_place[place] for place in places], [self.stored[place] for place in places])
            out[i] = encode(found[None], [self.bands[i]])[0][0]

    def computed(self) -> list[tuple[int, tuple[int, ...], Index]]:
        """Of each computed band its place in `bands`, those of its sources in `stored`, and its formula."""
        return [
            (i, places, _index(band.name))
            for i, (band, places, derived) in enumerate(zip(self.bands, self.sources, self.derived, strict=True))
            if derived
        ]


def _index(name: str) -> Index:
    found = index_of(name)
    assert found is not None  # `derivation` has looked
    return found


def derivation(names: Sequence[str], derived: Sequence[str], available: Sequence[Band], where: str) -> Derivation:
    """How to make bands of the stored ones that a set has.

    Args:
        names: all bands that are wanted, in their order, stored and derived ones.
        derived: those of them that are to be computed.
        available: the set's bands; more of them may be read than are wanted, as sources.
        where: the set, for messages.

    Raises:
        UserError: a band is to be derived that is stored, is of the terrain, is unknown, is given twice, lacks a
            source, or needs reflectances where there are counts.
    """
    stored = {band.name: band for band in available}
    _check(derived, stored)
    sources = require_sources(names, tuple(stored), f"{OPTION}: {where}")
    for name in derived:
        bands = [stored[source] for source in sources[name]]
        check_units(name, bands, f"{OPTION}: {where}", "preprocess with --scale")
    read = tuple(band for band in available if any(band.name in needs for needs in sources.values()))
    places = {band.name: place for place, band in enumerate(read)}
    return Derivation(
        read,
        tuple(encoding_of(name) if name in derived else stored[name] for name in names),
        tuple(tuple(places[source] for source in sources[name]) for name in names),
        tuple(name in derived for name in names),
    )


def _check(derived: Sequence[str], stored: dict[str, Band]) -> None:
    lower = [name.lower() for name in derived]
    for name in derived:
        if name in stored:
            raise UserError(f"{OPTION}: {name} is stored in the set; choose it by --bands.")
        if needs_elevation(name):
            raise UserError(
                f"{OPTION}: {name} needs the ground around a patch, which a set does not hold; preprocess with it."
            )
        if lower.count(name.lower()) > 1:
            raise UserError(f"{OPTION}: a band is given twice: {listing(derived, 20)}.")
