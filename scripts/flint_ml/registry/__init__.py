"""The model registry (MLflow): what a version is made of, how it is found again, how stages move.

Nothing here unpickles a model: a model is bytes with a hash.
"""
