"""Choose the number of PLS components: ten-fold cross-validation on the training samples only.

python src/cross_validate.py

The benchmark is not read: a number chosen on the benchmark would make its score too good.
"""

from __future__ import annotations

import numpy as np
from sklearn.cross_decomposition import PLSRegression
from sklearn.model_selection import KFold, cross_val_predict
from soc_model import absorbance
from spectra import training_table


def errors(largest: int) -> dict[int, float]:
    """Return the cross-validated RMSE (g/kg) for 1 … largest components."""
    table = training_table()
    spectra, soc = absorbance(table), table["SOC"].to_numpy(float)
    folds = KFold(10, shuffle=True, random_state=0)
    result = {}
    for n_components in range(1, largest + 1):
        predicted = cross_val_predict(PLSRegression(n_components, scale=False), spectra, soc, cv=folds)
        result[n_components] = float(np.sqrt(np.mean((predicted.ravel() - soc) ** 2)))
    return result


def main() -> None:
    result = errors(28)
    best = min(result, key=result.__getitem__)
    for n_components, rmse in result.items():
        print(f"{n_components:3d} components: RMSE {rmse:.2f} g/kg{'  <- smallest' if n_components == best else ''}")


if __name__ == "__main__":
    main()
