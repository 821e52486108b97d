"""Questions to STAC APIs, patiently asked: too many requests and broken servers are tried again, with growing waits."""

from collections.abc import Iterator
from typing import Any

from darts_train.base.errors import UserError
from darts_train.base.optional import require

_RETRIES, _BACKOFF = 6, 1.0  # waits of 1, 2, 4 … seconds, or as the server says
_TRY_AGAIN = (429, 500, 502, 503, 504)
_TIMEOUT = 60  # seconds


def search_items(url: str, option: str = "--stac-url", **query: Any) -> Iterator[Any]:
    """Items of a search, page by page, with absolute addresses of their assets.

    Args:
        url: of the API's root.
        option: named in errors.
        query: as pystac_client's Client.search takes it (collections, bbox, intersects, datetime).

    Raises:
        UserError: the extra `stac` is missing, or the API cannot be reached or understood.
    """
    client = require("pystac_client", "stac", "A STAC API")
    stac_io = require("pystac_client.stac_api_io", "stac", "A STAC API")
    retry = require("urllib3", "stac", "A STAC API").Retry(
        total=_RETRIES, backoff_factor=_BACKOFF, status_forcelist=_TRY_AGAIN, allowed_methods=None
    )
    try:
        catalogue = client.Client.open(url, stac_io=stac_io.StacApiIO(max_retries=retry, timeout=_TIMEOUT))
        for item in catalogue.search(**query).items():
            yield item.make_asset_hrefs_absolute()
    except Exception as error:  # of pystac, requests and json, and of what they are built on
        reason = (str(error) or type(error).__name__).splitlines()[0][:200].rstrip(".")
        raise UserError(f"{option}: {url} gave no answer that can be used ({reason}).") from None
