"""Directories of maps appear at once; see `base/directories.py`."""

from darts_train.base.directories import appearing_directory

__all__ = ["appearing_directory"]
