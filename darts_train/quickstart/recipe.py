"""The whole way in one call: scenes → train data → search → training → test → model → ONNX → map → report.

Nothing here that a user could not do with the same public functions; `commands.sh` in the result says how. A call
that was stopped, by Ctrl-C or harder, goes on where it was: finished steps are recognised, and the long ones (the
search, the training) resume inside.
"""

import shutil
import time
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from darts_train.base.errors import UserError
from darts_train.base.files import require_writable
from darts_train.base.locks import exclusive_lock
from darts_train.base.log import logger
from darts_train.options.tools import Quickstart
from darts_train.quickstart import steps
from darts_train.quickstart.outcome import report
from darts_train.quickstart.state import STATE_FILE, State
from darts_train.quickstart.steps import Step, Work
from darts_train.quickstart.task import ALL_CLASSES, CLOUD, Recipe

STEPS = (
    Step("preprocess", "cut the scenes into patches", steps.cut_patches),
    Step("search", "search for the best settings", steps.search),
    Step("train", "train with the best settings", steps.train),
    Step("test", "test on the held-out satellite", steps.test),
    Step("convert", "make a model file", steps.convert),
    Step("export", "export it as ONNX", steps.export),
    Step("predict", "map the held-out scene", steps.predict),
    Step("report", "write the report", report),
)
LOCK_FILE = ".quickstart.lock"
_log = logger("quickstart")


@dataclass(frozen=True)
class QuickstartResult:
    """What the quickstart gave.

    Attributes:
        directory: where everything is.
        report: the page to look at.
        held_out_iou: IoU of the map of the Landsat-5 scene against its mask, over all pixels; with `--all-classes` the
            mean over the classes that the mask has.
        seconds: time of all steps, over all calls.
        steps: seconds by step.
    """

    directory: Path
    report: Path
    held_out_iou: float
    seconds: float
    steps: dict[str, float]

    def summary(self) -> str:
        """A few plain lines."""
        return (
            f"IoU {self.held_out_iou:.3f} on the held-out Landsat-5 scene, after {self.seconds:.0f} s in all\n"
            f"report: {self.report}\n"
            f"the same by hand: {self.directory / 'commands.sh'}"
        )


def quickstart(quickstart: Quickstart, recipe: Recipe | None = None) -> QuickstartResult:
    """Run, or go on with, the quickstart in its directory; `recipe` replaces the settings of the work (for tests).

    Raises UserError where the directory holds something else, was made with other settings, or cannot be written.
    """
    recipe = recipe or Recipe()
    directory = quickstart.directory
    require_writable(directory, "--directory")
    if quickstart.overwrite:
        _remove(directory)
    settings = {"all_classes": quickstart.all_classes, "random_seed": quickstart.random_seed, "recipe": asdict(recipe)}
    state = State.open(directory, settings)
    directory.mkdir(parents=True, exist_ok=True)
    with exclusive_lock(directory / LOCK_FILE, f"the quickstart in {directory}"):
        state.write()
        task = ALL_CLASSES if quickstart.all_classes else CLOUD
        work = Work(directory, task, recipe, quickstart.random_seed, quickstart.device, state)
        _run(work)
    return QuickstartResult(
        directory=directory,
        report=directory / "report.html",
        held_out_iou=state.result("report")["held_out_iou"],
        seconds=sum(state.seconds(step.name) for step in STEPS),
        steps={step.name: state.seconds(step.name) for step in STEPS},
    )


def _run(work: Work) -> None:
    """Do the steps that are not done; a step that runs again makes all later ones run again."""
    again = False
    for number, step in enumerate(STEPS, start=1):
        label = f"step {number} of {len(STEPS)}: {step.title}"
        if not again and work.state.done(step.name):
            _log.info("%s: done before", label)
            continue
        again = True
        _log.info("%s …", label)
        _do(work, step)


def _do(work: Work, step: Step) -> None:
    """One step, its time noted also where it ends early."""
    started = time.monotonic()
    result: tuple[tuple[str, ...] | None, dict[str, Any]] = (None, {})
    try:
        outcome = step.run(work)
        result = (outcome.outputs, dict(outcome.result))
    finally:
        work.state.add(step.name, time.monotonic() - started, *result)
    _log.info("  %s (%.0f s)", outcome.said, time.monotonic() - started)


def _remove(directory: Path) -> None:
    """Remove an earlier quickstart, and nothing that is not one."""
    if not directory.exists() or not any(directory.iterdir()):
        return
    if not (directory / STATE_FILE).is_file():
        raise UserError(
            f"--overwrite: {directory} has no {STATE_FILE}, so it is not removed; choose another --directory."
        )
    with exclusive_lock(directory / LOCK_FILE, f"the quickstart in {directory}"):
        shutil.rmtree(directory)
