"""Which Sentinel-2 scene fits a labelled footprint best: clear, near in time, covering it."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta
from typing import Any

import shapely

from darts_train.options.preprocessing import Stac
from darts_train.scenes.stac import search_items

_SIMPLIFIED = 0.001  # degrees: an API takes no polygon of thousands of corners
_CLOUD = ("eo:cloud_cover",)
_SNOW = ("eo:snow_cover", "s2:snow_ice_percentage")


@dataclass(frozen=True)
class Wanted:
    """A footprint (shapely, EPSG:4326) labelled on an image of a day."""

    image_id: str
    footprint: Any
    day: date


@dataclass(frozen=True)
class Match:
    """An item, as a STAC API gives it: cloud cover (0 to 100), share of the footprint (0 to 1), days from its image."""

    item: Mapping[str, Any]
    cloud: float
    share: float
    days: float

    @property
    def score(self) -> float:
        """See `match_score`."""
        return match_score(self.cloud, self.share, self.days)


def match_score(cloud: float, share: float, days: float) -> float:
    """How badly a scene fits; 0 is perfect, the lowest wins.

    (cloud / 5)² + ((100 − 100 share) / 5)² + (days / 2)²: five percent of cloud weigh as much as five percent of the
    footprint that are missing, and as two days. Weights are those of the operational pipeline, which by a slip let
    cloudier scenes win.
    """
    return (cloud / 5) ** 2 + ((100 - 100 * share) / 5) ** 2 + (days / 2) ** 2


def best_match(wanted: Wanted, stac: Stac) -> Match | None:
    """Ask the API for scenes around a day and choose; None where no scene keeps the limits.

    Raises UserError where the API does not answer.
    """
    assert stac.stac_url is not None
    span = timedelta(days=stac.matching_day_range)
    items = search_items(
        stac.stac_url,
        collections=[stac.stac_collection],
        intersects=shapely.geometry.mapping(wanted.footprint.simplify(_SIMPLIFIED)),
        datetime=f"{wanted.day - span}T00:00:00Z/{wanted.day + span}T23:59:59Z",
    )
    return choose((item.to_dict() for item in items), wanted, stac)


def choose(items: Iterable[Mapping[str, Any]], wanted: Wanted, stac: Stac) -> Match | None:
    """The item with the lowest score that keeps the limits; of equal ones the first by id."""
    found = [match for match in (_match(item, wanted) for item in items) if match and _within(match, wanted, stac)]
    return min(found, key=lambda match: (match.score, str(match.item["id"])), default=None)


def _match(item: Mapping[str, Any], wanted: Wanted) -> Match | None:
    """None where the item says no place, no time or no cloud cover that can be understood."""
    properties = item.get("properties") or {}
    try:
        outline = shapely.geometry.shape(item["geometry"])
        taken = datetime.fromisoformat(str(properties["datetime"]).replace("Z", "+00:00"))
        cloud = float(_first(properties, _CLOUD, 0.0))
    except (KeyError, TypeError, ValueError, AttributeError, shapely.errors.ShapelyError):
        return None
    if not outline.is_valid or outline.is_empty:
        return None
    share = outline.intersection(wanted.footprint).area / wanted.footprint.area
    noon = datetime(wanted.day.year, wanted.day.month, wanted.day.day, 12, tzinfo=UTC)
    taken = taken if taken.tzinfo else taken.replace(tzinfo=UTC)
    return Match(item, cloud, min(1.0, share), abs((taken - noon).total_seconds()) / 86400)


def _within(match: Match, wanted: Wanted, stac: Stac) -> bool:
    snow = float(_first(match.item["properties"], _SNOW, 0.0))
    return (
        match.cloud <= stac.matching_max_cloud_cover
        and snow <= stac.matching_max_snow_cover
        and match.share >= stac.matching_min_intersects
        and match.days <= stac.matching_day_range + 0.5  # days are counted from noon
    )


def _first(properties: Mapping[str, Any], names: Iterable[str], default: float) -> Any:
    return next((properties[name] for name in names if properties.get(name) is not None), default)
