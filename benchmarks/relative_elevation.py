"""What the relative elevation costs by its radius: 10 m and 100 m at 3 m pixels, beside other ways to compute it.

    uv run python benchmarks/relative_elevation.py [SIDE]

SIDE: pixels of one side of the result, 4000 by default; 8000 is a PLANET orthotile (64 Mpx). The direct convolution is
timed on a corner of it. Ours is the best of five runs; sums of fftconvolve and convolve are not exact.
"""

import sys
import time
from collections.abc import Callable

import numpy as np
from scipy.ndimage import convolve
from scipy.signal import fftconvolve

from darts_train.features.disc_sums import half_widths
from darts_train.features.relative_elevation import relative_elevation

RADII = {10: 4, 100: 34}  # m: pixels of 3 m
CORNER = 500  # pixels
ROUNDS = 5


def seconds(work: Callable[[], object]) -> float:
    """How long one run takes."""
    start = time.perf_counter()
    work()
    return time.perf_counter() - start


def hills(side: int) -> np.ndarray:
    """Terrain with relief of some 100 m, float32 [side, side]."""
    places = np.arange(side, dtype=np.float32)
    waves = 40 * np.sin(places / 70)[:, None] + 30 * np.cos(places / 110)[None, :]
    return (300 + waves + np.random.default_rng(0).normal(0, 2, (side, side))).astype(np.float32)


def disc(radius: int) -> np.ndarray:
    """Weights of the mean over a disc, float32."""
    places = np.arange(-radius, radius + 1)
    inside = np.abs(places)[None, :] <= np.array(half_widths((radius, radius)))[:, None]
    return (inside / inside.sum()).astype(np.float32)


def main() -> None:
    """Run, and print one line per radius and the ratio."""
    side = int(sys.argv[1]) if len(sys.argv) > 1 else 4000
    dems = {metres: hills(side + 2 * radius) for metres, radius in RADII.items()}

    def ours(metres: int) -> float:
        radius = RADII[metres]
        return seconds(lambda: relative_elevation(dems[metres], (radius, radius), (0, 0), radius))

    rounds = [{metres: ours(metres) for metres in RADII} for _ in range(ROUNDS)]  # in turn: other work slows down both
    best = {metres: min(times[metres] for times in rounds) for metres in RADII}
    for metres, radius in RADII.items():
        fourier = seconds(lambda: fftconvolve(dems[metres], disc(radius), "valid"))  # noqa: B023
        corner = dems[metres][:CORNER, :CORNER]
        direct = seconds(lambda: convolve(corner, disc(radius))) * side**2 / CORNER**2  # noqa: B023
        print(
            f"{metres:4d} m ({radius:2d} px)  {side**2 / 1e6:.0f} Mpx in {best[metres]:.2f} s,"
            f" {best[metres] / side**2 * 1e9:.0f} ns/px;  fftconvolve {fourier / best[metres]:.1f} x that,"
            f" direct convolution {direct / best[metres]:.0f} x"
        )
    print(f"100 m costs {best[100] / best[10]:.2f} times 10 m")


if __name__ == "__main__":
    main()
