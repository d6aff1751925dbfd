"""Carbon pools of the model, in the engine's order (2.1)."""

from __future__ import annotations

SIDES = ("Softwood", "Hardwood")
PARTS = ("Merch", "Foliage", "Other", "CoarseRoots", "FineRoots")
LIVE = tuple(f"{side}{part}" for side in SIDES for part in PARTS)
DOM = (
    "AboveGroundVeryFastSoil",
    "BelowGroundVeryFastSoil",
    "AboveGroundFastSoil",
    "BelowGroundFastSoil",
    "MediumSoil",
    "SoftwoodStemSnag",
    "SoftwoodBranchSnag",
    "HardwoodStemSnag",
    "HardwoodBranchSnag",
    "AboveGroundSlowSoil",
    "BelowGroundSlowSoil",
)
GASES = ("CO2", "CH4", "CO")
SINKS = ("Atmosphere", *GASES, "NO2", "Products", "DissolvedOrganicCarbon", "BlackCarbon", "Peat")
STANDARD = (*LIVE, *DOM, *SINKS)
INDEX = {name: i for i, name in enumerate(STANDARD)}
LIVE_END = len(LIVE)
DOM_END = LIVE_END + len(DOM)
ATMOSPHERE, CO2 = INDEX["Atmosphere"], INDEX["CO2"]
AG_SLOW, BG_SLOW = INDEX["AboveGroundSlowSoil"], INDEX["BelowGroundSlowSoil"]

DEADWOOD = ("BelowGroundFastSoil", "MediumSoil", *DOM[5:9])
LITTER = ("AboveGroundVeryFastSoil", "AboveGroundFastSoil", "AboveGroundSlowSoil")
SOIL = ("BelowGroundVeryFastSoil", "BelowGroundSlowSoil")
ABOVE = tuple(f"{side}{part}" for side in SIDES for part in PARTS[:3])
BELOW = tuple(f"{side}{part}" for side in SIDES for part in PARTS[3:])
FAST = DOM[:9]
