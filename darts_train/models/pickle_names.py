"""What a pickle would import, found out by looking at it; nothing is imported, made or called."""

import pickletools
import re
import zipfile
from collections.abc import Iterator
from pathlib import Path
from typing import IO, Any

LEAST_PICKLES = 5  # torch before 1.6: magic number, protocol, system, the object, keys of storages


def wanted_names(path: Path) -> list[str]:
    """Full names (`posix.system`) of the classes and functions that a torch file or a bare pickle asks for, each once.

    As many as can be read of a file that is cut off, or is no pickle. Raises OSError.
    """
    names: dict[str, None] = {}
    try:
        for name in _names(path):
            if re.fullmatch(r"[\w.]+", name):  # else it is some text
                names[name] = None
    except (ValueError, IndexError, KeyError, TypeError, AttributeError, zipfile.BadZipFile, EOFError, RecursionError):
        pass  # what pickletools makes of other bytes
    return list(names)


def _names(path: Path) -> Iterator[str]:
    if not zipfile.is_zipfile(path):
        with path.open("rb") as file:
            for _ in range(LEAST_PICKLES):
                yield from _of_pickle(file)
        return
    with zipfile.ZipFile(path) as archive:
        for info in archive.infolist():
            if info.filename.endswith(".pkl"):
                with archive.open(info) as file:
                    yield from _of_pickle(file)


def _of_pickle(file: IO[bytes]) -> Iterator[str]:
    """Names in one pickle, of its operations GLOBAL, INST and STACK_GLOBAL."""
    texts: list[str] = []  # strings as they were pushed, those of the memo again
    memo: dict[int, str] = {}
    for operation, argument, _ in pickletools.genops(file):
        name = operation.name
        if name in ("GLOBAL", "INST"):
            yield _modern(*str(argument).split(" ", 1))
        elif name == "STACK_GLOBAL" and len(texts) > 1:
            yield _modern(texts[-2], texts[-1])
        elif isinstance(argument, str) and "UNICODE" in name:
            texts.append(argument)
        else:
            _remember(name, argument, texts, memo)


def _remember(operation: str, argument: Any, texts: list[str], memo: dict[int, str]) -> None:
    if operation == "MEMOIZE":
        memo[len(memo)] = texts[-1] if texts else ""
    elif operation in ("PUT", "BINPUT", "LONG_BINPUT"):
        memo[int(argument)] = texts[-1] if texts else ""
    elif operation in ("GET", "BINGET", "LONG_BINGET") and int(argument) in memo:
        texts.append(memo[int(argument)])


def _modern(module: str, name: str = "") -> str:
    """The name that torch looks up: Python 2's modules under the names of Python 3."""
    from torch._utils import IMPORT_MAPPING, NAME_MAPPING

    module, name = NAME_MAPPING.get((module, name), (IMPORT_MAPPING.get(module, module), name))
    return f"{module}.{name}"
