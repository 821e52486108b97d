"""The reliability diagram: an axis of shares whose labels can be read."""

import numpy as np
import pytest

from darts_train.figures import reliability

EDGES = np.linspace(0.05, 0.95, 15)


@pytest.mark.parametrize(
    "pixels",
    [np.full(15, 10.0), np.r_[60.0, np.full(13, 2.0), 14.0], np.r_[1e9, np.zeros(14)]],
    ids=["uniform", "under two decades", "one bin"],
)
def test_shares_are_labelled_at_whole_decades_alone(pixels, monkeypatch):
    kept = []
    monkeypatch.setattr(reliability, "to_png", lambda figure: kept.append(figure) or b"")
    reliability.reliability_panel({"as trained": (EDGES, EDGES, pixels, 0.0)})
    (figure,) = kept
    figure.canvas.draw()
    axis = figure.axes[1].yaxis
    low, high = figure.axes[1].get_ylim()
    assert not any(label.get_text() for label in axis.get_minorticklabels())
    assert sum(low <= place <= high for place in axis.get_majorticklocs()) >= 2
    shares = pixels / pixels.sum()
    assert low <= max(shares.min(), 1e-6)
    assert high > shares.max()
