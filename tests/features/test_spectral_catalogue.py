import subprocess
import sys

import numpy as np
import pytest
import spyndex

from darts_train.features import spectral_catalogue
from darts_train.features.spectral import INDICES, looks
from darts_train.features.spectral_catalogue import LETTERS, encoding, find, source_of, spelled
from darts_train.raster.catalogue import LIGHT

SAME = {  # ours: the name of the same formula there
    "ndvi": "NDVI", "gndvi": "GNDVI", "grvi": "NGRDI", "vigreen": "VIG", "tvi": "TVI", "evi": "EVI", "vari": "VARI",
    "gli": "GLI", "vdvi": "GLI", "tgi": "TGI", "exg": "ExG",
}  # fmt: skip
DIFFERENT = {"rvi", "grvi", "ttvi", "savi"}  # the same name, another formula
CONSTANTS = {name: constant.default for name, constant in spyndex.constants.items()}


def by_spyndex(name, values):
    """`values`: by our band names."""
    params = {LETTERS[band]: value for band, value in values.items()}
    needed = {key: CONSTANTS[key] for key in spyndex.indices[name].bands if key in CONSTANTS}
    with np.errstate(all="ignore"):
        found = np.asarray(spyndex.computeIndex(name, {**needed, **params}), np.float64)
    return np.where(np.isfinite(found), found, np.nan)


@pytest.mark.parametrize(("ours", "theirs"), SAME.items())
def test_where_formulas_are_the_same_values_are(ours, theirs):
    index = INDICES[ours]
    values = dict(zip(index.bands, looks(index.bands), strict=True))
    constants = {"L": 1.0}
    assert CONSTANTS["L"] == constants["L"]
    found = index.plain(*values.values())
    assert np.allclose(found, by_spyndex(theirs, values), rtol=1e-9, atol=1e-12, equal_nan=True)


def test_names_that_mean_something_else_here_are_known():
    shared = {name for name in INDICES if spelled(name) is not None}
    clashes = set()
    for name in shared:
        index = find(f"spyndex:{name}")
        if set(index.bands) != set(INDICES[name].bands):
            clashes.add(name)
            continue
        values = dict(zip(index.bands, looks(index.bands), strict=True))
        ours = INDICES[name].plain(*(values[band] for band in INDICES[name].bands))
        if not np.allclose(ours, index.plain(*values.values()), equal_nan=True):
            clashes.add(name)
    assert clashes == DIFFERENT


def with_known_bands():
    for name in spyndex.indices:
        index = find(name)
        if all(band in LETTERS for band in index.bands) and not name.startswith("k"):
            yield name, index


def test_all_that_bands_stand_for_are_computed_as_spyndex_does():
    tested = 0
    for name, index in with_known_bands():
        values = dict(zip(index.bands, looks(index.bands), strict=True))
        found = index.plain(*values.values())
        assert np.allclose(found, by_spyndex(name, values), rtol=1e-9, equal_nan=True), name
        tested += 1
    assert tested > 200


def test_kernels_are_radial_basis_functions():
    nir, red = np.array([0.4, 0.3]), np.array([0.1, 0.3])
    kernel = spyndex.computeKernel("RBF", a=nir, b=red, sigma=CONSTANTS["sigma"])
    assert find("kndvi").bands == ("nir", "red")
    assert np.allclose(find("kndvi").plain(nir, red), (1 - kernel) / (1 + kernel))


def test_capitals_do_not_matter_unless_two_names_differ_by_them():
    assert spelled("ndwi") == spelled("NdWi") == "NDWI"
    assert (spelled("bai"), spelled("BAI"), spelled("BaI")) == ("BAI", "BAI", "BaI")
    assert (spelled("msr705"), spelled("mSR705")) == ("MSR705", "mSR705")
    assert spelled("spyndex:rvi") == spelled("SPYNDEX:RVI") == "RVI"
    assert spelled("nothing") is None
    assert find("nothing") is None


def test_what_no_band_stands_for_is_named_as_spyndex_names_it():
    assert "PAR" in find("NIRvP").bands


def test_letters_are_those_of_spyndex():
    assert set(LETTERS.values()) <= {*spyndex.bands, "HH", "HV", "VH", "VV"}
    light = {name for name in LETTERS if name in LIGHT}
    assert set(LIGHT) - light == {"pan", "cirrus"}
    assert all(spyndex.bands[letter].common_name == name for name, letter in LETTERS.items() if name in ("red", "nir"))


def test_two_names_of_one_light():
    assert source_of("rededge071", ["red", "rededge"]) == "rededge"
    assert source_of("rededge071", ["rededge071", "rededge"]) == "rededge071"
    assert source_of("rededge071", ["red"]) == "rededge071"
    assert source_of("PAR", ["red", "pan"]) == "PAR"


def test_encodings():
    assert encoding("ndwi").name == "ndwi"
    assert (encoding("NDWI").scale, encoding("NDWI").offset) == (1e-4, -1.0)
    assert encoding("bai").greatest > 3000
    assert encoding("BaI").scale == 1e-4
    with pytest.raises(KeyError):
        encoding("nothing")


def test_encodings_hold_what_formulas_usually_give():
    for name, index in with_known_bands():
        band = encoding(name)
        values = index.plain(*looks(index.bands))
        values = values[np.isfinite(values)]
        outside = ((values < band.least - 1e-9) | (values > band.greatest)).mean()
        assert outside <= 0.02, name
        assert (band.high - band.low) / band.scale > 100, name


def test_spyndex_is_not_imported_before_it_is_needed():
    code = (
        "import sys, numpy as np\n"
        "from darts_train.features.stack import FeatureStack\n"
        "from tests.features.fakes import FunctionScene\n"
        "made = FunctionScene({'red': lambda x, y: x * 0 + 0.1, 'nir': lambda x, y: x * 0 + 0.3})\n"
        "FeatureStack(['red', 'osavi', 'ndvi'][::2]).bands_for(made)\n"
        "assert 'spyndex' not in sys.modules\n"
        "FeatureStack(['ndvi', 'osavi']).bands_for(made)\n"
        "assert 'spyndex' in sys.modules\n"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    assert spectral_catalogue.PREFIX == "spyndex:"
