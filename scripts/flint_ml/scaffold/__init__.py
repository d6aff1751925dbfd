"""What ``flint-ml init`` does: look at a repository and write the files that its gate needs.

``scan_repository`` reads and runs nothing, ``answer`` decides what to write and why, ``proposals`` are the files, and
``write_files`` shows them as a diff and writes what a person agrees to. ``steps_at_home`` and ``steps_on_github`` say
what to type next.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from flint_ml.doors import door

if TYPE_CHECKING:
    from flint_ml.scaffold.environments import Environment, package_lists
    from flint_ml.scaffold.files import Proposal, propose, workflow_files, write_files
    from flint_ml.scaffold.plan import Answers, answer
    from flint_ml.scaffold.project import describe, missing_lines, proposals
    from flint_ml.scaffold.scan import RepositoryScan, files_below, heading, scan_repository
    from flint_ml.scaffold.scripts import Script, read_script
    from flint_ml.scaffold.steps import Machine, Step, steps_at_home, steps_on_github, steps_text
    from flint_ml.scaffold.storage import IN_THE_IMAGE, is_folder, scheme, storage_of

_HOME = {
    "Answers": "plan",
    "Environment": "environments",
    "IN_THE_IMAGE": "storage",
    "Machine": "steps",
    "Proposal": "files",
    "RepositoryScan": "scan",
    "Script": "scripts",
    "Step": "steps",
    "answer": "plan",
    "describe": "project",
    "files_below": "scan",
    "heading": "scan",
    "is_folder": "storage",
    "missing_lines": "project",
    "package_lists": "environments",
    "proposals": "project",
    "propose": "files",
    "read_script": "scripts",
    "scan_repository": "scan",
    "scheme": "storage",
    "steps_at_home": "steps",
    "steps_on_github": "steps",
    "steps_text": "steps",
    "storage_of": "storage",
    "workflow_files": "files",
    "write_files": "files",
}

__all__ = [
    "IN_THE_IMAGE",
    "Answers",
    "Environment",
    "Machine",
    "Proposal",
    "RepositoryScan",
    "Script",
    "Step",
    "answer",
    "describe",
    "files_below",
    "heading",
    "is_folder",
    "missing_lines",
    "package_lists",
    "proposals",
    "propose",
    "read_script",
    "scan_repository",
    "scheme",
    "steps_at_home",
    "steps_on_github",
    "steps_text",
    "storage_of",
    "workflow_files",
    "write_files",
]

__getattr__ = door(__name__, _HOME)
