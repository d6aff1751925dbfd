"""check-drift from files to record, outputs and exit code."""

from __future__ import annotations

import io
import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest

from flint_ml.actions.check_drift import ACTION
from flint_ml.runner.commands import Commands
from flint_ml.runner.context import Context
from flint_ml.runner.run import run_action


def soil(seed: int, n: int = 300, **shift: float) -> pd.DataFrame:
    rng = np.random.default_rng(seed)
    return pd.DataFrame(
        {
            "sample_id": [f"S{seed}-{i}" for i in range(n)],
            "SOC": rng.gamma(4, 4, n) + shift.get("SOC", 0),
            "pH": rng.normal(5.5, 0.6, n) + shift.get("pH", 0),
            "clay": rng.normal(30, 8, n) + shift.get("clay", 0),
            "horizon": rng.choice(["A", "B", "C"], n),
        }
    )


class Folder:
    """A workspace; ``run`` is check-drift on it as a runner would start it."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.log, self.err = io.StringIO(), io.StringIO()
        self.outputs = folder.parent / "outputs.txt"

    def write(self, name: str, content: pd.DataFrame | str | bytes) -> None:
        path = self.folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        if isinstance(content, pd.DataFrame):
            content = content.to_csv(index=False)
        path.write_bytes(content.encode() if isinstance(content, str) else content)

    def run(
        self, event: dict[str, Any] | None = None, head: str = "0" * 40, **given: Any
    ) -> tuple[int, dict[str, Any]]:
        self.log, self.err = io.StringIO(), io.StringIO()
        self.outputs.write_text("")
        env = {"GITHUB_OUTPUT": str(self.outputs)}
        name = "pull_request" if event else ""
        context = Context(on_github=True, workspace=self.folder, head_sha=head, event_name=name, event=event or {})
        commands = Commands(on_github=True, stdout=self.log, stderr=self.err, env=env)
        values: dict[str, Any] = {"reference": "reference.csv", "current": "new.csv", "figures": "none"}
        values |= {key.replace("_", "-"): value for key, value in given.items()}
        code = run_action(ACTION, values, env={}, context=context, commands=commands)
        return code, json.loads((self.folder / "flint-ml-results/check-drift.json").read_text())

    def errors(self) -> list[str]:
        return [line for line in self.log.getvalue().splitlines() if line.startswith("::error")]

    def output(self, name: str) -> str:
        lines = self.outputs.read_text().splitlines()
        start = next(i for i, line in enumerate(lines) if line.startswith(f"{name}<<"))
        return lines[start + 1]


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
    "all-missing": (b"a,b\n1,\n2,NA\n", "has no values"),
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


def test_text_in_a_column_of_numbers(folder: Folder) -> None:
    new = soil(2).astype({"pH": object})
    new.loc[3, "pH"] = "< 4"
    folder.write("new.csv", new)
    code, record = folder.run()
    assert code == 0
    assert "mixed-type" in {f["code"] for f in record["findings"]}
    new["pH"] = "acid"
    folder.write("new.csv", new)
    code, record = folder.run()
    assert code == 1
    assert "type-changed" in {f["code"] for f in record["findings"]}


def git(folder: Path, *arguments: str) -> str:
    who = ["-c", "user.name=t", "-c", "user.email=t@example.org"]
    result = subprocess.run(["git", *who, *arguments], cwd=folder, check=True, capture_output=True, text=True)
    return result.stdout.strip()


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
    assert record["findings"][0]["code"] == "gate-changed"
    assert record["details"]["reference"]["revision"] == base
    assert record["provenance"]["inputs"][0]["path"] == f"reference.csv at {base[:10]}"
    folder.write("reference.csv", soil(1))
    code, record = folder.run(event, head)
    assert code == 1
    assert "gate-changed" not in {f["code"] for f in record["findings"]}


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


def test_a_shift_common_to_all_columns_is_found_by_the_table_as_a_whole(folder: Folder) -> None:
    rng = np.random.default_rng(4)
    names = [f"v{i}" for i in range(12)]
    folder.write("reference.csv", pd.DataFrame(rng.normal(size=(2000, 12)), columns=names))
    folder.write("new.csv", pd.DataFrame(rng.normal(0.13, size=(2000, 12)), columns=names))
    code, record = folder.run()
    assert code == 1
    assert folder.output("drifted") == "true"
    assert folder.output("drifted-columns") == "[]"
    assert "all columns together" in record["headline"]
    assert record["details"]["multivariate"]["carriers"][0] in record["headline"]
    assert folder.run(tests=["ks", "chi2", "missing"])[0] == 0


def test_sites_are_permuted_whole(folder: Folder) -> None:
    def batch(seed: int, shift: float = 0.0) -> pd.DataFrame:
        rng = np.random.default_rng(seed)
        site = np.repeat(np.arange(25), 20)
        data = {f"v{i}": 0.8 * rng.normal(size=25)[site] + 0.6 * rng.normal(size=500) + shift for i in range(6)}
        return pd.DataFrame({"site": [f"P{seed}-{s}" for s in site], **data})

    folder.write("reference.csv", batch(1))
    folder.write("new.csv", batch(2))
    code, record = folder.run(exclude=["site"])
    assert code == 1
    code, record = folder.run()
    assert "clustered" in {f["code"] for f in record["findings"]}
    code, record = folder.run(groups=["site"])
    assert code == 0
    column = record["details"]["columns"][0]
    assert column["method"] == "permutation of groups"
    assert 0.4 < column["clustering"]["icc"] < 0.85
    assert max(column["clustering"]["effective_n"]) < 120
    assert record["details"]["groups"]["counts"] == [25, 25]
    folder.write("new.csv", batch(3, shift=2.0))
    assert folder.run(groups=["site"])[0] == 1


def test_coordinates_make_groups(folder: Folder) -> None:
    def batch(seed: int) -> pd.DataFrame:
        rng = np.random.default_rng(seed)
        place = rng.integers(0, 30, 400)
        centre = rng.normal(size=(30, 5))
        data = {f"v{i}": 0.9 * centre[place, i] + 0.4 * rng.normal(size=400) for i in range(5)}
        return pd.DataFrame({"x": place * 1000 + rng.random(400), "y": 5.0, **data})

    folder.write("reference.csv", batch(1))
    folder.write("new.csv", batch(2))
    given = {"coordinates": ["x", "y"], "block_size": "100"}
    code, record = folder.run(**given)
    assert code == 0
    assert record["details"]["groups"]["counts"] == [30, 30]
    assert folder.run(coordinates=["x", "y"])[0] == 2
    assert folder.run(groups=["plot"])[0] == 2


def test_few_samples_are_not_called_free_of_drift(folder: Folder) -> None:
    folder.write("new.csv", soil(2, n=8))
    code, record = folder.run()
    assert code == 0
    assert record["status"] == "warned"
    assert record["headline"].startswith("inconclusive")
    assert "too-few-samples" in {f["code"] for f in record["findings"]}


def test_spectra_from_another_instrument(folder: Folder) -> None:
    rng = np.random.default_rng(0)
    x = np.linspace(0, 1, 60)
    shapes = np.array([np.exp(-(((x - c) / 0.2) ** 2)) for c in (0.1, 0.4, 0.9)])
    make = lambda n, noise: pd.DataFrame(  # noqa: E731
        rng.normal(size=(n, 3)) @ shapes + noise * rng.normal(size=(n, 60)),
        columns=[f"nm_{w}" for w in range(400, 1000, 10)],
    )
    folder.write("reference.csv", make(200, 0.01))
    folder.write("new.csv", make(100, 0.02))
    code, record = folder.run(figures="auto")
    assert code == 1
    assert record["headline"].startswith("the spectra drifted (60 spectral bands, 400–990: Q residuals")
    assert record["details"]["spectra"][0]["components"] == 3
    assert record["figures"][0]["path"].endswith("spectra-1.png")
    assert folder.output("drifted-columns") == "[]"


def codes(record: dict[str, Any]) -> dict[str, str]:
    return {f["code"]: f["severity"] for f in record["findings"]}


def test_quality_findings(folder: Folder) -> None:
    new = soil(2)
    new["pH"] = 5.5
    new["SOC"] *= 10
    new.loc[290:, ["SOC", "clay"]] = soil(1).loc[290:, ["SOC", "clay"]]
    new = pd.concat([new, new.iloc[:4]], ignore_index=True)
    folder.write("new.csv", new)
    code, record = folder.run()
    assert code == 1
    found = codes(record)
    assert {"constant", "unit", "out-of-range", "duplicate-rows"} <= set(found)
    assert found["constant"] == "warning"
    folder.write("new.csv", pd.concat([soil(2), soil(1).iloc[:3]]))
    _, record = folder.run()
    assert "3 rows of the new data are in the reference too" in {f["message"] for f in record["findings"]}
    folder.write("new.csv", soil(2))
    assert not {"constant", "unit", "out-of-range", "duplicate-rows", "known-rows"} & set(codes(folder.run()[1]))


def test_given_ranges_and_values_close_the_gate(folder: Folder) -> None:
    assert folder.run(columns={"pH": {"range": [0, 14]}, "horizon": {"allowed": ["A", "B", "C"]}})[0] == 0
    code, record = folder.run(columns={"pH": {"range": [5.5, 14]}, "horizon": {"allowed": ["A", "B"]}})
    assert code == 1
    assert codes(record)["range"] == codes(record)["allowed"] == "error"
    assert folder.output("drifted-columns") == "[]"


def test_a_column_under_another_unit_is_recognised(folder: Folder) -> None:
    folder.write("reference.csv", soil(1).rename(columns={"SOC": "SOC (g/kg)"}))
    folder.write("new.csv", soil(2).rename(columns={"SOC": "SOC_pct"}))
    code, record = folder.run()
    assert code == 1
    assert "`SOC (g/kg)` of the reference may be `SOC_pct` of the new data" in {
        f["message"] for f in record["findings"]
    }


def test_a_stored_profile_takes_the_place_of_the_reference(folder: Folder) -> None:
    from flint_ml.actions.drift_profile import ACTION as PROFILE

    context = Context(on_github=True, workspace=folder.folder, head_sha="0" * 40)
    commands = Commands(on_github=True, stdout=io.StringIO(), stderr=io.StringIO(), env={})
    given = {"reference": "reference.csv", "output": "reference.profile.json"}
    assert run_action(PROFILE, given, env={}, context=context, commands=commands) == 0
    (folder.folder / "reference.csv").unlink()
    assert folder.run(reference="reference.profile.json")[0] == 0
    folder.write("new.csv", soil(2, pH=1.5))
    code, record = folder.run(reference="reference.profile.json")
    assert code == 1
    assert record["headline"] == "1 of 4 columns drifted (pH)"
    assert codes(record)["profile"] == "info"
    folder.write("reference.profile.json", "{}")
    assert folder.run(reference="reference.profile.json")[0] == 2


def test_the_reference_of_a_revision(folder: Folder) -> None:
    place = folder.folder
    git(place, "init", "-q", "-b", "main")
    git(place, "add", ".")
    git(place, "commit", "-q", "-m", "base")
    folder.write("reference.csv", soil(3, pH=1.5))
    assert folder.run()[0] == 1
    code, record = folder.run(reference_rev="main")
    assert code == 0
    assert record["details"]["reference"]["revision"] == git(place, "rev-parse", "main")
    assert folder.run(reference_rev="v1")[0] == 2
    assert folder.run(reference_rev="main", reference="other.csv")[0] == 2


def test_folders_and_patterns_are_one_table(folder: Folder) -> None:
    whole = soil(1)
    for name, part in (("a.csv", whole[:100]), ("deep/b.csv", whole[100:250]), ("deep/c.csv", whole[250:])):
        folder.write(f"reference/{name}", part)
    folder.write("reference/README.md", "about")
    new = soil(2, pH=0.8)
    folder.write("batch-1.csv", new[:200])
    folder.write("batch-2.csv", new[200:])
    folder.write("new.csv", new)
    code, record = folder.run(reference="reference", current="batch-*.csv")
    assert code == 1
    assert record["details"]["rows"] == [300, 300]
    assert record["details"]["columns"] == folder.run()[1]["details"]["columns"]
    used = [i["path"] for i in record["provenance"]["inputs"]]
    assert used == ["reference/a.csv", "reference/deep/b.csv", "reference/deep/c.csv", "batch-1.csv", "batch-2.csv"]
    folder.write("batch-2.csv", new[200:].drop(columns="pH"))
    assert folder.run(reference="reference", current="batch-*.csv")[0] == 2
    assert "other columns than batch-1.csv: pH" in folder.errors()[0]
    assert folder.run(current="none-*.csv")[0] == 2
    (folder.folder / "empty").mkdir()
    assert folder.run(current="empty")[0] == 2


def test_a_change_cannot_move_a_reference_of_several_files(folder: Folder) -> None:
    place = folder.folder
    folder.write("reference/a.csv", soil(1)[:150])
    folder.write("reference/b.csv", soil(1)[150:])
    git(place, "init", "-q", "-b", "main")
    git(place, "add", ".")
    git(place, "commit", "-q", "-m", "base")
    base = git(place, "rev-parse", "HEAD")
    git(place, "checkout", "-q", "-b", "change")
    folder.write("new.csv", soil(2, pH=1.5))
    folder.write("reference/c.csv", soil(3, n=3000, pH=1.5))
    git(place, "add", ".")
    git(place, "commit", "-q", "-m", "a batch, and more reference")
    head = git(place, "rev-parse", "HEAD")
    event = {"pull_request": {"head": {"sha": head}, "base": {"sha": base, "ref": "main"}}}
    code, record = folder.run(event, head, reference="reference")
    assert code == 1
    assert codes(record)["gate-changed"] == "warning"
    assert record["details"]["rows"] == [300, 300]
    (place / "reference/c.csv").unlink()
    assert "gate-changed" not in codes(folder.run(event, head, reference="reference")[1])


@pytest.mark.parametrize("groups", [[], ["site"]])
def test_dates_and_identifiers_with_gaps_are_compared_by_their_gaps(folder: Folder, groups: list[str]) -> None:
    def batch(seed: int, gaps: int) -> pd.DataFrame:
        data = soil(seed)[["sample_id"]]
        data["sampled"] = pd.date_range(f"202{seed}-01-01", periods=300).strftime("%Y-%m-%d")
        data["site"] = [f"P{i % 60}" for i in range(300)]
        data.loc[:gaps, ["sample_id", "sampled"]] = None
        return data

    folder.write("reference.csv", batch(1, 3))
    folder.write("new.csv", batch(2, 200))
    code, record = folder.run(figures="auto", groups=groups, exclude=["site"] if not groups else [])
    assert code == 1
    assert set(json.loads(folder.output("drifted-columns"))) == {"sample_id", "sampled"}
    assert record["figures"] == []
