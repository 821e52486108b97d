"""Scenes in several processes, and on a cluster: the same files."""

import pytest

from darts_train.base.errors import UserError
from darts_train.inference.parallel import device_names
from darts_train.options.predicting import Devices
from tests.support.cluster import dask_cluster
from tests.support.predicting import predicted

from .scenes import write_model, write_scene


@pytest.fixture(scope="module")
def settings(tmp_path_factory):
    root = tmp_path_factory.mktemp("scenes")
    (root / "scenes").mkdir()
    for name in ("a", "b"):
        write_scene(root / "scenes" / f"{name}.tif", 40, 50)
    model = write_model(root / "model.ckpt")  # no polygons: workers need not import what writes them
    return {"model": model, "input": (root / "scenes",), "device": "cpu", "polygons": ("none",)}


@pytest.fixture(scope="module")
def alone(settings, tmp_path_factory):
    return contents(predicted(**settings, out_dir=tmp_path_factory.mktemp("alone")))


def contents(summary):
    return {
        f"{found.scene_id}/{path.name}": path.read_bytes()
        for found in summary.maps
        for path in sorted(found.directory.iterdir())
    }


def test_processes(settings, alone, tmp_path):
    summary = predicted(**settings, out_dir=tmp_path, workers=2)
    assert contents(summary) == alone
    assert [found.scene_id for found in summary.maps] == ["a", "b"]
    again = predicted(**settings, out_dir=tmp_path)  # in this one: what is there is kept
    assert all(found.kept for found in again.maps)


def test_a_cluster(settings, alone, tmp_path):
    with dask_cluster(1) as address:
        assert contents(predicted(**settings, out_dir=tmp_path, scheduler=address)) == alone


@pytest.mark.parametrize(
    ("device", "options", "names"),
    [
        (None, {}, ("auto",)),
        ("cpu", {"workers": 3}, ("cpu", "cpu")),
        ("cpu", {"workers": 1}, ("cpu",)),
        ("0", {"scheduler": "tcp://x:1"}, ("0",)),
    ],
)
def test_devices(device, options, names):
    assert device_names(device, Devices(**options), scene_count=2) == names


@pytest.mark.parametrize(
    ("device", "options", "words"),
    [
        ("cpu,cuda:99", {}, "there is no cuda:99"),
        ("cpu,cpu", {}, "names a device twice"),
        ("0,1", {"scheduler": "tcp://x:1"}, "not with --scheduler"),
    ],
)
def test_devices_that_cannot_be(device, options, words):
    with pytest.raises(UserError, match=words):
        device_names(device, Devices(**options))


def test_more_devices_than_workers(monkeypatch):
    monkeypatch.setattr("darts_train.models.torch_device.known_devices", lambda: ["cpu", "cuda:0", "cuda:1"])
    with pytest.raises(UserError, match="of two kinds"):
        device_names("cpu,1", Devices(), 5)
    assert device_names("0,1", Devices(), 5) == ("0", "1")
    assert device_names("0,1", Devices(workers=3), 5) == ("0", "1", "0")
    with pytest.raises(UserError, match="fewer than the devices"):
        device_names("0,1", Devices(workers=1))
