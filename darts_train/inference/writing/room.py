"""A disk that takes no more, said in one line, whichever library met it."""

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from pyogrio.errors import DataLayerError, DataSourceError, FeatureError, FieldError, GeometryError
from rasterio.errors import RasterioError

from darts_train.base.disk_room import cause_of_full_disk, no_room
from darts_train.base.errors import UserError

try:  # GDAL's own errors, which rasterio raises bare from some calls
    from rasterio._err import CPLE_BaseError
except ImportError:  # pragma: no cover
    CPLE_BaseError = RasterioError

_OF_LIBRARIES = (
    RasterioError,
    CPLE_BaseError,
    DataSourceError,
    DataLayerError,
    FeatureError,
    FieldError,
    GeometryError,
)


@contextmanager
def told_when_unwritable(place: Path) -> Iterator[None]:
    """Raise UserError naming `place` where the block fails to write; what was read wrong says so itself."""
    try:
        yield
    except UserError:
        raise
    except (OSError, *_OF_LIBRARIES) as error:
        full = cause_of_full_disk(error)
        if full is not None:
            raise no_room(place, full) from error
        reason = getattr(error, "strerror", None) or " ".join(str(error).split())[:120].rstrip(".")
        raise UserError(
            f"{place} cannot be written: {reason}. Is there room? Then give the same command again."
        ) from error
