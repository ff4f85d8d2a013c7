"""Optional packages, imported where they are used."""

import importlib


def need(module: str, package: str | None = None, extra: str = "train"):
    """The module, or an ImportError that names the extra to install."""
    try:
        return importlib.import_module(module)
    except ImportError as error:
        raise ImportError(
            f"this needs the package {package or module.partition('.')[0]}: pip install "
            f"'minigrad[{extra}]'"
        ) from error
