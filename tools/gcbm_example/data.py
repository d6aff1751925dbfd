"""Parameters of the generated example: rounded, illustrative, not for a real inventory.

Decay and turnover after Kurz et al. (2009), volume to biomass after Boudewyn et al. (2007), roots after
Li et al. (2003), rounded to few digits so that results can be calculated by hand.
"""

from __future__ import annotations

from typing import Any

from flint_ml.gcbm.pools import DOM

SPECIES = (("Spruce", "Softwood", "Spruce"), ("Aspen", "Hardwood", "Poplar"))  # name, forest type, genus

# dom pool: base rate, reference temperature, q10, share to air, highest rate
DECAY = {
    "AboveGroundVeryFastSoil": (0.355, 10.0, 2.65, 0.815, 1.0),
    "BelowGroundVeryFastSoil": (0.5, 10.0, 2.0, 0.83, 1.0),
    "AboveGroundFastSoil": (0.1435, 10.0, 2.0, 0.83, 1.0),
    "BelowGroundFastSoil": (0.1435, 10.0, 2.0, 0.83, 1.0),
    "MediumSoil": (0.0374, 10.0, 2.0, 0.83, 1.0),
    "AboveGroundSlowSoil": (0.015, 10.0, 2.65, 1.0, 1.0),
    "BelowGroundSlowSoil": (0.0033, 10.0, 1.0, 1.0, 1.0),
    "SoftwoodStemSnag": (0.0187, 10.0, 2.0, 0.83, 1.0),
    "SoftwoodBranchSnag": (0.0718, 10.0, 2.0, 0.83, 1.0),
    "HardwoodStemSnag": (0.0187, 10.0, 2.0, 0.83, 1.0),
    "HardwoodBranchSnag": (0.0718, 10.0, 2.0, 0.83, 1.0),
}

# genus: foliage, stem, branch, stem snag, branch snag, coarse root, fine root, branch snag split,
# coarse above ground split, fine above ground split
TURNOVER = {
    "Spruce": (0.1, 0.0045, 0.04, 0.032, 0.1, 0.02, 0.641, 0.25, 0.5, 0.5),
    "Poplar": (0.95, 0.006, 0.03, 0.032, 0.1, 0.02, 0.641, 0.25, 0.5, 0.5),
}
STUMP = (2.1, 2.8, 3.5, 2.9)  # top and stump per cent: softwood, hardwood
ROOTS = {"hw_a": 1.576, "sw_a": 0.222, "hw_b": 0.615, "frp_a": 0.072, "frp_b": 0.354, "frp_c": -0.06021}

FACTORS: dict[str, dict[str, float]] = {
    "Spruce": {
        "a": 0.88,
        "b": 0.856,
        "a_nonmerch": 15.0,
        "b_nonmerch": -1.07,
        "k_nonmerch": 1.057,
        "cap_nonmerch": 5.17,
        "a_sap": 0.0,
        "b_sap": 0.0,
        "k_sap": 1.0,
        "cap_sap": 1.0,
        "a1": -1.625,
        "a2": -0.0004,
        "a3": -0.038,
        "b1": -2.394,
        "b2": -0.0014,
        "b3": 0.023,
        "c1": -1.526,
        "c2": -0.0002,
        "c3": -0.155,
        "min_volume": 0.3,
        "max_volume": 760.0,
        "low_stemwood_prop": 0.69,
        "high_stemwood_prop": 0.82,
        "low_stembark_prop": 0.13,
        "high_stembark_prop": 0.09,
        "low_branches_prop": 0.065,
        "high_branches_prop": 0.03,
        "low_foliage_prop": 0.115,
        "high_foliage_prop": 0.06,
    },
    "Aspen": {
        "a": 1.227,
        "b": 0.8145,
        "a_nonmerch": 30.54,
        "b_nonmerch": -0.851,
        "k_nonmerch": 0.67,
        "cap_nonmerch": 7.48,
        "a_sap": 0.0,
        "b_sap": 0.0,
        "k_sap": 1.0,
        "cap_sap": 1.0,
        "a1": -1.36,
        "a2": -0.0002,
        "a3": -0.036,
        "b1": -2.11,
        "b2": -0.0001,
        "b3": -0.061,
        "c1": -2.144,
        "c2": -0.0002,
        "c3": -0.229,
        "min_volume": 0.24,
        "max_volume": 1050.0,
        "low_stemwood_prop": 0.7,
        "high_stemwood_prop": 0.8,
        "low_stembark_prop": 0.17,
        "high_stembark_prop": 0.13,
        "low_branches_prop": 0.075,
        "high_branches_prop": 0.055,
        "low_foliage_prop": 0.055,
        "high_foliage_prop": 0.015,
    },
}

# curve: classifiers (Species, Site), components species -> volumes (m3/ha) every ten years from age 0
CURVES: tuple[tuple[tuple[str, str], dict[str, tuple[float, ...]]], ...] = (
    (("Spruce", "good"), {"Spruce": (0, 0, 3, 20, 55, 95, 135, 170, 200, 225, 245, 260, 270, 278, 284, 288, 290)}),
    (("Spruce", "poor"), {"Spruce": (0, 0, 0, 2, 9, 22, 40, 60, 78, 95, 110, 122, 131, 138, 143, 146, 148)}),
    (
        ("Aspen", "?"),  # mixed, and declining with age
        {
            "Aspen": (0, 4, 25, 65, 110, 150, 180, 200, 210, 205, 190, 170, 145, 120, 95, 75, 60),
            "Spruce": (0, 0, 0, 2, 5, 10, 16, 24, 32, 40, 48, 55, 62, 68, 73, 77, 80),
        },
    ),
)

_FIRE_GASES = {"CO2": 0.9, "CO": 0.09, "CH4": 0.01}


def _burn(left: dict[str, float]) -> dict[str, float]:
    """Complete a row of a fire's matrix: what is not left becomes gas."""
    burnt = 1.0 - sum(left.values())
    return {**left, **{gas: round(burnt * share, 12) for gas, share in _FIRE_GASES.items()}}


def _rows(kind: str) -> dict[str, dict[str, float]]:
    fire = kind == "Wildfire"
    rows: dict[str, dict[str, float]] = {}
    for side in ("Softwood", "Hardwood"):
        stem, branch = f"{side}StemSnag", f"{side}BranchSnag"
        rows |= {
            f"{side}Merch": {stem: 1.0} if fire else {"Products": 0.85, "MediumSoil": 0.15},
            f"{side}Foliage": _burn({"AboveGroundVeryFastSoil": 0.1}) if fire else {"AboveGroundVeryFastSoil": 1.0},
            f"{side}Other": _burn({branch: 0.7}) if fire else {"AboveGroundFastSoil": 1.0},
            f"{side}CoarseRoots": {"AboveGroundFastSoil": 0.5, "BelowGroundFastSoil": 0.5},
            f"{side}FineRoots": {"AboveGroundVeryFastSoil": 0.5, "BelowGroundVeryFastSoil": 0.5},
            stem: {"MediumSoil": 1.0},
            branch: {"AboveGroundFastSoil": 1.0},
        }
    if fire:
        rows["AboveGroundVeryFastSoil"] = _burn({"AboveGroundVeryFastSoil": 0.05})
        rows["AboveGroundFastSoil"] = _burn({"AboveGroundFastSoil": 0.4})
        rows["MediumSoil"] = _burn({"MediumSoil": 0.75})
        rows["AboveGroundSlowSoil"] = _burn({"AboveGroundSlowSoil": 0.5})
    for name in DOM:
        rows.setdefault(name, {name: 1.0})
    return rows


MATRICES: dict[str, dict[str, dict[str, float]]] = {kind: _rows(kind) for kind in ("Wildfire", "Clear-cut")}
TYPE_CODES = {"Wildfire": 1, "Clear-cut": 4, "Deforestation": 7}
MATRICES["Deforestation"] = MATRICES["Clear-cut"]

LAND_CLASSES = (("FL", "Forest land", 1, 20), ("CL", "Cropland", 0, 20), ("SL", "Settlements", 0, 20))

# id, type (1 absolute, 2 relative, 3 yield), age, regeneration delay, classifiers
TRANSITIONS: tuple[tuple[int, int, int, int, dict[str, str]], ...] = (
    (1, 1, 0, 0, {"Species": "?", "Site": "?"}),
    (2, 1, 0, 2, {"Species": "Spruce", "Site": "?"}),
)
# rule: transition, disturbance type, classifiers; a clear-cut is planted with spruce, which takes two years
RULES: tuple[tuple[int, str, dict[str, str]], ...] = ((2, "Clear-cut", {"Species": "?", "Site": "?"}),)

SPINUP: dict[str, Any] = {"return_interval": 120, "max_rotations": 30, "historic": "Wildfire"}
