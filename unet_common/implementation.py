"""The one place that turns the name of an implementation into its package."""

import importlib
from types import ModuleType

from data.errors import UserError

IMPLEMENTATIONS = ("lowlevel", "highlevel", "keras")


def load(name: str) -> ModuleType:
    """The package `unet_NAME`, which offers `Model` and `train`."""
    if name not in IMPLEMENTATIONS:
        raise UserError(f"There is no implementation '{name}'. Choose one of {', '.join(IMPLEMENTATIONS)}.")
    return importlib.import_module(f"unet_{name}")
