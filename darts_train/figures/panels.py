"""Pictures of single patches, as PNG bytes: arrays in, bytes out, no files, no global state."""

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import numpy.typing as npt
from matplotlib.figure import Figure
from matplotlib.patches import Patch

from darts_train.figures.maps import AGREEMENT
from darts_train.figures.style import DPI, INK, MUTED, frame, to_png

Image = npt.NDArray[np.floating[Any]]
Labels = npt.NDArray[np.integer[Any]]

GAMMA = 1 / 1.4  # brightens reflectance for the eye
SIDE = 512  # pixels of a patch that is drawn; larger ones are thinned out
OTHER_BANDS = 8  # small pictures at most
PAINT = 0.6  # share of the colour where it lies over the image
HIT, MISSED, EXTRA = (
    (r / 255, g / 255, b / 255) for r, g, b in (AGREEMENT[name] for name in ("found", "missed", "false alarm"))
)
IGNORED = (0.5, 0.5, 0.5)
CLASS_COLOURS = (
    (0.12, 0.47, 0.71), (1.0, 0.5, 0.05), (0.17, 0.63, 0.17), (0.84, 0.15, 0.16), (0.58, 0.4, 0.74),
    (0.55, 0.34, 0.29), (0.89, 0.47, 0.76), (0.74, 0.74, 0.13), (0.09, 0.75, 0.81),
)  # fmt: skip


def rgb_image(x: Image, names: Sequence[str]) -> Image:
    """What a patch looks like: float [h, w, 3] in [0, 1] from network input [c, h, w].

    red, green, blue where they are among `names`, else the first three bands (one band: grey), stretched to its own
    2nd and 98th percentile and brightened. NaN and constant bands are black.
    """
    picked = np.nan_to_num(np.asarray(x, np.float64)[rgb_channels(names)])
    low, high = (np.percentile(picked, q, axis=(1, 2), keepdims=True) for q in (2, 98))
    span = np.where(high > low, high - low, 1.0)
    return np.asarray(np.clip((picked - low) / span, 0, 1).transpose(1, 2, 0) ** GAMMA)


def rgb_channels(names: Sequence[str]) -> list[int]:
    """The three bands that are shown as an image."""
    channels = [names.index(name) for name in ("red", "green", "blue") if name in names]
    if len(channels) < 3:
        return list(range(3)) if len(names) >= 3 else [0, 0, 0]
    return channels


def agreement_image(rgb: Image, target: Labels, predicted: Labels, ignore_index: int) -> Image:
    """The image with hits green, missed positives orange, extra ones pink, ignored pixels grey; float [h, w, 3].

    A foreground pixel given the wrong foreground class counts as extra.
    """
    valid = target != ignore_index
    hit = valid & (target == predicted) & (target > 0)
    extra = valid & (predicted > 0) & (target != predicted)
    missed = valid & (target > 0) & (predicted == 0)
    painted = rgb.copy()
    for mask, colour in ((hit, HIT), (extra, EXTRA), (missed, MISSED), (~valid, IGNORED)):
        painted[mask] = (1 - PAINT) * painted[mask] + PAINT * np.asarray(colour)
    return painted


def class_image(labels: Labels) -> Image:
    """Class indices as colours, background white; float [h, w, 3]."""
    palette = np.asarray([(1.0, 1.0, 1.0), *CLASS_COLOURS])
    return np.asarray(palette[np.where(labels > 0, (labels - 1) % len(CLASS_COLOURS) + 1, 0)])


def thinned(pixels: npt.NDArray[Any]) -> npt.NDArray[Any]:
    """An array [..., h, w] with every nth row and column, so that neither side is above SIDE."""
    step = -(-max(pixels.shape[-2:]) // SIDE)
    return pixels[..., ::step, ::step]


def sample_panel(
    x: Image,
    names: Sequence[str],
    target: Labels,
    prediction: npt.NDArray[Any],
    ignore_index: int,
    title: str,
    classes: Sequence[str] = (),
) -> bytes:
    """One patch, what the network makes of it, and the bands that are not in the image, PNG.

    Args:
        x: Network input [c, h, w].
        names: Its bands.
        target: Class indices [h, w]; `ignore_index` is shown grey.
        prediction: Probabilities of the positive class (float [h, w]) or class indices (integer [h, w]).
        ignore_index: Value of `target` that counts nowhere.
        title: Heading; scores of the patch are added.
        classes: Names of the classes, the background first; given, their colours are explained where they are several.
    """
    is_probability = np.issubdtype(prediction.dtype, np.floating)
    predicted = (prediction > 0.5).astype(np.int64) if is_probability else prediction.astype(np.int64)
    heading = f"{title}     {_scores(target, predicted, ignore_index)}"
    x, target, predicted, prediction = (thinned(part) for part in (x, target, predicted, prediction))
    others = [i for i in range(len(names)) if i not in rgb_channels(names)][:OTHER_BANDS]
    # Places are fixed: to have matplotlib find them costs as much as the drawing.
    height = 6.2 if others else 4.3
    figure = Figure(figsize=(13, height), dpi=DPI)
    axes = _row(figure, 4, (height - 3.8) / height, (height - 0.6) / height)
    rgb = rgb_image(x, names)
    truth = class_image(np.where(target == ignore_index, 0, target).astype(np.int64))
    truth[target == ignore_index] = IGNORED
    pictures = (rgb, truth, agreement_image(rgb, target, predicted, ignore_index))
    for axis, picture, name in zip(axes, pictures, ("image", "labels", "agreement"), strict=False):
        frame(axis, name).imshow(picture, interpolation="nearest")
    _draw_prediction(axes[3], prediction if is_probability else predicted, is_probability)
    _legend(axes[2], {"found": HIT, "missed": MISSED, "extra": EXTRA, "ignored": IGNORED})
    if len(classes) > 2:
        _legend(axes[1], {name: CLASS_COLOURS[i % len(CLASS_COLOURS)] for i, name in enumerate(classes[1:])})
    if others:
        _draw_bands(_row(figure, max(len(others), 6), 0.01, 1.8 / height), x, names, others)
    figure.suptitle(heading, fontsize=11, color=INK, y=1 - 0.12 / height, va="top")
    return to_png(figure)


def _row(figure: Figure, count: int, bottom: float, top: float) -> Any:
    """Axes side by side over the whole width."""
    place = {"left": 0.004, "right": 0.996, "bottom": bottom, "top": top, "wspace": 0.02}
    return figure.subplots(1, count, gridspec_kw=place)


def _draw_prediction(axis: Any, prediction: npt.NDArray[Any], is_probability: bool) -> None:
    frame(axis, "probability" if is_probability else "prediction")
    if not is_probability:
        axis.imshow(class_image(prediction), interpolation="nearest")
        return
    shown = axis.imshow(prediction, vmin=0, vmax=1, cmap="viridis", interpolation="nearest")
    place = axis.inset_axes((0.02, -0.06, 0.96, 0.03))  # takes no room from the picture
    bar = axis.figure.colorbar(shown, cax=place, orientation="horizontal")
    bar.ax.tick_params(labelsize=7, colors=MUTED, length=2)
    bar.outline.set_visible(False)


def _legend(axis: Any, colours: Mapping[str, tuple[float, float, float]]) -> None:
    """Below the picture, four to a line."""
    handles = [Patch(color=colour, label=name) for name, colour in colours.items()]
    axis.legend(
        handles=handles, loc="upper center", bbox_to_anchor=(0.5, -0.01), ncols=4, fontsize=8, frameon=False,
        handlelength=1, handleheight=1, columnspacing=1, handletextpad=0.4, labelcolor=INK,
    )  # fmt: skip


def _draw_bands(axes: Any, x: Image, names: Sequence[str], chosen: Sequence[int]) -> None:
    """Each band in its own stretch, which the title tells."""
    for axis in axes[len(chosen) :]:
        axis.set_axis_off()
    for axis, channel in zip(axes, chosen, strict=False):
        band = np.nan_to_num(np.asarray(x[channel], np.float64))
        low, high = np.percentile(band, (2, 98))
        title = f"{names[channel]}, {low:.2f} to {high:.2f}"
        frame(axis, title).imshow(band, cmap="cividis", vmin=low, vmax=max(high, low + 1e-9), interpolation="nearest")
        axis.title.set(fontsize=8, color=MUTED)


def _scores(target: Labels, predicted: Labels, ignore_index: int) -> str:
    """Accuracy, and F1 and IoU of all foreground together, in words."""
    valid = target != ignore_index
    tp = int((valid & (target == predicted) & (target > 0)).sum())
    wrong = int((valid & (target != predicted) & (predicted > 0)).sum())
    wrong += int((valid & (target != predicted) & (target > 0)).sum())
    accuracy = float((target == predicted)[valid].mean()) if valid.any() else float("nan")
    if not tp + wrong:
        return f"accuracy {accuracy:.3f}, nothing to find"
    return f"accuracy {accuracy:.3f}, F1 {2 * tp / (2 * tp + wrong):.3f}, IoU {tp / (tp + wrong):.3f}"
