"""One place for looks: no colour, figure size or drawing set-up elsewhere, and colours that all readers tell apart."""

from __future__ import annotations

import itertools
import re
from pathlib import Path

import pytest

from flint_ml.text import plotting

PACKAGE = Path(__file__).resolve().parents[2] / "scripts/flint_ml"
HOME = PACKAGE / "text/plotting.py"
# The surface of our pages, in GitHub's own colours, light and dark.
PAGE = PACKAGE / "report/templates/page.css"
# Machado, Oliveira and Fernandes (2009), severity 1, on linear RGB.
VISION = {
    "deuteranopia": ((0.367322, 0.860646, -0.227968), (0.280085, 0.672501, 0.047413), (-0.011820, 0.042940, 0.968881)),
    "protanopia": ((0.152286, 1.052583, -0.204868), (0.114503, 0.786281, 0.099216), (-0.003882, -0.048116, 1.051998)),
}


def sources() -> list[Path]:
    files = [path for path in PACKAGE.rglob("*") if path.suffix in {".py", ".j2", ".css", ".js"}]
    return [path for path in files if path not in (HOME, PAGE)]


@pytest.mark.parametrize("pattern", [r"#[0-9A-Fa-f]{6}\b", r"\bfigsize=", r"\bdpi=", r"\.savefig\("])
def test_looks_are_decided_in_one_place(pattern: str) -> None:
    found = [path.relative_to(PACKAGE).as_posix() for path in sources() if re.search(pattern, path.read_text("utf-8"))]
    assert found == []


def linear(colour: str) -> list[float]:
    values = [int(colour[i : i + 2], 16) / 255 for i in (1, 3, 5)]
    return [v / 12.92 if v <= 0.04045 else ((v + 0.055) / 1.055) ** 2.4 for v in values]


def contrast(one: str, other: str) -> float:
    """WCAG's ratio."""
    light, dark = sorted(
        (0.2126 * r + 0.7152 * g + 0.0722 * b + 0.05 for r, g, b in map(linear, (one, other))), reverse=True
    )
    return light / dark


def lab(rgb: list[float]) -> tuple[float, float, float]:
    """CIE L*a*b* under D65 of linear RGB."""
    r, g, b = (min(1.0, max(0.0, v)) for v in rgb)
    xyz = (
        (0.4124 * r + 0.3576 * g + 0.1805 * b) / 0.95047,
        0.2126 * r + 0.7152 * g + 0.0722 * b,
        (0.0193 * r + 0.1192 * g + 0.9505 * b) / 1.08883,
    )
    x, y, z = (v ** (1 / 3) if v > 0.008856 else 7.787 * v + 16 / 116 for v in xyz)
    return 116 * y - 16, 500 * (x - y), 200 * (y - z)


def difference(one: str, other: str, vision: str) -> float:
    """CIE76 between two colours as somebody of this vision sees them."""
    seen = [
        lab([sum(m * v for m, v in zip(row, linear(c), strict=True)) for row in VISION[vision]]) for c in (one, other)
    ]
    return float(sum((a - b) ** 2 for a, b in zip(*seen, strict=True)) ** 0.5)


@pytest.mark.parametrize("vision", VISION)
def test_roles_that_meet_in_one_figure_differ_in_colour_or_in_form(vision: str) -> None:
    for one, other in itertools.combinations(plotting.ROLES, 2):
        forms = [(str(role.line), role.marker, role.hollow, role.hatch) for role in (one, other)]
        assert difference(one.colour, other.colour, vision) >= 25 or forms[0] != forms[1], (one.name, other.name)


@pytest.mark.parametrize("vision", VISION)
def test_base_and_this_change_are_told_apart_by_colour_too(vision: str) -> None:
    assert difference(plotting.BASE.colour, plotting.CHANGE.colour, vision) >= 25
    assert difference(plotting.WORSE.colour, plotting.BETTER.colour, vision) >= 25


@pytest.mark.parametrize("role", plotting.ROLES, ids=lambda role: role.name)
def test_marks_have_contrast_on_paper(role: plotting.Role) -> None:
    assert contrast(role.colour, plotting.PAPER) >= 3


def test_words_of_a_badge_have_contrast() -> None:
    for colour in (plotting.BADGE, *plotting.DECISIONS.values()):
        assert contrast(colour, "#FFFFFF") >= 4.5


def test_a_map_has_the_height_of_its_latitude() -> None:
    assert plotting.aspect(0) == 1
    assert plotting.aspect(54.5) == pytest.approx(1.722, abs=1e-3)
    assert plotting.aspect(90) == pytest.approx(10)
