"""Zarr cubes for tests, with the metadata that xarray writes."""

import numpy as np
import zarr
from rasterio.crs import CRS


def write_cube(path, planes, origin, cell, crs, *, fmt=3, ascending=False, layers=None, attributes=None, dtype="f4"):
    """Write {name: counts [h, w]} as variables on (y, x), or on (time, y, x) the last layer being the true one."""
    group = zarr.open_group(path, mode="w", zarr_format=fmt)
    height, width = next(iter(planes.values())).shape
    y = origin[1] - cell * (np.arange(height) + 0.5)
    add(group, "x", origin[0] + cell * (np.arange(width) + 0.5), ("x",), fmt)
    add(group, "y", y[::-1] if ascending else y, ("y",), fmt)
    wkt = CRS.from_user_input(crs).to_wkt()
    add(group, "spatial_ref", np.array(0), (), fmt, {"crs_wkt": wkt, "spatial_ref": wkt})
    for name, counts in planes.items():
        turned = (counts[::-1] if ascending else counts).astype(dtype)
        dims = ("y", "x")
        if layers:
            turned, dims = np.stack([turned * 0] * (layers - 1) + [turned]), ("time", "y", "x")
        add(group, name, turned, dims, fmt, {"grid_mapping": "spatial_ref", **(attributes or {})})
    return path


def add(group, name, values, dims, fmt, attributes=None):
    chunks = tuple(min(64, size) for size in values.shape) or None
    settings = {"dimension_names": dims} if fmt == 3 else {"chunk_key_encoding": {"name": "v2", "separator": "."}}
    array = group.create_array(name, shape=values.shape, dtype=values.dtype, chunks=chunks or (), **settings)
    array[...] = values
    array.attrs.update((attributes or {}) | ({} if fmt == 3 else {"_ARRAY_DIMENSIONS": list(dims)}))
