"""Versions of the packages that decide scores, kept with a study: other versions may give other scores."""

from collections.abc import Mapping

from darts_train.base.errors import listing
from darts_train.base.log import logger
from darts_train.base.provenance import package_versions

DECIDING = ("darts-train", "torch", "lightning", "segmentation-models-pytorch", "timm", "numpy", "optuna")
_log = logger("experiments")


def deciding_versions() -> dict[str, str]:
    """Installed versions of the packages that decide what a trial tries and how it scores."""
    return {name: version for name, version in package_versions().items() if name in DECIDING}


def warn_of_versions(name: str, stored: Mapping[str, str]) -> None:
    """Warn where the search `name` was made with other versions than those installed here. None are stored: silence."""
    here = deciding_versions()
    known = [package for package in DECIDING if package in stored]
    other = [f"{one} {stored[one]} ({here.get(one, 'none')} here)" for one in known if stored[one] != here.get(one)]
    if other:
        _log.warning("%s was made with %s; scores may differ a little", name, listing(other, len(DECIDING)))
