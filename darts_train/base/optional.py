"""Packages that are not always installed: imported when needed, missed with a line that helps."""

import importlib
from types import ModuleType

from darts_train.base.errors import UserError


def require(module: str, extra: str, purpose: str) -> ModuleType:
    """Import an optional module; UserError with the install line where it is not there."""
    try:
        return importlib.import_module(module)
    except ImportError:
        raise UserError(f"{purpose} needs {module}; install it with: pip install 'darts-train[{extra}]'") from None
