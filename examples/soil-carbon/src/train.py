"""Stage `train`: partial least squares regression (PLSR) of SOC on absorbance spectra.

The model is written as plain JSON (one linear equation), not as a pickle: it opens in any language, does not
depend on library versions, and nobody has to run code to look into it.
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from sklearn.cross_decomposition import PLSRegression
from spectra import absorbance, make_grid, read_params, training_table


def variable_importance(pls: PLSRegression) -> np.ndarray:
    """Return the variable importance in projection (VIP) of each band; its mean square is 1.

    Wold, Johansson & Cocchi (1993), PLS: partial least squares projections to latent structures.
    """
    weights = pls.x_weights_ / np.linalg.norm(pls.x_weights_, axis=0)
    explained = (pls.x_scores_**2).sum(axis=0) * pls.y_loadings_.ravel() ** 2
    return np.sqrt(weights.shape[0] * (weights**2 @ explained) / explained.sum())


def fit(table: pd.DataFrame, n_components: int, grid: np.ndarray) -> dict[str, Any]:
    """Fit PLSR to a prepared table and return the model as plain numbers (SOC in g/kg)."""
    spectra = absorbance(table)
    pls = PLSRegression(n_components=n_components, scale=False).fit(spectra, table["SOC"].to_numpy(float))
    coefficients = pls.coef_.ravel()
    intercept = float(pls.intercept_[0]) - float(spectra.mean(axis=0) @ coefficients)
    return {
        "target": "SOC",
        "unit": "g/kg",
        "predictors": "log10(1/reflectance)",
        "n_components": n_components,
        "n_samples": len(table),
        "wavelengths_nm": grid.tolist(),
        "intercept": float(f"{intercept:.10g}"),
        "coefficients": [float(f"{value:.10g}") for value in coefficients],
        "vip": [round(float(value), 4) for value in variable_importance(pls)],
    }


def main() -> None:
    params = read_params()
    model = fit(training_table(), params["train"]["n_components"], make_grid(**params["prepare"]))
    Path("model").mkdir(exist_ok=True)
    Path("model/soc-plsr.json").write_text(json.dumps(model, indent=1) + "\n", encoding="utf-8")
    print(f"PLSR with {model['n_components']} components on {model['n_samples']} samples")


if __name__ == "__main__":
    main()
