"""Logging: one logger tree `darts`, short lines on the terminal, everything in a file."""

import logging
import sys
import time
from pathlib import Path

ROOT = "darts"


def logger(name: str) -> logging.Logger:
    """The logger of a room: `logger("preprocess")` is `darts.preprocess`."""
    return logging.getLogger(f"{ROOT}.{name}")


def setup_logging(command: str, log_dir: Path | None, verbose: int = 0) -> Path | None:
    """Send `darts.*` to stderr (INFO, DEBUG when verbose) and all of it to a file in `log_dir`.

    Returns the log file, or None where `log_dir` is None or cannot be written: logging must not stop work.
    """
    root = logging.getLogger(ROOT)
    root.setLevel(logging.DEBUG)
    root.propagate = False
    for handler in list(root.handlers):
        root.removeHandler(handler)
        handler.close()
    terminal = logging.StreamHandler(sys.stderr)
    terminal.setLevel(logging.DEBUG if verbose else logging.INFO)
    terminal.setFormatter(_TerminalFormat())
    root.addHandler(terminal)
    return _add_file(root, command, log_dir) if log_dir else None


class _TerminalFormat(logging.Formatter):
    """INFO as plain text; other levels say which they are. Tracebacks go to the file only."""

    def format(self, record: logging.LogRecord) -> str:
        text = record.getMessage()
        return text if record.levelno == logging.INFO else f"{record.levelname.lower()}: {text}"


def _add_file(root: logging.Logger, command: str, log_dir: Path) -> Path | None:
    path = log_dir / f"darts_{command}_{time.strftime('%Y-%m-%d_%H-%M-%S')}.log"
    try:
        log_dir.mkdir(parents=True, exist_ok=True)
        handler = logging.FileHandler(path, encoding="utf-8", delay=True)
        path.touch()
    except OSError as error:
        root.warning("no log file: %s", error)
        return None
    handler.setFormatter(logging.Formatter("%(asctime)s %(levelname)s %(name)s %(message)s"))
    root.addHandler(handler)
    return path
