"""Cut the made GCBM cases of the field down to what fits in the repository; see README.md.

``python tests/gcbm/data/cut.py CASES OUT``: ``CASES`` holds the whole cases (zip files).
"""

from __future__ import annotations

import json
import sqlite3
import sys
import tempfile
import zipfile
from pathlib import Path
from typing import Any

import numpy as np
import rasterio

# Case -> (reporting classifier, its values that are kept; none is all) and the steps whose rows are kept.
CASES: dict[str, tuple[tuple[str, tuple[str, ...]], tuple[int, ...]]] = {
    "case-1-events": (("stand_no", tuple(map(str, range(1, 68, 6)))), (0, 1, 4, 6, 11)),
    "case-2-landclass": (("stand_no", tuple(map(str, range(2, 61, 5)))), (0, 1, 4, 11)),
    "field-2-spinup-variables": (("Classifier1", ("BS",)), (0,)),
    "field-4-spinup-mask": (("region", ()), (0, 16)),
}
ROWS = ("Pools", "Fluxes", "AgeArea", "LocationErrorDimension")
# Rows of pools and fluxes of every so many locations: all locations keep their areas.
THIN = {"field-4-spinup-mask": 12}


def parameters(path: Path, kinds: set[str]) -> None:
    """Only the spatial unit, the disturbance types and the species that the project uses."""
    with sqlite3.connect(path) as db:
        unit = """SELECT u.id FROM spatial_unit u INNER JOIN admin_boundary a ON a.id = u.admin_boundary_id
            INNER JOIN eco_boundary e ON e.id = u.eco_boundary_id
            WHERE a.name = 'British Columbia' AND e.name = 'Taiga Plains'"""
        names = ", ".join(f"'{kind}'" for kind in sorted(kinds))
        types = f"""SELECT id FROM disturbance_type WHERE name IN ({names}) UNION
            SELECT historic_disturbance_type_id FROM spinup_parameter"""
        db.execute(
            f"DELETE FROM disturbance_matrix_association WHERE spatial_unit_id NOT IN ({unit}) "
            f"OR disturbance_type_id NOT IN ({types})"
        )
        used = "SELECT disturbance_matrix_id FROM disturbance_matrix_association"
        db.execute(f"DELETE FROM disturbance_matrix_value WHERE disturbance_matrix_id NOT IN ({used})")
        db.execute(f"DELETE FROM disturbance_matrix WHERE id NOT IN ({used})")
        grown = "SELECT species_id FROM growth_curve_component"
        db.execute(
            f"DELETE FROM vol_to_bio_factor_association WHERE spatial_unit_id NOT IN ({unit}) "
            f"OR species_id NOT IN ({grown})"
        )
        used = "SELECT vol_to_bio_factor_id FROM vol_to_bio_factor_association"
        db.execute(f"DELETE FROM vol_to_bio_factor WHERE id NOT IN ({used})")
        db.execute(f"DELETE FROM species WHERE id NOT IN ({grown})")
        db.execute("DELETE FROM turnover_parameter_association WHERE genus_id NOT IN (SELECT genus_id FROM species)")
    shrink(path)


def event_types(project: Path) -> set[str]:
    """Names of the disturbance types in the layers' attributes."""
    found = set()
    for path in (project / "layers" / "tiled").glob("*.json"):
        for record in (json.loads(path.read_text()).get("attributes") or {}).values():
            if isinstance(record, dict):
                found.add(record.get("disturbance_type"))
    return {kind for kind in found if kind}


def results(path: Path, classifier: str, values: tuple[str, ...], steps: tuple[int, ...], thin: int) -> None:
    """Only the rows of these groups and steps; locations that events come from keep their names."""
    with sqlite3.connect(path) as db:
        chosen = ", ".join(f"'{value}'" for value in values)
        groups = f'AND c."{classifier}" IN ({chosen})' if values else ""
        listed = ", ".join(map(str, steps))
        kept = f"""SELECT l.id FROM LocationDimension l
            INNER JOIN ClassifierSetDimension c ON c.id = l.classifierSetDimId
            INNER JOIN DateDimension d ON d.id = l.dateDimId WHERE d.step IN ({listed}) {groups}"""
        db.execute(f"CREATE TABLE kept AS {kept}")
        for table in ROWS:
            extra = f" OR locationDimId % {thin} > 0" if thin and table in ("Pools", "Fluxes") else ""
            db.execute(f"DELETE FROM {table} WHERE locationDimId NOT IN (SELECT id FROM kept){extra}")
        db.execute("DELETE FROM DisturbanceDimension WHERE locationDimId NOT IN (SELECT id FROM kept)")
        origin = "SELECT previousLocationDimId FROM DisturbanceDimension UNION SELECT id FROM kept"
        db.execute(f"DELETE FROM LocationDimension WHERE id NOT IN ({origin})")
        db.execute("DROP TABLE kept")
    shrink(path)


def shrink(path: Path) -> None:
    db = sqlite3.connect(path)
    names = db.execute("SELECT name FROM sqlite_master WHERE type = 'index' AND sql IS NOT NULL").fetchall()
    for (name,) in names:
        db.execute(f'DROP INDEX "{name}"')
    db.execute("VACUUM")
    db.close()


def cells(project: Path, values: tuple[str, ...]) -> None:
    """Of a project of single cells, those of the kept stands; every raster empty elsewhere."""
    file = project / "config" / "localdomain.json"
    content = json.loads(file.read_text())
    landscape = content["LocalDomain"]["landscape"]
    tiled = project / "layers" / "tiled"
    with rasterio.open(tiled / "stand_no.tiff") as raster:
        inside = np.isin(raster.read(1), [int(value) for value in values])
        side = raster.width // 10
    rows, columns = np.nonzero(inside)
    listed = {
        (int(r // side * 10 + c // side), int(r % side * side + c % side)) for r, c in zip(rows, columns, strict=True)
    }
    landscape["cells"] = [c for c in landscape["cells"] if (c["block_index"], c["cell_index"]) in listed]
    file.write_text(json.dumps(content))
    (tiled / "bounding_box.tiff").unlink(missing_ok=True)
    for path in sorted(tiled.glob("*.tiff")):
        nodata = json.loads(path.with_suffix(".json").read_text())["nodata"]
        with rasterio.open(path) as raster:
            picture, profile = raster.read(1), raster.profile
        picture[~inside] = np.array(nodata).astype(picture.dtype)
        profile.update(compress="deflate", tiled=True, blockxsize=512, blockysize=512, SPARSE_OK=True, nodata=nodata)
        with rasterio.open(path, "w", **profile) as raster:
            raster.write(picture, 1)


def cut(source: Path, case: str, target: Path) -> None:
    (classifier, values), steps = CASES[case]
    with tempfile.TemporaryDirectory() as work:
        with zipfile.ZipFile(source / f"{case}.zip") as archive:
            archive.extractall(work)
        project = Path(work) / case
        if classifier == "stand_no":
            cells(project, values)
        for name in ("cells.json", "config/logging.conf", "config/modules_output.json"):
            path = project / name
            if path.name == "modules_output.json":
                without_maps(path)
            elif path.is_file():
                path.unlink()
        parameters(project / "input_database" / "gcbm_input.db", event_types(project))
        results(project / "expected" / "gcbm_output.db", classifier, values, steps, THIN.get(case, 0))
        with zipfile.ZipFile(target / f"{case}.zip", "w", zipfile.ZIP_LZMA) as archive:
            for path in sorted(p for p in project.rglob("*") if p.is_file()):
                archive.write(path, path.relative_to(work))


def without_maps(path: Path) -> None:
    content: dict[str, Any] = json.loads(path.read_text())
    content["Modules"].pop("WriteVariableGeotiff", None)
    path.write_text(json.dumps(content))


if __name__ == "__main__":
    for chosen in CASES:
        cut(Path(sys.argv[1]), chosen, Path(sys.argv[2]))
