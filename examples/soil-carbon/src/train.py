"""Stage `train`: partial least squares regression (PLSR) of SOC on absorbance spectra.

The model is written as plain JSON (one linear equation), not as a pickle: it opens in any language, does not
depend on library versions, and nobody has to run code to look into it. Beside it lies an `MLmodel`, which lets MLflow
load and serve the folder. Nothing in the folder changes from run to run: same data, same bytes.
"""

from __future__ import annotations

import json
import shutil
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import soc_model
import yaml
from sklearn.cross_decomposition import PLSRegression
from soc_model import absorbance, band_names
from spectra import make_grid, read_params, training_table
from tracking import log_training

MODEL = Path("model")
# What serving needs. One linear equation computes the same on any of these.
REQUIREMENTS = ["mlflow-skinny>=3,<4", "numpy>=2,<3", "pandas>=2.3,<4"]
PYTHON = "3.13"
SAMPLES = 5


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


def mlmodel(grid: np.ndarray) -> dict[str, Any]:
    """Return the content of `MLmodel`, MLflow's description of a model folder.

    MLflow's own writer would add a time and a random number, and training twice would give two models.
    """
    columns = [{"name": name, "type": "double", "required": True} for name in band_names(grid)]
    return {
        "flavors": {
            "python_function": {
                "loader_module": soc_model.__name__,
                "code": "code",
                "data": ".",
                "env": {"virtualenv": "python_env.yaml"},
                "python_version": PYTHON,
            }
        },
        "signature": {
            "inputs": json.dumps(columns),
            "outputs": json.dumps([{"name": "SOC", "type": "double", "required": True}]),
        },
    }


def samples(model: dict[str, Any], table: pd.DataFrame) -> dict[str, Any]:
    """Return a few training samples as a request to the served model, with the predictions that must come back.

    Whoever deploys the model sends them to it: a library that computes otherwise, or spectra that are not prepared as
    here, would show. https://github.com/moja-global/flint-ml-actions/blob/main/docs/actions/deploy-model.md
    """
    spectra = table[[column for column in table.columns if column.startswith("nm_")]]
    chosen = spectra.iloc[np.linspace(0, len(spectra) - 1, SAMPLES).astype(int)]
    predictions = [{"SOC": round(float(value), 6)} for value in soc_model.predict(model, chosen)]
    split = {"columns": list(chosen.columns), "data": chosen.to_numpy(float).tolist()}
    return {"dataframe_split": split, "predictions": predictions}


def write(model: dict[str, Any], grid: np.ndarray, table: pd.DataFrame, folder: Path) -> None:
    """Write the model's folder, which MLflow loads and serves."""
    environment = {"python": PYTHON, "build_dependencies": ["pip"], "dependencies": ["-r requirements.txt"]}
    texts = {
        soc_model.FILE: json.dumps(model, indent=1) + "\n",
        "samples.json": json.dumps(samples(model, table)) + "\n",
        "MLmodel": yaml.safe_dump(mlmodel(grid)),
        "python_env.yaml": yaml.safe_dump(environment),
        "requirements.txt": "\n".join(REQUIREMENTS) + "\n",
        "code/soc_model.py": Path(soc_model.__file__).read_text(encoding="utf-8"),
    }
    shutil.rmtree(folder, ignore_errors=True)
    for name, text in texts.items():
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_text(text, encoding="utf-8", newline="\n")


def main() -> None:
    params = read_params()
    table, grid = training_table(), make_grid(**params["prepare"])
    model = fit(table, params["train"]["n_components"], grid)
    write(model, grid, table, MODEL)
    print(f"PLSR with {model['n_components']} components on {model['n_samples']} samples")
    error = soc_model.predict(model, table) - table["SOC"]
    logged = {f"{stage}.{key}": value for stage in ("prepare", "train") for key, value in params[stage].items()}
    scores = {"training_rmse": float(np.sqrt(np.mean(error**2))), "training_samples": len(table)}
    log_training(logged, scores, MODEL)


if __name__ == "__main__":
    main()
