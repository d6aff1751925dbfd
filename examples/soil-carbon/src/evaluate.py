"""Stage `evaluate`: score the model on the fixed benchmark, which no other stage reads."""

from __future__ import annotations

import json
from pathlib import Path

import figures
import numpy as np
import pandas as pd
from soc_model import predict, read_model
from spectra import prepare_table, read_params, training_table
from tracking import log_scores

MODEL = Path("model")
TEXTURE_EDGES = [15, 35, 60]
TEXTURE_NAMES = ["clay < 15 %", "clay 15–35 %", "clay 35–60 %", "clay ≥ 60 %"]


def scores(truth: np.ndarray, prediction: np.ndarray) -> dict[str, float]:
    """Return the benchmark scores; truth and prediction in g/kg, shape (samples,).

    rmse: root mean squared error, g/kg. r2: 1 − SSE/SST against the 1:1 line (not a squared correlation), so it
    is negative when the mean would predict better. bias: mean of prediction − truth, g/kg. rpiq: interquartile
    range of the truth / RMSE (Bellon-Maurel et al. 2010). n: number of samples.
    """
    error = prediction - truth
    rmse = float(np.sqrt(np.mean(error**2)))
    lower, upper = np.quantile(truth, [0.25, 0.75])
    return {
        "rmse": round(rmse, 4),
        "r2": round(1 - float(np.sum(error**2) / np.sum((truth - truth.mean()) ** 2)), 4),
        "bias": round(float(error.mean()), 4),
        "rpiq": round(float(upper - lower) / rmse, 4),
        "n": len(truth),
    }


def texture(clay: pd.Series) -> list[str]:
    """Return the texture group of each clay content (%), by the limits of the Brazilian soil classification."""
    return [TEXTURE_NAMES[i] for i in np.digitize(clay, TEXTURE_EDGES)]


def main() -> None:
    params = read_params()
    model = read_model(MODEL)
    benchmark = prepare_table(pd.read_csv("data/ssp460-test.csv"), np.array(model["wavelengths_nm"]))
    if shared := set(benchmark["sample_id"]) & set(training_table()["sample_id"]):
        raise SystemExit(f"{len(shared)} benchmark samples are among the training samples; take them out of data/raw")
    table = pd.DataFrame(
        {
            "id": benchmark["sample_id"],
            "truth": benchmark["SOC"],
            "prediction": predict(model, benchmark),
            "group": texture(benchmark["clay"]),
        }
    )
    table.to_csv("predictions.csv", index=False, float_format="%.4f", lineterminator="\n")
    result = scores(table["truth"].to_numpy(), table["prediction"].to_numpy())
    Path("metrics.json").write_text(json.dumps(result, indent=2) + "\n", encoding="utf-8")

    Path("plots").mkdir(exist_ok=True)
    figures.error_distribution(table, result, Path("plots/error_distribution.png"))
    figures.confusion_matrix(table, params["evaluate"]["class_edges"], Path("plots/confusion_matrix.png"))
    figures.importance(model, Path("plots/importance.png"))
    print(", ".join(f"{name} {value}" for name, value in result.items()))
    log_scores(result, MODEL)


if __name__ == "__main__":
    main()
