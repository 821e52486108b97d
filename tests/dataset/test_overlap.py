"""Patches of different scenes over the same ground."""

import pandas as pd
import shapely

from darts_train.dataset.splitting.overlap import overlapping_scenes


def rows(*scenes):
    """(scene, boxes) → metadata."""
    found = [
        (name, None if box is None else shapely.to_wkb(shapely.box(*box))) for name, boxes in scenes for box in boxes
    ]
    return pd.DataFrame(found, columns=["sample_id", "geometry"])


def test_patches_of_one_scene_and_neighbours_do_not_count():
    assert overlapping_scenes(rows(("a", [(0, 0, 2, 1), (1, 0, 3, 1)]), ("b", [(3, 0, 4, 1)]))) == {}


def test_pairs_are_counted_by_scenes_the_most_first():
    metadata = rows(("a", [(0, 0, 1, 1), (1, 0, 2, 1)]), ("b", [(0.5, 0, 1.5, 1)]), ("c", [(1.9, 0, 2.5, 1)]))
    assert list(overlapping_scenes(metadata).items()) == [(("a", "b"), 2), (("a", "c"), 1)]


def test_without_georeference_nothing_is_known():
    assert overlapping_scenes(rows(("a", [None]), ("b", [None]))) == {}
    assert overlapping_scenes(pd.DataFrame({"sample_id": ["a", "b"]})) == {}
