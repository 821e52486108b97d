"""The bands whose meaning is known by their name: one table.

Encodings: reflectance 1e-4 from −0.1 covers what Sentinel-2 and PLANET deliver without loss; the step of a derived
band is finer than its error. Ranges (low, high) are those of the operational DARTS models; those of light are its
second generation, [−0.1, 0.5]. `dem` reaches from the Dead Sea to the highest summit in steps of 0.2 m; curvature is
±32 because noise on 3 m pixels is.
"""

from darts_train.raster.band import Band

REFLECTANCE = (1e-4, -0.1, -0.1, 0.5)
LIGHT = (
    "coastal", "blue", "green_i", "green", "yellow", "red", "rededge", "rededge071", "rededge075", "rededge078",
    "nir", "nir08", "nir09", "pan", "cirrus", "swir16", "swir22",
)  # fmt: skip

_TABLE: dict[str, tuple[float, float, float, float]] = {
    # name: (scale, offset, low, high)
    "ndvi": (1e-4, -1.0, -1.0, 1.0),
    "dem": (0.2, -500.0, -100.0, 3000.0),  # m
    "relative_elevation": (0.01, -300.0, -50.0, 50.0),  # m
    "slope": (0.01, 0.0, 0.0, 90.0),  # degrees
    "aspect": (0.01, 0.0, 0.0, 360.0),  # degrees clockwise from north
    "hillshade": (1e-4, 0.0, 0.0, 1.0),
    "curvature": (1e-3, -32.767, -1.0, 1.0),
    "tc_brightness": (1.0, 0.0, 0.0, 255.0),  # trends, counts
    "tc_greenness": (1.0, 0.0, 0.0, 255.0),
    "tc_wetness": (1.0, 0.0, 0.0, 255.0),
}

CATALOGUE: dict[str, Band] = {name: Band(name, *REFLECTANCE, optical=True) for name in LIGHT} | {
    name: Band(name, *numbers) for name, numbers in _TABLE.items()
}


def is_reflectance(band: Band) -> bool:
    """Whether an optical band is in reflectance rather than in counts: no surface reaches 2."""
    return band.optical and band.high <= 2.0
