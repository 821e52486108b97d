"""A name means what lies below the artifact directory, or the nearest names are told."""

import os

import pytest

from darts_train.artifacts.lookup import find, walk
from darts_train.base.errors import UserError
from tests.reporting import trained


@pytest.fixture(scope="module")
def artifacts(tmp_path_factory):
    root = tmp_path_factory.mktemp("artifacts")
    rows = [trained.row("plain-run-f0s42", 0, 42, 0.7)]
    trained.write_cv(root / "_cross_validations" / "plain", rows)
    trained.write_cv(root / "deep" / "deep-cv0", [trained.row("deep-cv0-run-f0s42", 0, 42, 0.7)])
    (root / "empty-search").mkdir()
    (root / "empty-search" / "sweep.db").touch()
    for run_id in ("aaaaaaaa", "bbbbbbbb"):
        trained.write_run(root / "_runs", "twice", run_id=run_id)
    os.utime(root / "_runs" / "twice-aaaaaaaa" / "run.json", (2e9, 2e9))
    return root


@pytest.mark.parametrize(
    ("name", "kind", "place"),
    [
        ("plain", "cv", "_cross_validations/plain"),
        ("deep", "tune", "deep"),
        ("empty-search", "tune", "empty-search"),
        ("deep-cv0", "cv", "deep/deep-cv0"),
        ("deep/deep-cv0", "cv", "deep/deep-cv0"),
        ("deep-cv0-run-f0s42", "run", "deep/deep-cv0/deep-cv0-run-f0s42-abcdefgh"),
        ("plain-run-f0s42-abcdefgh", "run", "_cross_validations/plain/plain-run-f0s42-abcdefgh"),
        ("twice", "run", "_runs/twice-aaaaaaaa"),
        ("twice-bbbbbbbb", "run", "_runs/twice-bbbbbbbb"),
    ],
)
def test_names_and_directories_are_found(artifacts, name, kind, place):
    found = find(artifacts, name)
    assert (found.kind, found.directory) == (kind, artifacts / place)


def test_a_directory_elsewhere_is_found_without_the_artifact_directory(artifacts, tmp_path):
    found = find(tmp_path / "absent", str(artifacts / "deep"))
    assert (found.kind, found.name, found.words) == ("tune", "deep", "search deep")


def test_everything_is_walked_once(artifacts):
    found = [one.directory for one in walk(artifacts)]
    assert len(found) == len(set(found)) == 8


def test_an_unknown_name_tells_the_nearest(artifacts, tmp_path):
    with pytest.raises(UserError, match="has no run, cross-validation or search plian; nearest: plain"):
        find(artifacts, "plian")
    with pytest.raises(UserError, match="there are deep, empty-search, plain, twice"):
        find(artifacts, "0123456789")
    with pytest.raises(UserError, match="there is nothing"):
        find(tmp_path, "x")
    with pytest.raises(UserError, match="--artifact-dir"):
        find(tmp_path / "absent", "x")


def test_a_name_of_two_things_is_refused_with_their_places(tmp_path):
    trained.write_cv(tmp_path / "_cross_validations" / "same", [])
    trained.write_cv(tmp_path / "other" / "same", [])
    with pytest.raises(UserError, match="several are called same") as error:
        find(tmp_path, "same")
    assert "_cross_validations" in str(error.value)
