"""What the runners of a pool and the one who watches them say to each other, beside steps and errors."""

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from sqlalchemy.engine import URL


@dataclass(frozen=True)
class Post:
    """What a runner is to do. `fields` are further ones of `runner.Runner`, and must be picklable."""

    url: URL
    lease_seconds: float
    fields: Mapping[str, Any]
    device: str
    function: str
    total: int | None
    wait: bool
    log_file: Path


@dataclass(frozen=True)
class MayGoOn:
    """May I take another trial? Answered with True or False."""


@dataclass(frozen=True)
class Ended:
    """There is nothing left to do for this runner."""
