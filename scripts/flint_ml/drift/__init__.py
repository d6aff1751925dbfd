"""Has a new batch of data drifted from a trusted reference? Statistics, tables, figures; no GitHub, no records.

The hot path uses numpy and Arrow only: importing ``scipy.stats`` would cost more than the whole comparison.
"""
