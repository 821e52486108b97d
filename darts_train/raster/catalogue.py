"""The bands whose meaning is known by their name: one table.

Encodings: reflectance 1e-4 from −0.1 covers what Sentinel-2 and PLANET deliver without loss; the step of a derived
band is finer than its error. Ranges (low, high) are those of the operational DARTS models; those of light are its
second generation, [−0.1, 0.5]. `dem` reaches from the Dead Sea to the highest summit in steps of 0.2 m; curvature is
±32 because noise on 3 m pixels is, and quotients without a limit (evi, vari) are for the same reason. Indices of the
spyndex catalogue that are not listed get an encoding by their formula (features/spectral_catalogue.py).
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
    "gndvi": (1e-4, -1.0, -1.0, 1.0),
    "grvi": (1e-4, -1.0, -1.0, 1.0),
    "vigreen": (1e-4, -1.0, -1.0, 1.0),
    "nrvi": (1e-4, -1.0, -1.0, 1.0),
    "gli": (1e-4, -1.0, -1.0, 1.0),
    "vdvi": (1e-4, -1.0, -1.0, 1.0),
    "savi": (1e-4, -1.5, -1.5, 1.5),
    "rvi": (1e-3, 0.0, 0.0, 2.0),  # to 65; 2 is open water
    "tvi": (1e-4, 0.0, 0.0, 1.25),
    "ctvi": (1e-4, -0.75, -0.75, 1.25),
    "ttvi": (1e-4, 0.0, 0.7, 1.25),
    "evi": (1e-3, -32.767, -1.0, 1.0),
    "vari": (1e-3, -32.767, -1.0, 1.0),
    "tgi": (3e-3, -98.301, -10.0, 10.0),  # ±95 are the limits
    "exg": (1e-4, -2.0, -0.5, 0.5),  # ±2 are the limits
    "dem": (0.2, -500.0, -100.0, 3000.0),  # m
    "relative_elevation": (0.01, -300.0, -50.0, 50.0),  # m
    "slope": (0.01, 0.0, 0.0, 90.0),  # degrees
    "aspect": (0.01, 0.0, 0.0, 360.0),  # degrees clockwise from north
    "hillshade": (1e-4, 0.0, 0.0, 1.0),
    "curvature": (1e-3, -32.767, -1.0, 1.0),
    "tri": (0.01, 0.0, 0.0, 25.0),  # m
    "vrm": (1.6e-5, 0.0, 0.0, 0.2),  # below 1; 0.2 is broken rock
    "dissection": (2e-5, 0.0, 0.0, 0.2),  # to 1.3; over 3 × 3 pixels seldom above 0.2
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
