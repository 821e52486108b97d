"""quickstart.json: which steps are done, how long they took, and what they gave.

A step counts as done where the file says so and its outputs are still there. Whatever else a step can resume (a run,
a search) it resumes itself; this file only spares the asking, so that a finished quickstart answers at once.
"""

import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from darts_train.base.errors import UserError
from darts_train.base.files import write_json

STATE_FILE = "quickstart.json"
FORMAT_VERSION = 1


@dataclass
class State:
    """The file's content. `steps`: name → {"seconds", "done", "outputs" (relative paths), "result"}."""

    directory: Path
    settings: Mapping[str, Any]
    steps: dict[str, dict[str, Any]] = field(default_factory=dict)

    @classmethod
    def open(cls, directory: Path, settings: Mapping[str, Any]) -> "State":
        """What an earlier call left, or a new beginning.

        Raises UserError where the directory was made with other settings, holds something else, or cannot be read.
        """
        path = directory / STATE_FILE
        if not path.exists():
            if directory.exists() and (not directory.is_dir() or any(directory.iterdir())):
                raise UserError(
                    f"--directory: {directory} is not empty and has no {STATE_FILE}; choose another directory."
                )
            return cls(directory, settings)
        try:
            stored = json.loads(path.read_text(encoding="utf-8"))
            known, steps = dict(stored["settings"]), dict(stored["steps"])
        except (OSError, ValueError, KeyError, TypeError) as error:
            raise UserError(f"{path} cannot be read ({error!r}); start anew with --overwrite.") from None
        _compare(path, known, settings)
        return cls(directory, settings, steps)

    def done(self, name: str) -> bool:
        """Whether a step has ended and its outputs are there."""
        step = self.steps.get(name, {})
        return bool(step.get("done")) and all((self.directory / output).exists() for output in step["outputs"])

    def result(self, name: str) -> dict[str, Any]:
        """What a step that is done gave."""
        return dict(self.steps[name]["result"])

    def seconds(self, name: str) -> float:
        """Time that a step took so far, over all calls."""
        return float(self.steps.get(name, {}).get("seconds", 0.0))

    def add(self, name: str, seconds: float, outputs: tuple[str, ...] | None, result: Mapping[str, Any]) -> None:
        """Note time spent in a step; `outputs` None means that it has not ended. Written at once."""
        self.steps[name] = {
            "seconds": round(self.seconds(name) + seconds, 2),
            "done": outputs is not None,
            "outputs": list(outputs or ()),
            "result": dict(result),
        }
        self.write()

    def write(self) -> None:
        """Write the file atomically."""
        content = {"format_version": FORMAT_VERSION, "settings": dict(self.settings), "steps": self.steps}
        write_json(self.directory / STATE_FILE, content)


def _compare(path: Path, known: Mapping[str, Any], now: Mapping[str, Any]) -> None:
    """Raise UserError where settings differ; both are compared as JSON has them."""
    again = json.loads(json.dumps(dict(now)))
    differing = [key for key in sorted(known.keys() | again.keys()) if known.get(key) != again.get(key)]
    if differing:
        changes = ", ".join(f"{key} {known.get(key)} there, {again.get(key)} now" for key in differing)
        raise UserError(
            f"{path.parent} was made with other settings: {changes}.\nChoose another --directory, or --overwrite."
        )
