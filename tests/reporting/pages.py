"""A page with one of everything, for the tests."""

import numpy as np

from darts_train.figures.charts import Series, line_chart
from darts_train.figures.maps import png
from darts_train.reporting.content import Charts, Code, Headline, Page, Picture, Pictures, Section, Table, Text

HOSTILE = "<script>alert('x')</script> & \"quoted\""


def page_of_everything(text: str = "plain") -> Page:
    """One block of every kind, with `text` wherever text can stand."""
    picture = Picture(text, png(np.full((16, 16, 3), 90, np.uint8)), text)
    chart = line_chart([Series(text, [0, 1], [0.1, 0.9])], text, text, text)
    blocks = [
        Text(text),
        Charts([chart, chart], text),
        Pictures([picture, picture], [(text, "#009e73")], text),
        Table([text, "score"], [[text, "0.5"], ["b", "0.7"]], frozenset({1}), marked=1, caption=text),
        Code(text),
    ]
    return Page(text, text, [Headline(text, "0.84", text)], [Section(text, blocks)], [text])
