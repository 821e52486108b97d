"""How the patches of a scene are grouped into tiles: what is read, computed and committed at once.

A tile holds so many patches that its memory is bounded whatever the scene's size: whole rows of patches where a row
fits, else a part of one. The plan depends on sizes alone, so a run that goes on finds the same tiles.
"""

from functools import reduce

from darts_train.raster.patches import Edge, Window, patch_windows

TILE_PIXELS = 2**22  # of all patches of a tile together; ten bands of that are 170 MB


def plan_tiles(width: int, height: int, patch_size: int, overlap: int, edge: Edge = "shift") -> list[list[Window]]:
    """Windows of all patches of a scene, in order, in tiles; each has at least one. UserError as `patch_windows`."""
    windows = patch_windows(width, height, patch_size, overlap, edge)
    if not windows:
        return []
    most = max(1, TILE_PIXELS // patch_size**2)
    columns = len({window.x for window in windows})
    if columns <= most:
        size = most // columns * columns
        return [windows[i : i + size] for i in range(0, len(windows), size)]
    rows = [windows[i : i + columns] for i in range(0, len(windows), columns)]
    return [row[i : i + most] for row in rows for i in range(0, columns, most)]


def area_of(windows: list[Window]) -> Window:
    """The least window that holds all of a tile's."""
    return reduce(Window.union, windows)
