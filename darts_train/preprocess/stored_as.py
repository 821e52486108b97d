"""Whether the codes of a set fit into bytes: images of bytes make a set of bytes.

It is decided once, when a set is begun, from what the files say of themselves: types, steps and declared no data. So it
does not hang on pixels, and a run that goes on decides the same.
"""

from collections.abc import Mapping, Sequence

from darts_train.base.errors import UserError
from darts_train.dataset.config_keys import STORED_AS
from darts_train.dataset.set_config import SetConfig
from darts_train.raster.band import Band
from darts_train.scenes.scene import Scene

_SHARED, _BY_BAND = "uint8", "uint8 by band"


def stored_as(bands: Sequence[Band], scenes: Sequence[Scene], earlier: SetConfig | None) -> str:
    """How the codes of a set are stored, one of `config_keys.STORED_AS`; a set that was begun keeps its form.

    Bytes are taken where every band is read from files of bytes, with one step for all, and none is computed. By band
    where a file declares a value of no data, which can then differ between bands.

    Raises UserError, naming the first file, where a scene does not fit into the form of the set so far.
    """
    kept = STORED_AS[0] if earlier is None else earlier.stored_as
    if earlier is not None and kept == STORED_AS[0]:
        return kept
    forms = [(scene, *_form(bands, scene)) for scene in scenes]
    for scene, form, reason in forms:
        if earlier is not None and form not in (kept, _SHARED):
            raise UserError(
                f"{scene.source}: {reason}, which the set so far, stored as {kept}, cannot hold;"
                " choose another directory, or --overwrite."
            )
    found = {form for _, form, _ in forms}
    if earlier is not None:
        return kept
    if STORED_AS[0] in found:
        return STORED_AS[0]
    return _BY_BAND if _BY_BAND in found else _SHARED


def _form(bands: Sequence[Band], scene: Scene) -> tuple[str, str]:
    """The form that holds a scene exactly, and what asks for more than `uint8`."""
    dtypes: Mapping[str, str] = getattr(scene, "dtypes", {})  # of scenes whose bands are those of a file
    for band in bands:
        if dtypes.get(band.name) != "uint8":
            return STORED_AS[0], f"band {band.name} is {dtypes.get(band.name, 'computed')}"
        native = scene.bands[band.name]
        if (native.scale, native.offset) != (band.scale, band.offset):
            return STORED_AS[0], f"one count of band {band.name} is {native.scale:g} from {native.offset:g} on"
    if len(bands) > 1 and getattr(scene, "gaps_by_band", False):
        return _BY_BAND, "its value of no data is told band by band"
    return _SHARED, ""
