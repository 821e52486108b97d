"""Where a search by several runners stands, from what they tell; and how long it may still take."""

from collections.abc import Callable
from dataclasses import dataclass, field

from darts_train.experiments.fleet.progress import RunStep, Step, TrialEnd


@dataclass
class Standing:
    """What is known. `better(a, b)` says whether score a is better than b.

    `trials` is how many there are to be, None where nobody knows; `runs` of one trial; `slots` of them at a time.
    """

    slots: tuple[str, ...]
    trials: int | None
    runs: int
    better: Callable[[float, float], bool]
    ended: int = 0
    best: TrialEnd | None = None
    now: dict[int, RunStep] = field(default_factory=dict)  # by slot, what is at work there
    begun: dict[int, float] = field(default_factory=dict)  # by slot, when
    words: dict[int, str] = field(default_factory=dict)  # by slot, where nothing is at work
    finished: int = 0  # runs, of all trials
    of_unfinished: int = 0  # runs, of trials that have not ended
    seconds: float = 0.0  # of finished runs, together

    def take(self, slot: int, step: Step, at: float) -> None:
        """Something was told by a slot, at a time in seconds."""
        if isinstance(step, TrialEnd):
            self._end(slot, step)
        elif step.seconds is not None:
            self.now.pop(slot, None)
            self.words[slot] = line(step)
            if step.finished:
                self.finished += 1
                self.of_unfinished += 1
                self.seconds += step.seconds
        else:
            if slot not in self.now or self.now[slot].epoch > step.epoch:
                self.begun[slot] = at
            self.now[slot] = step

    def seconds_left(self) -> float | None:
        """Seconds that the rest takes, from the mean of the runs so far; None where nothing is known."""
        if not self.finished or self.trials is None:
            return None
        left = max((self.trials - self.ended) * self.runs - self.of_unfinished, 0)
        return left * self.seconds / self.finished / len(self.slots)

    def _end(self, slot: int, end: TrialEnd) -> None:
        self.now.pop(slot, None)
        self.words[slot] = f"trial {end.number} {end.words}"
        self.ended += 1
        self.of_unfinished = max(self.of_unfinished - self.runs, 0)
        if end.score is not None and (self.best is None or self.better(end.score, self.best.score or 0.0)):
            self.best = end


def table(standing: Standing, at: float) -> list[str]:
    """A line for each slot, and one for the whole, at a time in seconds."""
    width = max(len(name) for name in standing.slots)
    rows = [f"{name:<{width}}  {_work(standing, slot, at)}" for slot, name in enumerate(standing.slots)]
    return [*rows, whole(standing)]


def whole(standing: Standing) -> str:
    """How far all have come, in one line."""
    of = "" if standing.trials is None else f" of {standing.trials}"
    best = f", best {standing.best.score:.4f} (trial {standing.best.number})" if standing.best else ""
    left = standing.seconds_left()
    return f"{standing.ended}{of} trials{best}" + ("" if left is None else f", about {duration(left)} left")


def line(step: Step) -> str:
    """What was told, for a log."""
    if isinstance(step, TrialEnd):
        return f"trial {step.number}: {step.words}" + (f" {step.score:.4f}" if step.score is not None else "")
    done = f"epoch {step.epoch}/{step.epochs}"
    if step.seconds is not None:
        done = f"{'finished' if step.finished else 'not finished'} after {duration(step.seconds)}"
    return f"{step.cv_name}, fold {step.fold}, seed {step.seed}: {done}{_score(step)}"


def duration(seconds: float) -> str:
    """`45 s`, `12 min`, `3 h 05 min`, `2 d 4 h`."""
    minutes = round(seconds / 60)
    if seconds < 90:
        return f"{seconds:.0f} s"
    if minutes < 60:
        return f"{minutes} min"
    if minutes < 24 * 60:
        return f"{minutes // 60} h {minutes % 60:02d} min"
    return f"{minutes // 1440} d {minutes % 1440 // 60} h"


def _work(standing: Standing, slot: int, at: float) -> str:
    step = standing.now.get(slot)
    if step is None:
        return standing.words.get(slot, "starts")
    since = duration(at - standing.begun.get(slot, at))
    return (
        f"{step.cv_name}  fold {step.fold}  seed {step.seed}  epoch {step.epoch}/{step.epochs}{_score(step)}  {since}"
    )


def _score(step: RunStep) -> str:
    return "" if step.score is None else f"  IoU {step.score:.4f}"
