"""The stand-ins for third-party actions have the inputs, defaults and outputs of the real ones.

The lists are from each action's own ``action.yml`` at the version that the workflows pin (``None``: no default).
"""

from __future__ import annotations

from pathlib import Path

import pytest
from ruamel.yaml import YAML

STAND_INS = Path(__file__).parents[1] / "e2e" / "actions"

DOCUMENTED: dict[str, tuple[dict[str, str | None], set[str]]] = {
    # v7.0.0
    "actions/upload-artifact": (
        {
            "name": "artifact",
            "path": None,
            "if-no-files-found": "warn",
            "retention-days": None,
            "compression-level": "6",
            "overwrite": "false",
            "include-hidden-files": "false",
            "archive": "true",
        },
        {"artifact-id", "artifact-url", "artifact-digest"},
    ),
    # v8.0.1
    "actions/download-artifact": (
        {
            "name": None,
            "artifact-ids": None,
            "path": None,
            "pattern": None,
            "merge-multiple": "false",
            "github-token": None,
            "repository": "${{ github.repository }}",
            "run-id": "${{ github.run_id }}",
            "skip-decompress": "false",
            "digest-mismatch": "error",
        },
        {"download-path"},
    ),
    # v5.0.5
    "actions/cache": (
        {
            "path": None,
            "key": None,
            "restore-keys": None,
            "upload-chunk-size": None,
            "enableCrossOsArchive": "false",
            "fail-on-cache-miss": "false",
            "lookup-only": "false",
            "save-always": "false",
        },
        {"cache-hit"},
    ),
    # v7.0.0
    "actions/setup-python": (
        {
            "python-version": None,
            "python-version-file": None,
            "cache": None,
            "architecture": None,
            "check-latest": "false",
            "token": "${{ github.server_url == 'https://github.com' && github.token || '' }}",
            "cache-dependency-path": None,
            "update-environment": "true",
            "allow-prereleases": "false",
            "freethreaded": "false",
            "pip-version": None,
        },
        {"python-version", "cache-hit", "python-path"},
    ),
    # v2.0.1
    "iterative/setup-cml": ({"version": "latest", "vega": "true"}, set()),
    # v2.10.1
    "r-lib/actions/setup-r": (
        {
            "r-version": "release",
            "rtools-version": "",
            "Ncpus": "1",
            "remove-openmp-macos": "true",
            "http-user-agent": "default",
            "install-r": "true",
            "windows-path-include-rtools": "true",
            "windows-path-include-mingw": "true",
            "update-rtools": "false",
            "use-public-rspm": "false",
            "extra-repositories": "",
        },
        {"installed-r-version"},
    ),
}
REQUIRED = {"actions/upload-artifact": {"path"}, "actions/cache": {"path", "key"}}


def metadata(action: str) -> dict[str, dict[str, dict[str, object]]]:
    return dict(YAML(typ="safe").load(STAND_INS / action / "action.yml"))


def test_every_stand_in_is_held_against_its_documentation() -> None:
    folders = {str(path.parent.relative_to(STAND_INS)) for path in STAND_INS.rglob("action.yml")}
    assert folders == set(DOCUMENTED)


@pytest.mark.parametrize("action", DOCUMENTED)
def test_inputs_and_defaults(action: str) -> None:
    inputs = {name: spec.get("default") for name, spec in metadata(action)["inputs"].items()}
    assert inputs == DOCUMENTED[action][0]


@pytest.mark.parametrize("action", DOCUMENTED)
def test_outputs(action: str) -> None:
    assert set(metadata(action).get("outputs", {})) == DOCUMENTED[action][1]


@pytest.mark.parametrize("action", DOCUMENTED)
def test_required_inputs(action: str) -> None:
    required = {name for name, spec in metadata(action)["inputs"].items() if spec.get("required")}
    assert required == REQUIRED.get(action, set())


@pytest.mark.parametrize("action", DOCUMENTED)
def test_files_that_it_runs_are_there(action: str) -> None:
    runs = metadata(action)["runs"]
    scripts = [str(runs[key]) for key in ("main", "post") if key in runs]
    assert scripts
    assert all((STAND_INS / action / script).is_file() for script in scripts)
