"""The processes of a year without disturbance, in the order in which they act (2.2).

A process is a module of the project's configuration: a name, the transfers that it makes, and one step for many stands.
Everything else follows from the list ``PROCESSES``: the rows of the flux arrays, the tables of the result database,
the indicators, the balance check, and which modules are supported and in which order.
"""

from __future__ import annotations

from typing import ClassVar, Protocol

import numpy as np
from numpy.typing import NDArray

from flint_ml.gcbm.engine.decay import Decay
from flint_ml.gcbm.engine.growth import Growth, GrowthKeys
from flint_ml.gcbm.engine.model import Model
from flint_ml.gcbm.engine.state import State

Array = NDArray[np.float64]


class Process(Protocol):
    """One process.

    ``name``: its module in the configuration, which switches it on. ``identity``: libraryType, libraryInfoId,
    moduleType and moduleId, as the reference writes them. ``flows``: its transfers (source pool, sink pool).
    """

    name: ClassVar[str]
    identity: ClassVar[tuple[int, int, int, int]]
    flows: ClassVar[tuple[tuple[str, str], ...]]

    def __init__(self, model: Model, keys: GrowthKeys) -> None: ...

    def step(self, state: State, flows: Array) -> None:
        """One year, in place. ``flows`` (len(flows), stands) in tC/ha: this process's rows, to be added to."""


PROCESSES: tuple[type[Process], ...] = (Growth, Decay)
# Every transfer of a year without disturbance: (module, source, sink); rows of the flux arrays.
FLOWS: tuple[tuple[str, str, str], ...] = tuple(
    (process.name, source, sink) for process in PROCESSES for source, sink in process.flows
)
EVENT = "CBMDisturbanceEventModule"
# libraryType, libraryInfoId, moduleType, moduleId: as the reference writes them.
MODULES: dict[str, tuple[int, int, int, int]] = {process.name: process.identity for process in PROCESSES}
MODULES[EVENT] = (3, 5, 1, 3)


def rows_of(process: type[Process]) -> slice:
    """The rows of a process in the flux arrays."""
    start = sum(len(before.flows) for before in PROCESSES[: PROCESSES.index(process)])
    return slice(start, start + len(process.flows))
