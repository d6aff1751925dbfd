"""Fit of the two-parameter Weibull growth function, the way the reference does it.

The model is ``y = 1 - exp(-p0 * t**p1)``. The reference (moja.canada ``lmmin.cpp``, itself MINPACK's
``lmdif``) lets the model *change the parameters it is given*: negative ``p0`` becomes 0 and ``p1`` below
0.7 becomes 0.7, in the minimiser's own buffer. The minimum that is found depends on that, so a library's
bounded fit gives other biomass (47 % more on the demo). All fits run side by side as columns, because
a country has thousands of yield tables.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from flint_ml.gcbm import libm

Array = NDArray[np.float64]

START = (1.0, 0.1)
LOWEST_P1 = 0.7
_TOL = 1e-14
_STEP = 1e-7  # square root of the difference step 1e-14
_BOUND = 100.0
_MAX_CALLS = 3000
_MACHEP = 0.555e-16
_DWARF = 9.9e-324


def fit_weibull(t: Array, y: Array) -> Array:
    """Fit every column.

    Parameters
    ----------
    t, y
        Shape (points, fits): scaled age and scaled carbon, both 0..1.

    Returns
    -------
    Shape (2, fits): p0 and p1 (Levenberg-Marquardt with the in-place clamp). A column with a NaN keeps
    the clamped start, as the reference's endless loop does.
    """
    fits = t.shape[1]
    result = np.empty((2, fits))
    result[0], result[1] = START[0], LOWEST_P1
    usable = np.flatnonzero(np.isfinite(y).all(axis=0))
    if usable.size == 0:
        return result
    # Two columns at least: numpy sums a single column in another order, and a fit must not
    # depend on how many others are made with it.
    columns = np.concatenate([usable, usable[:1]]) if usable.size == 1 else usable
    state = _Fits(np.ascontiguousarray(t[:, columns]), np.ascontiguousarray(y[:, columns]))
    while state.live.size:
        state.iterate()
    result[:, usable] = state.answer[:, : usable.size]
    return result


def residual(p: Array, t: Array, y: Array) -> Array:
    """Residuals ``y - model``; clamps ``p`` (2, fits) in place first, see the module's text."""
    p[0][p[0] < 0.0] = 0.0
    p[1][p[1] < LOWEST_P1] = LOWEST_P1
    return y - (1.0 - libm.exp(-p[0] * libm.power(t, p[1])))


def _norm(rows: Array) -> Array:
    return np.asarray(np.sqrt(np.add.reduce(rows * rows, axis=0)), dtype=np.float64)


def _norm2(a: Array, b: Array) -> Array:
    return np.sqrt(a * a + b * b)


@dataclass
class _Qr:
    """R of the pivoted QR of the (points, 2) Jacobian and Q'f, one entry per fit."""

    r00: Array
    r01: Array
    r11: Array
    q0: Array
    q1: Array
    swap: NDArray[np.bool_]

    def take(self, keep: NDArray[np.bool_]) -> _Qr:
        return _Qr(*(getattr(self, name)[keep] for name in ("r00", "r01", "r11", "q0", "q1", "swap")))

    def put(self, where: NDArray[np.bool_], other: _Qr) -> None:
        for name in ("r00", "r01", "r11", "q0", "q1", "swap"):
            getattr(self, name)[where] = getattr(other, name)


def _householder(column: Array) -> tuple[Array, Array]:
    """Normalise a column to a Householder vector; returns it and the diagonal of R."""
    length = _norm(column)
    signed = np.where(column[0] < 0.0, -length, length)
    safe = np.where(length == 0.0, 1.0, signed)
    vector = column / safe
    vector[0] += np.where(length == 0.0, 0.0, 1.0)
    return vector, np.where(length == 0.0, 0.0, -signed)


def _reflect(vector: Array, target: Array) -> Array:
    head = vector[0]
    factor = np.add.reduce(vector * target, axis=0) / np.where(head == 0.0, 1.0, head)
    return target - np.where(head == 0.0, 0.0, factor) * vector


def _qr(j0: Array, j1: Array, norms: Array, f: Array) -> _Qr:
    swap = norms[1] > norms[0]
    first = np.where(swap, j1, j0)
    second = np.where(swap, j0, j1)
    v0, r00 = _householder(first)
    second = _reflect(v0, second)
    r01 = second[0].copy()
    v1, r11 = _householder(second[1:])
    g = _reflect(v0, f)
    q0 = g[0].copy()
    q1 = _reflect(v1, g[1:])[0].copy()
    return _Qr(r00, r01, r11, q0, q1, swap)


def _rotation(r: Array, s: Array) -> tuple[Array, Array]:
    flat = np.abs(r) < np.abs(s)
    ratio = np.where(flat, r / s, s / r)
    long = 0.5 / np.sqrt(0.25 + 0.25 * (ratio * ratio))
    short = long * ratio
    still = s == 0.0
    return np.where(still, 1.0, np.where(flat, short, long)), np.where(still, 0.0, np.where(flat, long, short))


def _damped(qr: _Qr, s0: Array, s1: Array) -> tuple[Array, Array, Array, Array, Array]:
    """Solve the damped least squares (MINPACK qrsolv): steps x0, x1 and the factor's s00, s11, s01."""
    cos, sin = _rotation(qr.r00, s0)
    s00 = cos * qr.r00 + sin * s0
    w0 = cos * qr.q0
    extra = -sin * qr.q0
    low = cos * qr.r01
    fill = -sin * qr.r01
    cos, sin = _rotation(qr.r11, fill)
    s11 = cos * qr.r11 + sin * fill
    w1 = cos * qr.q1 + sin * extra
    cos, sin = _rotation(s11, s1)
    s11 = cos * s11 + sin * s1
    w1 = cos * w1
    flat0, flat1 = s00 == 0.0, (s00 == 0.0) | (s11 == 0.0)
    x1 = np.where(flat1, 0.0, w1 / s11)
    x0 = np.where(flat0, 0.0, (np.where(flat0, 0.0, w0) - np.where(flat1, 0.0, low * x1)) / s00)
    return x0, x1, s00, s11, low


def _step(qr: _Qr, d0: Array, d1: Array, delta: Array, par: Array) -> tuple[Array, Array, Array]:
    """MINPACK lmpar for two parameters, in pivoted order: step x0, x1 and the damping."""
    none, half = qr.r00 == 0.0, (qr.r00 == 0.0) | (qr.r11 == 0.0)
    x1 = np.where(half, 0.0, qr.q1 / qr.r11)
    x0 = np.where(none, 0.0, (qr.q0 - np.where(half, 0.0, qr.r01 * x1)) / qr.r00)
    length = _norm2(d0 * x0, d1 * x1)
    over = length - delta
    busy = ~(over <= 0.1 * delta)
    out = np.where(busy, par, 0.0)
    v0 = d0 * (d0 * x0) / length / qr.r00
    v1 = (d1 * (d1 * x1) / length - qr.r01 * v0) / qr.r11
    size = _norm2(v0, v1)
    lower = np.where(half, 0.0, over / delta / size / size)
    slope = _norm2(qr.r00 * qr.q0 / d0, (qr.r01 * qr.q0 + qr.r11 * qr.q1) / d1)
    upper = slope / delta
    upper = np.where(upper == 0.0, _DWARF / np.minimum(delta, 0.1), upper)
    damping = np.minimum(np.maximum(out, lower), upper)
    damping = np.where(damping == 0.0, slope / length, damping)
    for turn in range(11):
        if not busy.any():
            break
        damping = np.where(damping == 0.0, np.maximum(_DWARF, 0.001 * upper), damping)
        root = np.sqrt(damping)
        n0, n1, s00, s11, low = _damped(qr, root * d0, root * d1)
        x0, x1 = np.where(busy, n0, x0), np.where(busy, n1, x1)
        out = np.where(busy, damping, out)
        length = np.where(busy, _norm2(d0 * x0, d1 * x1), length)
        before, over = over, np.where(busy, length - delta, over)
        ended = (np.abs(over) <= 0.1 * delta) | ((lower == 0.0) & (over <= before) & (before < 0.0))
        busy = busy & ~ended
        if turn == 10:
            break
        v0 = d0 * (d0 * x0) / length / s00
        v1 = (d1 * (d1 * x1) / length - low * v0) / s11
        size = _norm2(v0, v1)
        change = over / delta / size / size
        lower = np.where(over > 0.0, np.maximum(lower, damping), lower)
        upper = np.where(over < 0.0, np.minimum(upper, damping), upper)
        damping = np.maximum(lower, damping + change)
    return x0, x1, out


class _Fits:
    """State of all unfinished fits; ``live`` says which column each belongs to."""

    def __init__(self, t: Array, y: Array) -> None:
        n = t.shape[1]
        self.live = np.arange(n)
        self.answer = np.empty((2, n))
        self.t, self.y = t, y
        self.x = np.empty((2, n))
        self.x[0], self.x[1] = START
        self.f = residual(self.x, t, y)
        self.fnorm = _norm(self.f)
        self.calls = np.ones(n, dtype=np.int64)
        self.fresh = np.ones(n, dtype=bool)  # needs a Jacobian
        self.first = np.ones(n, dtype=bool)
        self.diag = np.ones((2, n))
        self.delta, self.par, self.xnorm, self.gnorm = (np.zeros(n) for _ in range(4))
        zero = np.zeros(n)
        self.qr = _Qr(zero, zero.copy(), zero.copy(), zero.copy(), zero.copy(), np.zeros(n, bool))

    def iterate(self) -> None:
        with np.errstate(all="ignore"):
            if self.fresh.any():
                self._linearise(self.fresh.copy())
            if self.live.size:
                self._advance()

    def _retire(self, done: NDArray[np.bool_]) -> None:
        if not done.any():
            return
        self.answer[:, self.live[done]] = self.x[:, done]
        keep = ~done
        self.live, self.qr = self.live[keep], self.qr.take(keep)
        for name in ("fnorm", "calls", "fresh", "first", "delta", "par", "xnorm", "gnorm"):
            setattr(self, name, getattr(self, name)[keep])
        for name in ("t", "y", "f", "x", "diag"):
            setattr(self, name, np.ascontiguousarray(getattr(self, name)[:, keep]))

    def _linearise(self, at: NDArray[np.bool_]) -> None:
        x, t, y, f = (np.ascontiguousarray(a[:, at]) for a in (self.x, self.t, self.y, self.f))
        if x.shape[1] == 1:  # keep the order of summation, see fit_weibull
            x, t, y, f = (np.repeat(a, 2, axis=1) for a in (x, t, y, f))
        columns = []
        for j in range(2):
            kept = x[j].copy()
            step = _STEP * np.abs(kept)
            step[step == 0.0] = _STEP
            x[j] = kept + step
            moved = residual(x, t, y)
            columns.append((moved - f) / (x[j] - kept))
            x[j] = kept
        norms = np.stack([_norm(columns[0]), _norm(columns[1])])
        qr = _qr(columns[0], columns[1], norms, f)
        size = int(at.sum())
        qr, norms, x = qr.take(np.arange(x.shape[1]) < size), norms[:, :size], x[:, :size]
        self.qr.put(at, qr)
        self.calls[at] += 2
        new = self.first[at]
        diag = np.where(new, np.where(norms == 0.0, 1.0, norms), self.diag[:, at])
        xnorm = np.where(new, _norm2(diag[0] * x[0], diag[1] * x[1]), self.xnorm[at])
        delta = np.where(new, np.where(xnorm == 0.0, _BOUND, _BOUND * xnorm), self.delta[at])
        self.xnorm[at], self.delta[at] = xnorm, delta
        fnorm = self.fnorm[at]
        a0 = np.where(qr.swap, norms[1], norms[0])
        a1 = np.where(qr.swap, norms[0], norms[1])
        g0 = np.where(a0 == 0.0, 0.0, np.abs(qr.r00 * qr.q0 / fnorm / a0))
        g1 = np.where(a1 == 0.0, 0.0, np.abs((qr.r01 * qr.q0 / fnorm + qr.r11 * qr.q1 / fnorm) / a1))
        self.gnorm[at] = np.where(fnorm == 0.0, 0.0, np.maximum(g0, g1))
        self.diag[:, at] = np.maximum(diag, norms)
        self.fresh[at] = False
        self._retire(at & (self.gnorm <= _TOL))

    def _advance(self) -> None:
        qr, swap = self.qr, self.qr.swap
        d0 = np.where(swap, self.diag[1], self.diag[0])
        d1 = np.where(swap, self.diag[0], self.diag[1])
        s0, s1, self.par = _step(qr, d0, d1, self.delta, self.par)
        s0, s1 = -s0, -s1
        move = np.stack([np.where(swap, s1, s0), np.where(swap, s0, s1)])
        trial = self.x + move
        pnorm = _norm2(self.diag[0] * move[0], self.diag[1] * move[1])
        self.delta = np.where(self.first, np.minimum(self.delta, pnorm), self.delta)
        self.first[:] = False
        lone = self.t.shape[1] == 1  # keep the order of summation, see fit_weibull
        if lone:
            both = np.repeat(trial, 2, axis=1)
            f = residual(both, np.repeat(self.t, 2, axis=1), np.repeat(self.y, 2, axis=1))
            fnorm1, f, trial = _norm(f)[:1], f[:, :1], both[:, :1]
        else:
            f = residual(trial, self.t, self.y)
            fnorm1 = _norm(f)
        self.calls += 1
        actred = np.where(0.1 * fnorm1 < self.fnorm, 1.0 - (fnorm1 / self.fnorm) * (fnorm1 / self.fnorm), -1.0)
        temp1 = _norm2(qr.r00 * s0 + qr.r01 * s1, qr.r11 * s1) / self.fnorm
        temp2 = np.sqrt(self.par) * pnorm / self.fnorm
        prered = temp1 * temp1 + 2.0 * temp2 * temp2
        dirder = -(temp1 * temp1 + temp2 * temp2)
        ratio = np.where(prered != 0.0, actred / prered, 0.0)
        self._resize(actred, dirder, ratio, fnorm1, pnorm)
        good = ratio >= 1e-4
        self.x = np.where(good, trial, self.x)
        self.f = np.where(good, f, self.f)
        self.xnorm = np.where(good, _norm2(self.diag[0] * self.x[0], self.diag[1] * self.x[1]), self.xnorm)
        self.fnorm = np.where(good, fnorm1, self.fnorm)
        flat = (np.abs(actred) <= _TOL) & (prered <= _TOL) & (0.5 * ratio <= 1.0)
        self.fresh = ~(ratio < 1e-4)
        self._retire(flat | (self.delta <= _TOL * self.xnorm) | (self.calls >= _MAX_CALLS) | (self.gnorm <= _MACHEP))

    def _resize(self, actred: Array, dirder: Array, ratio: Array, fnorm1: Array, pnorm: Array) -> None:
        """New trust region and damping after a trial step."""
        poor = ratio <= 0.25
        shrink = np.where(actred >= 0.0, 0.5, 0.5 * dirder / (dirder + 0.5 * actred))
        shrink = np.where((0.1 * fnorm1 >= self.fnorm) | (shrink < 0.1), 0.1, shrink)
        fine = ~poor & ((self.par == 0.0) | (ratio >= 0.75))
        self.delta = np.where(
            poor, shrink * np.minimum(self.delta, pnorm / 0.1), np.where(fine, pnorm / 0.5, self.delta)
        )
        self.par = np.where(poor, self.par / shrink, np.where(fine, self.par * 0.5, self.par))
