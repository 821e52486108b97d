"""Reports in a real browser, wide and as narrow as a telephone."""

import json

import numpy as np
import pytest

from darts_train.options.learning import Artifacts
from darts_train.options.report import Report
from darts_train.reporting.report import report
from tests.reporting import trained
from tests.reporting.browser import chromium, open_page

PROBE = (  # a frame lays its page out anew as soon as its size is asked for
    "[1200, 400].map(wide => { f.width = wide; return {width: view.innerWidth, "
    "over: page.documentElement.scrollWidth - page.documentElement.clientWidth, "
    "headings: [...page.querySelectorAll('h2')].map(h => h.textContent), "
    "charts: [...page.querySelectorAll('.charts svg')].map(s => s.getBoundingClientRect().width), "
    "outside: [...page.querySelectorAll('section > *, .headlines > *')].filter("
    "e => e.getBoundingClientRect().right > page.documentElement.clientWidth + 1).length, "
    "unnamed: [...page.querySelectorAll('svg')].filter(s => !s.getAttribute('aria-label')).length, "
    "pictures: [...page.images].map(i => i.naturalWidth), "
    "fetched: view.performance.getEntriesByType('resource').map(e => e.name).filter(n => !n.startsWith('data:'))}; })"
)


@pytest.fixture(scope="module")
def artifacts(tmp_path_factory):
    chromium()
    root = tmp_path_factory.mktemp("artifacts")
    trained.write_search(root, name="a-search-with-a-name-that-is-rather-long-for-a-telephone")
    trained.write_cv(root / "_cross_validations" / "whole", trained.rows_of("whole", 0.7, np.random.default_rng(0)))
    return root


@pytest.mark.parametrize(
    ("name", "charts", "heading"),
    [("a-search-with-a-name-that-is-rather-long-for-a-telephone", 10, "What mattered"), ("whole", 4, "All runs")],
)
def test_a_report_is_whole_at_any_width(artifacts, tmp_path, name, charts, heading):
    found = report(Report(name=name, output=tmp_path / "report.html"), Artifacts(artifact_dir=artifacts))
    text, log = open_page(found.page, tmp_path / "profile", PROBE)
    assert "CONSOLE" not in log
    for seen, width in zip(json.loads(text), (1200, 400), strict=True):
        assert seen["width"] == width
        assert heading in seen["headings"]
        assert len(seen["charts"]) >= charts
        assert min(seen["charts"]) > 200
        assert seen["over"] <= 0
        assert (seen["outside"], seen["unnamed"], seen["fetched"]) == (0, 0, [])
        assert seen["pictures"]
        assert min(seen["pictures"]) > 0
