"""Where patches lie: their outlines on a map, or their windows in each scene, as SVG text.

One path holds all outlines of a colour. Outlines that fall together at a tenth of a pixel are drawn once, so that a
set of many small patches over half a continent stays a small file; their stroke keeps the smallest visible.
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from darts_train.figures.svg import INK, LETTER, MUTED, RULE, WIDTH, document, draw_text, nice_ticks

LEFT, RIGHT, TOP, BOTTOM = 58.0, 10.0, 30.0, 28.0
LEAST_HEIGHT, GREATEST_HEIGHT = 220.0, 460.0  # of the plot
MARGIN = 0.06  # of the extent, on every side
LINE, NAME = 20.0, 40  # of the legend: height of a line, letters of a name
LEAST_COLUMNS, MOST_COLUMNS, GAP, NAME_HEIGHT = 3, 5, 15.0, 26.0  # of the panels of scenes


@dataclass(frozen=True, eq=False)
class Shapes:
    """Outlines of one colour.

    Attributes:
        name: what they have in common.
        colour: as CSS has it.
        rings: float [k, 2] each: x to the east and y to the north.
    """

    name: str
    colour: str
    rings: Sequence[NDArray[np.float64]]


@dataclass(frozen=True, eq=False)
class Scene:
    """The windows of one scene: left and top pixel of each, int [n, 2], and its colour, as CSS has it."""

    name: str
    corners: NDArray[np.int64]
    colours: Sequence[str]


@dataclass(frozen=True)
class _View:
    """Map → pixel. `stretch` is the length of one unit of y in units of x."""

    west: float
    east: float
    south: float
    north: float
    height: float

    def __call__(self, ring: NDArray[np.float64]) -> NDArray[np.float64]:
        x = LEFT + (ring[:, 0] - self.west) / (self.east - self.west) * (WIDTH - LEFT - RIGHT)
        y = TOP + (self.north - ring[:, 1]) / (self.north - self.south) * self.height
        return np.stack([x, y], axis=1)


def patch_map(groups: Sequence[Shapes], title: str, degrees: bool) -> str:
    """Outlines on a map whose scale is the same along both axes.

    Args:
        groups: at least one ring in all; the frequent ones are drawn first, the legend is in the order given.
        title: heading.
        degrees: x and y are longitude (beyond 180 too, across the antimeridian) and latitude: a degree of longitude
            is shortened as it is in the middle of the map (plate carrée with a standard parallel, Snyder 1987, p. 90).
    """
    points = np.concatenate([ring for group in groups for ring in group.rings])
    view = _view(points, degrees)
    parts = _graticule(view, degrees)
    for group in sorted(groups, key=lambda group: -len(group.rings)):
        path = "".join(dict.fromkeys(_outline(view(ring)) for ring in group.rings))
        style = f'fill="{group.colour}" fill-opacity="0.7" stroke="{group.colour}" stroke-width="1.2"'
        parts.append(f'<path d="{path}" {style} stroke-linejoin="round"/>')
    below = TOP + view.height + BOTTOM
    legend, lines = _legend([(group.name, group.colour) for group in groups], below + 14)
    return document(title, below + lines * LINE, [*parts, *legend])


def scene_windows(scenes: Sequence[Scene], legend: Sequence[tuple[str, str]], patch_size: int, title: str) -> str:
    """A small panel for each scene with the windows of its patches, all panels in one scale; y runs down.

    Args:
        scenes: at least one window each.
        legend: name and colour of every kind of window.
        patch_size: side of a window, pixels.
        title: heading.
    """
    extent = max([int((scene.corners - scene.corners.min(axis=0)).max()) for scene in scenes] + [0]) + patch_size
    columns = min(max(len(scenes), LEAST_COLUMNS), MOST_COLUMNS)
    panel = (WIDTH - (columns - 1) * GAP) / columns
    scale, rows = panel / extent, max(1, math.ceil(len(scenes) / columns))
    parts = []
    for index, scene in enumerate(scenes):
        left, top = index % columns * (panel + GAP), TOP + index // columns * (panel + NAME_HEIGHT)
        box = f'x="{left:.1f}" y="{top:.1f}" width="{panel:.1f}" height="{panel:.1f}"'
        parts.append(f'<rect {box} fill="none" stroke="{RULE}"/>')
        parts += _windows(scene, scale, patch_size * scale, np.array([left, top]))
        letters = int(panel / LETTER)
        name = scene.name if len(scene.name) <= letters else scene.name[: letters - 1] + "…"
        parts.append(draw_text(left, top + panel + 14, name, "start", INK))
    below = TOP + rows * (panel + NAME_HEIGHT)
    drawn, lines = _legend(legend, below + 14)
    return document(title, below + lines * LINE, [*parts, *drawn])


def _windows(scene: Scene, scale: float, side: float, origin: NDArray[np.float64]) -> list[str]:
    """Squares, half transparent so that what several share is darker; those of one colour in one group."""
    places = (scene.corners - scene.corners.min(axis=0)) * scale + origin
    groups: dict[str, list[str]] = {}
    for (x, y), colour in zip(places, scene.colours, strict=True):
        square = f'<path d="M{x:.1f} {y:.1f}h{side:.1f}v{side:.1f}h-{side:.1f}z"/>'
        groups.setdefault(colour, []).append(square)
    return [
        f'<g fill="{colour}" fill-opacity="0.6" stroke="{colour}" stroke-width="0.8">{"".join(squares)}</g>'
        for colour, squares in groups.items()
    ]


def _legend(items: Sequence[tuple[str, str]], y: float) -> tuple[list[str], int]:
    """Squares with names, in as many lines as they need."""
    parts, x, line = [], 0.0, 0
    for name, colour in items:
        name = name if len(name) <= NAME else name[: NAME - 1] + "…"
        width = len(name) * LETTER + 34
        if x and x + width > WIDTH:
            x, line = 0.0, line + 1
        base = y + line * LINE
        parts.append(f'<rect x="{x:.1f}" y="{base - 9:.1f}" width="11" height="11" rx="3" fill="{colour}"/>')
        parts.append(draw_text(x + 17, base, name, "start", MUTED))
        x += width
    return parts, line + 1 if items else 0


def _view(points: NDArray[np.float64], degrees: bool) -> _View:
    """The extent of the points with a margin, widened to the form of the plot."""
    (west, south), (east, north) = points.min(axis=0), points.max(axis=0)
    shorten = max(math.cos(math.radians((south + north) / 2)), 0.02) if degrees else 1.0
    least = 1e-6 * max(1.0, abs(west), abs(north))
    width, tall = max((east - west) * shorten, least), max(north - south, least)
    width, tall = width + 2 * MARGIN * max(width, tall), tall + 2 * MARGIN * max(width, tall)
    across = WIDTH - LEFT - RIGHT
    height = min(max(across * tall / width, LEAST_HEIGHT), GREATEST_HEIGHT)
    width, tall = max(width, tall * across / height), max(tall, width * height / across)
    x, y = (west + east) / 2, (south + north) / 2
    half = width / shorten / 2
    return _View(float(x - half), float(x + half), float(y - tall / 2), float(y + tall / 2), height)


def _graticule(view: _View, degrees: bool) -> list[str]:
    right, base = WIDTH - RIGHT, TOP + view.height
    parts = [
        f'<rect x="{LEFT}" y="{TOP}" width="{right - LEFT}" height="{view.height:.1f}" fill="none" stroke="{RULE}"/>'
    ]
    xs = [t for t in nice_ticks(view.west, view.east, 4) if view.west < t < view.east]
    ys = [t for t in nice_ticks(view.south, view.north, 4) if view.south < t < view.north]
    for value, (x, _) in zip(xs, view(np.array([(t, view.north) for t in xs]).reshape(-1, 2)), strict=True):
        parts.append(f'<path d="M{x:.1f} {TOP:g}V{base:.1f}" stroke="{RULE}"/>')
        parts.append(draw_text(x, base + 17, _degrees(value, "EW") if degrees else f"{value:g}", "middle", MUTED))
    for value, (_, y) in zip(ys, view(np.array([(view.west, t) for t in ys]).reshape(-1, 2)), strict=True):
        parts.append(f'<path d="M{LEFT:g} {y:.1f}H{right:g}" stroke="{RULE}"/>')
        parts.append(draw_text(LEFT - 6, y + 4, _degrees(value, "NS") if degrees else f"{value:g}", "end", MUTED))
    return parts


def _degrees(value: float, letters: str) -> str:
    if letters == "EW":
        value = (value + 180) % 360 - 180
    side = "" if round(value, 9) in (0, -180) else letters[0] if value > 0 else letters[1]
    return f"{abs(round(value, 9)):g}°{side}"


def _outline(ring: NDArray[np.float64]) -> str:
    return "M" + "L".join(f"{x:.1f} {y:.1f}" for x, y in ring) + "Z"
