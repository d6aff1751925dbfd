"""Metrics of a change against those of the base: better, same or worse. Knows nothing of GitHub."""
