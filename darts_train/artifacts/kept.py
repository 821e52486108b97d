"""Checkpoints that a search removed on purpose: a note in their place says so."""

from pathlib import Path

from darts_train.artifacts.run_record import read_record, write_record
from darts_train.base.errors import UserError
from darts_train.base.files import write_text

CHECKPOINTS = "checkpoints"
NOTE = "not-kept.txt"


def remove_checkpoints(run_dir: Path, why: str) -> None:
    """Remove the checkpoints of a run that nobody works on, after a note of `why` and after run.json forgot them.

    Killed on the way, the same call removes the rest. Raises OSError and UserError (run.json cannot be read).
    """
    directory = run_dir / CHECKPOINTS
    files = list(directory.glob("*.ckpt"))
    if not files:
        return
    write_text(directory / NOTE, why + "\n")
    record = read_record(run_dir)
    if record is not None and record.best_checkpoint is not None:
        write_record(run_dir, record.model_copy(update={"best_checkpoint": None}))
    for path in files:
        path.unlink(missing_ok=True)


def require_kept(run_dir: Path, option: str) -> None:
    """Raise UserError where the checkpoints of a run were removed on purpose, naming `option`."""
    note = run_dir / CHECKPOINTS / NOTE
    if note.is_file():
        why = " ".join(note.read_text(errors="replace").split())
        raise UserError(f"{option}: the checkpoints of {run_dir} were not kept ({why:.120}); name another run.")
