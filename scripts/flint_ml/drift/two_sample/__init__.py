"""The drift tests of single columns: one file for each, and the list of them.

A new test is a module here with a ``TEST``, and a line in ``LISTED``: names in settings, docs and messages come from
the list, everything else from the :class:`~flint_ml.drift.two_sample.base.TwoSampleTest` in the module. The list
imports no numpy, so that the settings of check-drift can be read in a light installation.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, NamedTuple

if TYPE_CHECKING:
    from flint_ml.drift.two_sample.base import TwoSampleTest


class Listed(NamedTuple):
    """A test by the name that users write, which is also that of its module; and whether it tests classes."""

    name: str
    classes: bool = False


LISTED = (
    Listed("ks"),
    Listed("chi2", classes=True),
    Listed("wasserstein"),
    Listed("psi"),
)
NAMES = tuple(test.name for test in LISTED)
# Tests of numbers; of these a table has one at a time.
FOR_NUMBERS = tuple(test.name for test in LISTED if not test.classes)
# Tests of classes, and of numbers that repeat a handful of values.
FOR_CLASSES = tuple(test.name for test in LISTED if test.classes)


def two_sample_test(name: str) -> TwoSampleTest:
    """The test of this name. Raises KeyError for a name that is not listed."""
    if name not in NAMES:
        raise KeyError(name)
    test: TwoSampleTest = import_module(f"{__name__}.{name}").TEST
    return test
