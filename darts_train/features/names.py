"""Names of indices that several catalogues have: which of them counts, and the short word for a whole list.

A name without a prefix is, in this order: an index of the operational pipeline (`spectral.py`), one of the kelp
catalogue that spyndex has not, one of spyndex. Where both have it with different values, it is refused without prefix.
"""

from collections.abc import Sequence

from darts_train.base.errors import UserError
from darts_train.features import kelp
from darts_train.features.spectral import INDICES

ALSO_OF_SPYNDEX = (
    "NDVI", "ATSAVI", "AVI", "GBNDVI", "GVMI", "IPVI", "MCARI", "MVI", "NormNIR", "WDRVI", "AFRI1600", "ARVI", "BWDRVI",
    "CVI", "GDVI", "EVI", "EVI2", "GARI", "GNDVI", "GRNDVI", "MSAVI", "NLI", "NDWI", "NormG", "NormR", "TVI",
)  # fmt: skip
CLASHES = ("ATSAVI", "AVI", "IPVI", "MVI", "AFRI1600", "ARVI", "GDVI", "EVI2", "GARI")
KEPT = ("NDWI", "TVI")  # mean what they mean everywhere, but beside names that only the kelp catalogue has
OTHER_BANDS = ("GVMI", "MCARI")  # of spyndex take swir22 and rededge071
ALL_OF_PRODUCTION = "kelp-17"
SAME_IN_SPYNDEX = {  # name of the same formula there, with the constants that make it so
    "NDVI": "NDVI", "ATSAVI": "ATSAVI, sla = 1.22, slb = 0.03", "AVI": "AshburnVI, N as N2", "ClGreen": "CIG",
    "GBNDVI": "GBNDVI", "GVMI": "GVMI, SWIR1 as S2", "MCARI": "MCARI, N as RE1", "MVI": "DSWI1", "NormNIR": "NormNIR",
    "WDRVI": "WDRVI, alpha = 0.1", "BWDRVI": "BWDRVI, alpha = 0.1", "CVI": "CVI", "EVI": "EVI, not clipped",
    "EVI22": "EVI2", "GNDVI": "GNDVI", "GRNDVI": "GRNDVI", "MSRNirRed": "MSR", "MSAVI": "MSAVI", "NLI": "NLI",
    "NDWI": "GNDVI", "NormG": "NormG", "NormR": "NormR", "SRGR": "DSWI4", "SRNIRG": "GRVI", "SRNIRR": "SR",
    "SRNIRSWIR": "DSWI1", "SRSWIRNIR": "MSI", "TNDVI": "TVI", "VARIGreen": "VARI", "NDAVI": "BNDVI",
}  # fmt: skip


def expand(names: Sequence[str]) -> tuple[str, ...]:
    """The names, with `kelp-17` replaced by the production set of the kelp catalogue, each with its prefix."""
    found: list[str] = []
    for name in names:
        whole = name.lower() == ALL_OF_PRODUCTION
        found += [kelp.PREFIX + one for one in kelp.PRODUCTION] if whole else [name]
    return tuple(found)


def is_only_of_kelp(name: str) -> bool:
    """Whether no other catalogue has this name."""
    spelling = kelp.spelled(name)
    return spelling is not None and spelling not in ALSO_OF_SPYNDEX and name.lower() not in INDICES


def check_clear(names: Sequence[str], available: Sequence[str]) -> None:
    """Raise UserError for names, not of `available` bands, that mean different things in the two catalogues."""
    asked = [name for name in names if name not in available]
    of_kelp = [name for name in asked if kelp.is_prefixed(name) or is_only_of_kelp(name)]
    for name in asked:
        spelling = None if ":" in name else kelp.spelled(name)
        if spelling in CLASHES or (spelling in KEPT and of_kelp):
            beside = f" beside {of_kelp[0]}" if spelling in KEPT else ""
            raise UserError(
                f"--bands: {name} means two things{beside}; say kelp:{spelling} ({kelp.FORMULAS[spelling]})"
                f" or spyndex:{spelling}."
            )


def without_prefix(spelling: str) -> str:
    """What a name of the kelp catalogue means without its prefix, in words."""
    if spelling in CLASHES:
        return "refused"
    if spelling in KEPT:
        return "another"
    if spelling in OTHER_BANDS:
        return "of other bands"
    return "this" if is_only_of_kelp(spelling) else "the same"
