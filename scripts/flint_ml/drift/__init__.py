"""Has a new batch of data drifted from a trusted reference? Statistics, tables, figures; no GitHub, no job.

    reference, current = open_table(Path("reference.csv"), "reference"), open_table(Path("new.csv"), "new data")
    result = check_sources(reference, current, DriftRules(alpha=0.01))
    result.failed, [column.column.name for column in result.drifted]

===================  ==================================================================================
``DriftRules``       what counts as drift; ``ColumnRules`` for single columns
``open_table``       look at a file: format, delimiter, columns; ``open_tables`` for several that are one
``check_sources``    compare two tables, in memory, scanned or on Dask -> ``Result``
``check_tables``     compare two ``pyarrow.Table``
``check_profile``    compare with a profile that ``make_profile`` made of the reference
``check_rasters``    compare the layers of two stacks of GeoTIFFs
``base_file`` …      the reference as the base of a change has it
``describe``         a result as words, tables and numbers; ``draw`` its figures, ``page_body`` its page
===================  ==================================================================================

The hot path uses numpy and Arrow only: importing ``scipy.stats`` would cost more than the whole comparison.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from flint_ml.doors import door

if TYPE_CHECKING:
    from flint_ml.drift.base_reference import BaseReference, base_file, base_files, base_rasters, file_at, rasters_at
    from flint_ml.drift.check import Result, check_profile, check_tables
    from flint_ml.drift.profile import comparable, is_profile, make_profile, read_profile, write_profile
    from flint_ml.drift.rasters.check import check_rasters
    from flint_ml.drift.rasters.source import gdal, is_raster, layers_of
    from flint_ml.drift.report.explain import explanation
    from flint_ml.drift.report.page import page_body
    from flint_ml.drift.report.record import describe, draw
    from flint_ml.drift.report.summary import LISTED
    from flint_ml.drift.rules import ColumnRules, DriftRules
    from flint_ml.drift.streaming.choose import check_sources
    from flint_ml.drift.tables.formats import is_table
    from flint_ml.drift.tables.reading import Source, open_table, open_tables, read_columns
    from flint_ml.drift.tables.schema import few_of_each
    from flint_ml.drift.tables.sources import find_remote, is_remote, remote_size, shown

_HOME = {
    "BaseReference": "base_reference",
    "ColumnRules": "rules",
    "DriftRules": "rules",
    "LISTED": "report.summary",
    "Result": "check",
    "Source": "tables.reading",
    "base_file": "base_reference",
    "base_files": "base_reference",
    "base_rasters": "base_reference",
    "check_profile": "check",
    "check_rasters": "rasters.check",
    "check_sources": "streaming.choose",
    "check_tables": "check",
    "comparable": "profile",
    "describe": "report.record",
    "draw": "report.record",
    "explanation": "report.explain",
    "few_of_each": "tables.schema",
    "file_at": "base_reference",
    "find_remote": "tables.sources",
    "gdal": "rasters.source",
    "is_profile": "profile",
    "is_raster": "rasters.source",
    "is_remote": "tables.sources",
    "is_table": "tables.formats",
    "layers_of": "rasters.source",
    "make_profile": "profile",
    "open_table": "tables.reading",
    "open_tables": "tables.reading",
    "page_body": "report.page",
    "rasters_at": "base_reference",
    "read_columns": "tables.reading",
    "read_profile": "profile",
    "remote_size": "tables.sources",
    "shown": "tables.sources",
    "write_profile": "profile",
}

__all__ = [
    "LISTED",
    "BaseReference",
    "ColumnRules",
    "DriftRules",
    "Result",
    "Source",
    "base_file",
    "base_files",
    "base_rasters",
    "check_profile",
    "check_rasters",
    "check_sources",
    "check_tables",
    "comparable",
    "describe",
    "draw",
    "explanation",
    "few_of_each",
    "file_at",
    "find_remote",
    "gdal",
    "is_profile",
    "is_raster",
    "is_remote",
    "is_table",
    "layers_of",
    "make_profile",
    "open_table",
    "open_tables",
    "page_body",
    "rasters_at",
    "read_columns",
    "read_profile",
    "remote_size",
    "shown",
    "write_profile",
]


__getattr__ = door(__name__, _HOME)
