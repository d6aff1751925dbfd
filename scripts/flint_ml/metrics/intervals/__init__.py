"""Confidence intervals of changes: resampling, bootstrap-t, AUC, the spread between runs, what they are worth."""
