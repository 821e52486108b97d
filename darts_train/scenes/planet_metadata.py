"""What PLANET's metadata files say about a scene: where the sun stood."""

import json
import math
from pathlib import Path
from typing import Any

from darts_train.base.log import logger

_log = logger("scenes")


def sun_angles(directory: Path) -> tuple[float, float] | None:
    """Azimuth and elevation of the sun, degrees, from the first *_metadata.json; None where it does not say.

    Orders have the two keys at the top level, items of the Data API below `properties`. A file that cannot be read is
    no reason to lose a scene: one warning, and None.
    """
    for path in sorted(directory.glob("*_metadata.json"))[:1]:
        try:
            content = json.loads(path.read_bytes())
        except (OSError, ValueError) as error:
            _log.warning("%s: not readable (%s); the sun's place is not known", path, error)
            return None
        return _angles(content)
    return None


def _angles(content: Any) -> tuple[float, float] | None:
    if not isinstance(content, dict):
        return None
    inner = content.get("properties")
    for table in (content, inner if isinstance(inner, dict) else {}):
        pair = table.get("sun_azimuth"), table.get("sun_elevation")
        numbers = [float(item) for item in pair if isinstance(item, int | float) and not isinstance(item, bool)]
        if len(numbers) == 2 and all(math.isfinite(number) for number in numbers):
            return numbers[0], numbers[1]
    return None
