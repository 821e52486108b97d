"""Which bands can be computed, and what each needs: answers from names alone, before anything is opened."""

from collections.abc import Collection, Mapping, Sequence

from darts_train.base.errors import UserError, listing, nearest
from darts_train.features import kelp, spectral_catalogue
from darts_train.features.encodings import spread_band
from darts_train.features.names import ALL_OF_PRODUCTION, OTHER_BANDS, is_only_of_kelp
from darts_train.features.spectral import BRIGHTEST, INDICES, Index, looks, needs_reflectance
from darts_train.raster.band import Band
from darts_train.raster.catalogue import CATALOGUE, is_reflectance

DEM = "dem"
TERRAIN = ("slope", "aspect", "curvature", "tri", "vrm", "dissection")  # names alone: `terrain_bands.py` needs rasterio
COMPUTED = (*INDICES, "relative_elevation", "hillshade", *TERRAIN)  # and all indices of spyndex
_ELEVATION = (DEM, *(name for name in COMPUTED if name not in INDICES))


def needs_elevation(name: str) -> bool:
    """Whether a band is the elevation or is computed from it."""
    return name in _ELEVATION


def index_of(name: str, raw: bool = False) -> Index | None:
    """The index of that name, capitals aside; None where there is none.

    Ours first, then those that only the kelp catalogue has, or that say `kelp:`, then spyndex's (imported then).
    `raw`: its bands are counts, which two formulas of the kelp catalogue divide.
    """
    if needs_elevation(name):
        return None
    if of_kelp(name):
        return kelp.find(name, raw)
    return INDICES.get(name.lower()) or spectral_catalogue.find(name)


def of_kelp(name: str) -> bool:
    """Whether a name means an index of the kelp catalogue."""
    return kelp.is_prefixed(name) or is_only_of_kelp(name)


def encoding_of(name: str, brightest: float | None = None) -> Band:
    """The encoding of a computed band, which must be one: the catalogue's, or by the formula of the index.

    `brightest` is the count up to which light reaches where an index is computed on counts.
    """
    if of_kelp(name):
        return kelp.encoding(name, brightest)
    known, own = CATALOGUE.get(name.lower()), INDICES.get(name.lower())
    if known is None:
        return spectral_catalogue.encoding(name, brightest or BRIGHTEST)
    if brightest is not None and own is not None and needs_reflectance(own):
        return spread_band(name, own.plain(*looks(own.bands, brightest)))
    return Band(name, known.scale, known.offset, known.low, known.high)


def sources_of(names: Sequence[str], available: Collection[str], dem: str = DEM) -> dict[str, tuple[str, ...]]:
    """Which source bands each wanted band is made of; itself where it is available.

    Where two names mean the same light (rededge, rededge071), the available one is said; elevation is `dem`. Raises
    UserError, with the nearest names, for a band that is neither available nor computable.
    """
    found: dict[str, tuple[str, ...]] = {}
    for name in names:
        if name in available:
            found[name] = (name,)
        elif needs_elevation(name):
            found[name] = (dem,)
        else:
            index = index_of(name)
            if index is None:
                raise UserError(_unknown(name, available))
            needs = (dem if need == DEM else need for need in index.bands)
            found[name] = tuple(spectral_catalogue.source_of(need, available) for need in needs)
    return found


def require_sources(
    names: Sequence[str], available: Collection[str], where: str, dem: str = DEM
) -> dict[str, tuple[str, ...]]:
    """`sources_of`, and a UserError that begins with `where` and names every band that is missing, and for what."""
    try:
        sources = sources_of(names, available, dem)
    except UserError as error:
        raise UserError(f"{where}: {error}") from None
    lacking = {name: [need for need in needs if need not in available] for name, needs in sources.items()}
    wants = [f"band {name} needs {' and '.join(needs)}" for name, needs in lacking.items() if needs]
    if wants:
        missing = list(dict.fromkeys(need for needs in lacking.values() for need in needs))
        total = f" In total {', '.join(missing)} are missing." if len(wants) > 1 and len(missing) > 1 else ""
        raise UserError(f"{where}: {listing(wants)}, which it has not.{total}{_other_form(lacking)}")
    return sources


def _other_form(lacking: Mapping[str, Sequence[str]]) -> str:
    """End of a message: names of spyndex that the kelp catalogue computes of other bands."""
    forms = [f"kelp:{kelp.spelled(name)}" for name, needs in lacking.items() if needs and name.upper() in OTHER_BANDS]
    return f" {' and '.join(forms)} would take other bands." if forms else ""


def check_units(name: str, bands: Sequence[Band], where: str, remedy: str = "give --scale") -> None:
    """Raise UserError, beginning with `where`, where an index needs reflectances and its source bands hold counts."""
    counts = [band.name for band in bands if band.optical and not is_reflectance(band)]
    index = index_of(name)
    if counts and index is not None and needs_reflectance(index):
        raise UserError(f"{where}: band {name} needs reflectances, but has counts of {listing(counts)}; {remedy}.")


def closest(name: str, available: Collection[str]) -> str:
    """End of a message about an unknown band: the nearest names here, and the nearest index of spyndex."""
    bare = name.lower()
    if kelp.is_prefixed(name):
        return nearest(bare, [kelp.PREFIX + other.lower() for other in kelp.FORMULAS])
    theirs = nearest(bare, [other for other in spectral_catalogue.names() if other not in COMPUTED], 1)
    own = nearest(bare, available) or nearest(bare, (*COMPUTED, *map(str.lower, kelp.FORMULAS), ALL_OF_PRODUCTION))
    return own + theirs.replace("nearest:", "nearest of spyndex:")


def _unknown(name: str, available: Collection[str]) -> str:
    return (
        f"no band {name}; it has {listing(available, 12)}, and computed can be {listing(COMPUTED, 6)}"
        f" and the indices of spyndex and of the kelp catalogue{closest(name, available)}."
    )
