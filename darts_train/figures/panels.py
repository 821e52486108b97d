"""Pictures of single patches and of test results, as PNG bytes: arrays in, bytes out, no files, no global state.

matplotlib is used through its objects (Figure, Agg canvas): pyplot keeps figures alive in a global list and
chooses a backend for the whole process.
"""

import io
from collections.abc import Sequence
from typing import Any

import numpy as np
import numpy.typing as npt
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure

Image = npt.NDArray[np.floating[Any]]
Labels = npt.NDArray[np.integer[Any]]

DPI = 100
GAMMA = 1 / 1.4  # brightens reflectance for the eye
HIT, EXTRA, MISSED, IGNORED = (0.1, 0.75, 0.2), (0.95, 0.2, 0.15), (0.15, 0.35, 1.0), (0.5, 0.5, 0.5)
CLASS_COLOURS = (
    (0.12, 0.47, 0.71), (1.0, 0.5, 0.05), (0.17, 0.63, 0.17), (0.84, 0.15, 0.16), (0.58, 0.4, 0.74),
    (0.55, 0.34, 0.29), (0.89, 0.47, 0.76), (0.74, 0.74, 0.13), (0.09, 0.75, 0.81),
)  # fmt: skip


def rgb_image(x: Image, names: Sequence[str]) -> Image:
    """What a patch looks like: float [h, w, 3] in [0, 1] from network input [c, h, w].

    red, green, blue where they are among `names`, else the first three bands (one band: grey), stretched to its own
    2nd and 98th percentile and brightened. NaN and constant bands are black.
    """
    channels = [names.index(name) for name in ("red", "green", "blue") if name in names]
    if len(channels) < 3:
        channels = list(range(3)) if len(x) >= 3 else [0, 0, 0]
    picked = np.nan_to_num(np.asarray(x, np.float64)[channels])
    low, high = (np.percentile(picked, q, axis=(1, 2), keepdims=True) for q in (2, 98))
    span = np.where(high > low, high - low, 1.0)
    return np.asarray(np.clip((picked - low) / span, 0, 1).transpose(1, 2, 0) ** GAMMA)


def agreement_image(rgb: Image, target: Labels, predicted: Labels, ignore_index: int) -> Image:
    """The image with hits green, extra positives red, missed ones blue, ignored pixels grey; float [h, w, 3].

    A foreground pixel given the wrong foreground class counts as extra.
    """
    valid = target != ignore_index
    hit = valid & (target == predicted) & (target > 0)
    extra = valid & (predicted > 0) & (target != predicted)
    missed = valid & (target > 0) & (predicted == 0)
    painted = rgb.copy()
    for mask, colour in ((hit, HIT), (extra, EXTRA), (missed, MISSED), (~valid, IGNORED)):
        painted[mask] = 0.5 * painted[mask] + 0.5 * np.asarray(colour)
    return painted


def class_image(labels: Labels) -> Image:
    """Class indices as colours, background white; float [h, w, 3]."""
    palette = np.asarray([(1.0, 1.0, 1.0), *CLASS_COLOURS])
    return np.asarray(palette[np.where(labels > 0, (labels - 1) % len(CLASS_COLOURS) + 1, 0)])


def sample_panel(
    x: Image, names: Sequence[str], target: Labels, prediction: npt.NDArray[Any], ignore_index: int, title: str
) -> bytes:
    """One patch beside what the network makes of it, PNG.

    Args:
        x: Network input [c, h, w].
        names: Its bands.
        target: Class indices [h, w]; `ignore_index` is shown grey.
        prediction: Probabilities of the positive class (float [h, w]) or class indices (integer [h, w]).
        ignore_index: Value of `target` that counts nowhere.
        title: Heading.
    """
    is_probability = np.issubdtype(prediction.dtype, np.floating)
    predicted = (prediction > 0.5).astype(np.int64) if is_probability else prediction.astype(np.int64)
    rgb = rgb_image(x, names)
    truth = class_image(np.where(target == ignore_index, 0, target).astype(np.int64))
    figure = Figure(figsize=(14, 4), dpi=DPI)
    axes = figure.subplots(1, 4, gridspec_kw={"left": 0.01, "right": 0.96, "bottom": 0.02, "top": 0.82, "wspace": 0.04})
    pictures = (rgb, truth, agreement_image(rgb, target, predicted, ignore_index))
    for axis, picture, name in zip(axes, pictures, ("image", "labels", "hit, extra, missed"), strict=False):
        axis.imshow(picture, interpolation="nearest")
        axis.set_title(name)
    axes[3].set_title("prediction")
    if is_probability:
        shown = axes[3].imshow(prediction, vmin=0, vmax=1, cmap="viridis", interpolation="nearest")
        figure.colorbar(shown, cax=figure.add_axes((0.965, 0.1, 0.008, 0.64)))
    else:
        axes[3].imshow(class_image(predicted), interpolation="nearest")
    for axis in axes:
        axis.set_axis_off()
    figure.suptitle(title)
    return to_png(figure)


def confusion_panel(matrix: Labels, classes: Sequence[str]) -> bytes:
    """A confusion matrix [k, k] (rows true, columns predicted), coloured by the share of each row, PNG.

    A class that does not occur has an empty row (share 0).
    """
    counts = np.asarray(matrix, np.float64)
    totals = counts.sum(1, keepdims=True)
    shares = np.divide(counts, totals, out=np.zeros_like(counts), where=totals > 0)
    size = 2.5 + 0.9 * len(classes)
    figure = Figure(figsize=(size + 1, size), dpi=DPI, layout="constrained")
    axis = figure.subplots()
    axis.imshow(shares, vmin=0, vmax=1, cmap="Blues")
    for row, column in np.ndindex(*shares.shape):
        colour = "white" if shares[row, column] > 0.5 else "black"
        text = f"{shares[row, column]:.3f}\n{int(counts[row, column]):,}"
        axis.text(column, row, text, ha="center", va="center", color=colour, fontsize=8)
    ticks = range(len(classes))
    axis.set(xlabel="predicted", ylabel="true", xticks=ticks, yticks=ticks, title="pixels")
    axis.set_xticklabels(classes, rotation=30, ha="right")
    axis.set_yticklabels(classes)
    return to_png(figure)


def curve_panel(x: Image, y: Image, x_label: str, y_label: str, title: str) -> bytes:
    """A curve in the unit square (ROC, precision over recall), float [n] each, PNG."""
    figure = Figure(figsize=(5, 5), dpi=DPI, layout="constrained")
    axis = figure.subplots()
    axis.plot(x, y)
    axis.set(xlim=(0, 1), ylim=(0, 1.02), xlabel=x_label, ylabel=y_label, title=title, aspect="equal")
    axis.grid(alpha=0.3)
    return to_png(figure)


def to_png(figure: Figure) -> bytes:
    """A matplotlib figure as PNG."""
    buffer = io.BytesIO()
    FigureCanvasAgg(figure).print_png(buffer)
    return buffer.getvalue()
