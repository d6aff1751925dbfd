"""Carbon pools of the model, in the engine's order, and the transfers that run every year."""

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

GROWTH, DECAY, EVENT = "CBMGrowthModule", "CBMDecayModule", "CBMDisturbanceEventModule"
# libraryType, libraryInfoId, moduleType, moduleId: as the reference writes them.
MODULES = {GROWTH: (3, 5, 0, 6), DECAY: (3, 5, 5, 7), EVENT: (3, 5, 1, 3)}


def litter_targets(side: str) -> tuple[tuple[str, str], ...]:
    """Turnover of one forest type: (biomass part, dead organic matter pool), eight transfers."""
    return (
        (f"{side}Merch", f"{side}StemSnag"),
        (f"{side}Foliage", "AboveGroundVeryFastSoil"),
        (f"{side}Other", f"{side}BranchSnag"),
        (f"{side}Other", "AboveGroundFastSoil"),
        (f"{side}CoarseRoots", "AboveGroundFastSoil"),
        (f"{side}CoarseRoots", "BelowGroundFastSoil"),
        (f"{side}FineRoots", "AboveGroundVeryFastSoil"),
        (f"{side}FineRoots", "BelowGroundVeryFastSoil"),
    )


UPTAKE = tuple(("Atmosphere", pool) for pool in LIVE)
LITTER_FALL = tuple(pair for side in SIDES for pair in litter_targets(side))
SNAG_FALL = tuple(
    pair for side in SIDES for pair in ((f"{side}StemSnag", "MediumSoil"), (f"{side}BranchSnag", "AboveGroundFastSoil"))
)
FAST = DOM[:9]
DECAY_SLOW = tuple((p, "BelowGroundSlowSoil" if p.startswith("Below") else "AboveGroundSlowSoil") for p in FAST)
DECAY_AIR = tuple((p, "CO2") for p in FAST)
SLOW_DECAY = (("AboveGroundSlowSoil", "CO2"), ("BelowGroundSlowSoil", "CO2"))
MIXING = (("AboveGroundSlowSoil", "BelowGroundSlowSoil"),)

# Every transfer of a year without disturbance: (module, source, sink); rows of the flux arrays.
FLOWS: tuple[tuple[str, str, str], ...] = (
    *((GROWTH, a, b) for a, b in (*UPTAKE, *LITTER_FALL, *SNAG_FALL)),
    *((DECAY, a, b) for a, b in (*DECAY_SLOW, *DECAY_AIR, *SLOW_DECAY, *MIXING)),
)
FLOW_UPTAKE = 0
FLOW_LITTER = len(UPTAKE)
FLOW_SNAG = FLOW_LITTER + len(LITTER_FALL)
FLOW_DECAY = FLOW_SNAG + len(SNAG_FALL)
FLOW_AIR = FLOW_DECAY + len(DECAY_SLOW)
FLOW_SLOW = FLOW_AIR + len(DECAY_AIR)
FLOW_MIX = FLOW_SLOW + len(SLOW_DECAY)
