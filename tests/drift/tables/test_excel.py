"""Workbooks as people write them: the same distances as of the plain table, and what is told."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import openpyxl
import pytest

from flint_ml.drift import DriftRules, check_sources, open_table

NAMES = ["SOC", "pH", "clay"]
RULES = DriftRules(tests=["ks", "missing"])
Rows = list[list[Any]]


def numbers(seed: int) -> Rows:
    rng = np.random.default_rng(seed)
    columns = [rng.gamma(4, 5, 60) + 2 + 9 * seed, rng.normal(6, 0.5, 60), rng.normal(30, 6, 60)]
    result: Rows = np.column_stack(columns).round(2).tolist()
    return result


def plain(book: Any, rows: Rows) -> None:
    fill(book.active, [NAMES, *rows])


def fill(sheet: Any, rows: Rows) -> None:
    for row in rows:
        sheet.append(row)


def title(book: Any, rows: Rows) -> None:
    fill(book.active, [["Report 2024"], [], NAMES, ["[g/kg]", "[-]", "[%]"], *rows])
    book.active.merge_cells("A1:C1")


def groups_of_columns(book: Any, rows: Rows) -> None:
    fill(book.active, [["Topsoil", None, "Texture"], NAMES, *rows])
    book.active.merge_cells("A1:B1")


def repeated_groups(book: Any, rows: Rows) -> None:
    fill(book.active, [["Property", "Property", "Property"], NAMES, *rows])


def decimal_commas(book: Any, rows: Rows) -> None:
    fill(book.active, [NAMES, *[[str(value).replace(".", ",") for value in row] for row in rows]])


def numbers_and_text(book: Any, rows: Rows) -> None:
    fill(book.active, [NAMES, *[[str(value) if i % 2 else value for value in row] for i, row in enumerate(rows)]])


def moved(book: Any, rows: Rows) -> None:
    fill(book.active, [[], [], [None, None, *NAMES], *[[None, None, *row] for row in rows]])


def legend_first(book: Any, rows: Rows) -> None:
    words = [["SOC", "carbon", "g/kg"], ["pH", "acid", "-"], ["clay", "fine", "%"]]
    fill(book.active, [["key", "meaning", "unit"], *words])
    fill(book.create_sheet("Data"), [NAMES, *rows])


def hidden_cover(book: Any, rows: Rows) -> None:
    fill(book.active, [["Lab X", 1], ["Date", 2], ["No", 3], ["Order", 4]])
    book.active.sheet_state = "hidden"
    fill(book.create_sheet("Data"), [NAMES, *rows])


def notes_below(book: Any, rows: Rows) -> None:
    fill(book.active, [NAMES, *rows, [], ["Mean", 6.1, 30.0], ["Note: measured by X"], ["Lab: Y"]])


@pytest.mark.parametrize("engine", ["memory", "stream"])
@pytest.mark.parametrize(
    "form",
    [
        title,
        groups_of_columns,
        repeated_groups,
        decimal_commas,
        numbers_and_text,
        moved,
        legend_first,
        hidden_cover,
        notes_below,
    ],
)
def test_a_form_has_the_distances_of_the_plain_table(tmp_path: Path, form: Callable[..., None], engine: Any) -> None:
    distances = []
    for kind in (plain, form):
        sources = []
        for seed in (0, 1):
            book = openpyxl.Workbook()
            kind(book, numbers(seed))
            book.save(tmp_path / f"{seed}.xlsx")
            sources.append(open_table(tmp_path / f"{seed}.xlsx", f"{seed}.xlsx"))
        result = check_sources(sources[0], sources[1], RULES, engine=engine)
        found = {c.column.name: [(h.test.statistic, h.drifted) for h in c.hypotheses] for c in result.columns}
        distances.append({name: found[name] for name in NAMES})
    assert distances[0] == distances[1]
    assert distances[0]["SOC"][0][1]


def test_formulas_without_values_and_a_chosen_sheet_are_told_by_their_codes(tmp_path: Path) -> None:
    book = openpyxl.Workbook()
    fill(book.active, [["Lab X"]])
    fill(book.create_sheet("Data"), [[*NAMES, "sum"], *[[*row, f"=A{i}+B{i}"] for i, row in enumerate(numbers(0), 2)]])
    book.save(tmp_path / "a.xlsx")
    source = open_table(tmp_path / "a.xlsx", "a.xlsx")
    notes = {note.code: note for note in source.notes}
    assert set(notes) == {"sheet", "formulas"}
    assert "60 cells of sheet `Data`" in notes["formulas"].message
    assert "read: sheet:" in notes["sheet"].hint
