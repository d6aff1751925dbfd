"""The looks of figures: roles, same bytes for the same numbers, labels that no axis lays over each other."""

import subprocess
import sys
from pathlib import Path

import pytest

from flint_ml.text import plotting

PNG = b"\x89PNG\r\n\x1a\n"


def _draw(path: Path, text: str = "error, g/kg") -> bytes:
    figure, axes = plotting.new_figure(heading="Wider than in the base")
    for role in (plotting.BASE, plotting.CHANGE):
        axes.plot([0, 1, 2], [3, 1, 2], label=role.name, **plotting.style(role))
        axes.stairs([1, 2], [0, 1, 2], **plotting.bar(role))
        axes.plot([1], [1], **plotting.mark(role))
    plotting.limit_line(axes, 1.5, "smallest that counts 1.5")
    plotting.limit_line(axes, 1, "zero", vertical=True)
    plotting.thousands(axes.yaxis)
    plotting.whole_numbers(axes.xaxis)
    axes.set_xlabel(text)
    plotting.legend(axes)
    plotting.save_png(figure, path)
    return path.read_bytes()


def test_the_same_numbers_give_the_same_bytes_without_a_version(tmp_path: Path) -> None:
    first, second = _draw(tmp_path / "a.png"), _draw(tmp_path / "b.png")
    assert first == second
    assert first.startswith(PNG)
    assert b"Software" not in first


@pytest.mark.parametrize("name", ["cost in $ of $SOC", "\\frac{1}", "木炭 index"])
def test_names_are_drawn_as_they_are(tmp_path: Path, recwarn: pytest.WarningsRecorder, name: str) -> None:
    assert _draw(tmp_path / "a.png", name).startswith(PNG)
    assert not [str(warning.message) for warning in recwarn if "Glyph" in str(warning.message)]


def test_a_role_has_its_own_form_beside_its_colour() -> None:
    colours = [role.colour for role in (plotting.BASE, plotting.CHANGE, plotting.WORSE, plotting.BETTER)]
    assert len(set(colours)) == 4
    forms = {(str(role.line), role.marker, role.hollow, role.hatch) for role in plotting.ROLES if role.name != "limit"}
    assert len(forms) >= 5
    assert plotting.bar(plotting.BASE)["fill"] is False
    assert plotting.bar(plotting.CHANGE)["fill"] is True


def test_kinds_repeat_after_eight() -> None:
    assert plotting.kind(0) == plotting.kind(8)
    assert len({(plotting.kind(n)["color"], plotting.kind(n)["hatch"]) for n in range(8)}) == 8


def test_labels_are_cut_and_stay_apart() -> None:
    assert plotting.distinct(["SOC", "pH"], 12) == ["SOC", "pH"]
    bands = [f"206 bands: {what}" for what in ("spectrum outside", "spectrum mean", "spectrum sd")]
    labels = plotting.distinct(bands, 12)
    assert len(set(labels)) == 3
    assert max(map(len, labels)) <= 12
    assert len(set(plotting.distinct(["a", "a", "a (1)", "a (2)"], 12))) == 4
    assert plotting.short("two\nlines of text", 9) == "two line…"


def test_matplotlib_loads_only_where_a_figure_is_drawn() -> None:
    code = "import sys; import flint_ml.text.plotting, flint_ml.text.numbers; sys.exit('matplotlib' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0
