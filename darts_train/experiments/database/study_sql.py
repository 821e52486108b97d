"""Questions to Optuna's tables that need no trial to be read whole: how many there are, and which are in work.

The names of tables and columns are those of its schema, which Optuna checks when the database is opened.
"""

from typing import Any

import sqlalchemy as sa

from darts_train.experiments.database.storage import Connection

studies = sa.table("studies", sa.column("study_id"), sa.column("study_name"))
trials = sa.table(
    "trials",
    sa.column("trial_id"),
    sa.column("number"),
    sa.column("study_id"),
    sa.column("state"),
    sa.column("datetime_start"),
    sa.column("datetime_complete"),
)
study_marks = sa.table("study_user_attributes", sa.column("study_id"), sa.column("key"), sa.column("value_json"))
study_directions = sa.table("study_directions", sa.column("study_id"), sa.column("direction"), sa.column("objective"))
trial_marks = sa.table("trial_user_attributes", sa.column("trial_id"), sa.column("key"), sa.column("value_json"))
trial_values = sa.table("trial_values", sa.column("trial_id"), sa.column("value"), sa.column("value_type"))
state_name = sa.cast(trials.c.state, sa.Text)  # an enumeration in PostgreSQL


def of_study(name: str, *columns: Any) -> sa.Select[Any]:
    """A selection from the trials of a study."""
    joined = trials.join(studies, trials.c.study_id == studies.c.study_id)
    return sa.select(*columns).select_from(joined).where(studies.c.study_name == name)


def ask(database: Connection, selection: sa.Select[Any]) -> list[Any]:
    """All rows of a selection. Raises UserError (database out of reach)."""

    def work() -> list[Any]:
        with database.engine.connect() as connection:
            return list(connection.execute(selection))

    return database.call(work)


def trials_in(database: Connection, study: str, state: str) -> list[tuple[int, int]]:
    """Number and Optuna's own id of each trial in a state (RUNNING, WAITING, …), by number."""
    chosen = of_study(study, trials.c.number, trials.c.trial_id).where(state_name == state).order_by(trials.c.number)
    return [(int(number), int(trial_id)) for number, trial_id in ask(database, chosen)]


def count_trials(database: Connection, study: str) -> int:
    """How many trials a study has, in whatever state."""
    return int(ask(database, of_study(study, sa.func.count()))[0][0])


def study_list(database: Connection) -> list[str]:
    """Names of all studies."""
    return [str(name) for (name,) in ask(database, sa.select(studies.c.study_name).order_by(studies.c.study_id))]


def study_attributes(database: Connection, name: str) -> dict[str, str]:
    """A study's attributes, as JSON text."""
    joined = study_marks.join(studies, study_marks.c.study_id == studies.c.study_id)
    chosen = sa.select(study_marks.c.key, study_marks.c.value_json).select_from(joined)
    return {str(key): str(text) for key, text in ask(database, chosen.where(studies.c.study_name == name))}


def directions(name: str) -> sa.Select[Any]:
    """The directions (MINIMIZE, MAXIMIZE) of a study's objectives, in their order."""
    joined = study_directions.join(studies, study_directions.c.study_id == studies.c.study_id)
    chosen = sa.select(sa.cast(study_directions.c.direction, sa.Text)).select_from(joined)
    return chosen.where(studies.c.study_name == name).order_by(study_directions.c.objective)
