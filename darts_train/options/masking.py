"""Options that say what indices are computed on, and where they mean nothing."""

from dataclasses import dataclass
from typing import Literal

from darts_train.options.fields import OptionGroup, option


@dataclass(frozen=True, kw_only=True)
class Masking(OptionGroup, title="Indices and masks"):
    """Bands of quality and elevation, and where indices mean nothing."""

    qa_band: str = option("Band of quality: 0 is good.", "qa")
    dem_band: str = option("Band of elevation, m: what is not above 0 is water.", "dem")
    mask_indices_by_qa: bool = option("Indices are no data where the quality is not good.", False)
    mask_indices_by_water: bool = option("Indices are no data on land.", False)
    unknown_elevation: Literal["water", "land"] = option("What missing elevation counts as.", "water")
    optional_bands: tuple[str, ...] = option("Stored bands whose missing pixels change no label, drop no patch.", ())
    indices_on: Literal["values", "counts"] = option(
        "Compute indices on scaled values, or on the file's counts.", "values"
    )
