"""A report page: content → one HTML file that needs nothing beside it.

Styles are inline, pictures are base64, charts are SVG, and there is no script: the page opens from a disk without a
network, can be mailed, and the policy in its head forbids the browser to fetch anything. All text is escaped.
"""

import base64
from importlib.resources import files
from pathlib import Path

from jinja2 import Environment, StrictUndefined

from darts_train.base.files import write_text
from darts_train.reporting.content import Page

TEMPLATE = "templates/page.html.j2"


def render(page: Page) -> str:
    """The page as HTML. A page without sections or headlines is a page with a title."""
    source = files("darts_train.reporting").joinpath(TEMPLATE).read_text(encoding="utf-8")
    environment = Environment(autoescape=True, undefined=StrictUndefined, trim_blocks=True, lstrip_blocks=True)
    environment.filters["data_uri"] = _data_uri
    return environment.from_string(source).render(page=page)


def write_page(path: Path, page: Page) -> Path:
    """Write the page atomically and return its path."""
    write_text(path, render(page))
    return path


def _data_uri(png: bytes) -> str:
    return "data:image/png;base64," + base64.b64encode(png).decode("ascii")
