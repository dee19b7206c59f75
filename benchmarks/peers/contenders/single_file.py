"""Import one file of an installed package without the package round it, whose other imports may be missing."""

import importlib.util
from pathlib import Path
from types import ModuleType


def load_file(package: str, path: str) -> ModuleType:
    """The module in `path`, relative to an installed top-level package.

    Raises:
        ModuleNotFoundError: the package is not installed, or has no such file.
    """
    found = importlib.util.find_spec(package)
    files = [Path(folder) / path for folder in (found.submodule_search_locations or ())] if found else []
    files = [file for file in files if file.is_file()]
    if not files:
        raise ModuleNotFoundError(f"No module named {package!r}" if found is None else f"{package} has no file {path}")
    spec = importlib.util.spec_from_file_location(f"single_file_{files[0].stem}", files[0])
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module
