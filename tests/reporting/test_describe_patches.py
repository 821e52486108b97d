"""The sections about single patches, of a set with the columns of the kelp tools and with columns of any name."""

import dataclasses
import xml.etree.ElementTree as ET

import numpy as np
import pandas as pd
import pytest

from darts_train.dataset.added_columns import add_columns
from darts_train.dataset.describing.describe import describe_set, open_or_empty
from darts_train.dataset.describing.suspects import Suspects
from darts_train.options.learning import Split
from darts_train.reporting.content import Charts, Page, Table
from darts_train.reporting.describe_patches import TITLES, patch_sections, shortened
from darts_train.reporting.page import render
from tests.support.sets import make_set

COUNT = 60


@pytest.fixture(scope="module")
def found(tmp_path_factory):
    root = tmp_path_factory.mktemp("columns") / "set"
    make_set(root, patches=COUNT, size=8)
    rng = np.random.default_rng(0)
    quality = np.where(rng.random(COUNT) < 0.6, 0.0, rng.random(COUNT))
    groups = [None] * 5 + [f"a site of a long name <{k % 31}>, survey & number {k % 31:04d}" for k in range(COUNT - 5)]
    columns = {
        "qa_corrupted_pixels_pct": quality,
        "qa_ok": quality == 0,
        "water_pixels_pct": np.where(np.arange(COUNT) < 4, np.nan, rng.random(COUNT)),
        "split": np.array(["train", "val", "test"], object)[rng.integers(0, 3, COUNT)],
        "surveyor": np.array([f"surveyor {k % 20}" for k in range(COUNT)], object),
        "instrument": np.array(["one"] * COUNT, object),
        "group": np.array(groups, object),
        **{f"a_column_with_a_name_of_many_letters_{k}": rng.normal(10.0 ** (3 * k), 1, COUNT) for k in range(8)},
    }
    add_columns(root, pd.DataFrame(columns))
    return describe_set(open_or_empty(root), Split(), strict=False)


def words(svg):
    return [text.text for text in ET.fromstring(svg).iter("{http://www.w3.org/2000/svg}text")]


def test_every_column_has_its_place(found):
    sections = {section.title: section.blocks for section in patch_sections(found)}
    assert list(sections) == [
        "Patches in numbers", "Patches by kind", "Groups", "What goes with what", "Patches worth a look",
    ]  # fmt: skip
    table, large = sections["Patches in numbers"]
    assert isinstance(table, Table)
    names = [row[0] for row in table.rows]
    assert names[:2] == ["share of positive", TITLES["valid_fraction"]]
    assert "pixels of water (4 without)" in names
    assert len(set(names)) == len(found.columns.numbers)
    assert isinstance(large, Charts)
    titles = [words(svg)[0] for svg in large.svgs]
    assert (len(titles), titles[0]) == (8, "Pixels of bad quality")  # discs of one size have one share
    flags, texts, alone = sections["Patches by kind"]
    assert flags.legend[-1][0] == "unknown"
    assert {"good quality everywhere", "more than 40 % corrupted", "more than 98 % water"} <= set(words(flags.svgs[0]))
    assert [words(svg)[0] for svg in texts.svgs] == [
        "Patches by split", "Patches by surveyor, the 15 most frequent of 20",
    ]  # fmt: skip
    assert alone.text == "instrument is one in all patches."
    said, sizes = sections["Groups"]
    assert said.text.startswith("31 groups, 7 of one patch; the largest has 2 patches; 5 patches without.")
    largest = words(sizes.svgs[-1])
    assert largest[0] == "The 30 largest groups"
    assert len({word for word in largest if "number" in word}) == 30  # their ends tell them apart
    assert sections["What goes with what"][0].wide
    (suspects,) = sections["Patches worth a look"]
    assert "Left out by --where 'qa_corrupted_pixels_pct <= 0.4'" in suspects.rows[0][2]


def test_the_page_of_these_sections_is_whole(found):
    many = Suspects("more than 40% <b>", tuple(range(40)), (0.5,) * 40, ("s&1",) * 40)
    page = render(Page("t", "l", [], patch_sections(dataclasses.replace(found, suspects=(many,)))))
    assert "and 28 more" in page
    assert "<b>" not in page
    assert "&amp; number 0001<" in page


def test_names_keep_their_ends():
    assert shortened("short") == "short"
    assert shortened("x" * 30 + "_0001", 20).endswith("_0001")
    assert len(shortened("x" * 99, 20)) == 20
