"""The whole way through the real parts, shortened; stopped and gone on with."""

import dataclasses
import json
import re

import pytest

from darts_train.base.errors import UserError
from darts_train.options.tools import Quickstart
from darts_train.quickstart import recipe as module
from darts_train.quickstart.recipe import STEPS, quickstart
from darts_train.quickstart.state import STATE_FILE
from darts_train.quickstart.task import REFLECTANCE_SCALE, Recipe
from tests.support.predicting import predicted

SHORT = Recipe(
    patch_size=64,
    overlap=0,
    model_arch="Linknet",
    model_encoder="resnet18",
    batch_size=4,
    model_options=("encoder_depth=3",),
    search_epochs=1,
    epochs=1,
    ema_decay=0.0,
    space={"focal_loss_alpha": [0.9]},  # one epoch finds something: a score of 0 would be unstable
)
HEAVY = 4  # steps before the model file
pytestmark = [pytest.mark.slow, pytest.mark.timeout(900)]


@pytest.fixture(scope="module")
def finished(tmp_path_factory):
    """A quickstart that was stopped before its model file, and called again."""
    options = Quickstart(directory=tmp_path_factory.mktemp("quick") / "start", device="cpu")
    stopped = STEPS[HEAVY]

    def stop(work):
        raise KeyboardInterrupt

    with pytest.MonkeyPatch.context() as patch:
        steps = [dataclasses.replace(step, run=stop) if step is stopped else step for step in STEPS]
        patch.setattr(module, "STEPS", tuple(steps))
        with pytest.raises(KeyboardInterrupt):
            quickstart(options, SHORT)
    state = json.loads((options.directory / STATE_FILE).read_text())
    assert [name for name, step in state["steps"].items() if step["done"]] == [s.name for s in STEPS[:HEAVY]]
    runs = sorted((options.directory / "artifacts").rglob("run.json"))
    times = [run.stat().st_mtime_ns for run in runs]
    result = quickstart(options, SHORT)
    assert [run.stat().st_mtime_ns for run in runs] == times  # nothing was trained again
    assert sorted((options.directory / "artifacts").rglob("run.json")) == runs
    return options, result


def test_the_report_shows_the_map(finished):
    _, result = finished
    html = result.report.read_text()
    assert html.count('src="data:image/png;base64,') == 4
    assert html.count("<svg") == 4
    assert f"{result.held_out_iou:.3f}" in html
    assert not re.search(r"(src|href)=\"(?!data:)", html)


def test_the_score_is_that_of_the_map_on_the_disk(finished):
    import rasterio
    from sklearn.metrics import jaccard_score

    options, result = finished
    classes = json.loads((options.directory / STATE_FILE).read_text())["steps"]["predict"]["result"]["classes"]
    with rasterio.open(options.directory / classes) as file:
        found = file.read(1)
    with rasterio.open(options.directory / "scenes" / "landsat5_mask.tif") as file:
        truth = file.read(1) == 4
    assert result.held_out_iou == pytest.approx(jaccard_score(truth.ravel(), (found == 1).ravel()))


def test_onnx_runtime_makes_the_same_map(finished, tmp_path):
    import numpy as np
    import rasterio

    options, _ = finished
    steps = json.loads((options.directory / STATE_FILE).read_text())["steps"]
    model = options.directory / steps["export"]["result"]["onnx"]
    scene = options.directory / "scenes" / "landsat5_toa6.tif"
    ours = options.directory / steps["predict"]["result"]["classes"]
    settings = {"model": model, "input": (scene,), "out_dir": tmp_path, "scale": REFLECTANCE_SCALE}
    theirs = predicted(**settings).maps[0].classes
    with rasterio.open(ours) as one, rasterio.open(theirs) as other:
        assert np.mean(one.read() != other.read()) < 1e-4
    with pytest.raises(UserError, match=r"--window-size.*multiples of 8"):
        predicted(**settings | {"out_dir": tmp_path / "odd"}, window_size=70)


def test_the_held_out_scene_neither_trained_nor_validated(finished):
    import pandas as pd

    options, _ = finished
    tables = list((options.directory / "artifacts").rglob("split.parquet"))
    assert len(tables) == 3  # two folds and the final training
    for path in tables:
        table = pd.read_parquet(path)
        held_out = table[table["region"] == "landsat5"]
        assert held_out["test"].all()
        assert not held_out[["train", "val"]].to_numpy().any()
        assert not table[table["region"] != "landsat5"]["test"].any()


def test_a_second_call_answers_at_once(finished, monkeypatch):
    options, result = finished

    def never(work):
        raise AssertionError("a finished step was run again")

    monkeypatch.setattr(module, "STEPS", tuple(dataclasses.replace(step, run=never) for step in STEPS))
    again = quickstart(options, SHORT)
    assert again == result


def test_durations_are_those_of_the_steps(finished):
    _, result = finished
    assert list(result.steps) == [step.name for step in STEPS]
    assert min(result.steps.values()) >= 0
    assert result.seconds == pytest.approx(sum(result.steps.values()))
    assert str(result.report) in result.summary()


def test_other_settings_are_refused(finished):
    options, _ = finished
    with pytest.raises(UserError, match="all_classes False there, True now"):
        quickstart(dataclasses.replace(options, all_classes=True), SHORT)


def test_what_is_no_quickstart_is_never_removed(tmp_path):
    (tmp_path / "thesis.tex").touch()
    with pytest.raises(UserError, match="not removed"):
        quickstart(Quickstart(directory=tmp_path, overwrite=True), SHORT)
    assert (tmp_path / "thesis.tex").exists()


def test_the_default_recipe_tries_several_settings():
    assert len(Recipe().space["loss"]) > 1
