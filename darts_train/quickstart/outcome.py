"""The last step: the map is compared with the truth, and report.html and commands.sh are written."""

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from darts_train.base.files import write_text
from darts_train.figures.maps import true_colour
from darts_train.quickstart.commands import commands, script
from darts_train.quickstart.report import Findings, page
from darts_train.quickstart.score import MapScore, score_map
from darts_train.quickstart.steps import Outcome, Work
from darts_train.quickstart.task import BANDS, HELD_OUT, REFLECTANCE_SCALE, Task
from darts_train.raster.band import IGNORE_INDEX
from darts_train.reporting.page import write_page

REPORT, SCRIPT = "report.html", "commands.sh"


def report(work: Work) -> Outcome:
    """Score the map and tell the whole story on a page."""
    from darts_train.dataset.reader import TrainData
    from darts_train.dataset.splitting.splits import make_split
    from darts_train.quickstart.steps import split

    state = work.state
    truth, found = truth_and_map(work)
    score = score_map(truth, found, work.task.classes)
    best = state.result("search")
    lines = commands(
        work.task, work.recipe, best["parameters"], work.seed, work.device or "auto",
        state.result("train")["run_id"], state.result("convert")["model"].split("/")[-1],
    )  # fmt: skip
    findings = Findings(
        task=work.task,
        score=score,
        test=state.result("test")["metrics"],
        baseline=state.result("test").get("baseline"),
        patches=len(make_split(TrainData.open(work.data.train_data_dir).metadata, split(None)).train),
        trials=pd.read_parquet(work.directory / best["table"]),
        best=(best["best_cv"], best["parameters"]),
        curves=pd.read_csv(work.directory / state.result("train")["directory"] / "metrics.csv"),
        steps=[(name, state.seconds(name)) for name in state.steps if name != "report"],
        picture=_picture(work),
        truth=truth,
        found=found,
        commands=lines,
    )
    write_text(work.directory / SCRIPT, script(lines))
    write_page(work.directory / REPORT, page(findings))
    said = ", ".join(f"{name} {value:.3f}" for name, value in score.per_class.items())
    return Outcome(f"IoU of the map: {said}", (REPORT, SCRIPT), _result(score))


def truth_and_map(work: Work) -> tuple[NDArray[np.uint8], NDArray[np.uint8]]:
    """Class index per pixel, uint8 [h, w], of the mask and of the predicted map of the held-out scene."""
    mask = _read(work, f"scenes/{HELD_OUT}_mask.tif")[0]
    found = _read(work, work.state.result("predict")["classes"])[0].astype(np.uint8)
    return indices(mask, work.task), found


def indices(mask: NDArray[np.integer], task: Task) -> NDArray[np.uint8]:
    """Values of a bundled mask → class indices; values that the task does not name are ignored pixels."""
    result = np.full(mask.shape, IGNORE_INDEX, np.uint8)
    for value, index in task.remap.items():
        result[mask == value] = index
    return result


def _picture(work: Work) -> NDArray[np.uint8]:
    scene = _read(work, f"scenes/{HELD_OUT}_toa6.tif").astype(np.float32) * np.float32(REFLECTANCE_SCALE)
    red, green, blue = (scene[BANDS.index(name)] for name in ("red", "green", "blue"))
    return true_colour(red, green, blue)


def _read(work: Work, name: str) -> NDArray[np.generic]:
    import rasterio

    with rasterio.open(work.directory / name) as file:
        array: NDArray[np.generic] = file.read()
    return array


def _result(score: MapScore) -> dict[str, object]:
    return {"held_out_iou": score.mean, "per_class": score.per_class}
