"""Where a result came from: versions, host, time. Enough to repeat it or to know why it differs."""

import json
import platform
import socket
import subprocess
import sys
from datetime import UTC, datetime
from importlib.metadata import PackageNotFoundError, distribution, version
from pathlib import Path

PACKAGES = (
    "darts-train", "torch", "lightning", "segmentation-models-pytorch", "timm", "numpy", "pandas", "pyarrow",
    "scikit-learn", "zarr", "optuna", "onnx", "onnxruntime", "rasterio", "geopandas", "typer", "albumentations",
)  # fmt: skip


def package_versions() -> dict[str, str]:
    """Installed version of every package that can change a result; absent ones are left out."""
    found = {}
    for name in PACKAGES:
        try:
            found[name] = version(name)
        except PackageNotFoundError:
            continue
    return found


def now() -> str:
    """The time in UTC, ISO 8601, to the second."""
    return datetime.now(UTC).isoformat(timespec="seconds")


def host() -> dict[str, str]:
    """Host name, platform and Python of this process."""
    return {
        "host": socket.gethostname(),
        "platform": platform.platform(),
        "python": sys.version.split()[0],
    }


def commit() -> str | None:
    """The git commit of this program: of its sources, or of what pip installed; None of a release.

    Looks only where the sources themselves lie, never at a repository that happens to hold the environment.
    """
    root = Path(__file__).parents[2]
    if (root / ".git").exists():
        try:
            found = subprocess.run(
                ["git", "-C", str(root), "rev-parse", "HEAD"], capture_output=True, text=True, timeout=5, check=True
            )
        except (OSError, subprocess.SubprocessError):
            return None
        return found.stdout.strip() or None
    try:
        said = json.loads(distribution("darts-train").read_text("direct_url.json") or "{}")
        return str(said["vcs_info"]["commit_id"])
    except (PackageNotFoundError, ValueError, KeyError, TypeError):
        return None
