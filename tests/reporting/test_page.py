"""A page is one file, shows what it was given, and can do no harm."""

import json
import re
from html.parser import HTMLParser

from darts_train.reporting.content import Page
from darts_train.reporting.page import render, write_page
from tests.reporting.browser import open_page
from tests.reporting.pages import HOSTILE, page_of_everything


class Tags(HTMLParser):
    """All tags with their attributes, and the text."""

    def __init__(self, html):
        super().__init__()
        self.tags, self.words = [], []
        self.feed(html)

    def handle_starttag(self, tag, attrs):
        self.tags.append((tag, dict(attrs)))

    def handle_data(self, data):
        self.words.append(data)


def test_every_block_is_shown():
    page = Tags(render(page_of_everything("marmot")))
    names = [tag for tag, _ in page.tags]
    for tag, count in {"svg": 2, "img": 2, "table": 1, "pre": 1, "section": 1, "dl": 1}.items():
        assert names.count(tag) == count, tag
    assert "".join(page.words).count("marmot") >= 15


def test_text_is_escaped_everywhere():
    html = render(page_of_everything(HOSTILE))
    page = Tags(html)
    assert "script" not in [tag for tag, _ in page.tags]
    assert HOSTILE in "".join(page.words)
    assert {attributes["alt"] for tag, attributes in page.tags if tag == "img"} == {HOSTILE}


def test_nothing_is_fetched_from_anywhere():
    page = Tags(render(page_of_everything()))
    links = [v for _, attributes in page.tags for k, v in attributes.items() if k in ("src", "href")]
    assert links
    assert all(link.startswith("data:") for link in links)
    assert not re.search(r"url\(|@import|https?://(?!www\.w3\.org/2000/svg)", render(page_of_everything()))


def test_an_empty_page_is_a_page():
    assert "<h1>t</h1>" in render(Page("t", "l", [], []))


def test_the_marked_row_stands_out():
    marked = [attributes for tag, attributes in Tags(render(page_of_everything())).tags if tag == "tr"]
    assert [a.get("class") for a in marked] == [None, None, "marked"]


def test_a_browser_shows_it_without_a_complaint(tmp_path):
    path = write_page(tmp_path / "report.html", page_of_everything())
    probe = (
        "{pictures: [...page.images].map(i => i.naturalWidth), charts: [...page.querySelectorAll('svg')].map("
        "s => s.getBoundingClientRect().width), wide: page.documentElement.scrollWidth > view.innerWidth, "
        "fetched: view.performance.getEntriesByType('resource').map(e => e.name).filter(n => !n.startsWith('data:'))}"
    )
    text, log = open_page(path, tmp_path / "profile", probe)
    seen = json.loads(text)
    assert seen["pictures"] == [16, 16]
    assert len(seen["charts"]) == 2
    assert min(seen["charts"]) > 100
    assert seen["wide"] is False
    assert seen["fetched"] == []
    assert "CONSOLE" not in log
