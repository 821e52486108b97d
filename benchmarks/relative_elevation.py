"""What the relative elevation costs by its radius: 10 m and 100 m at 3 m pixels, beside other ways to compute it.

    uv run python benchmarks/relative_elevation.py [SIDE]

SIDE: pixels of one side of the result, 4000 by default; 8000 is a PLANET orthotile (64 Mpx). The direct convolution is
timed on a corner of it. Each time is the best of three.
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


def best_of(count: int, work: Callable[[], object]) -> float:
    """Seconds of the fastest run."""
    times = []
    for _ in range(count):
        start = time.perf_counter()
        work()
        times.append(time.perf_counter() - start)
    return min(times)


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
    times = {}
    for metres, radius in RADII.items():
        dem = hills(side + 2 * radius)
        ours = best_of(3, lambda: relative_elevation(dem, (radius, radius), (0, 0), radius))  # noqa: B023
        fourier = best_of(1, lambda: fftconvolve(dem, disc(radius), "valid"))  # noqa: B023
        corner = dem[:CORNER, :CORNER]
        direct = best_of(1, lambda: convolve(corner, disc(radius))) * side**2 / CORNER**2  # noqa: B023
        times[metres] = ours
        print(
            f"{metres:4d} m ({radius} px)  {side**2 / 1e6:.0f} Mpx in {ours:6.2f} s, {ours / side**2 * 1e9:5.1f} ns/px;"
            f"  fftconvolve {fourier / ours:5.1f} x that, direct convolution {direct / ours:6.1f} x",
            flush=True,
        )
    print(f"100 m costs {times[100] / times[10]:.2f} times 10 m")


if __name__ == "__main__":
    main()
