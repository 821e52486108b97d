"""A scene made of a function, so that what lies beyond any window is known exactly."""

import numpy as np

from darts_train.raster.catalogue import CATALOGUE
from darts_train.raster.grid import Grid
from darts_train.scenes.scene import require_bands

UTM = "EPSG:32608"


class FunctionScene:
    """Bands are functions of column and row; they go on beyond the scene, as auxiliary rasters do."""

    scene_id, source, region, group, date = "made", "made.tif", "No Region", None, None

    def __init__(self, bands, grid=None, sun=None):
        self.functions = bands
        self.grid = grid or Grid(200, 200, (10.0, 0.0, 500000.0, 0.0, -10.0, 7000000.0), UTM)
        self.sun = sun
        self.bands = {name: CATALOGUE[name] for name in bands}

    def read(self, names, window):
        require_bands(self, names)
        columns = np.arange(window.x, window.right)[None, :] * np.ones((window.height, 1))
        rows = np.arange(window.y, window.bottom)[:, None] * np.ones((1, window.width))
        return np.stack([self.functions[name](columns, rows) for name in names]).astype(np.float32)

    def quality(self, window):
        return np.full((window.height, window.width), 2, np.uint8)
