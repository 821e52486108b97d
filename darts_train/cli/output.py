"""What a command leaves on standard output: a summary for people, JSON for programs."""

import dataclasses
import math
from pathlib import Path
from typing import Any, Protocol

import typer


class Summarised(Protocol):
    """A result that can say in a few lines what came out."""

    def summary(self) -> str:
        """A few plain lines."""
        ...


def show(result: Summarised) -> None:
    """Print the summary of a result."""
    typer.echo(result.summary())


def show_json(value: Any) -> None:
    """Print a dataclass or plain value as JSON; what is not finite becomes null."""
    import json

    plain = value.to_dict() if hasattr(value, "to_dict") else value
    typer.echo(json.dumps(_plain(plain), indent=2))


def _plain(value: Any) -> Any:
    if dataclasses.is_dataclass(value) and not isinstance(value, type):
        return _plain(dataclasses.asdict(value))
    if isinstance(value, dict):
        return {str(k): _plain(v) for k, v in value.items()}
    if isinstance(value, list | tuple | set | frozenset):
        return [_plain(v) for v in value]
    if isinstance(value, float) and not math.isfinite(value):
        return None
    if isinstance(value, str | int | float | bool) or value is None:
        return value
    if isinstance(value, Path):
        return str(value)
    return value.item() if hasattr(value, "item") else str(value)
