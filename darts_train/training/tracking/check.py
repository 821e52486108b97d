"""Trackers that cannot work are found before training; a service that is merely down is met, and told, later.

Light to import, for commands of many runs ask it first of all.
"""

from importlib.metadata import entry_points
from pathlib import Path
from urllib.parse import urlsplit

from darts_train.base.errors import UserError, nearest
from darts_train.base.files import require_writable
from darts_train.base.optional import require
from darts_train.options.learning import Tracking

MLFLOW_URI = "--mlflow-uri"
WEB = ("http", "https")
# What MLflow has stores for (mlflow.tracking, "Where Runs Are Recorded"); packages may add more.
OTHERS = ("sqlite", "postgresql", "mysql", "mssql", "databricks", "databricks-uc", "uc")
PLUGINS = "mlflow.tracking_store"


def check_tracking(tracking: Tracking) -> None:
    """Look at what tracking was asked for, without asking any service.

    Raises UserError where a package is missing, with the line that installs it, and where the address of MLflow can
    be none: of an unknown kind, without a host, or a directory that cannot be written.
    """
    if tracking.mlflow_uri:
        require("mlflow", "mlflow", MLFLOW_URI)
        _check_uri(tracking.mlflow_uri)
    if tracking.tensorboard:
        require("tensorboard", "tensorboard", "--tensorboard")


def _check_uri(uri: str) -> None:  # an address may hold a password, so no message repeats it
    try:
        parts = urlsplit(uri)
        host, _ = parts.hostname, parts.port
    except ValueError as error:
        raise UserError(f"{MLFLOW_URI}: not an address: {error}.") from None
    scheme = parts.scheme.partition("+")[0]  # postgresql+psycopg2
    if scheme in WEB and not host:
        raise UserError(f"{MLFLOW_URI}: the address names no host; write it as {scheme}://host:5000.")
    if uri == "databricks" or scheme in (*WEB, *OTHERS):
        return
    if len(scheme) <= 1 or scheme == "file":  # one letter is a drive
        require_writable(Path(parts.path if scheme == "file" else uri), MLFLOW_URI)
        return
    known = (*WEB, "file", *OTHERS, *(plugin.name for plugin in entry_points(group=PLUGINS)))
    if scheme not in known:
        hint = nearest(scheme, known) or f"; there are {', '.join(known)}, and directories"
        raise UserError(f"{MLFLOW_URI}: MLflow knows no addresses that begin with {scheme}:{hint}.")
