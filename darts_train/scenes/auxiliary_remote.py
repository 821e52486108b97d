"""Rasters by address: what counts as one, and how patient GDAL is with the network. The one place that says so."""

import os
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import rasterio
from rasterio.errors import NotGeoreferencedWarning, RasterioError

from darts_train.base.errors import UserError

# 429 (too many requests), 500, 502, 503, 504 and broken connections are tried again after 1, 2, 4, 8 … seconds (GDAL
# doubles and adds some chance). What the environment says counts more.
_PATIENCE = {
    "GDAL_HTTP_MAX_RETRY": "6",
    "GDAL_HTTP_RETRY_DELAY": "1",
    "GDAL_HTTP_CONNECTTIMEOUT": "30",
    "GDAL_HTTP_TIMEOUT": "300",
}
_REMOTE = {
    "GDAL_DISABLE_READDIR_ON_OPEN": "EMPTY_DIR",  # no look for files beside it, which servers cannot list
    "GDAL_INGESTED_BYTES_AT_OPEN": "32768",  # the header of a COG in one request
}


def is_remote(address: str) -> bool:
    """Whether a text is an address for GDAL (https://…, s3://…, /vsicurl/…) and no path of this machine."""
    return "://" in address or address.startswith("/vsi")


def public_address(address: str) -> str:
    """`s3://bucket/key` as the https address under which public buckets give it; others as they are.

    >>> public_address("s3://dems/a/b.tif")
    'https://dems.s3.amazonaws.com/a/b.tif'
    """
    if not address.startswith("s3://"):
        return address
    bucket, _, key = address.removeprefix("s3://").partition("/")
    return f"https://{bucket}.s3.amazonaws.com/{key}"


def gdal_options(address: str) -> dict[str, str]:
    """GDAL's options for an address, without those that the environment sets."""
    options = _PATIENCE | (_REMOTE if is_remote(address) else {})
    return {name: value for name, value in options.items() if name not in os.environ}


@contextmanager
def open_address(address: str) -> Iterator[Any]:
    """An open rasterio dataset of a file or address. GDAL's errors, within the block too, become UserError."""
    if not is_remote(address) and not Path(address).exists():
        raise UserError(f"{address}: no such file.")
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", NotGeoreferencedWarning)
            with rasterio.Env(**gdal_options(address)), rasterio.open(address) as dataset:
                yield dataset
    except RasterioError as error:
        reason = str(error.__cause__ or error).splitlines()[0].rstrip(".")
        raise UserError(f"{address}: cannot be read as a raster ({reason}).") from None
