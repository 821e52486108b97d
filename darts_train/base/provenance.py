"""Where a result came from: versions, host, time. Enough to repeat it or to know why it differs."""

import platform
import socket
import sys
from datetime import UTC, datetime
from importlib.metadata import PackageNotFoundError, version

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
