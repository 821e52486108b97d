"""What shifts and illumination do to the descriptor, beside a plain thumbnail, on crops of real scenes.

    uv run python benchmarks/likeness.py ../shared/data

Crops of 128 x 128 pixels, three bands. Each is compared with itself, moved by a share of its side and lit anew (each
band another gamma, gain and offset, and noise), and with the crops of all other scenes.
"""

import sys
from collections.abc import Callable
from pathlib import Path

import numpy as np
import rasterio

from darts_train.dataset.grouping.descriptor import GRID, describe, unit_vectors
from darts_train.dataset.grouping.mosaic import cells_of

SIDE, STEP, MARGIN = 128, 120, 8
MOVES = (0.01, 0.02, 0.04)
FILES = ("cloud6_multisensor/*toa6.tif", "amazon_s2rgb/images/*", "everest_landsat7/*RGB.tif")
Description = Callable[[np.ndarray], np.ndarray]


def thumbnail(codes: np.ndarray) -> np.ndarray:
    """Area means of 16 x 16 cells, each band centred and scaled by itself."""
    means = cells_of(codes, 16).means.reshape(len(codes), -1)
    return unit_vectors((means - means.mean(axis=1, keepdims=True)).astype(np.float32)).ravel() / np.sqrt(len(codes))


def crops(root: Path) -> tuple[list[np.ndarray], np.ndarray]:
    """Crops with a margin around them, and the number of the scene of each."""
    found, owner = [], []
    for number, path in enumerate(path for pattern in FILES for path in sorted(root.glob(pattern))):
        with rasterio.open(path) as raster:
            pixels = raster.read((1, 2, 3)).astype(np.float32)
        for top in range(0, pixels.shape[1] - SIDE - 2 * MARGIN + 1, STEP):
            for left in range(0, pixels.shape[2] - SIDE - 2 * MARGIN + 1, STEP):
                whole = slice(top, top + SIDE + 2 * MARGIN), slice(left, left + SIDE + 2 * MARGIN)
                found.append(pixels[:, *whole])
                owner.append(number)
    return found, np.array(owner)


def later(crop: np.ndarray, move: float, seed: int) -> np.ndarray:
    """The crop, moved to one of four sides and lit anew, codes uint16."""
    pixels = round(move * SIDE)
    down, right = ((pixels, pixels), (pixels, -pixels), (0, pixels), (-pixels, 0))[seed % 4]
    top, left = MARGIN + down, MARGIN + right
    seen, rng = crop[:, top : top + SIDE, left : left + SIDE], np.random.default_rng(seed)
    unit = (seen - seen.min()) / max(float(seen.max() - seen.min()), 1e-9)
    lit = [band ** rng.uniform(0.7, 1.4) * rng.uniform(0.6, 1.4) + rng.uniform(-0.1, 0.1) for band in unit]
    noisy = np.stack(lit) + rng.normal(0, 0.02, unit.shape)
    return np.clip(20_000 + 20_000 * noisy, 0, 65534).astype(np.uint16)


def main() -> None:
    """Print one line for each description."""
    found, owner = crops(Path(sys.argv[1]))
    print(f"{len(found)} crops of {owner.max() + 1} scenes")
    ways: dict[str, Description] = {"descriptor": lambda codes: describe(cells_of(codes, GRID)), "thumbnail": thumbnail}
    for name, way in ways.items():
        inner = slice(MARGIN, MARGIN + SIDE)
        vectors = np.stack([way(crop[:, inner, inner].astype(np.float32)) for crop in found])
        cosines = vectors @ vectors.T
        apart = owner[:, None] != owner[None, :]
        beside = cosines[~apart & ~np.eye(len(found), dtype=bool)]
        line = (
            f"{name}: other scenes 99.9% {np.quantile(cosines[apart], 0.999):.3f}, same one {beside.max():.3f} at most"
        )
        for move in MOVES:
            again = np.stack([way(later(crop, move, seed)) for seed, crop in enumerate(found)])
            same = np.einsum("ij,ij->i", vectors, again)
            line += f"; moved {move:.0%}: median {np.median(same):.3f}, 5% {np.quantile(same, 0.05):.3f}"
        print(line, flush=True)


if __name__ == "__main__":
    main()
