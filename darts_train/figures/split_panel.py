"""What trains, what validates, what tests: where the patches lie, and how many each region gives; as PNG bytes."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from matplotlib.figure import Figure
from numpy.typing import NDArray

from darts_train.figures.style import DPI, INK, MUTED, PART_COLOURS, tidy, to_png

MOST_REGIONS = 16
LETTERS = 26
EMPTY = 0.35  # opacity of patches without a positive pixel


@dataclass(frozen=True, eq=False)
class Part:
    """The patches of one part.

    Attributes:
        regions: of each.
        empty: bool [n], no pixel of a foreground class.
        places: float [n, 2], longitude and latitude of the middle; NaN where it is not known.
    """

    regions: Sequence[str]
    empty: NDArray[np.bool_]
    places: NDArray[np.float64]


def split_panel(parts: Mapping[str, Part], title: str) -> bytes:
    """A map where patches have a place, and bars of patches by region; pale are those without a positive pixel. PNG.

    Args:
        parts: train, val and test, those that there are.
        title: heading.
    """
    regions, left_out = _largest(parts)
    mapped = any(np.isfinite(part.places).all(axis=1).any() for part in parts.values())
    height = max(4.2 if mapped else 2.2, 1.6 + 0.3 * len(regions))
    figure = Figure(figsize=(12 if mapped else 8, height), dpi=DPI, layout="constrained")
    axes = figure.subplots(1, 2, width_ratios=(1.1, 1)) if mapped else [figure.subplots()]
    if mapped:
        _draw_map(axes[0], parts)
    _draw_bars(axes[-1], parts, regions, left_out)
    handles, labels = axes[-1].get_legend_handles_labels()
    figure.legend(handles, labels, loc="outside lower center", ncols=len(parts), fontsize=9, frameon=False)
    figure.suptitle(title, fontsize=11, color=INK)
    return to_png(figure)


def _draw_map(axis: Any, parts: Mapping[str, Part]) -> None:
    tidy(axis, xlabel="longitude", ylabel="latitude", title="where the patches lie")
    latitudes = []
    for name, part in parts.items():
        known = np.isfinite(part.places).all(axis=1)
        for empty in (True, False):
            x, y = part.places[known & (part.empty == empty)].T
            opacity = EMPTY if empty else 0.85
            axis.scatter(x, y, s=16, color=PART_COLOURS.get(name, MUTED), alpha=opacity, edgecolors="none")
        latitudes.append(part.places[known, 1])
    middle = float(np.concatenate(latitudes).mean())
    axis.set_aspect(1 / max(np.cos(np.radians(min(abs(middle), 85.0))), 0.05), adjustable="datalim")


def _draw_bars(axis: Any, parts: Mapping[str, Part], regions: Sequence[str], left_out: int) -> None:
    further = f" (the {len(regions)} largest regions; {left_out} more)" if left_out else ""
    tidy(axis, xlabel="patches", title=f"patches by region{further}", yticks=range(len(regions)))
    axis.grid(visible=False, axis="y")
    start = np.zeros(len(regions))
    for name, part in parts.items():
        colour = PART_COLOURS.get(name, MUTED)
        of = np.asarray(part.regions, dtype=object)
        label = f"{name}: {len(of):,} patches, {int((~part.empty).sum()):,} with positives"
        for empty in (False, True):
            counts = np.array([int(((of == region) & (part.empty == empty)).sum()) for region in regions])
            look = {"alpha": EMPTY} if empty else {"label": label}
            axis.barh(range(len(regions)), counts, left=start, color=colour, height=0.7, **look)
            start = start + counts
    axis.set_yticklabels([name if len(name) <= LETTERS else f"{name[: LETTERS - 1]}…" for name in regions])
    axis.invert_yaxis()
    axis.margins(y=0.02)


def _largest(parts: Mapping[str, Part]) -> tuple[list[str], int]:
    names, counts = np.unique(np.concatenate([np.asarray(p.regions, str) for p in parts.values()]), return_counts=True)
    order = [str(names[i]) for i in np.argsort(-counts, kind="stable")]
    return order[:MOST_REGIONS], max(len(order) - MOST_REGIONS, 0)
