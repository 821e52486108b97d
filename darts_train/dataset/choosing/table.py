"""What a choice of patches keeps and drops, as a table to read before anything is written."""

from collections.abc import Iterator, Sequence

import numpy as np
import pandas as pd

_SHARES = ("valid_fraction", "nodata_fraction", "zero_fraction")
Line = tuple[str, int, int]  # what, patches, of them kept


def choice_lines(metadata: pd.DataFrame, kept: np.ndarray) -> list[Line]:
    """Patches of several kinds, and how many of each are kept; kinds without a patch are left out."""
    stays = np.zeros(len(metadata), bool)
    stays[kept] = True
    found = [(name, int(rows.sum()), int((rows & stays).sum())) for name, rows in _kinds(metadata)]
    return [line for line in found if line[1]]


def _kinds(metadata: pd.DataFrame) -> Iterator[tuple[str, np.ndarray]]:
    empty = metadata["empty"].to_numpy(bool)
    yield "all", np.ones(len(metadata), bool)
    yield "with foreground", ~empty
    yield "background only", empty
    shares = {name: metadata[name].to_numpy(np.float64, na_value=np.nan) for name in _SHARES if name in metadata}
    if "valid_fraction" in shares:
        yield "without any label", shares["valid_fraction"] == 0
    if "nodata_fraction" in shares:
        yield "with pixels without data", shares["nodata_fraction"] > 0
        yield "half or more without data", shares["nodata_fraction"] >= 0.5
    if "zero_fraction" in shares:
        yield "black all over", shares["zero_fraction"] == 1
    if "split" in metadata:
        for value in dict.fromkeys(metadata["split"].dropna().astype(str)):
            yield f"split {value}", (metadata["split"] == value).to_numpy(bool)


def class_lines(metadata: pd.DataFrame, kept: np.ndarray, classes: Sequence[str]) -> list[tuple[str, float, float]]:
    """Mean share of the pixels of each class, of all patches and of those that are kept."""
    if "class_fractions" not in metadata:
        return []
    shares = np.array([list(row) for row in metadata["class_fractions"]], np.float64).reshape(len(metadata), -1)
    return [
        (name, float(shares[:, k].mean()), float(shares[kept, k].mean()))
        for k, name in enumerate(classes[: shares.shape[1]])
    ]


def as_text(lines: Sequence[Line], shares: Sequence[tuple[str, float, float]]) -> list[str]:
    """The table as lines."""
    width = max(len(name) for name, *_ in (*lines, *((f"share of {name}", 0, 0) for name, *_ in shares)))
    text = [f"{'':<{width}}  {'patches':>9}  {'kept':>9}  {'dropped':>9}"]
    text += [f"{name:<{width}}  {count:>9}  {stay:>9}  {count - stay:>9}" for name, count, stay in lines]
    if shares:
        text.append(f"{'':<{width}}  {'all':>9}  {'kept':>9}")
    return [*text, *(f"{f'share of {name}':<{width}}  {was:>9.2%}  {now:>9.2%}" for name, was, now in shares)]
