"""A scene, its truth and its map as pictures of equal size: arrays → PNG bytes.

Colours tell classes apart for any colour vision (Okabe and Ito 2008); where truth and map are compared, agreement,
misses and false alarms also differ in lightness.
"""

import io

import numpy as np
from numpy.typing import NDArray

CLASS_COLOURS = ((86, 180, 233), (230, 159, 0), (0, 114, 178), (204, 121, 167), (0, 158, 115), (213, 94, 0))
AGREEMENT = {"found": (0, 158, 115), "missed": (230, 159, 0), "false alarm": (204, 60, 140)}
LABEL_SHARE = 0.6  # of the class colour in the mixture with the picture below it
MISSING = (128, 128, 128)


def true_colour(red: NDArray[np.float32], green: NDArray[np.float32], blue: NDArray[np.float32]) -> NDArray[np.uint8]:
    """uint8 [h, w, 3] from three bands [h, w], stretched together between their 1st and 99th percentile.

    One stretch for all three keeps hues as they are. Pixels with a NaN are grey; a scene without a finite pixel is
    all grey.
    """
    stack = np.stack([red, green, blue], axis=-1).astype(np.float32)
    valid = np.isfinite(stack).all(axis=-1)
    picture = np.full(stack.shape, MISSING, np.uint8)
    if valid.any():
        low, high = np.percentile(stack[valid], (1.0, 99.0))
        unit = np.clip((stack[valid] - low) / max(float(high - low), 1e-9), 0.0, 1.0)
        picture[valid] = np.rint(255.0 * unit ** (1.0 / 1.4)).astype(np.uint8)
    return picture


def with_classes(picture: NDArray[np.uint8], classes: NDArray[np.uint8], ignore_index: int = 255) -> NDArray[np.uint8]:
    """The picture with foreground classes (≥ 1) laid over it in colour; pixels of `ignore_index` stay as they are."""
    result = picture.copy()
    for value in np.unique(classes):
        if value in (0, ignore_index):
            continue
        colour = np.array(class_colour(int(value)), np.float32)
        place = classes == value
        mixed = LABEL_SHARE * colour + (1.0 - LABEL_SHARE) * picture[place].astype(np.float32)
        result[place] = np.rint(mixed).astype(np.uint8)
    return result


def agreement(picture: NDArray[np.uint8], truth: NDArray[np.bool_], found: NDArray[np.bool_]) -> NDArray[np.uint8]:
    """The picture in grey, with what was found, missed and wrongly found in the colours of AGREEMENT."""
    grey = picture.astype(np.float32).mean(axis=-1, keepdims=True)
    result: NDArray[np.uint8] = np.rint(np.broadcast_to(0.5 * grey + 64.0, picture.shape)).astype(np.uint8)
    for name, place in (("found", truth & found), ("missed", truth & ~found), ("false alarm", ~truth & found)):
        result[place] = AGREEMENT[name]
    return result


def class_colour(index: int) -> tuple[int, int, int]:
    """RGB of foreground class `index` (from 1); colours come again after the last."""
    return CLASS_COLOURS[(index - 1) % len(CLASS_COLOURS)]


def hex_colour(colour: tuple[int, int, int]) -> str:
    """RGB 0 to 255 → `#rrggbb`."""
    return "#{:02x}{:02x}{:02x}".format(*colour)


def png(picture: NDArray[np.uint8]) -> bytes:
    """uint8 [h, w, 3] as a PNG file."""
    from matplotlib.image import imsave

    buffer = io.BytesIO()
    imsave(buffer, picture, format="png")
    return buffer.getvalue()
