"""Continuous integration for the science of a repository: data, drift, simulations, metrics, models."""

__version__ = "1.0.0"
