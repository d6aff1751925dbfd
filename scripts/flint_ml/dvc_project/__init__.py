"""dvc_project."""
