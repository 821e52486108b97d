"""How long grouping takes: 20 000 samples of 7 x 350 x 350 made on the fly, and the search among 100 000 descriptors.

    uv run python benchmarks/groups.py [SAMPLES] [DESCRIPTORS]

Samples are sums of two crops of fields with a 1/f spectrum, a pair for each band; every twentieth is an earlier one
again, moved by up to 1 % of its side, each band with another brightness and contrast, and noise. No sample is ever
stored. The second part searches among random vectors with as many planted pairs.
"""

import resource
import sys
import time
from concurrent.futures import ThreadPoolExecutor

import numpy as np

from darts_train.dataset.grouping.alike import PairSearch, chance_level
from darts_train.dataset.grouping.components import Components
from darts_train.dataset.grouping.descriptor import GRID, NUMBERS, describe, unit_vectors
from darts_train.dataset.grouping.mosaic import cells_of

SIDE, BANDS, FIELDS, FIELD = 350, 7, 48, 1024
AGAIN, MOVE = 20, 3  # every so many samples; pixels
SIMILARITY = 0.9


def fields() -> np.ndarray:
    """Fields float32 [FIELDS, FIELD, FIELD] whose amplitudes fall with one over the frequency."""
    rng = np.random.default_rng(0)
    frequency = np.hypot(np.fft.fftfreq(FIELD)[:, None], np.fft.rfftfreq(FIELD)[None, :])
    frequency[0, 0] = np.inf
    made = np.empty((FIELDS, FIELD, FIELD), np.float32)
    for field in made:
        field[:] = np.fft.irfft2(np.fft.rfft2(rng.normal(size=(FIELD, FIELD))) / frequency, (FIELD, FIELD))
        field /= field.std()
    return made


def sample(number: int, bank: np.ndarray) -> np.ndarray:
    """Codes uint16 [BANDS, SIDE, SIDE]; sample 20 k + 19 shows what sample 20 k + 18 shows."""
    again = number % AGAIN == AGAIN - 1
    rng = np.random.default_rng(number - again)
    other = np.random.default_rng([number, 1])
    moved = other.integers(-MOVE, MOVE + 1, 2) * again
    codes = np.empty((BANDS, SIDE, SIDE), np.uint16)
    for band in codes:
        values = np.zeros((SIDE, SIDE), np.float32)
        for field in rng.integers(0, FIELDS, 2):
            top, left = rng.integers(MOVE, FIELD - SIDE - MOVE, 2) + moved
            values += bank[field, top : top + SIDE, left : left + SIDE]
        band[:] = np.clip(values * other.uniform(200, 600) + other.uniform(3000, 6000), 0, 65534)
    return codes


def describe_all(count: int) -> np.ndarray:
    """Descriptors float32 [count, BANDS * NUMBERS], by two threads."""
    bank = fields()
    vectors = np.empty((count, BANDS * NUMBERS), np.float32)

    def one(number: int) -> None:
        vectors[number] = describe(cells_of(sample(number, bank), GRID))

    with ThreadPoolExecutor(2) as pool:
        for _ in pool.map(one, range(count)):
            pass
    return vectors


def search(vectors: np.ndarray) -> tuple[int, int]:
    """Search, unite and print; the number of pairs that were planted and found, and of others."""
    components, found = Components(len(vectors)), [np.empty((2, 0), np.int64)]
    for pair in PairSearch(vectors, SIMILARITY):
        components.add(*pair)
        found.append(np.stack(pair))
    one, other = np.concatenate(found, axis=1)
    planted = (other == one + 1) & (other % AGAIN == AGAIN - 1)
    print(f"  {components.labels().max() + 1} groups, largest {np.bincount(components.labels()).max()}")
    return int(planted.sum()), int((~planted).sum())


def timed(what: str, started: tuple[float, float]) -> None:
    """Print minutes since, on the clock and on the processors, and the greatest memory so far."""
    wall, cpu = time.perf_counter() - started[0], time.process_time() - started[1]
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
    print(f"{what}: {wall / 60:.2f} min, {cpu / 60:.2f} min of processor time, peak {peak:.0f} MB", flush=True)


def now() -> tuple[float, float]:
    """The clock and the processors' time."""
    return time.perf_counter(), time.process_time()


def main() -> None:
    """Both parts."""
    samples = int(sys.argv[1]) if len(sys.argv) > 1 else 20_000
    many = int(sys.argv[2]) if len(sys.argv) > 2 else 100_000
    bank = fields()
    started = now()
    for number in range(100):
        sample(number, bank)
    print(
        f"making a sample takes {(time.process_time() - started[1]) * 10:.1f} ms of processor time, which is included"
    )
    del bank
    started = now()
    vectors = describe_all(samples)
    timed(f"descriptors of {samples} samples of {BANDS} x {SIDE} x {SIDE}", started)
    started = now()
    planted, others = search(vectors)
    timed(f"pairs among {samples}", started)
    print(f"  {planted} of {samples // AGAIN} planted pairs found, {others} others; chance {chance_level(vectors):.2f}")
    rng = np.random.default_rng(0)
    vectors = unit_vectors(rng.standard_normal((many, BANDS * NUMBERS), np.float32))
    vectors[AGAIN - 1 :: AGAIN] = vectors[AGAIN - 2 :: AGAIN][: len(vectors[AGAIN - 1 :: AGAIN])]
    started = now()
    planted, others = search(vectors)
    timed(f"pairs among {many} descriptors of {vectors.shape[1]} numbers", started)
    print(f"  {planted} of {many // AGAIN} planted pairs found, {others} others")


if __name__ == "__main__":
    main()
