"""What a GCBM run says: result tables, metrics, checks from a database, figures and maps.

Everything here is made from indicator tables (``gcbm.totals``), so that the embedded engine and ``moja.cli`` are
reported alike.
"""
