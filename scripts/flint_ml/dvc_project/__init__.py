"""A DVC project: what it tracks at a revision, its pipeline, its plots, what a change does to it, and bringing data.

=============================  ====================================================================================
``tracked(git, revision)``     what DVC keeps there -> path to ``Entry`` (hash, size, stage)
``read_pipelines``             stages, outputs, dependencies, parameters, as DVC itself reads them
``declared``, ``never_run``    files that ``dvc.yaml`` names; stages that no lock file knows
``read_at``, ``hash_at``       bytes and md5 of a path at a revision, from Git or DVC's cache
``describe_changes``           data, parameters, code and gate that differ from the base -> ``Changes``
``select_targets``             the entries that the user's targets mean
``DvcProject``                 fetch, check out, verify
``collect_plots``              plots of ``dvc.yaml``, base beside change -> list of ``Plot``
``fingerprint``, ``cache_key`` one name for exactly this data, for people and for caches
=============================  ====================================================================================

Paths are relative to the Git root, with forward slashes; a revision of None is the working tree.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from flint_ml.doors import door

if TYPE_CHECKING:
    from flint_ml.dvc_project.cache import (
        NOT_IN_CACHE,
        cache_dir,
        cache_key,
        cached,
        fingerprint,
        hash_at,
        members,
        object_path,
        read_at,
    )
    from flint_ml.dvc_project.changes import Changes, data_changes, describe_changes
    from flint_ml.dvc_project.config import refuse_files, remote_settings
    from flint_ml.dvc_project.entries import Entry, folder_md5, holder, tracked, unreadable
    from flint_ml.dvc_project.materialise import materialise
    from flint_ml.dvc_project.paths import dvc_root, joined, project_folder, within
    from flint_ml.dvc_project.pipeline import Dependency, Output, Pipelines, Stage, declared, never_run, read_pipelines
    from flint_ml.dvc_project.plan import Plan, size_text
    from flint_ml.dvc_project.plots import Plot, collect_plots
    from flint_ml.dvc_project.pull import DvcProject, Verification
    from flint_ml.dvc_project.targets import NAMED, WATCHED, base_entries, paths_in_settings, select_targets

_HOME = {
    "Changes": "changes",
    "Dependency": "pipeline",
    "DvcProject": "pull",
    "Entry": "entries",
    "NAMED": "targets",
    "NOT_IN_CACHE": "cache",
    "Output": "pipeline",
    "Pipelines": "pipeline",
    "Plan": "plan",
    "Plot": "plots",
    "Stage": "pipeline",
    "Verification": "pull",
    "WATCHED": "targets",
    "base_entries": "targets",
    "cache_dir": "cache",
    "cache_key": "cache",
    "cached": "cache",
    "collect_plots": "plots",
    "data_changes": "changes",
    "declared": "pipeline",
    "describe_changes": "changes",
    "dvc_root": "paths",
    "fingerprint": "cache",
    "folder_md5": "entries",
    "hash_at": "cache",
    "holder": "entries",
    "joined": "paths",
    "materialise": "materialise",
    "members": "cache",
    "never_run": "pipeline",
    "object_path": "cache",
    "paths_in_settings": "targets",
    "project_folder": "paths",
    "read_at": "cache",
    "read_pipelines": "pipeline",
    "refuse_files": "config",
    "remote_settings": "config",
    "select_targets": "targets",
    "size_text": "plan",
    "tracked": "entries",
    "unreadable": "entries",
    "within": "paths",
}

__all__ = [
    "NAMED",
    "NOT_IN_CACHE",
    "WATCHED",
    "Changes",
    "Dependency",
    "DvcProject",
    "Entry",
    "Output",
    "Pipelines",
    "Plan",
    "Plot",
    "Stage",
    "Verification",
    "base_entries",
    "cache_dir",
    "cache_key",
    "cached",
    "collect_plots",
    "data_changes",
    "declared",
    "describe_changes",
    "dvc_root",
    "fingerprint",
    "folder_md5",
    "hash_at",
    "holder",
    "joined",
    "materialise",
    "members",
    "never_run",
    "object_path",
    "paths_in_settings",
    "project_folder",
    "read_at",
    "read_pipelines",
    "refuse_files",
    "remote_settings",
    "select_targets",
    "size_text",
    "tracked",
    "unreadable",
    "within",
]

__getattr__ = door(__name__, _HOME)
