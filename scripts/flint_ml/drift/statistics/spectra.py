"""Many correlated columns, such as the bands of a spectrum: principal components, Hotelling's T², Q residuals.

The components are fitted on one half of the reference; the other half and the new data are projected on them, and
compared. Scores of samples that took part in the fit are not comparable with those of new ones: a comparison with
them alarms always.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from flint_ml.drift.statistics.distributions import Floats

MIN_SAMPLES = 40
_MAX_COMPONENTS = 20
_FIT_AT_MOST = 2_000
_TESTED_SCORES = 5
_INSIDE = 0.99
_LARGEST = 1e100


@dataclass(frozen=True)
class Model:
    """Principal components of mean-centred spectra.

    ``loadings`` is bands × components, ``variances`` those of the scores.
    """

    mean: Floats
    loadings: Floats
    variances: Floats
    explained: float
    fitted: int

    @property
    def components(self) -> int:
        return len(self.variances)


@dataclass(frozen=True)
class Projection:
    """Spectra seen through a model: scores (samples × components), Hotelling's T², squared residual Q."""

    scores: Floats
    t2: Floats
    q: Floats


@dataclass(frozen=True)
class SpectraComparison:
    """Reference (the half not fitted) and new data in the space of the model.

    ``outside`` are the shares of samples beyond the limit of T² or of Q that 99 % of the reference keep, reference
    first. ``rows`` are the row numbers of the two sets in their tables; ``lost`` marks, among the rows of both tables,
    the spectra with a missing band.
    """

    model: Model
    reference: Projection
    current: Projection
    limits: tuple[float, float]
    outside: tuple[float, float]
    rows: tuple[npt.NDArray[np.intp], npt.NDArray[np.intp]]
    mean: tuple[Floats, Floats]
    sd: tuple[Floats, Floats]
    incomplete: tuple[int, int]
    lost: npt.NDArray[np.bool_]

    def variables(self) -> list[tuple[str, Floats, Floats]]:
        """What is tested: name, values of the reference, values of the new data."""
        result = [("T²", self.reference.t2, self.current.t2), ("Q", self.reference.q, self.current.q)]
        for k in range(min(_TESTED_SCORES, self.model.components)):
            result.append((f"score {k + 1}", self.reference.scores[:, k], self.current.scores[:, k]))
        return result


def _leading(centred: Floats, rank: int) -> tuple[Floats, Floats]:
    """Leading singular values and right singular vectors, by randomised subspace iteration (Halko et al. 2011)."""
    rows, columns = centred.shape
    if min(rows, columns) <= 4 * rank:
        _, values, vectors = np.linalg.svd(centred, full_matrices=False)
        return values[:rank], vectors[:rank].T
    rng = np.random.default_rng(20213)
    basis = np.linalg.qr(centred @ rng.standard_normal((columns, rank + 10)))[0]
    for _ in range(3):
        basis = np.linalg.qr(centred.T @ basis)[0]
        basis = np.linalg.qr(centred @ basis)[0]
    _, values, vectors = np.linalg.svd(basis.T @ centred, full_matrices=False)
    return values[:rank], vectors[:rank].T


def fit(spectra: Floats) -> Model:
    """Principal components of ``spectra`` (samples × bands), their number chosen from the data.

    A component is kept while its variance is above what noise alone would give: the upper edge σ²(1 + √(p/n))² of
    Marchenko and Pastur (1967), σ² from the residual; at most 20, and at most one for ten samples.
    """
    n, p = spectra.shape
    mean = spectra.mean(axis=0)
    centred = spectra - mean
    rank = max(1, min(_MAX_COMPONENTS, n // 10, p // 4))
    values, vectors = _leading(centred, rank)
    variances = values**2 / max(1, n - 1)
    total = float(np.sum(centred**2)) / max(1, n - 1)
    keep = 1
    for k in range(1, len(variances)):
        noise = max(0.0, total - float(np.sum(variances[:k]))) / (p - k)
        if variances[k] <= noise * (1 + np.sqrt(p / n)) ** 2:
            break
        keep = k + 1
    variances = np.maximum(variances[:keep], np.finfo(float).tiny)
    explained = float(np.sum(variances)) / total if total > 0 else 1.0
    return Model(mean, np.ascontiguousarray(vectors[:, :keep]), variances, min(explained, 1.0), n)


def project(model: Model, spectra: Floats) -> Projection:
    """Scores, T² and Q of ``spectra`` under ``model``. Works block by block, without a second copy of the data."""
    n = len(spectra)
    scores, q = np.empty((n, model.components)), np.empty(n)
    for start in range(0, n, 2_000):
        block = spectra[start : start + 2_000] - model.mean
        part = block @ model.loadings
        scores[start : start + 2_000] = part
        # ‖x‖² − ‖scores‖² is the residual, as the loadings are orthonormal.
        q[start : start + 2_000] = np.maximum(
            np.einsum("ij,ij->i", block, block) - np.einsum("ij,ij->i", part, part), 0
        )
    t2 = np.sum(scores**2 / model.variances, axis=1)
    return Projection(scores, t2, q)


def split(count: int, groups: npt.NDArray[np.intp] | None = None) -> npt.NDArray[np.bool_]:
    """Which rows of the reference the model is fitted on: a random half, whole groups where these are known."""
    rng = np.random.default_rng(20214)
    if groups is None:
        chosen = np.zeros(count, dtype=bool)
        chosen[rng.permutation(count)[: count // 2]] = True
        return chosen
    units = rng.permutation(np.unique(groups))
    sizes = np.array([np.count_nonzero(groups == unit) for unit in units])
    taken = units[: max(1, int(np.searchsorted(np.cumsum(sizes), count / 2)) + 1)][: max(1, len(units) - 1)]
    return np.isin(groups, taken)


@dataclass(frozen=True)
class Calibration:
    """What a reference says about spectra: the model, the half that was held out, and the limits of its space."""

    model: Model
    held: Projection
    limits: tuple[float, float]
    outside: float
    rows: npt.NDArray[np.intp]
    mean: Floats
    sd: Floats
    lost: npt.NDArray[np.bool_]


def is_complete(spectra: Floats) -> npt.NDArray[np.bool_]:
    """Which spectra have no missing or infinite band, and none so large that its square is no number."""
    with np.errstate(invalid="ignore"):
        return np.asarray((spectra.max(axis=1) < _LARGEST) & (spectra.min(axis=1) > -_LARGEST))


def _complete(spectra: Floats) -> tuple[Floats, npt.NDArray[np.bool_]]:
    """The spectra without missing or infinite bands, and which rows these are."""
    good = is_complete(spectra)
    return (spectra if good.all() else spectra[good]), good


def calibrate(reference: Floats, groups: npt.NDArray[np.intp] | None = None) -> Calibration | None:
    """Fit the model on one half of the reference (samples × bands) and project the other.

    Returns None where there are too few samples to split, or the reference does not vary.
    """
    spectra, good = _complete(reference)
    if len(spectra) < MIN_SAMPLES or not np.ptp(spectra, axis=0).any():
        return None
    chosen = split(len(spectra), None if groups is None else groups[good])
    held, fitted = np.flatnonzero(~chosen), np.flatnonzero(chosen)
    if len(fitted) > _FIT_AT_MOST:
        fitted = np.sort(np.random.default_rng(20215).choice(fitted, _FIT_AT_MOST, replace=False))
    if len(fitted) < MIN_SAMPLES // 4 or len(held) < MIN_SAMPLES // 4:
        return None
    model = fit(spectra[fitted])
    seen = project(model, spectra[held])
    limits = tuple(float(np.quantile(v, _INSIDE, method="higher")) for v in (seen.t2, seen.q))
    rows = np.flatnonzero(good)[held]
    share = _outside(seen, (limits[0], limits[1]))
    return Calibration(
        model, seen, (limits[0], limits[1]), share, rows, spectra.mean(axis=0), spectra.std(axis=0), ~good
    )


def _outside(projection: Projection, limits: tuple[float, float]) -> float:
    return float(np.mean((projection.t2 > limits[0]) | (projection.q > limits[1])))


def against(calibration: Calibration, current: Floats) -> SpectraComparison | None:
    """Compare new spectra (samples × bands) with a calibration; None for fewer than two complete ones."""
    spectra, good = _complete(current)
    if len(spectra) < 2:
        return None
    new = project(calibration.model, spectra)
    lost = np.concatenate([calibration.lost, ~good])
    return SpectraComparison(
        model=calibration.model,
        reference=calibration.held,
        current=new,
        limits=calibration.limits,
        outside=(calibration.outside, _outside(new, calibration.limits)),
        rows=(calibration.rows, np.flatnonzero(good)),
        mean=(calibration.mean, spectra.mean(axis=0)),
        sd=(calibration.sd, spectra.std(axis=0)),
        incomplete=(int(calibration.lost.sum()), int((~good).sum())),
        lost=lost,
    )


def compare_spectra(
    reference: Floats, current: Floats, groups: npt.NDArray[np.intp] | None = None
) -> SpectraComparison | None:
    """Compare two sets of spectra; those with a missing or infinite band are left out and counted."""
    calibration = calibrate(reference, groups)
    return None if calibration is None else against(calibration, current)
