"""Patches worth a look before anything learns from them: mostly of a rare class, without data, black, corrupted."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass

import numpy as np
import pandas as pd

SPARSE = 0.1  # a class with a smaller share of the labelled pixels is rare
MUCH = 0.4  # of a patch; the kelp tools' limit for mislabelled and for corrupted tiles
HALF = 0.5


@dataclass(frozen=True, eq=False)
class Suspects:
    """Patches that one rule names.

    Attributes:
        why: the rule in words, such as "more than 40 % cloud".
        patches: their indices, the worst first.
        shares: the share that is meant, in the same order.
        samples: their scenes.
        where: the `--where` that leaves them out; empty where no column says it.
    """

    why: str
    patches: tuple[int, ...]
    shares: tuple[float, ...]
    samples: tuple[str, ...]
    where: str = ""


def find_suspects(
    metadata: pd.DataFrame, shares: Mapping[str, np.ndarray], overall: Mapping[str, float], nodata: np.ndarray
) -> tuple[Suspects, ...]:
    """Patches by rule; rules that name none are left out.

    Args:
        metadata: rows of the set.
        shares: share of each foreground class of the pixels of each patch, float64 [n]; by class.
        overall: share of each class of all labelled pixels.
        nodata: share of pixels of each patch that lack a band, float64 [n].
    """
    found = []
    for why, values, limit, where in _rules(metadata, shares, overall, nodata):
        chosen = np.flatnonzero(np.nan_to_num(values) > limit)
        if len(chosen):
            worst = chosen[np.argsort(-values[chosen], kind="stable")]
            samples = tuple(map(str, metadata["sample_id"].to_numpy()[worst]))
            found.append(Suspects(why, tuple(worst.tolist()), tuple(values[worst].tolist()), samples, where))
    return tuple(found)


def _rules(
    metadata: pd.DataFrame, shares: Mapping[str, np.ndarray], overall: Mapping[str, float], nodata: np.ndarray
) -> Iterator[tuple[str, np.ndarray, float, str]]:
    """Rules as words, a share of each patch, the limit that is passed, and the condition of those that do not."""
    for index, (name, values) in enumerate(shares.items(), 1):
        if overall[name] < SPARSE:
            told = "class_fractions" in metadata
            yield f"more than {MUCH:.0%} {name}", values, MUCH, f"class_fractions[{index}] <= {MUCH}" if told else ""
    told = "nodata_fraction" in metadata
    yield f"more than {HALF:.0%} without data", nodata, HALF, f"nodata_fraction <= {HALF}" if told else ""
    for name, words, limit in (("zero_fraction", "black", HALF), ("qa_corrupted_pixels_pct", "corrupted", MUCH)):
        if name in metadata:
            values = pd.to_numeric(metadata[name], errors="coerce").to_numpy(float, na_value=np.nan)
            yield f"more than {limit:.0%} {words}", values, limit, f"{name} <= {limit}"
