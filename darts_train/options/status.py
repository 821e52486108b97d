"""Options: which search is looked at."""

from dataclasses import dataclass

from darts_train.options.fields import OptionGroup, option


@dataclass(frozen=True, kw_only=True)
class Status(OptionGroup):
    """A search in its database."""

    sweep_id: str | None = option("Sweep or tune to look at; none: all there are.", None)
    sweep_db: str | None = option("SQLAlchemy URL of the studies; none: every sweep.db below --artifact-dir.", None)
