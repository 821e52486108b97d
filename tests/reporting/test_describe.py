"""The description of a train data directory: as text, as JSON and as a page, of sets of every kind."""

import hashlib
import json
import re
from importlib.resources import files
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import shapely
from hypothesis import given
from hypothesis import strategies as st

import darts_train
from darts_train.base.errors import UserError
from darts_train.cli.main import main
from darts_train.dataset.splitting.splits import SplitIndices
from darts_train.options.learning import Split
from darts_train.options.preprocessing import Describe, Inspect, Output, Parallel, Patches, Raster
from darts_train.reporting import describe_map
from darts_train.reporting.describe import describe_train_data
from darts_train.reporting.describe_map import around_the_antimeridian, by_part, by_positive, by_region, read_outlines
from darts_train.reporting.describe_samples import choose
from tests.reporting.browser import open_page
from tests.reporting.odd_sets import across_the_antimeridian, many_regions, write
from tests.reporting.test_page import Tags
from tests.support.sets import make_old_set, make_set


@pytest.fixture(scope="module")
def real(tmp_path_factory):
    """The bundled scenes, in patches that overlap."""
    root = tmp_path_factory.mktemp("real") / "set"
    scenes = Path(str(files("darts_train.quickstart") / "scenes"))
    darts_train.preprocess_raster_train_data(
        raster=Raster(
            table=scenes / "table.csv",
            scale=1e-4,
            classes=("background", "cloud", "shadow"),
            remap="0:-100,1:2,2:0,3:0,4:1",
        ),
        output=Output(train_data_dir=root),
        patches=Patches(patch_size=128, overlap=32),
        parallel=Parallel(workers=1),
    )
    return root


def content(root):
    """Every file with the hash of its bytes."""
    return {str(p): hashlib.sha256(p.read_bytes()).hexdigest() for p in sorted(root.rglob("*")) if p.is_file()}


def described(root, page=None, **options):
    split = Split(**options) if options else None
    return describe_train_data(Inspect(train_data_dir=root), Describe(page=page), split)


def words(page):
    return " ".join(" ".join(Tags(page.read_text()).words).split())


def test_the_page_of_real_scenes(real, tmp_path):
    before, page = content(real), tmp_path / "out" / "page.html"
    found = described(real, page)
    assert content(real) == before
    assert found.page == page
    data = darts_train.TrainData.open(real)
    tags = Tags(page.read_text()).tags
    names = [tag for tag, _ in tags]
    assert names.count("img") == 12
    # histograms, classes, regions, maps and windows, fold 0; columns in the table, large, flags, groups, correlations
    assert names.count("svg") == (6 + 3 + 1 + 3 + 2) + (4 + 4 + 1 + 1 + 1)
    shown = words(page)
    for word in (*data.config.band_names, *data.config.classes, *data.metadata["region"].unique(), "°N", "°W"):
        assert word in shown, word
    for fold in found.splits.folds:
        assert fold.val_leak > 0
    assert "validation patches share pixels with training patches" in shown
    assert all(attributes["src"].startswith("data:") for tag, attributes in tags if tag == "img")


def test_the_numbers_of_real_scenes(real):
    found, data = described(real), darts_train.TrainData.open(real)
    x, y = data.read_many(range(len(data)))
    assert [each.pixels for each in found.classes] == [(y == k).sum() for k in range(3)]
    assert [each.patches for each in found.classes] == [(y == k).any(axis=(1, 2)).sum() for k in range(3)]
    assert found.ignored_share == pytest.approx((y == 255).mean())
    for i, (band, profile) in enumerate(zip(data.bands, found.profiles, strict=True)):
        values = x[:, i][x[:, i] != 65535].astype(np.float64) * band.scale + band.offset
        assert profile.quantiles == pytest.approx(tuple(np.percentile(values, (1, 50, 99))), abs=1e-9)
        assert profile.statistics.mean == pytest.approx(values.mean())
        assert profile.statistics.std == pytest.approx(values.std())
    for region in found.regions:
        part = y[(data.metadata["region"] == region.region).to_numpy()]
        assert region.positive_share == pytest.approx(((part > 0) & (part < 3)).sum() / (part < 3).sum())
    assert np.array_equal(found.positive_pixels, ((y > 0) & (y < 3)).sum(axis=(1, 2)))


def test_a_browser_shows_the_page(real, tmp_path):
    page = tmp_path / "page.html"
    described(real, page, data_split_method="region", data_split_by=("landsat5",))
    probe = (
        "{pictures: [...page.images].map(i => i.naturalWidth), "
        "wide: page.documentElement.scrollWidth > view.innerWidth, "
        "tables: [...page.querySelectorAll('.scroll')].filter(e => e.scrollWidth > e.clientWidth + 1).length, "
        "fetched: view.performance.getEntriesByType('resource').map(e => e.name).filter(n => !n.startsWith('data:'))}"
    )
    text, log = open_page(page, tmp_path / "profile", probe)
    seen = json.loads(text)
    assert len(seen["pictures"]) == 12
    assert min(seen["pictures"]) > 200
    assert (seen["wide"], seen["tables"], seen["fetched"]) == (False, 0, [])
    assert "CONSOLE" not in log


def odd(kind, root):
    """A set of a kind, and words that its page must show."""
    if kind == "antimeridian":
        return across_the_antimeridian(root), ["180°", "2021-07-01 to 2021-07-06"]
    if kind == "regions":
        return many_regions(root), ["100 others", "115 other regions", "cloudy2", "less than 10 % of the scene"]
    if kind == "older":
        return make_old_set(root, patches=9, size=16), ["no map", "unknown"]
    if kind == "one":
        return write(root, [("a", 1, {})]), ["1 patch of 16 × 16", "cannot be made"]
    if kind == "empty":
        return write(root, [], [("s1", "no label of it")]), ["no patches", "no label of it"]
    make_set(root, patches=9, size=16, bands=1, positives=0.0)
    return root, ["Left blue", "no georeference", "no positive pixel"]


@pytest.mark.parametrize("kind", ["antimeridian", "regions", "older", "one", "empty", "no positives"])
def test_odd_sets_have_pages_too(kind, tmp_path):
    root, expected = odd(kind, tmp_path / "set")
    before = content(root)
    found = described(root, tmp_path / "page.html")
    assert content(root) == before
    shown = words(tmp_path / "page.html")
    for word in expected:
        assert word in shown
    assert not re.search(r"\bnan\b", shown)
    lines = found.summary().splitlines()
    assert max(map(len, lines[1:-1])) <= 80
    json.dumps(found.to_dict(), allow_nan=False)


def test_a_page_is_not_written_where_it_must_not_be(real, tmp_path):
    (tmp_path / "d.html").mkdir()
    (tmp_path / "link").symlink_to(real)
    for page, problem in [
        (real / "describe.html", "lies in the train data directory"),
        (tmp_path / "link" / "deep" / "x.html", "lies in the train data directory"),
        (tmp_path / "labels.gpkg", "must end in .html"),
        (tmp_path / "d.html", "is a directory"),
    ]:
        with pytest.raises(UserError, match=problem):
            described(real, page)
        assert not page.is_file()


def command(capsys, *arguments):
    """Exit code and both streams of the command."""
    code = main(["describe-train-data", *map(str, arguments)])
    told = capsys.readouterr()
    return code, told.out, told.err


def test_the_command_prints_json_and_takes_the_splits_of_a_file(tmp_path, capsys, monkeypatch):
    monkeypatch.chdir(tmp_path)
    make_set(tmp_path / "set", patches=12, size=8)
    (tmp_path / "c.toml").write_text("[darts]\nfold-method = 'stratified'\ntotal-folds = 3\n")
    code, out, err = command(capsys, "--train-data-dir", "set", "--json", "--config-file", "c.toml")
    plain = json.loads(out)
    assert (code, err) == (0, "")
    assert plain["splits"]["options"]["fold_method"] == "stratified"
    assert [fold["val"]["patches"] for fold in plain["splits"]["folds"]] == [4, 4, 4]
    assert plain["class_patches"]["background"] == 12
    assert plain["bands"][0]["p01"] < plain["bands"][0]["p50"] < plain["bands"][0]["p99"]
    assert sum(plain["bands"][0]["histogram"]["counts"]) > 0.97 * 12 * 64


@pytest.mark.parametrize(("where", "code"), [("default", 0), ("file", 0), ("command line", 2)])
def test_an_impossible_split_is_an_error_only_where_it_was_typed(where, code, tmp_path, capsys, monkeypatch):
    monkeypatch.chdir(tmp_path)
    make_set(tmp_path / "set", patches=4, size=8)
    given = ["--train-data-dir", "set", "--page", "p.html"]
    if where == "file":
        (tmp_path / "config.toml").write_text("[darts]\nfold-method = 'region'\n")
    if where == "command line":
        given += ["--total-folds", "5"]  # which is the default
    found, out, err = command(capsys, *given)
    assert found == code
    assert (tmp_path / "p.html").is_file() == (code == 0)
    if code:
        assert len(err.splitlines()) == 1
        assert "--total-folds 5" in err
    else:
        assert "cannot be made" in out
        assert "cannot be made" in words(tmp_path / "p.html")


@given(st.integers(-180, 179), st.lists(st.integers(0, 90), min_size=1, max_size=12))
def test_outlines_lie_together_wherever_they_are(west, offsets):
    def ring(x):
        longitudes = (np.array([x, x + 2, x + 2, x, x], float) + 180) % 360 - 180
        return np.stack([longitudes, [70, 70, 71, 71, 70]], axis=1)

    moved = around_the_antimeridian([ring(west + offset) for offset in offsets])
    points = np.concatenate(moved)
    assert np.ptp(points[:, 0]) == max(offsets) - min(offsets) + 2
    for found, offset in zip(moved, offsets, strict=True):
        assert np.ptp(found[:, 0]) == 2
        assert (found[0, 0] - west - offset) % 360 == 0


def test_outlines_that_do_not_cross_keep_their_numbers():
    rings = [np.array([(x, 0), (x + 1, 0), (x, 1)], float) for x in (-120, -20, 60)]
    for ring, moved in zip(rings, around_the_antimeridian(rings), strict=True):
        np.testing.assert_array_equal(ring, moved)


@pytest.mark.filterwarnings("ignore:invalid value encountered in linearrings")
def test_what_is_no_outline_is_left_out():
    square = shapely.to_wkb(shapely.box(5e5, 7e6, 5.1e5, 7.1e6))
    point, holed = shapely.to_wkb(shapely.Point(1, 2)), shapely.to_wkb(shapely.Polygon([(0, 0), (1, np.nan), (1, 1)]))
    found = read_outlines(pd.DataFrame({"geometry": [None, square, b"no wkb", point, holed, 7, ""]}))
    assert (found.patch.tolist(), found.unknown) == ([1], 6)
    assert found.degrees is False
    assert read_outlines(pd.DataFrame({"geometry": [None, b"no wkb"]})) is None
    assert read_outlines(pd.DataFrame({"x": [1]})) is None


def test_every_patch_has_a_colour():
    regions = by_region(pd.DataFrame({"region": [f"r{i}" for i in range(9)] + ["r8"]}))
    assert regions.names[0] == "r8"
    assert regions.names[-1] == "4 other regions"
    assert (regions.kinds == 5).sum() == 4
    shares = by_positive(np.array([0, 1, 100, 10_000]), 100)
    assert shares.kinds.tolist() == [0, 1, 1, 4]
    parts = by_part(5, SplitIndices(np.array([0, 1]), np.array([2]), np.array([3])))
    assert parts.kinds.tolist() == [0, 0, 1, 2, -1]
    same = by_part(3, SplitIndices(np.arange(3), np.arange(3), np.arange(3)))
    assert same.kinds.tolist() == [0, 0, 0]


def test_windows_of_many_patches_are_cut_off(monkeypatch):
    monkeypatch.setattr(describe_map, "LIMIT", 15)
    rows = pd.DataFrame({"sample_id": [f"s{i // 10}" for i in range(40)], "region": "a", "x": 0, "y": 0})
    svg = describe_map.draw_windows(rows, 8, by_region(rows), "t")
    assert ">s0<" in svg
    assert ">s1<" in svg
    assert ">s2<" not in svg
    assert svg.count("<path") == 20
    assert describe_map.draw_windows(rows.drop(columns="x"), 8, by_region(rows), "t") is None


def test_samples_are_half_positive_and_of_all_scenes():
    rows = pd.DataFrame({"sample_id": [f"s{i // 50}" for i in range(200)], "empty": [i % 10 > 0 for i in range(200)]})
    chosen = choose(rows)
    assert len(set(chosen)) == 12
    assert (~rows.loc[chosen, "empty"]).sum() == 6
    assert rows.loc[chosen, "sample_id"].value_counts().min() >= 2
    assert chosen == choose(rows)
    assert len(choose(rows.assign(empty=True))) == 12
    assert len(choose(rows.assign(empty=False))) == 12
    assert choose(rows.iloc[:3]) == [0, 1, 2]
