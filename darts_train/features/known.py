"""Which bands can be computed, and what each needs: answers from names alone, before anything is opened."""

from collections.abc import Collection, Sequence

from darts_train.base.errors import UserError, listing, nearest
from darts_train.features import spectral_catalogue
from darts_train.features.spectral import INDICES, Index, needs_reflectance
from darts_train.raster.band import Band
from darts_train.raster.catalogue import CATALOGUE, is_reflectance

DEM = "dem"
TERRAIN = ("slope", "aspect", "curvature", "tri", "vrm", "dissection")  # names alone: `terrain_bands.py` needs rasterio
COMPUTED = (*INDICES, "relative_elevation", "hillshade", *TERRAIN)  # and all indices of spyndex
_ELEVATION = (DEM, *(name for name in COMPUTED if name not in INDICES))


def needs_elevation(name: str) -> bool:
    """Whether a band is the elevation or is computed from it."""
    return name in _ELEVATION


def index_of(name: str) -> Index | None:
    """The index of that name, capitals aside: ours first, then spyndex's (imported then); None where it is neither."""
    if needs_elevation(name):
        return None
    return INDICES.get(name.lower()) or spectral_catalogue.find(name)


def encoding_of(name: str) -> Band:
    """The encoding of a computed band, which must be one: the catalogue's, or by the formula of the index."""
    known = CATALOGUE.get(name.lower())
    if known is None:
        return spectral_catalogue.encoding(name)
    return Band(name, known.scale, known.offset, known.low, known.high)


def sources_of(names: Sequence[str], available: Collection[str]) -> dict[str, tuple[str, ...]]:
    """Which source bands each wanted band is made of; itself where it is available.

    Where two names mean the same light (rededge, rededge071), the available one is said. Raises UserError, with the
    nearest names, for a band that is neither available nor computable.
    """
    found: dict[str, tuple[str, ...]] = {}
    for name in names:
        if name in available:
            found[name] = (name,)
        elif needs_elevation(name):
            found[name] = (DEM,)
        else:
            index = index_of(name)
            if index is None:
                raise UserError(_unknown(name, available))
            found[name] = tuple(spectral_catalogue.source_of(need, available) for need in index.bands)
    return found


def require_sources(names: Sequence[str], available: Collection[str], where: str) -> dict[str, tuple[str, ...]]:
    """`sources_of`, and a UserError that begins with `where` and names every band that is missing, and for what."""
    try:
        sources = sources_of(names, available)
    except UserError as error:
        raise UserError(f"{where}: {error}") from None
    lacking = {name: [need for need in needs if need not in available] for name, needs in sources.items()}
    wants = [f"band {name} needs {' and '.join(needs)}" for name, needs in lacking.items() if needs]
    if wants:
        missing = list(dict.fromkeys(need for needs in lacking.values() for need in needs))
        total = f" In total {', '.join(missing)} are missing." if len(wants) > 1 and len(missing) > 1 else ""
        raise UserError(f"{where}: {listing(wants)}, which it has not.{total}")
    return sources


def check_units(name: str, bands: Sequence[Band], where: str, remedy: str = "give --scale") -> None:
    """Raise UserError, beginning with `where`, where an index needs reflectances and its source bands hold counts."""
    counts = [band.name for band in bands if band.optical and not is_reflectance(band)]
    index = index_of(name)
    if counts and index is not None and needs_reflectance(index):
        raise UserError(f"{where}: band {name} needs reflectances, but has counts of {listing(counts)}; {remedy}.")


def closest(name: str, available: Collection[str]) -> str:
    """End of a message about an unknown band: the nearest names here, and the nearest index of spyndex."""
    bare = name.lower()
    theirs = nearest(bare, [other for other in spectral_catalogue.names() if other not in COMPUTED], 1)
    return (nearest(bare, available) or nearest(bare, COMPUTED)) + theirs.replace("nearest:", "nearest of spyndex:")


def _unknown(name: str, available: Collection[str]) -> str:
    return (
        f"no band {name}; it has {listing(available, 12)}, and computed can be {listing(COMPUTED, 6)}"
        f" and the indices of spyndex{closest(name, available)}."
    )
