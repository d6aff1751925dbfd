"""Checks of a run that make silent failures loud: each has a name, a number and a tolerance."""

from __future__ import annotations

from collections import Counter
from typing import Any

import numpy as np

from flint_ml.gcbm.engine.aggregate import Check, Observed, Result, Status
from flint_ml.gcbm.engine.model import Model
from flint_ml.gcbm.engine.processes import FLOWS
from flint_ml.gcbm.pools import ATMOSPHERE, DOM_END, INDEX


def unlistened_layers(model: Model) -> list[str]:
    """Layers that hold events but are not in the listener's list."""
    used = {str((model.variables.transform(name) or {}).get("data_id")) for name in model.listener}
    found = []
    for name, layer in model.layers.items():
        records = [v for v in layer.values or [] if isinstance(v, dict)]
        if name not in used and any("disturbance_type" in v or "disturbance_type_id" in v for v in records):
            found.append(name)
    return sorted(found)


def run_checks(result: Result, seen: Observed) -> list[Check]:
    """All checks of a finished run."""
    return [
        _balance(result),
        _constant_area(result),
        _raster_area(result),
        _pools(result),
        _disturbed(result, seen),
        _curves(result),
        _count(
            "missing-matrices",
            sum(seen.skipped.values()),
            "stands",
            "hit by events without a disturbance matrix, which were left out",
            [f"{kind} in spatial unit {unit}" for kind, unit in sorted(seen.skipped)],
        ),
        _count(
            "matrix-rows",
            seen.bad_matrix_rows,
            "rows",
            f"of disturbance matrices do not sum to 1 within 1e-5 (worst by {seen.worst_matrix_row:.3g}; "
            "the C++ does not rescale them, nor does this engine)",
            [],
            warn=True,
        ),
        _count(
            "spinup-stable",
            seen.unstable_ha,
            "ha",
            "whose slow pools were not stable at the last rotation",
            [],
            warn=True,
        ),
        _count(
            "null-temperature",
            seen.null_temperature_ha,
            "ha",
            "without mean annual temperature, taken as 0 degrees C as the C++ does",
            [],
            warn=True,
        ),
        _count(
            "spinup-masked",
            seen.spinup_masked_ha,
            "ha",
            "that mask_vars of SpinupModules keep from spinup: empty pools, at the age with which the pixel before "
            "ended (as the C++ with one thread; with more it gives other numbers each time)",
            [],
            warn=True,
        ),
        _count(
            "events-outside-run",
            sum(seen.outside_area.values()),
            "ha",
            "of events in years outside the run",
            [f"{layer} {year}" for layer, year in sorted(seen.outside_area)],
            warn=True,
        ),
        _count(
            "layers-not-listened",
            len(seen.unlistened),
            "layers",
            "of disturbances that are not in CBMDisturbanceListener.vars",
            seen.unlistened,
            warn=True,
        ),
    ]


def _count(name: str, value: float, unit: str, what: str, items: list[str], *, warn: bool = False) -> Check:
    status: Status = "passed" if value == 0 else "warned" if warn else "failed"
    listed = f": {', '.join(items[:10])}{' ...' if len(items) > 10 else ''}" if items else ""
    return Check(name, status, float(value), 0.0, unit, f"{value:.6g} {unit} {what}{listed}")


def _judge(name: str, value: float, tolerance: float, unit: str, message: str) -> Check:
    return Check(name, "passed" if value <= tolerance else "failed", value, tolerance, unit, message)


def _steps(result: Result) -> list[np.ndarray[Any, Any]]:
    step = result.locations[:, 0]
    return [result.sums[step == s].sum(axis=0) for s in range(len(result.years) + 1)]


def _balance(result: Result) -> Check:
    """Ecosystem(t) - ecosystem(t-1) against all fluxes over its border; failed pixels are left out."""
    ecosystem = [i for i, n in enumerate(result.pool_names, 1) if INDEX.get(n, DOM_END) < DOM_END]
    base = 1 + len(result.pool_names)
    inward = np.zeros(len(FLOWS))
    for i, (_, source, sink) in enumerate(FLOWS):
        inward[i] = (INDEX[sink] < DOM_END) - (INDEX[source] < DOM_END)
    steps = _steps(result)
    events = np.zeros(len(steps))
    for row, value in zip(result.moves.tolist(), result.moved.tolist(), strict=True):
        events[row[0]] += value * ((row[9] < DOM_END) - (row[8] < DOM_END))
    worst, when = 0.0, 0
    lost = _failed_years(result)
    for step in range(1, len(steps)):
        if lost and step >= min(lost):
            break
        change = float(steps[step][ecosystem].sum() - steps[step - 1][ecosystem].sum())
        gap = change - float((steps[step][base:] * inward).sum()) - float(events[step])
        size = max(float(np.abs(steps[step][ecosystem]).sum()), 1e-30)
        if abs(gap) / size > worst:
            worst, when = abs(gap) / size, step
    year = f" (worst in {result.years[when - 1]})" if when else ""
    return _judge(
        "carbon-balance",
        worst,
        1e-9,
        "relative",
        f"stock change less fluxes over the ecosystem's border: {worst:.3g} of the ecosystem's carbon{year}",
    )


def _failed_years(result: Result) -> list[int]:
    """Steps in which area disappears, if pixels failed."""
    if not result.failed.size:
        return []
    areas = [float(step[0]) for step in _steps(result)]
    return [s for s in range(1, len(areas)) if areas[s] < areas[s - 1] * (1 - 1e-12)] or [0]


def _constant_area(result: Result) -> Check:
    areas = np.array([step[0] for step in _steps(result)])
    areas[0] += result.failed.sum()
    span = float(np.abs(areas - areas[-1]).max()) / max(float(areas.max()), 1e-30)
    return _judge("area-constant", span, 1e-9, "relative", f"area by year differs by {span:.3g} of the largest")


def _raster_area(result: Result) -> Check:
    found = float(_steps(result)[-1][0])
    gap = abs(found - result.area_ha) / max(result.area_ha, 1e-30)
    return _judge(
        "area-of-rasters",
        gap,
        1e-9,
        "relative",
        f"{found:.10g} ha in the last year, {result.area_ha:.10g} ha ({result.pixels} pixels) in the layers",
    )


def _pools(result: Result) -> Check:
    """No pool of the ecosystem below zero by more than rounding.

    Carbon curves can dip a few 1e-6 tC/ha below zero ("other" is what is left after rounding), in the C++
    too, and pools are not clamped.
    """
    columns = [i for i, n in enumerate(result.pool_names, 1) if INDEX.get(n, ATMOSPHERE) < DOM_END]
    if not result.sums.size:
        return _judge("pools-not-negative", 0.0, 1e-4, "tC/ha", "no pools")
    density = result.sums[:, columns] / np.maximum(result.sums[:, :1], 1e-30)
    lowest = float(density.min())
    return _judge("pools-not-negative", max(0.0, -lowest), 1e-4, "tC/ha", f"lowest pool {lowest:.3g} tC/ha")


def _disturbed(result: Result, seen: Observed) -> Check:
    """Disturbed area by year and type against what the layers hold."""
    found: Counter[tuple[int, str]] = Counter()
    for row, area in zip(result.events.tolist(), result.event_area.tolist(), strict=True):
        found[result.years[row[0] - 1], result.names.types[row[4]][1]] += area
    gaps = {key: abs(found[key] - seen.event_area[key]) for key in {*found, *seen.event_area}}
    worst = max(gaps, key=lambda key: gaps[key], default=None)
    value = 0.0 if worst is None else gaps[worst]
    scale = max([1.0, *seen.event_area.values()])
    text = f" ({worst[1]} in {worst[0]})" if worst and value > 1e-9 * scale else ""
    return _judge(
        "disturbed-area",
        value / scale,
        1e-9,
        "relative",
        f"disturbed area differs from the layers by {value:.6g} ha{text}",
    )


def _curves(result: Result) -> Check:
    """Pixels in error: classifier sets without growth curve."""
    area = float(result.failed.sum())
    sets = sorted({", ".join(v or "" for v in result.names.sets[row[0]]) for row in result.failures.tolist()})
    return _count("growth-curves", area, "ha", "left the run: no growth curve for their classifier set", sets)
