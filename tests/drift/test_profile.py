"""A profile in the place of the reference: the same verdict, D within the stated bound, no row of the reference."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pyarrow as pa
import pytest
from scipy import stats

from flint_ml.drift.check import Result, check_profile, check_tables
from flint_ml.drift.profile import Profile, as_table, binned, make_profile, read_profile, write_profile
from flint_ml.drift.rules import DriftRules
from flint_ml.drift.tables.reading import open_table
from flint_ml.errors import InputError

RULES = DriftRules(tests=("ks", "chi2", "missing", "spectra"))


def soil(seed: int, n: int, shift: float = 0.0, noise: float = 0.01) -> pa.Table:
    rng = np.random.default_rng(seed)
    x = np.linspace(0, 1, 40)
    bands = rng.normal(size=(n, 3)) @ np.array([np.cos(k * x) for k in (1, 3, 7)]) + noise * rng.normal(size=(n, 40))
    soc = rng.gamma(4, 4, n) + shift
    soc[rng.random(n) < 0.05] = np.nan
    columns = {"SOC": pa.array(soc, from_pandas=True), "depth": rng.choice([10, 20, 30], n)}
    columns |= {"horizon": rng.choice(["A", "B"], n), "tilled": rng.random(n) < 0.5, "id": [f"S{i}" for i in range(n)]}
    return pa.table({**columns, **{f"nm_{400 + 10 * i}": bands[:, i] for i in range(40)}})


def stored(table: pa.Table, path: Path) -> Profile:
    write_profile(make_profile(table, RULES), path)
    return read_profile(path, path.name)


def compared(profile: Profile, current: pa.Table, folder: Path) -> Result:
    import pyarrow.parquet as pq

    path = folder / "new.parquet"
    pq.write_table(current, path)
    return check_profile(profile, "reference.profile.json", open_table(path, "new.parquet"), RULES)


def effects(result: Result) -> dict[tuple[str, str], float]:
    found = {(h.column, h.aspect): h.test.effect for c in result.columns for h in c.hypotheses}
    return found | {(h.column, h.aspect): h.test.effect for s in result.spectra for h in s.hypotheses}


@pytest.mark.parametrize(
    ("name", "shift", "noise"), [("p.json", 0.0, 0.01), ("p.json.gz", 6.0, 0.01), ("p.json.gz", 0.0, 0.03)]
)
def test_the_verdict_is_that_of_the_reference(tmp_path: Path, name: str, shift: float, noise: float) -> None:
    reference, current = soil(1, 3_000), soil(2, 400, shift, noise)
    profile = stored(reference, tmp_path / name)
    ours, whole = compared(profile, current, tmp_path), check_tables(reference, current, RULES)
    assert [c.column.name for c in ours.drifted] == [c.column.name for c in whole.drifted]
    assert [h.aspect for s in ours.drifted_spectra for h in s.drifted] == [
        h.aspect for s in whole.drifted_spectra for h in s.drifted
    ]
    here, there = effects(ours), effects(whole)
    assert set(here) == set(there)
    for key, value in there.items():
        bound = 5 / 2_000 if key[0].startswith("nm_") is False else 1 / 30
        assert here[key] == pytest.approx(value, abs=bound), key
    assert ours.rows == (3_000, 400)


def test_the_error_of_the_distance_is_bounded() -> None:
    rng = np.random.default_rng(0)
    for n, most in ((300, 4_096), (50_000, 4_096), (50_000, 64)):
        values = np.sort(rng.normal(size=n))
        middles, counts, bound = binned(values, most)
        assert sum(counts) == n
        assert min(counts) >= 5
        assert bound <= max(2 / most, 10 / n)
        for shift in (0.0, 0.1, 1.0):
            other = rng.normal(shift, size=777)
            exact = stats.ks_2samp(values, other).statistic
            assert stats.ks_2samp(np.repeat(middles, counts), other).statistic == pytest.approx(exact, abs=bound)


def test_shared_values_are_exact_and_categories_counted() -> None:
    middles, counts, bound = binned(np.sort(np.repeat([1.0, 2.0, 5.0], [7, 8, 9])), 4_096)
    assert (middles.tolist(), counts, bound) == ([1.0, 2.0, 5.0], [7, 8, 9], 0.0)
    table = as_table(make_profile(soil(1, 500), RULES), ["horizon", "tilled", "SOC"])
    expected = soil(1, 500)
    for name in ("horizon", "tilled"):
        assert sorted(table.column(name).to_pylist()) == sorted(expected.column(name).to_pylist())
    assert table.column("SOC").null_count == soil(1, 500).column("SOC").null_count
    assert table.column("tilled").type == pa.bool_()


def test_no_identifier_is_kept_and_large_references_stay_small(tmp_path: Path) -> None:
    path = tmp_path / "p.json"
    stored(soil(1, 8_000), path)
    text = path.read_text()
    assert '"S17"' not in text
    assert len(text) < 1_000_000
    rng = np.random.default_rng(0)
    big = make_profile(pa.table({"v": rng.normal(size=200_000)}), RULES)
    assert big.bound < 0.0003
    table = as_table(big, ["v"])
    assert table.num_rows == 65_536
    assert np.median(table.column("v").to_numpy()) == pytest.approx(0, abs=0.01)


def test_groups_need_rows(tmp_path: Path) -> None:
    profile = stored(soil(1, 200), tmp_path / "p.json")
    (tmp_path / "new.csv").write_text("SOC,site\n1,a\n")
    with pytest.raises(InputError, match="groups cannot be permuted"):
        check_profile(profile, "p.json", open_table(tmp_path / "new.csv", "new.csv"), DriftRules(groups=("site",)))


@pytest.mark.parametrize(
    "content", [b"", b"{", b"[]", b'{"schema": "x"}', b'{"schema": "flint-ml/drift-profile/1"}', b"\x1f\x8b12"]
)
@pytest.mark.parametrize("name", ["p.json", "p.json.gz"])
def test_what_is_no_profile_is_said_to_be_none(tmp_path: Path, content: bytes, name: str) -> None:
    path = tmp_path / name
    path.write_bytes(content)
    with pytest.raises(InputError) as caught:
        read_profile(path, name)
    assert caught.value.code == "invalid-profile"
    assert json.dumps(caught.value.hint)
