"""What all pictures of matplotlib have in common: colours, quiet axes, PNG bytes.

matplotlib is used through its objects (Figure, Agg canvas): pyplot keeps figures alive in a global list and chooses a
backend for the whole process. So pictures may be drawn in a thread beside the training.
"""

import io
from typing import Any

from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure
from matplotlib.layout_engine import ConstrainedLayoutEngine

DPI = 100
INK, MUTED, RULE = "#24292f", "#667079", "#d8dde3"
# Okabe and Ito (2008): apart for any colour vision.
COLOURS = ("#0072B2", "#D55E00", "#009E73", "#CC79A7", "#E69F00", "#56B4E9")
PART_COLOURS = {"train": "#0072B2", "val": "#E69F00", "test": "#CC79A7"}
DASHES = ("-", "--", ":", "-.")


def close_layout(gap: float = 0.02) -> ConstrainedLayoutEngine:
    """The layout of sheets of pictures: little space between them."""
    return ConstrainedLayoutEngine(w_pad=0.03, h_pad=0.03, wspace=gap, hspace=gap)


def tidy(axis: Any, grid: bool = True, **settings: Any) -> Any:
    """Axes without a box, with pale lines behind the data; `settings` go to `axis.set`."""
    axis.set(**settings)
    axis.spines[["top", "right"]].set_visible(False)
    axis.spines[["left", "bottom"]].set_color(RULE)
    axis.tick_params(colors=MUTED, labelsize=8, length=3)
    axis.title.set(color=INK, fontsize=10)
    for label in (axis.xaxis.label, axis.yaxis.label):
        label.set(color=MUTED, fontsize=9)
    if grid:
        axis.grid(color=RULE, lw=0.7)
        axis.set_axisbelow(True)
    return axis


def frame(axis: Any, title: str = "") -> Any:
    """Axes of a picture: no ticks, a pale frame, a title."""
    axis.set(xticks=(), yticks=())
    for spine in axis.spines.values():
        spine.set(color=RULE, linewidth=0.8)
    axis.set_title(title, fontsize=9, color=INK, pad=4)
    return axis


def to_png(figure: Figure) -> bytes:
    """A matplotlib figure as PNG."""
    buffer = io.BytesIO()
    FigureCanvasAgg(figure).print_png(buffer, pil_kwargs={"compress_level": 3})  # a quarter of the time of 6
    return buffer.getvalue()
