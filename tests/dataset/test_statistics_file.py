"""Files of the bands' numbers for other programs, made by the command as its user makes them."""

import json

import numpy as np
import pytest

from darts_train.cli.main import main
from darts_train.dataset.normalisation import training_numbers
from darts_train.dataset.reader import TrainData
from darts_train.dataset.splitting.splits import make_split
from darts_train.options.learning import Split
from darts_train.raster.band import NODATA
from tests.support.sets import make_set


@pytest.fixture(scope="module")
def root(tmp_path_factory):
    path = tmp_path_factory.mktemp("stats") / "set"
    make_set(path, patches=8, size=16, nodata=True)
    return path


@pytest.fixture(autouse=True)
def elsewhere(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)


def command(capsys, root, *arguments):
    """Exit code and both streams of the command."""
    code = main(["describe-train-data", "--train-data-dir", str(root), *map(str, arguments)])
    told = capsys.readouterr()
    return code, told.out, told.err


def pixels(root, band, rows=range(8)):
    data = TrainData.open(root)
    codes = np.stack([data.read(int(row))[0][band] for row in rows])
    return data.bands[band].offset + data.bands[band].scale * codes[codes != NODATA].astype(float)


def test_the_npz_file_is_that_of_hakai(root, tmp_path, capsys):
    code, out, _ = command(capsys, root, "--stats-file", "channel_stats.npz", "--max-pixel-val", "255")
    assert code == 0
    assert "pixels that are not black, divided by 255" in out
    with np.load(tmp_path / "channel_stats.npz") as found:
        assert sorted(found.files) == ["mean", "std"]
        mean, std = found["mean"], found["std"]
    assert (mean.dtype, std.dtype, mean.shape) == (np.float32, np.float32, (3,))
    for band in range(3):  # no pixel of this set is black
        expected = pixels(root, band) / 255
        assert (mean[band], std[band]) == pytest.approx((expected.mean(), expected.std(ddof=1)), rel=1e-6)


def test_the_json_file_has_the_numbers_of_the_training_patches_that_normalisation_takes(root, tmp_path, capsys):
    given = ("--statistics-of", "train", "--fold", "1", "--total-folds", "2", "--stats-file", "s.json")
    code, out, _ = command(capsys, root, *given, "--unit-bands", "gr*", "--json")
    plain, found = json.loads(out), json.loads((tmp_path / "s.json").read_text())
    rows = make_split(TrainData.open(root).metadata, Split(total_folds=2), 1).train
    assert code == 0
    assert (list(found), plain["statistics_of"]) == (["blue", "green", "red"], "the 4 training patches of fold 1")
    assert found["green"] == {"mean": 0, "std": 1, "min": 0, "max": 1, "q01": 0, "q99": 1}
    for band, name in ((0, "blue"), (2, "red")):
        values, numbers = pixels(root, band, rows), training_numbers(TrainData.open(root), rows)[band]
        expected = (values.mean(), values.std(), values.min(), values.max(), *np.percentile(values, (1, 99)))
        assert tuple(found[name].values()) == pytest.approx(expected, rel=1e-9)
        assert tuple(found[name].values()) == (
            numbers.mean, numbers.std, numbers.minimum, numbers.maximum, numbers.q01, numbers.q99,
        )  # fmt: skip
        assert plain["bands"][band]["p99"] == found[name]["q99"]
    assert plain["patches"] == 8


@pytest.mark.parametrize(
    ("given", "problem"),
    [
        (("--stats-file", "s.txt"), "must end in .npz"),
        (("--stats-file", "there.json"), "exists; choose another name, or give --overwrite"),
        (("--stats-file", "folder.json"), "is a directory"),
        (("--stats-file", "s.json", "--unit-bands", "QA,red"), "no band QA in the set"),
        (("--stats-file", "s.npz", "--unit-bands", "red"), "is for a .json file"),
        (("--stats-file", "s.npz", "--max-pixel-val", "0"), "must be greater than 0"),
        (("--statistics-of", "train", "--fold", "5"), "--fold: 5 does not exist; the folds are 0 to 4"),
        (("--statistics-of", "train", "--total-folds", "20"), "--total-folds 20"),
    ],
)
def test_what_cannot_be_written_is_told_in_a_line_and_nothing_is(given, problem, root, tmp_path, capsys):
    (tmp_path / "there.json").write_text("mine")
    (tmp_path / "folder.json").mkdir()
    code, _, err = command(capsys, root, *given)
    assert code == 2
    assert problem in err
    assert len(err.splitlines()) == 1
    assert (tmp_path / "there.json").read_text() == "mine"
    assert not list(tmp_path.glob("s.*"))


def test_a_file_is_replaced_where_that_is_said_and_never_written_into_the_set(root, tmp_path, capsys):
    (tmp_path / "s.json").write_text("old")
    assert command(capsys, root, "--stats-file", "s.json", "--overwrite")[0] == 0
    assert json.loads((tmp_path / "s.json").read_text())["red"]["std"] > 0
    code, _, err = command(capsys, root, "--stats-file", root / "s.npz")
    assert (code, (root / "s.npz").exists()) == (2, False)
    assert "lies in the train data directory" in err
