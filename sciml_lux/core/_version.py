"""The version of the library."""

import importlib.metadata


def _installed() -> str:
    try:
        return importlib.metadata.version("sciml_lux")
    except importlib.metadata.PackageNotFoundError:  # Run from its source alone.
        return "0+unknown"


__version__ = _installed()
