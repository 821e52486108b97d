import numpy as np
import pytest

from darts_train.features import kelp
from darts_train.features.duplicates import same_bands
from darts_train.features.known import sources_of
from darts_train.features.masking import IndexRules

HAVE = ("swir16", "nir", "red", "green", "blue", "qa", "dem")


def groups(*names, counts=False, brightest=0.6):
    return same_bands(sources_of(names, HAVE), IndexRules(counts=counts), brightest)


def test_the_kelp_catalogue_has_five_groups():
    found = groups(*(f"kelp:{name}" for name in kelp.FORMULAS))
    assert {frozenset(name.removeprefix("kelp:") for name in group) for group in found} == {
        frozenset({"GNDVI", "NDWI"}),
        frozenset({"MVI", "SRNIRSWIR"}),
        frozenset({"ClGreen", "SRNIRG"}),
        frozenset({"NormNIR", "GRNDVI"}),
        frozenset({"NDVI", "ARVI"}),
    }


def test_on_counts_constants_do_not_show_and_there_are_more():
    names = [f"kelp:{name}" for name in ("NDVI", "EVI2", "NDAVI", "WAVI", "AFRI1600", "MSAVI")]
    assert groups(*names) == []
    assert groups("nir", *names, counts=True, brightest=32768.0) == [
        ("nir", "kelp:AFRI1600"), ("kelp:NDVI", "kelp:EVI2"), ("kelp:NDAVI", "kelp:WAVI"),
    ]  # fmt: skip


@pytest.mark.parametrize(
    ("names", "expected"),
    [
        (("ndvi", "kelp:NDVI", "spyndex:NDVI"), [("ndvi", "kelp:NDVI", "spyndex:NDVI")]),
        (("ndwi", "gndvi"), []),  # the negative
        (("dem", "kelp:DEMWM"), []),
        (("dem", "slope"), []),
        (("grvi", "vigreen", "nrvi"), [("grvi", "vigreen")]),
    ],
)
def test_names_across_catalogues(names, expected):
    assert same_bands(sources_of(names, HAVE), IndexRules()) == expected


def test_bands_of_no_index_are_not_looked_at():
    many = [f"band_{i}" for i in range(300)]
    assert same_bands(sources_of([*many, "ndvi", "kelp:NDVI"], (*HAVE, *many)), IndexRules()) == [("ndvi", "kelp:NDVI")]
    assert same_bands(sources_of(many, many), IndexRules()) == []


def test_one_definition_of_elevation_of_any_name():
    rules = IndexRules(dem_band="height")
    assert same_bands(sources_of(["height", "kelp:DEMWM"], ("height",), "height"), rules) == []
    assert np.isfinite(kelp.find("DEMWM").plain(np.array([-1.0, 2.0]))).all()
