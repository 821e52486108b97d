"""The program `darts`: runs a command and turns what happens into lines and exit codes.

0 done; 2 something the user can mend (one or two lines); 1 a failure of ours (one line, the traceback in the
log file); 130 interrupted.
"""

import os
import sys
from pathlib import Path

import typer

from darts_train.base.disk_room import cause_of_full_disk, no_room
from darts_train.base.errors import UserError
from darts_train.cli import (  # noqa: F401  (they declare their commands)
    chips,
    convert_config,
    data,
    deploy,
    download,
    ensembles,
    evaluating,
    groups,
    learn,
    maps,
    nested,
    report,
    search,
    serving,
    start,
    status,
)
from darts_train.cli.app import app
from darts_train.cli.help import GroupedCommands
from darts_train.cli.registry import COMMANDS

UsageError: type[Exception] = typer.BadParameter.__mro__[1]  # base of all usage errors; Typer has no public name for it
INTERRUPTED = 130


def main(arguments: list[str] | None = None) -> int:
    """Run the command line; returns the exit code. Never raises but SystemExit of the interpreter itself."""
    given = sys.argv[1:] if arguments is None else arguments
    try:
        if _is_help(given):
            typer.echo(_help(given[0]))
            return 0
        result = app(given, standalone_mode=False, prog_name="darts")
        code = result if isinstance(result, int) else 0
        return _interrupted() if code == INTERRUPTED else code  # Typer turns Ctrl-C into this code
    except UsageError as error:
        return _say(_usage_line(error), 2)
    except UserError as error:
        return _say(str(error), 2)
    except (KeyboardInterrupt, typer.Abort):
        return _interrupted()
    except SystemExit as stop:
        return stop.code if isinstance(stop.code, int) else 1
    except BrokenPipeError:
        return 1
    except Exception as error:
        full = cause_of_full_disk(error)
        return _say(str(no_room(full.filename or "a file", full)), 2) if full else _failure(error)


def _is_help(arguments: list[str]) -> bool:
    return len(arguments) == 2 and arguments[0] in COMMANDS and arguments[1] in ("--help", "-h")


def _help(name: str) -> str:
    """What `darts NAME --help` prints, without the 0.2 s in which Typer reads the root options, with pydantic."""
    group = typer.main.get_command(app)
    assert isinstance(group, GroupedCommands)
    root = typer.Context(group, info_name="darts", **group.context_settings)
    entry: typer.core.TyperCommand = group.get_command(root, name)
    return entry.get_help(typer.Context(entry, info_name=name, parent=root, **entry.context_settings))


def _interrupted() -> int:
    return _say("interrupted; the same command goes on from here.", INTERRUPTED)


def _usage_line(error: Exception) -> str:
    """Typer's message without its box, and where help is."""
    message = " ".join(str(error.format_message()).split())  # type: ignore[attr-defined]
    context = getattr(error, "ctx", None)
    return f"{message} Try: {context.command_path} --help" if context else message


def _say(message: str, code: int) -> int:
    print(f"darts: {message}", file=sys.stderr)
    return code


def _failure(error: Exception) -> int:
    """One line for the terminal; the traceback goes to the log file, or to stderr where there is none."""
    import logging

    from darts_train.base.log import ROOT

    log = logging.getLogger(ROOT)
    files = [h for h in log.handlers if isinstance(h, logging.FileHandler)]
    for handler in files:
        record = log.makeRecord(ROOT, logging.ERROR, __file__, 0, "failed", (), sys.exc_info())
        handler.handle(record)
    where = f"; the traceback is in {_relative(files[0].baseFilename)}" if files else ""
    text = " ".join(str(error).split()) or "no message"
    if not files:
        import traceback

        traceback.print_exc()
    return _say(f"failed: {type(error).__name__}: {text[:300]}{where}", 1)


def _relative(name: str) -> str:
    path = Path(name)
    return str(path.relative_to(Path.cwd())) if path.is_relative_to(Path.cwd()) else name


def run() -> None:
    """Entry point of the installed program."""
    # Read by OpenMP when torch is imported. Threads that spin while they wait make a training step three to four times
    # slower (0.3 s became 0.9 to 1.4 s) as soon as another process wants one of two cores.
    os.environ.setdefault("OMP_WAIT_POLICY", "PASSIVE")
    sys.exit(main())
