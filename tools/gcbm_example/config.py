"""Configuration files of the generated example, in the FLINT.Cloud form."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from flint_ml.gcbm.pools import STANDARD
from flint_ml.gcbm.project.compatibility import ORDER, SPINUP
from flint_ml.gcbm.project.grid import tile_bounds
from gcbm_example.data import FACTORS

FILES = ("localdomain", "pools_cbm", "modules_cbm", "modules_output", "spinup", "variables", "internal_variables")
_CBM, _INTERNAL, _GDAL = "moja.modules.cbm", "internal.flint", "moja.modules.gdal"


def configuration(
    layers: Sequence[str], events: Sequence[str], years: tuple[int, int], cell: float, tiles: Sequence[int]
) -> dict[str, Any]:
    """File name -> content of the configuration folder."""
    content = {
        "localdomain": _local_domain(years, cell, tiles),
        "pools_cbm": {"Pools": dict.fromkeys(sorted(STANDARD), 0.0)},
        "modules_cbm": {"Modules": _modules(ORDER[:10], events)},
        "modules_output": {"Modules": _modules(ORDER[11:], events)},
        "spinup": _spinup(),
        "variables": {"Variables": _variables(layers, events)},
        "internal_variables": {"Variables": _internal()},
    }
    cfg = "".join(f"config={name}.json\n" for name in FILES)
    return {
        "gcbm_config.cfg": cfg,
        "provider_config.json": _providers(layers, cell),
        **{f"{name}.json": content[name] for name in FILES},
    }


def _local_domain(years: tuple[int, int], cell: float, tiles: Sequence[int]) -> dict[str, Any]:
    places = [{"x": int(tile_bounds(t)[0]), "y": int(tile_bounds(t)[1]), "index": t} for t in tiles]
    side = round(1.0 / cell)
    return {
        "Libraries": {_CBM: "external", _GDAL: "external"},
        "LocalDomain": {
            "start_date": f"{years[0]}/01/01",
            "end_date": f"{years[1]}/01/01",
            "landUnitBuildSuccess": "landUnitBuildSuccess",
            "simulateLandUnit": "simulateLandUnit",
            "sequencer_library": _CBM,
            "sequencer": "CBMSequencer",
            "timing": "annual",
            "type": "spatial_tiled",
            "landscape": {
                "provider": "RasterTiled",
                "num_threads": 4,
                "tiles": places,
                "x_pixels": side,
                "y_pixels": side,
                "tile_size_x": 1.0,
                "tile_size_y": 1.0,
            },
        },
    }


def _modules(names: Sequence[str], events: Sequence[str]) -> dict[str, Any]:
    settings: dict[str, Any] = {
        "CBMDisturbanceListener": {"vars": list(events)},
        "CBMDecayModule": {"extra_decay_removals": False},
        "CBMAggregatorLandUnitData": {"reporting_classifier_set": "reporting_classifiers"},
        "CBMAggregatorSQLiteWriter": {"databasename": "../output/gcbm_output.db"},
    }
    out: dict[str, Any] = {}
    for name in names:
        out[name] = {"enabled": True, "order": ORDER.index(name) + 1, "library": _CBM}
        if name.startswith("Transaction"):
            out[name]["library"] = _INTERNAL
        if name in settings:
            out[name]["settings"] = settings[name]
    return out


def _spinup() -> dict[str, Any]:
    return {
        "Spinup": {
            "enabled": True,
            "sequencer_library": _CBM,
            "simulateLandUnit": "simulateLandUnit",
            "landUnitBuildSuccess": "landUnitBuildSuccess",
            "sequencer": "CBMSpinupSequencer",
        },
        "SpinupVariables": {"delay": 0, "minimum_rotation": 10, "run_delay": False},
        "SpinupModules": {
            name: {
                "create_new": True,
                "library": _INTERNAL if name.startswith("Transaction") else _CBM,
                "order": i,
            }
            for i, name in enumerate(SPINUP, 1)
        },
    }


def _providers(layers: Sequence[str], cell: float) -> dict[str, Any]:
    return {
        "Providers": {
            "SQLite": {"path": "../input_database/gcbm_input.db", "type": "SQLite"},
            "RasterTiled": {
                "type": "RasterTiledGDAL",
                "library": _GDAL,
                "tileLatSize": 1.0,
                "tileLonSize": 1.0,
                "blockLatSize": 0.1,
                "blockLonSize": 0.1,
                "cellLatSize": cell,
                "cellLonSize": cell,
                "layers": [
                    {"name": name, "layer_path": f"../layers/tiled/{name}.tiff", "layer_prefix": name}
                    for name in layers
                ],
            },
        }
    }


def _sql(text: str) -> dict[str, Any]:
    query = " ".join(text.split())
    return {
        "transform": {"type": "SQLQueryTransform", "library": _INTERNAL, "provider": "SQLite", "queryString": query}
    }


def _layer(name: str) -> dict[str, Any]:
    kind = "LocationIdxFromFlintDataTransform"
    return {"transform": {"type": kind, "library": _INTERNAL, "provider": "RasterTiled", "data_id": name}}


def _composite(*names: str, allow_nulls: bool = False) -> dict[str, Any]:
    return {
        "transform": {
            "type": "CompositeTransform",
            "library": _INTERNAL,
            "vars": list(names),
            "allow_nulls": allow_nulls,
        }
    }


def _chosen(kind: str) -> dict[str, Any]:
    return {"transform": {"type": kind, "library": _CBM, "provider": "SQLite", "classifier_set_var": "classifier_set"}}


_UNIT = (
    "FROM spatial_unit spu INNER JOIN admin_boundary a ON spu.admin_boundary_id = a.id "
    "INNER JOIN eco_boundary e ON spu.eco_boundary_id = e.id"
)
_HERE = "WHERE a.name = {var:admin_boundary} AND e.name = {var:eco_boundary}"


def _yield(forest_type: str) -> dict[str, Any]:
    return _sql(
        f"""SELECT v.age AS age, SUM(v.merchantable_volume) AS merchantable_volume
        FROM growth_curve_component c INNER JOIN species s ON s.id = c.species_id
        INNER JOIN forest_type f ON f.id = s.forest_type_id
        INNER JOIN growth_curve_component_value v ON v.growth_curve_component_id = c.id
        WHERE c.growth_curve_id = {{var:growth_curve_id}} AND f.name = '{forest_type}' GROUP BY v.age"""  # noqa: S608
    )


def _turnover() -> dict[str, Any]:
    names = {
        "foliage_turnover": "foliage",
        "stem_turnover": "stem",
        "branch_turnover": "branch",
        "other_to_branch_snag_split": "branch_snag_split",
        "stem_snag_turnover": "stem_snag",
        "branch_snag_turnover": "branch_snag",
        "coarse_root_split": "coarse_ag_split",
        "coarse_root_turnover": "coarse_root",
        "fine_root_ag_split": "fine_ag_split",
        "fine_root_turnover": "fine_root",
    }
    columns = ", ".join(
        f"COALESCE({side}.{column}, 0) AS {side}_{name}" for name, column in names.items() for side in ("sw", "hw")
    )

    def first(forest_type: str) -> str:
        return f"""(SELECT c.growth_curve_id, t.* FROM growth_curve_component c
            INNER JOIN species s ON s.id = c.species_id INNER JOIN forest_type f ON f.id = s.forest_type_id
            INNER JOIN turnover_parameter_association x ON x.genus_id = s.genus_id
            INNER JOIN eco_boundary e ON e.id = x.eco_boundary_id
            INNER JOIN turnover_parameter t ON t.id = x.turnover_parameter_id
            WHERE c.growth_curve_id = {{var:growth_curve_id}} AND e.name = {{var:eco_boundary}}
            AND f.name = '{forest_type}' ORDER BY c.id LIMIT 1)"""  # noqa: S608

    return _sql(
        f"""SELECT {columns} FROM growth_curve g LEFT JOIN {first("Softwood")} sw ON g.id = sw.growth_curve_id
        LEFT JOIN {first("Hardwood")} hw ON g.id = hw.growth_curve_id WHERE g.id = {{var:growth_curve_id}}"""  # noqa: S608
    )


def _volume_to_biomass() -> dict[str, Any]:
    renamed = {f"{x}_nonmerch": f"{x}_non_merch" for x in ("a", "b", "k", "cap")}
    columns = ", ".join(f"f.{name} AS {renamed.get(name, name)}" for name in FACTORS["Spruce"])
    return _sql(
        f"""SELECT t.name AS forest_type, {columns}, p.sw_top_proportion AS softwood_top_prop,
        p.sw_stump_proportion AS softwood_stump_prop, p.hw_top_proportion AS hardwood_top_prop,
        p.hw_stump_proportion AS hardwood_stump_prop, r.hw_a, r.hw_b, r.sw_a, r.frp_a, r.frp_b, r.frp_c
        FROM vol_to_bio_factor_association x INNER JOIN vol_to_bio_factor f ON f.id = x.vol_to_bio_factor_id
        INNER JOIN species s ON s.id = x.species_id INNER JOIN growth_curve_component c ON c.species_id = s.id
        INNER JOIN forest_type t ON t.id = s.forest_type_id INNER JOIN spatial_unit spu ON spu.id = x.spatial_unit_id
        INNER JOIN admin_boundary a ON a.id = spu.admin_boundary_id
        INNER JOIN stump_parameter p ON p.id = a.stump_parameter_id
        INNER JOIN root_parameter r ON r.id = x.root_parameter_id
        WHERE c.growth_curve_id = {{var:growth_curve_id}} AND spu.id = {{var:spatial_unit_id}} ORDER BY c.id DESC"""  # noqa: S608
    )


def _variables(layers: Sequence[str], events: Sequence[str]) -> dict[str, Any]:
    fixed = {
        "enable_peatland": False,
        "enable_moss": False,
        "admin_boundary": "Example Province",
        "eco_boundary": "Example Plains",
        "initial_historic_land_class": "FL",
        "initial_current_land_class": "FL",
        "age_class_range": 20,
        "age_maximum": 200,
        "slow_ag_to_bg_mixing_rate": 0.006,
        "initial_classifier_set": _composite("Site", "Species"),
        "reporting_classifiers": _composite("classifier_set", allow_nulls=True),
        "growth_curve_id": _chosen("GrowthCurveTransform"),
        "transition_rule_matches": _chosen("TransitionRuleTransform"),
        "softwood_yield_table": _yield("Softwood"),
        "hardwood_yield_table": _yield("Hardwood"),
        "turnover_rates": _turnover(),
        "volume_to_biomass_parameters": _volume_to_biomass(),
        "spatial_unit_id": _sql(f"SELECT spu.id {_UNIT} {_HERE}"),
        "spinup_parameters": _sql(
            f"""SELECT s.return_interval, s.max_rotations, t.name AS historic_disturbance_type,
            t.name AS last_pass_disturbance_type, 0 AS delay {_UNIT}
            INNER JOIN spinup_parameter s ON s.id = spu.spinup_parameter_id
            INNER JOIN disturbance_type t ON t.id = s.historic_disturbance_type_id {_HERE}"""
        ),
        "decay_parameters": _sql(
            """SELECT p.name AS pool, d.base_decay_rate AS organic_matter_decay_rate, d.prop_to_atmosphere, d.q10,
            d.reference_temp, d.max_rate AS max_decay_rate_soft FROM decay_parameter d
            INNER JOIN dom_pool m ON m.id = d.dom_pool_id INNER JOIN pool p ON p.id = m.pool_id"""
        ),
        "disturbance_matrices": _sql(
            """SELECT v.disturbance_matrix_id, a.name AS source_pool_name, b.name AS dest_pool_name, v.proportion
            FROM disturbance_matrix_value v INNER JOIN pool a ON a.id = v.source_pool_id
            INNER JOIN pool b ON b.id = v.sink_pool_id"""
        ),
        "disturbance_matrix_associations": _sql(
            """SELECT t.name AS disturbance_type, x.spatial_unit_id, x.disturbance_matrix_id
            FROM disturbance_matrix_association x INNER JOIN disturbance_type t ON t.id = x.disturbance_type_id"""
        ),
        "disturbance_type_codes": _sql(
            "SELECT name AS disturbance_type, code AS disturbance_type_code FROM disturbance_type"
        ),
        "transition_rules": _sql(
            """SELECT t.id, t.age, t.regen_delay, t.description, y.name AS reset_type
            FROM transition t INNER JOIN transition_type y ON y.id = t.transition_type_id"""
        ),
        "transition_rule_classifiers": _sql(
            """SELECT t.transition_id AS id, c.name AS classifier_name, v.value AS classifier_value
            FROM transition_classifier_value t INNER JOIN classifier_value v ON v.id = t.classifier_value_id
            INNER JOIN classifier c ON c.id = v.classifier_id"""
        ),
        "land_class_data": _sql("SELECT code AS land_class, is_forest, years_to_permanent FROM land_class"),
        "land_class_transitions": _sql(
            """SELECT t.name AS disturbance_type, l.code AS land_class_transition, l.is_forest, l.years_to_permanent
            FROM disturbance_type t INNER JOIN land_class l ON l.id = t.transition_land_class_id"""
        ),
    }
    return {**fixed, **{name: _layer(name) for name in layers}}


def _internal() -> dict[str, Any]:
    location = {"type": "SpatialLocationInfo", "library": _INTERNAL, "settings": {}}
    return {
        "spatialLocationInfo": {"flintdata": location},
        "simulateLandUnit": True,
        "is_decaying": True,
        "spinup_moss_only": False,
        "run_peatland": False,
        "peatlandId": -1,
        "is_forest": True,
        "run_moss": False,
        "run_delay": False,
        "landUnitBuildSuccess": True,
        "regen_delay": 0,
        "age": 0,
        "tileIndex": 0,
        "blockIndex": 0,
        "cellIndex": 0,
        "LandUnitId": -1,
        "landUnitArea": 0,
        "classifier_set": {},
        "localDomainId": 0,
        "LocalDomainId": 1,
        "age_class": 0,
        "historic_land_class": "FL",
        "current_land_class": "FL",
        "unfccc_land_class": "UNFCCC_FL_R_FL",
    }
