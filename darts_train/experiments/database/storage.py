"""The database of a search: its address, a connection that bears interruptions, and nothing said of passwords.

SQLite (one machine; write-ahead log, long busy timeout) or PostgreSQL (many). No connection is kept open between
two calls: an idle one may be dropped by the server, and one that is open while workers are forked is theirs as well.
Every call goes through `Database.call`, which tries again with growing pauses, so that a server may restart.
"""

import logging
import random
import re
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypeVar

import optuna
import sqlalchemy as sa
from sqlalchemy.engine import URL, make_url

from darts_train.base.errors import UserError
from darts_train.base.log import logger

T = TypeVar("T")
DATABASE_FILE = "sweep.db"
BUSY_SECONDS = 30  # how long SQLite waits for a lock before it is an error, which is tried again
CONNECT_SECONDS = 10
OPENING_PATIENCE = 20.0  # a wrong address is told soon, a server that restarts has a moment
WORKING_PATIENCE = 600.0  # hours of training hang on this; a restart of the server takes minutes
TOLD_SECONDS = 2.0  # after which a database that is out of reach is told of
LONGEST_PAUSE = 10.0
REFUSALS = ("28P01", "28000", "3D000")  # PostgreSQL: password, authorisation, no such database
REFUSED_WORDS = re.compile(
    r"password authentication failed|no password supplied|no pg_hba.conf entry|[Pp]eer authentication failed"
    r'|(role|database) ".*" does not exist'
)
SECRETS = ("password", "passwd", "pwd", "sslpassword", "passfile", "sslkey")
DRIVERS = {"postgresql": "postgresql+psycopg2", "postgres": "postgresql+psycopg2"}
_log = logger("experiments")


def sqlite_url(path: Path) -> URL:
    """Address of a SQLite file."""
    return URL.create("sqlite", database=str(path))


def database_file(artifact_dir: Path, name: str) -> Path:
    """The SQLite file of a search that has no database of its own."""
    return artifact_dir / name / DATABASE_FILE


def database_url(text: str) -> URL:
    """Read the address a user gave: SQLite or PostgreSQL (`postgresql://` means psycopg2).

    Raises UserError, without repeating the address, for there may be a password in it.
    """
    scheme, separator, rest = text.strip().partition("://")
    try:
        url = make_url(f"{DRIVERS.get(scheme.lower(), scheme)}{separator}{rest}")
    except (sa.exc.ArgumentError, ValueError):
        raise UserError(
            "--sweep-db: not a database URL; write sqlite:///file.db or postgresql://user@host:5432/name."
        ) from None
    if url.drivername not in ("sqlite", "sqlite+pysqlite", *DRIVERS.values()):
        raise UserError(f"--sweep-db: {url.drivername} is not supported; use sqlite:///… or postgresql://….")
    if url.get_backend_name() == "sqlite" and url.database in (None, "", ":memory:"):
        raise UserError("--sweep-db: a database in memory cannot be joined or resumed; name a file: sqlite:///file.db.")
    return url


def shown(url: URL) -> str:
    """The address for people and logs: no password, wherever it stands."""
    query = {key: "***" if key.lower() in SECRETS else value for key, value in url.query.items()}
    return url.set(query=query).render_as_string(hide_password=True).replace("%2A%2A%2A", "***")


@dataclass(frozen=True)
class Connection:
    """A database that can be asked."""

    url: URL
    engine: sa.Engine

    def call(self, work: Callable[[], T], patience: float = WORKING_PATIENCE) -> T:
        """Do `work`, again and again for up to `patience` seconds while the database is out of reach.

        `work` may be done twice (its answer can get lost after it was committed), so it must bear that.
        Raises UserError when patience ends; what was stored stays, and the same call goes on later.
        """
        return retry(work, patience, self.url)


@dataclass(frozen=True)
class Database(Connection):
    """An open database of searches: SQLAlchemy's engine for leases and runs, Optuna's storage for the studies."""

    storage: optuna.storages.RDBStorage


def look_into(url: URL) -> Connection:
    """Connect in order to read: nothing is made. Raises UserError where there is no server, no file, or no search."""
    if url.get_backend_name() == "sqlite" and not Path(str(url.database)).is_file():
        raise UserError(f"--sweep-db: there is no file {url.database}.")
    engine = _engine(url)
    try:
        found = retry(lambda: set(sa.inspect(engine).get_table_names()), OPENING_PATIENCE, url)
    except sa.exc.SQLAlchemyError as error:
        raise UserError(f"--sweep-db: {shown(url)} cannot be read: {_line(error)}") from None
    if not found >= {"studies", "trials", *metadata.tables}:
        if not found >= {"studies", "trials"}:
            raise UserError(f"--sweep-db: {shown(url)} holds no search.")
        create_tables(engine)  # of a version that had no table of runs
    return Connection(url, engine)


def open_database(url: URL) -> Database:
    """Connect, make Optuna's tables and ours where they are missing.

    Raises UserError, in one line and without the password, for a server that is not there or refuses us, a file that is
    no database or cannot be written, and tables of another program or version.
    """
    logging.getLogger("optuna").setLevel(logging.WARNING)
    if url.get_backend_name() == "sqlite":
        _prepare_sqlite(url)
    engine = _engine(url)
    address = url.render_as_string(hide_password=False)

    def opened() -> Database:
        _require_ours(engine, url)
        storage = optuna.storages.RDBStorage(address, engine_kwargs=_engine_options(url))
        create_tables(engine)
        return Database(url, engine, storage)

    try:
        return retry(opened, OPENING_PATIENCE, url, also=(sa.exc.IntegrityError, sa.exc.ProgrammingError))
    except (sa.exc.SQLAlchemyError, RuntimeError, ValueError, AssertionError) as error:
        raise UserError(
            f"--sweep-db: {shown(url)} holds tables of another program or version: {_line(error)}"
        ) from None


def _require_ours(engine: sa.Engine, url: URL) -> None:
    """Raise UserError where another program has tables of the names that Optuna's have; nothing is made then."""
    seen = sa.inspect(engine)
    for table, wanted in OPTUNAS.items():
        there = {column["name"] for column in seen.get_columns(table)} if seen.has_table(table) else wanted
        if not wanted <= there:
            raise UserError(
                f"--sweep-db: {shown(url)} holds a table {table!r} of another program; name another database."
            )


def _engine(url: URL) -> sa.Engine:
    return sa.create_engine(url, **_engine_options(url))


def _engine_options(url: URL) -> dict[str, Any]:
    return {"connect_args": _connect_args(url), "poolclass": sa.pool.NullPool, "pool_pre_ping": True}


OPTUNAS = {"studies": {"study_id", "study_name"}, "trials": {"trial_id", "number", "study_id"}}
metadata = sa.MetaData()
leases = sa.Table(
    "darts_lease",
    metadata,
    sa.Column("study", sa.String(512), primary_key=True),
    sa.Column("trial", sa.Integer, primary_key=True, autoincrement=False),
    sa.Column("owner", sa.Text, nullable=False),
    sa.Column("epoch", sa.Integer, nullable=False),
    sa.Column("until", sa.Double, nullable=False),  # seconds since 1970 by the database's clock
)
runs = sa.Table(
    "darts_run",
    metadata,
    sa.Column("study", sa.String(512), primary_key=True),
    sa.Column("trial", sa.Integer, primary_key=True, autoincrement=False),
    sa.Column("fold", sa.Integer, primary_key=True, autoincrement=False),
    sa.Column("seed", sa.BigInteger, primary_key=True, autoincrement=False),
    sa.Column("duration", sa.Double, nullable=False),  # seconds; in the row as well, and here to be added up
    sa.Column("content", sa.Text, nullable=False),  # RunRow as JSON
)


def create_tables(engine: sa.Engine) -> None:
    """Make our tables, of leases and of runs, where they are missing."""
    metadata.create_all(engine)


def retry(work: Callable[[], T], patience: float, url: URL, also: tuple[type[Exception], ...] = ()) -> T:
    """Do `work` until it succeeds; after `patience` seconds of trouble, UserError. Pauses double, with some chance.

    Trouble is what the database says in passing: connections lost or refused, locks held. `also` adds kinds of it
    (two processes that make the same tables at once).
    """
    started, pause, told = time.monotonic(), 0.05, False
    while True:
        try:
            return work()
        except (sa.exc.SQLAlchemyError, optuna.exceptions.StorageInternalError) as error:
            if _refused(error):
                raise UserError(f"--sweep-db: {shown(url)} refuses: {_line(error)}") from None
            if not _passing(error, also):
                raise
            if time.monotonic() - started > patience:
                raise UserError(f"--sweep-db: {shown(url)} cannot be used: {_line(error)}") from None
            if not told and time.monotonic() - started > TOLD_SECONDS:
                _log.warning("%s is out of reach, tried for up to %.0f s: %s", shown(url), patience, _line(error))
                told = True
            time.sleep(pause * random.SystemRandom().uniform(0.5, 1))
            pause = min(2 * pause, LONGEST_PAUSE, patience)


def _passing(error: BaseException, also: tuple[type[Exception], ...]) -> bool:
    cause = error.__cause__ if isinstance(error, optuna.exceptions.StorageInternalError) else error
    if isinstance(cause, sa.exc.DBAPIError) and cause.connection_invalidated:
        return True
    return isinstance(cause, (sa.exc.OperationalError, sa.exc.InterfaceError, sa.exc.TimeoutError, *also))


def _refused(error: BaseException) -> bool:
    """Whether a server says that this user, password or database will not do, which no waiting changes."""
    cause = error.__cause__ if isinstance(error, optuna.exceptions.StorageInternalError) else error
    said = cause.orig if isinstance(cause, sa.exc.DBAPIError) else None
    state = getattr(said, "sqlstate", None) or getattr(said, "pgcode", None)
    # While connecting, psycopg2 knows no state, only the words.
    return state in REFUSALS if state else said is not None and bool(REFUSED_WORDS.search(str(said)))


def _prepare_sqlite(url: URL) -> None:
    """Make the directory, and switch the file to a write-ahead log: readers and a writer do not block each other."""
    path = Path(str(url.database))
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        engine = sa.create_engine(url, poolclass=sa.pool.NullPool, connect_args=_connect_args(url))
        with engine.connect() as connection:
            connection.execute(sa.text("PRAGMA journal_mode=WAL"))
    except OSError as error:
        raise UserError(f"--sweep-db: {path.parent} cannot be made: {error.strerror}.") from None
    except sa.exc.DBAPIError as error:
        if "locked" not in str(error):  # another process switches it this moment
            raise UserError(f"--sweep-db: {path} cannot be used: {_line(error)}") from None


def _connect_args(url: URL) -> dict[str, Any]:
    if url.get_backend_name() == "sqlite":
        return {"timeout": BUSY_SECONDS}
    keepalives = {"keepalives": 1, "keepalives_idle": 30, "keepalives_interval": 10, "keepalives_count": 3}
    return {} if "connect_timeout" in url.query else {"connect_timeout": CONNECT_SECONDS, **keepalives}


def _line(error: BaseException) -> str:
    """What the database itself said, in one line: SQLAlchemy adds the statement and a link."""
    cause = error.__cause__ if isinstance(error, optuna.exceptions.StorageInternalError) else error
    said = cause.orig if isinstance(cause, sa.exc.DBAPIError) and cause.orig is not None else cause
    return " ".join(str(said).split()) or type(said).__name__
