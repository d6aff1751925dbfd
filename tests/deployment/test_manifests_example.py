"""The example manifests: Kubernetes takes them, and the paths that the docs and workflows name lead somewhere."""

from __future__ import annotations

from pathlib import Path

import pytest
import yaml

from flint_ml.deployment import schemas
from flint_ml.deployment.yaml_edit import find

MANIFESTS = Path(__file__).resolve().parents[2] / "examples" / "manifests"
FILES = sorted(path for path in MANIFESTS.rglob("*.yaml"))
# Kinds of controllers, whose schemas are not Kubernetes' own.
THEIRS = {"argo-cd", "argo-rollouts"}


def test_there_are_manifests() -> None:
    assert {path.parent.name for path in FILES} >= {"base", "staging", "production", "blue-green", *THEIRS}


@pytest.mark.parametrize("path", FILES, ids=lambda path: path.relative_to(MANIFESTS).as_posix())
def test_kubernetes_takes_it(path: Path) -> None:
    name = path.relative_to(MANIFESTS).as_posix()
    findings = schemas.check(path.read_text(), name, schemas.latest())
    assert [finding.code for finding in findings] == (["unknown-kind"] if path.parent.name in THEIRS else [])


def test_what_kustomize_and_argo_cd_name_is_there() -> None:
    for path in MANIFESTS.rglob("kustomization.yaml"):
        for resource in yaml.safe_load(path.read_text())["resources"]:
            assert (path.parent / resource).exists(), f"{path}: {resource}"
    for path in (MANIFESTS / "argo-cd").glob("*.yaml"):
        application = yaml.safe_load(path.read_text())
        assert (MANIFESTS / application["spec"]["source"]["path"] / "kustomization.yaml").is_file()


def test_the_path_of_the_version_in_an_overlay() -> None:
    for overlay in ("staging", "production"):
        file = f"{overlay}/kustomization.yaml"
        path = "configMapGenerator[name=soc-model].literals[MODEL_VERSION]"
        assert find((MANIFESTS / file).read_text(), path, file).value == "MODEL_VERSION=0"
        assert path in (MANIFESTS / "README.md").read_text()
