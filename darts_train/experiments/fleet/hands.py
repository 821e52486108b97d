"""Who does a search's work: this process, one that trains for it, or a runner for each device.

| called                       | devices  | strategy      | who trains                                             |
|------------------------------|----------|---------------|--------------------------------------------------------|
| from Python, without a fleet | one      |               | this process: nothing to start, and a debugger sees it |
| with a fleet (command line)  | one      |               | a process of its own, which this one owns              |
| with a fleet                 | several  | tune-parallel | each has a runner, with a process of its own           |
| with a fleet                 | several  | cv-parallel   | each has a process; they share the runs of a trial     |
"""

from dataclasses import dataclass, replace

from darts_train.base.errors import UserError
from darts_train.experiments.fleet.devices import device_names
from darts_train.experiments.fleet.lanes import EXECUTE_RUN, Lanes
from darts_train.experiments.fleet.pool import Pool
from darts_train.experiments.searching.runner import Runner
from darts_train.options.fleet import Fleet
from darts_train.options.learning import Device


@dataclass(frozen=True)
class Hands:
    """The devices of a search: `slots` has one for each run that may be at work. Make it with `hands_of`."""

    slots: tuple[str, ...]
    fleet: Fleet | None
    function: str = EXECUTE_RUN  # what does a run, as `module:name`

    @property
    def first(self) -> Device:
        """One device, for checks and for what is done once."""
        return Device(device=self.slots[0])

    @property
    def together(self) -> bool:
        """Whether all devices work on one trial."""
        return self.fleet is not None and self.fleet.strategy == "cv-parallel"

    def run(self, runner: Runner, count: int | None, total: int | None = None, wait: bool = False) -> int:
        """As `Runner.run`, by all hands; gives how many trials they ended. Raises as `Runner.run`."""
        if self.fleet is not None:
            runner = replace(runner, max_retries=self.fleet.max_retries)
        if self.fleet is None or runner.execute is not None:
            return runner.run(count, total, wait)
        if len(self.slots) > 1 and not self.together:
            return Pool(runner, self.slots, self.function).run(count, total, wait)
        lanes = Lanes(self.slots, self.function)
        try:
            return replace(runner, execute=lanes).run(count, total, wait, lanes.stays)
        finally:
            lanes.close()


def hands_of(device: str | None, fleet: Fleet | None) -> Hands:
    """Of `--device` and its companions. Raises UserError for devices that are not there."""
    names = device_names(device)
    if fleet is None:
        if len(names) > 1:
            raise UserError(f"--device {device}: a list of devices needs a fleet; give Fleet().")
        return Hands(names, None)
    if fleet.strategy == "ddp":
        raise UserError("--strategy ddp is for one run (train-smp); a search has tune-parallel and cv-parallel.")
    return Hands(tuple(name for name in names for _ in range(fleet.runs_per_device)), fleet)
