"""check-drift: the table as a whole, sites, spectra, quality, stored references."""

from __future__ import annotations

import io
import json
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest

from flint_ml.runner.context import Context
from flint_ml.runner.run import run_action
from flint_ml.runner.workflow_commands import Commands
from helpers.drift import Folder, git, soil


@pytest.fixture
def folder(tmp_path: Path) -> Folder:
    place = tmp_path / "work"
    place.mkdir()
    result = Folder(place)
    result.write("reference.csv", soil(1))
    result.write("new.csv", soil(2))
    return result


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
    from flint_ml.commands.drift_profile import ACTION as PROFILE

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
    assert codes(record)["reference-changed"] == "warning"
    assert record["details"]["rows"] == [300, 300]
    (place / "reference/c.csv").unlink()
    assert "reference-changed" not in codes(folder.run(event, head, reference="reference")[1])


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


def test_more_columns_than_a_record_lists(folder: Folder) -> None:
    rng = np.random.default_rng(1)
    for name, shift in (("reference.csv", 0.0), ("new.csv", 3.0)):
        data = pd.DataFrame(rng.normal(size=(40, 2_400)).round(3), columns=[f"gene_{k}" for k in range(2_400)])
        data["gene_7"] += shift
        texts = {f"text_{k}": [("high", 2.5, 3.5, 4.5)[i % 4] for i in range(40)] for k in range(220)}
        folder.write(name, pd.concat([data, pd.DataFrame(texts)], axis=1))
    code, record = folder.run()
    assert code == 1
    assert record["metrics"]["columns_tested"]["value"] == 2_400
    assert json.loads(folder.output("drifted-columns")) == ["gene_7"]
    table = record["tables"][0]
    assert len(table["rows"]) == len(record["details"]["columns"]) == 2_000
    assert table["title"] == "Columns, worst first (the first 2,000 of 2,400)"
    assert table["rows"][0][0] == record["details"]["columns"][0]["column"] == "gene_7"
    assert record["details"]["columns_not_listed"] == 620
    assert codes(record)["shortened"] == "info"
    left_out = [piece["name"] for piece in record["coverage"] if piece["state"] == "left-out"]
    assert len(left_out) == 201
    assert left_out[-1] == "20 more columns"
    told = [f["message"] for f in record["findings"] if f["code"] == "not-understood"]
    assert len(told) == 26
    assert told[-1].startswith("195 more")
