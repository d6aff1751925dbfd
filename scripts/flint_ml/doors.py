"""Lazy doors (PEP 562): a package exports names, and a module behind it loads when one of them is first used.

So that ``flint-ml --help`` and the commands of a light installation import neither numpy nor DVC, and the rest of
the package still says ``from flint_ml.drift import check_tables``.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from importlib import import_module
from typing import Any


def door(package: str, homes: Mapping[str, str]) -> Callable[[str], Any]:
    """The ``__getattr__`` of a package.

    Parameters
    ----------
    package
        Its ``__name__``.
    homes
        Exported name to the module, relative to the package, that defines it (``{"run": "engine.run"}``).
    """

    def load(name: str) -> Any:
        if name not in homes:
            raise AttributeError(f"module {package!r} has no attribute {name!r}")
        value = getattr(import_module(f"{package}.{homes[name]}"), name)
        setattr(import_module(package), name, value)
        return value

    return load
