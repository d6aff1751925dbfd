"""check-drift from files to record, outputs and exit code."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from helpers.drift import Folder, git, soil


@pytest.fixture
def folder(tmp_path: Path) -> Folder:
    place = tmp_path / "work"
    place.mkdir()
    result = Folder(place)
    result.write("reference.csv", soil(1))
    result.write("new.csv", soil(2))
    return result


def test_no_drift(folder: Folder) -> None:
    code, record = folder.run(figures="auto")
    assert code == 0
    assert record["status"] == "passed"
    assert record["badge"] == {"label": "Data Drift Check", "message": "Passed (0 of 4)"}
    assert record["headline"].startswith("no drift: 0 of 4 columns drifted")
    assert folder.output("drifted") == "false"
    assert folder.output("drifted-columns") == "[]"
    assert folder.output("badge") == "✅ Data Drift Check: Passed (0 of 4)"
    assert folder.run()[1]["figures"] == []
    _, record = folder.run(figures="auto")
    assert (folder.folder / "flint-ml-results" / record["figures"][0]["path"]).read_bytes()[:4] == b"\x89PNG"
    assert [i["path"] for i in record["provenance"]["inputs"]] == ["reference.csv", "new.csv"]


def test_drift_names_the_columns_worst_first(folder: Folder) -> None:
    folder.write("new.csv", soil(2, pH=1.5, clay=4))
    code, record = folder.run()
    assert code == 1
    assert record["status"] == "failed"
    assert record["headline"] == "2 of 4 columns drifted (pH, clay)"
    assert json.loads(folder.output("drifted-columns")) == ["pH", "clay"]
    assert folder.output("badge") == "❌ Data Drift Check: Failed (2 of 4)"
    first = record["details"]["columns"][0]
    assert first["column"] == "pH"
    assert first["kind"] == "numeric"
    assert first["test"] == "KS"
    assert first["statistic"] == first["effect"] > 0.6
    assert first["p_value"] <= first["p_adjusted"] < 1e-10
    assert first["drifted"] is True
    assert record["tables"][0]["rows"][0][0] == "pH"
    assert {c["column"] for c in record["details"]["columns"]} == {"sample_id", "SOC", "pH", "clay", "horizon"}


def test_warn_turns_the_exit_code(folder: Folder) -> None:
    folder.write("new.csv", soil(2, pH=1.5))
    code, record = folder.run(on_failure="warn")
    assert (code, record["status"]) == (0, "warned")
    assert folder.output("badge").startswith("🟡")
    assert folder.output("drifted") == "true"


def test_categories_and_missing_values_drift(folder: Folder) -> None:
    new = soil(2)
    new.loc[:120, "horizon"] = "O"
    new.loc[:90, "SOC"] = np.nan
    folder.write("new.csv", new)
    code, record = folder.run()
    assert code == 1
    assert set(json.loads(folder.output("drifted-columns"))) == {"horizon", "SOC"}
    soc = next(c for c in record["details"]["columns"] if c["column"] == "SOC")
    assert soc["aspect"] == "missing"
    assert soc["missing"] == [0, 91]
    assert "new-category" in {f["code"] for f in record["findings"]}


def test_small_effects_do_not_close_the_gate(folder: Folder) -> None:
    folder.write("reference.csv", soil(1, n=15_000))
    folder.write("new.csv", soil(2, n=15_000, clay=1))
    assert folder.run(tests=["ks", "chi2"])[0] == 0
    assert folder.run(min_effect="0", tests=["ks", "chi2"])[0] == 1


def test_parquet_and_csv_give_the_same(folder: Folder) -> None:
    folder.write("new.csv", soil(2, pH=0.3))
    _, first = folder.run()
    for name, seed, shift in (("reference", 1, 0.0), ("new", 2, 0.3)):
        soil(seed, pH=shift).to_parquet(folder.folder / f"{name}.parquet")
    _, second = folder.run(reference="reference.parquet", current="new.parquet")
    assert first["details"]["columns"] == second["details"]["columns"]


def test_columns_and_exclude_take_patterns(folder: Folder) -> None:
    _, record = folder.run(columns=["p*", "clay"], exclude=["clay"])
    assert [c["column"] for c in record["details"]["columns"]] == ["pH"]


def test_settings_of_single_columns(folder: Folder) -> None:
    folder.write("new.csv", soil(2, pH=1.5, clay=4))
    settings = {"pH": {"test": "none"}, "cl*": {"min-effect": 0.9}, "SOC": {"test": "wasserstein"}}
    code, record = folder.run(columns=settings)
    assert code == 0
    tests = {c["column"]: c["test"] for c in record["details"]["columns"]}
    assert tests["pH"] is None
    assert tests["SOC"] == "Wasserstein"


def test_a_misspelt_setting_is_named(folder: Folder) -> None:
    code, record = folder.run(columns={"pH": {"min-efect": 0.2}})
    assert code == 2
    assert "columns.pH" in record["headline"]
    assert "min-effect" in folder.errors()[0]


def test_spectra_are_one_group_in_the_headline(folder: Folder) -> None:
    rng = np.random.default_rng(0)
    bands = [f"nm_{w:04d}" for w in range(400, 900, 10)]
    make = lambda shift: pd.DataFrame(  # noqa: E731
        rng.normal(size=(200, 1)) + rng.normal(scale=0.1, size=(200, len(bands))) + shift, columns=bands
    ).assign(pH=rng.normal(size=200))
    folder.write("reference.csv", make(0))
    folder.write("new.csv", make(3))
    code, record = folder.run()
    assert code == 1
    assert "50 of 50 spectral bands, 400–890" in record["headline"]


@pytest.mark.parametrize("index_column", ["Unnamed: 0", "", "row_id"])
def test_row_numbers_and_identifiers_are_not_compared(folder: Folder, index_column: str) -> None:
    one, two = soil(1), soil(2)
    one.insert(0, index_column, range(300))
    two.insert(0, index_column, range(5000, 5300))
    folder.write("reference.csv", one)
    folder.write("new.csv", two)
    code, record = folder.run()
    assert code == 0
    assert sum(f["code"] == "not-compared" for f in record["findings"]) == 2


GOOD = "a,b\n" + "".join(f"{i},{i * 7 % 50}.5\n" for i in range(0, 200, 3))
BAD = {
    "missing-file": (None, "does not exist"),
    "empty-file": (b"", "is empty"),
    "no-rows": (b"a,b\n", "no rows"),
    "ragged": (b"a,b\n1,2\n3\n", "no well-formed CSV"),
    "binary": (b"a,b\n\x00\x01,3\n", "is binary"),
    "spreadsheet": (b"PK\x03\x04abc", "is a spreadsheet"),
    "broken-parquet": (b"PAR1abcdefgh", "is not a Parquet file"),
    "no-common-columns": (b"c,d\n1,2\n", "no common columns"),
    "twice": (b"a,a\n1,2\n", "names a column twice"),
}


@pytest.mark.parametrize("case", BAD)
@pytest.mark.parametrize("side", ["reference.csv", "new.csv"])
def test_bad_input(folder: Folder, case: str, side: str) -> None:
    content, said = BAD[case]
    folder.write("reference.csv", GOOD)
    folder.write("new.csv", GOOD)
    assert folder.run(figures="auto")[0] == 0
    figures = {p.name: p.read_bytes() for p in (folder.folder / "flint-ml-results/check-drift").iterdir()}
    if content is None:
        (folder.folder / side).unlink()
    else:
        folder.write(side, content)
    code, record = folder.run()
    assert code == 2
    assert record["status"] == "error"
    assert len(folder.errors()) == 1
    assert said in folder.errors()[0]
    assert "What to do" in folder.errors()[0]
    assert "Traceback" not in folder.log.getvalue()
    assert {p.name: p.read_bytes() for p in (folder.folder / "flint-ml-results/check-drift").iterdir()} == figures


def test_a_column_that_is_gone_closes_the_gate(folder: Folder) -> None:
    folder.write("new.csv", soil(2).drop(columns="pH"))
    code, record = folder.run()
    assert code == 1
    assert "lacks 1 of the reference's columns: pH" in record["headline"]
    assert folder.run(exclude=["pH"])[0] == 0


@pytest.mark.parametrize("side", ["reference.csv", "new.csv"])
def test_an_empty_column_closes_the_gate_and_stops_no_other(folder: Folder, side: str) -> None:
    table = soil(2)
    table["pH"] = float("nan")
    folder.write(side, table)
    code, record = folder.run()
    assert code == 1
    assert [f["severity"] for f in record["findings"] if f["code"] == "all-missing"] == ["error"]
    assert {"SOC", "clay"} <= {c["column"] for c in record["details"]["columns"] if c["p_value"] is not None}


def test_what_was_looked_at(folder: Folder) -> None:
    table = soil(2)
    table["note"] = [f"{i % 7}.5" if i % 3 else "see report" for i in range(len(table))]
    folder.write("reference.csv", table)
    folder.write("new.csv", table)
    _, record = folder.run(exclude=["clay"])
    pieces = [piece for piece in record["coverage"] if piece["kind"] == "columns"]
    assert [piece["state"] for piece in pieces] == ["looked", "left-out"]
    assert (pieces[0]["n"], pieces[0]["of"]) == (5, 5)
    assert "1 left out by the settings" in pieces[0]["why"]
    assert pieces[1]["name"] == "note"
    assert "see report" in pieces[1]["why"]
    assert "missing" in pieces[1]["hint"]


def test_what_was_read_is_explained(folder: Folder) -> None:
    table = soil(2).astype(str)
    table["pH"] = table["pH"].str.slice(0, 4).str.replace(".", ",")
    text = table.to_csv(index=False, sep=";").replace("\n", "\n;g/kg;-;%;\n", 1)
    folder.write("reference.csv", text)
    folder.write("new.csv", text)
    code, record = folder.run(explain="true")
    assert code == 0
    assert "units in line 2" in record["details"]["read"]["reference.csv"]
    assert "SOC" in folder.log.getvalue()
    assert "compared by KS" in folder.log.getvalue()
    assert folder.run(read={"units-row": False}, exclude=["pH"])[1]["details"]["read"]["new.csv"].count("units") == 0


def test_text_in_a_column_of_numbers(folder: Folder) -> None:
    new = soil(2).astype({"pH": object})
    new.loc[3, "pH"] = "acid"
    folder.write("new.csv", new)
    code, record = folder.run()
    assert code == 0
    assert "mixed-type" in {f["code"] for f in record["findings"]}
    new["pH"] = "acid"
    folder.write("new.csv", new)
    code, record = folder.run()
    assert code == 1
    assert "type-changed" in {f["code"] for f in record["findings"]}


def test_a_change_cannot_move_the_reference(folder: Folder) -> None:
    place = folder.folder
    git(place, "init", "-q", "-b", "main")
    git(place, "add", ".")
    git(place, "commit", "-q", "-m", "base")
    base = git(place, "rev-parse", "HEAD")
    git(place, "checkout", "-q", "-b", "change")
    drifted = soil(2, pH=1.5)
    folder.write("new.csv", drifted)
    folder.write("reference.csv", soil(3, pH=1.5))
    git(place, "commit", "-q", "-a", "-m", "a batch, and a reference that suits it")
    head = git(place, "rev-parse", "HEAD")
    event = {"pull_request": {"head": {"sha": head}, "base": {"sha": base, "ref": "main"}}}
    code, record = folder.run(event, head)
    assert code == 1
    assert record["findings"][0]["code"] == "reference-changed"
    assert record["details"]["reference"]["revision"] == base
    assert record["provenance"]["inputs"][0]["path"] == f"reference.csv at {base[:10]}"
    folder.write("reference.csv", soil(1))
    code, record = folder.run(event, head)
    assert code == 1
    assert "reference-changed" not in {f["code"] for f in record["findings"]}


@pytest.mark.parametrize(("shift", "expected"), [(0.0, 0), (1.5, 1)])
def test_command_line_with_two_files(folder: Folder, shift: float, expected: int) -> None:
    folder.write("new.csv", soil(2, pH=shift))
    env = {k: v for k, v in os.environ.items() if not k.startswith("GITHUB")}
    command = [sys.executable, "-X", "importtime", "-m", "flint_ml", "check-drift", "reference.csv", "new.csv"]
    result = subprocess.run(command, cwd=folder.folder, env=env, capture_output=True, text=True, check=False)
    assert result.returncode == expected, result.stderr
    assert "Data Drift Check:" in result.stdout
    imported = {line.rsplit("|", 1)[-1].strip() for line in result.stderr.splitlines()}
    assert not imported & {"scipy.stats", "scipy.special", "pandas", "dvc"}
