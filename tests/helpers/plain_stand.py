"""One stand, one year at a time, one number at a time: the model written plainly, as an oracle.

No arrays, no sharing with the engine except the carbon curve itself (which test_curves.py holds against
hand calculation). It follows the reference's order: growth in halves, turnover from the mid-season stock,
decay of fast pools, then slow pools, then mixing.
"""

from __future__ import annotations

import math
from dataclasses import dataclass, field

from gcbm_example.data import DECAY, MATRICES, ROOTS, TURNOVER

GENUS = {"Softwood": "Spruce", "Hardwood": "Poplar"}
PARTS = ("Merch", "Foliage", "Other", "CoarseRoots", "FineRoots")
KEYS = (
    "foliage",
    "stem",
    "branch",
    "stem_snag",
    "branch_snag",
    "coarse_root",
    "fine_root",
    "branch_snag_split",
    "coarse_split",
    "fine_split",
)
MIXING = 0.006


@dataclass
class PlainStand:
    """``curve``: forest type -> carbon by age of (merchantable, foliage, other), tC/ha."""

    curve: dict[str, tuple[list[float], list[float], list[float]]]
    temperature: float
    pools: dict[str, float] = field(default_factory=dict)
    age: int = 0
    delay: int = 0
    released: float = 0.0
    uptake: float = 0.0

    def __post_init__(self) -> None:
        self.rates = {side: dict(zip(KEYS, TURNOVER[GENUS[side]], strict=True)) for side in GENUS}
        for side in GENUS:
            for part in (*PARTS, "StemSnag", "BranchSnag"):
                self.pools.setdefault(f"{side}{part}", 0.0)
        for name in (*DECAY, "Atmosphere", "CO2", "CH4", "CO", "Products"):
            self.pools.setdefault(name, 0.0)

    def move(self, source: str, sink: str, amount: float) -> None:
        self.pools[source] -= amount
        self.pools[sink] += amount
        if source == "Atmosphere":
            self.uptake += amount

    def live(self) -> float:
        return sum(self.pools[f"{side}{part}"] for side in GENUS for part in PARTS)

    def year(self) -> None:
        self.released = self.uptake = 0.0
        if self.delay > 0:
            self.delay -= 1
        else:
            self.grow()
            self.age += 1
        self.decay()

    def increments(self) -> dict[str, float]:
        found: dict[str, float] = {}
        roots: dict[str, float] = {}
        for side, tables in self.curve.items():
            above = 0.0
            for part, table in zip(PARTS[:3], tables, strict=True):
                pool = self.pools[f"{side}{part}"]
                step = table[self.age + 1] - table[self.age] if self.age + 1 < len(table) else 0.0
                found[f"{side}{part}"] = max(step, -pool)
                above += pool + max(step, -pool)
            biomass = above / 0.5
            soft = side == "Softwood"
            roots[side] = ROOTS["sw_a"] * biomass if soft else ROOTS["hw_a"] * biomass ** ROOTS["hw_b"]
        fine = ROOTS["frp_a"] + ROOTS["frp_b"] * math.exp(ROOTS["frp_c"] * sum(roots.values()))
        for side, biomass in roots.items():
            found[f"{side}FineRoots"] = 0.5 * biomass * fine - self.pools[f"{side}FineRoots"]
            found[f"{side}CoarseRoots"] = 0.5 * biomass * (1 - fine) - self.pools[f"{side}CoarseRoots"]
        return found

    def litter(self, side: str, part: str, amount: float) -> None:
        r = self.rates[side]
        pool = f"{side}{part}"
        if part == "Merch":
            self.move(pool, f"{side}StemSnag", amount)
        elif part == "Foliage":
            self.move(pool, "AboveGroundVeryFastSoil", amount)
        else:
            share, first, rest = {
                "Other": (r["branch_snag_split"], f"{side}BranchSnag", "AboveGroundFastSoil"),
                "CoarseRoots": (r["coarse_split"], "AboveGroundFastSoil", "BelowGroundFastSoil"),
                "FineRoots": (r["fine_split"], "AboveGroundVeryFastSoil", "BelowGroundVeryFastSoil"),
            }[part]
            self.move(pool, first, amount * share)
            self.move(pool, rest, amount * (1 - share))

    def half(self, grown: dict[str, float]) -> None:
        for side in self.curve:
            declining = sum(grown[f"{side}{part}"] for part in PARTS) < -0.0001
            for part in PARTS:
                amount = grown[f"{side}{part}"] / 2
                if declining and amount < 0:
                    self.litter(side, part, -amount)
                else:
                    self.move("Atmosphere", f"{side}{part}", amount)

    def idle(self) -> None:
        """A year of turnover and decay without growth."""
        self.grow(idle=True)
        self.decay()

    def grow(self, *, idle: bool = False) -> None:
        snags = {f"{s}{k}": self.pools[f"{s}{k}"] for s in GENUS for k in ("StemSnag", "BranchSnag")}
        grown = dict.fromkeys((f"{s}{p}" for s in GENUS for p in PARTS), 0.0) if idle else self.increments()
        self.half(grown)
        stock = {f"{side}{part}": self.pools[f"{side}{part}"] for side in GENUS for part in PARTS}
        names = dict(zip(PARTS, ("stem", "foliage", "branch", "coarse_root", "fine_root"), strict=True))
        for side in GENUS:
            r = self.rates[side] if side in self.curve else dict.fromkeys(KEYS, 0.0)
            for part in PARTS:
                fallen = stock[f"{side}{part}"] * r[names[part]]
                self.move("Atmosphere", f"{side}{part}", fallen)
                self.litter(side, part, fallen)
            self.move(f"{side}StemSnag", "MediumSoil", snags[f"{side}StemSnag"] * r["stem_snag"])
            self.move(f"{side}BranchSnag", "AboveGroundFastSoil", snags[f"{side}BranchSnag"] * r["branch_snag"])
        self.half(grown)

    def decay(self) -> None:
        rate, air = {}, {}
        for name, (base, reference, q10, share, highest) in DECAY.items():
            rate[name] = min(base * math.exp((self.temperature - reference) * math.log(q10) * 0.1), highest)
            air[name] = share
        before = dict(self.pools)
        for name in DECAY:
            if "Slow" not in name:
                lost = before[name] * rate[name]
                target = "BelowGroundSlowSoil" if name.startswith("Below") else "AboveGroundSlowSoil"
                self.move(name, target, lost * (1 - air[name]))
                self.move(name, "CO2", lost * air[name])
                self.released += lost * air[name]
        for name in ("AboveGroundSlowSoil", "BelowGroundSlowSoil"):
            lost = self.pools[name] * rate[name] * air[name]
            self.move(name, "CO2", lost)
            self.released += lost
        self.move("AboveGroundSlowSoil", "BelowGroundSlowSoil", self.pools["AboveGroundSlowSoil"] * MIXING)

    def disturb(self, kind: str) -> None:
        before = dict(self.pools)
        for source, sinks in MATRICES[kind].items():
            for sink, share in sinks.items():
                if sink != source:
                    self.move(source, sink, before[source] * share)
        if self.live() < 0.001:
            self.age = 0

    def spin_up(self, interval: int, most: int, least: int, age: int) -> int:
        """Rotations of growth and wildfire; returns how many."""
        previous = 0.0
        for rotation in range(1, most + 1):
            self.age = 0
            for _ in range(interval):
                self.year()
            slow = self.pools["AboveGroundSlowSoil"] + self.pools["BelowGroundSlowSoil"]
            stable = previous != 0.0 and 0.999 < slow / previous < 1.001
            previous = slow
            if (stable and rotation > least) or rotation == most:
                break
            self.disturb("Wildfire")
            for side in GENUS:
                for part in PARTS:
                    self.pools[f"{side}{part}"] = 0.0
        self.disturb("Wildfire")
        self.age = 0
        for _ in range(age):
            self.year()
        return rotation
