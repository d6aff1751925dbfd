"""A version is never written over what is not one: the line, what stands there, and the place that would fit."""

from __future__ import annotations

import io
import shutil
import tarfile
from collections.abc import Mapping
from dataclasses import dataclass

import pytest

from flint_ml.deployment.manifest import Edit, Target, plan
from flint_ml.deployment.overlay import top_overlays
from flint_ml.errors import InputError

KUSTOMIZATION = """\
apiVersion: kustomize.config.k8s.io/v1beta1
kind: Kustomization
resources: [../base]
images:
- name: soc-api
  newTag: v2
configMapGenerator:
- name: soc
  literals:
  - LOG=2
  - MLFLOW_TRACKING_URI=https://mlflow.example.org
  - MODEL_VERSION=2 # deploy-model
"""
DEPLOYMENT = """\
apiVersion: apps/v1
kind: Deployment
metadata:
  name: soc
spec:
  replicas: 2
  selector: {matchLabels: {app: soc}}
  template:
    metadata:
      labels: {app: soc}
      annotations: {example.org/model: "2"}
    spec:
      terminationGracePeriodSeconds: 3
      containers:
      - name: api
        image: registry.example.org/soc-api:2
        ports: [{containerPort: 80}]
        env:
        - {name: MLFLOW_TRACKING_URI, value: "https://mlflow.example.org"}
        - {name: MODEL_VERSION, value: "2"}
        - {name: PORT, value: "8080"}
        - {name: WORKERS, value: "2"}
        - {name: SINCE, value: "2026"}
"""
BASE = """\
apiVersion: v1
kind: ConfigMap
metadata: {name: a}
data: {version: "1", url: http://a}
---
apiVersion: v1
kind: ConfigMap
metadata: {name: b}
data: {version: "1", url: http://b}
"""
HELM = """\
replicaCount: 2
image: {repository: registry.example.org/soc-api, tag: latest}
service: {port: 3}
model:
  version: 2
  name: soc
  trained: 2026-11-21
resources: {limits: {cpu: 1}}
"""
FILES = {
    "staging/kustomization.yaml": KUSTOMIZATION,
    "base/kustomization.yaml": "resources: [deployment.yaml]\n",
    "base/deployment.yaml": DEPLOYMENT,
    "many.yaml": BASE,
    "helm/values.yaml": HELM,
}
CONTAINER = "spec.template.spec.containers[name=api]"
LITERALS = "configMapGenerator[name=soc].literals"


@dataclass
class Manifests:
    """The manifests repository as deploy-model reads it."""

    texts: Mapping[str, str]

    def read(self, _commit: str, path: str) -> bytes | None:
        return self.texts[path].encode() if path in self.texts else None

    def mode(self, _commit: str, path: str) -> str | None:
        return "100644" if path in self.texts else None

    def files(self, _commit: str) -> list[str]:
        return sorted(self.texts)

    def archive(self, _commit: str) -> bytes:
        stream = io.BytesIO()
        with tarfile.open(fileobj=stream, mode="w") as archive:
            for name, text in self.texts.items():
                member = tarfile.TarInfo(name)
                member.size = len(text.encode())
                archive.addfile(member, io.BytesIO(text.encode()))
        return stream.getvalue()


def planned(
    file: str, path: str, template: str = "{version}", texts: Mapping[str, str] = FILES, number: int = 3
) -> Edit:
    target = Target(file, path, template, "", "soc")
    return plan(Manifests(texts), "tip", target, target.text(number), highest=3)  # type: ignore[arg-type]


WRONG = [
    # A line was added above: the index that named the version names the address.
    ("staging/kustomization.yaml", f"{LITERALS}[1]", "MODEL_VERSION={version}", 11, f"{LITERALS}[MODEL_VERSION]"),
    ("staging/kustomization.yaml", f"{LITERALS}[1]", "{version}", 11, ""),
    ("staging/kustomization.yaml", f"{LITERALS}[0]", "MODEL_VERSION={version}", 10, f"{LITERALS}[MODEL_VERSION]"),
    ("staging/kustomization.yaml", f"{LITERALS}[LOG]", "MODEL_VERSION={version}", 10, f"{LITERALS}[MODEL_VERSION]"),
    ("staging/kustomization.yaml", "images[0].name", "v{version}", 5, "images[name=soc-api].newTag"),
    ("staging/kustomization.yaml", "images[0].newTag", "{version}", 6, ""),
    (
        "base/deployment.yaml",
        f"{CONTAINER}.env[0].value",
        "{version}",
        19,
        f"{CONTAINER}.env[name=MODEL_VERSION].value",
    ),
    ("base/deployment.yaml", f"{CONTAINER}.env[name=PORT].value", "{version}", 21, "env[name=MODEL_VERSION].value"),
    ("base/deployment.yaml", f"{CONTAINER}.env[name=WORKERS].value", "{version}", 22, "env[name=MODEL_VERSION].value"),
    ("base/deployment.yaml", f"{CONTAINER}.env[name=SINCE].value", "{version}", 23, "env[name=MODEL_VERSION].value"),
    ("base/deployment.yaml", f"{CONTAINER}.env[1].name", "{version}", 20, "env[name=MODEL_VERSION].value"),
    ("base/deployment.yaml", f"{CONTAINER}.image", "{version}", 16, "env[name=MODEL_VERSION].value"),
    ("base/deployment.yaml", f"{CONTAINER}.image", "other.example.org/api:{version}", 16, ""),
    ("base/deployment.yaml", "spec.replicas", "{version}", 6, "env[name=MODEL_VERSION].value"),
    ("base/deployment.yaml", f"{CONTAINER}.ports[0].containerPort", "{version}", 17, "env[name=MODEL_VERSION].value"),
    ("base/deployment.yaml", "spec.template.spec.terminationGracePeriodSeconds", "{version}", 13, "MODEL_VERSION"),
    ("base/deployment.yaml", "metadata.name", "{version}", 4, "env[name=MODEL_VERSION].value"),
    ("base/deployment.yaml", "apiVersion", "{version}", 1, "env[name=MODEL_VERSION].value"),
    ("many.yaml", "[metadata.name=b].data.url", "{version}", 9, "[kind=ConfigMap][metadata.name=a].data.version"),
    ("many.yaml", "[metadata.name=b].kind", "{version}", 7, "[kind=ConfigMap][metadata.name=b].data.version"),
    ("helm/values.yaml", "replicaCount", "{version}", 1, "model.version"),
    ("helm/values.yaml", "service.port", "{version}", 3, "model.version"),
    ("helm/values.yaml", "image.repository", "{version}", 2, "model.version"),
    ("helm/values.yaml", "model.trained", "{version}", 7, "model.version"),
    ("helm/values.yaml", "model.name", "{version}", 6, "model.version"),
    ("helm/values.yaml", "resources.limits.cpu", "{version}", 8, "model.version"),
]


@pytest.mark.parametrize(("file", "path", "template", "line", "fits"), WRONG)
def test_wrong_places_are_refused_with_the_line(file: str, path: str, template: str, line: int, fits: str) -> None:
    with pytest.raises(InputError) as caught:
        planned(file, path, template)
    error = caught.value
    assert (error.code, error.where) == ("foreign-value", f"{file}:{line}")
    text = FILES[file].splitlines()[line - 1].strip()
    assert f"line {line} is `{text[:120]}`" in error.message
    assert fits in str(error.hint)


@pytest.mark.parametrize(
    ("path", "code", "words"),
    [
        ("spec.replica", "unknown-path", "it ends in line 5, `spec:`"),
        (f"{CONTAINER}.env[name=MODEL].value", "unknown-path", "line 18"),
        (f"{CONTAINER}.env[9].value", "unknown-path", "line 18"),
        ("spec.template", "not-a-value", "line 9, `metadata:`"),
        (f"{CONTAINER}.env", "not-a-value", "line 19"),
    ],
)
def test_places_that_are_no_value_show_the_line_too(path: str, code: str, words: str) -> None:
    with pytest.raises(InputError) as caught:
        planned("base/deployment.yaml", path)
    assert (caught.value.code, words in caught.value.message) == (code, True), caught.value.message


@pytest.mark.parametrize(
    ("file", "path", "template", "old", "new"),
    [
        (
            "staging/kustomization.yaml",
            f"{LITERALS}[MODEL_VERSION]",
            "MODEL_VERSION={version}",
            "VERSION=2",
            "VERSION=3",
        ),
        ("staging/kustomization.yaml", f"{LITERALS}[2]", "MODEL_VERSION={version}", "VERSION=2", "VERSION=3"),
        ("staging/kustomization.yaml", "images[name=soc-api].newTag", "v{version}", "v2", "v3"),
        ("base/deployment.yaml", f"{CONTAINER}.env[MODEL_VERSION].value", "{version}", 'VERSION, value: "2"', "3"),
        ("base/deployment.yaml", f"{CONTAINER}.image", "registry.example.org/soc-api:{version}", "api:2", "api:3"),
        ("base/deployment.yaml", 'spec.template.metadata.annotations."example.org/model"', "{version}", '"2"', '"3"'),
        ("many.yaml", "[metadata.name=b].data.version", "{version}", '"1"', '"3"'),
        ("helm/values.yaml", "model.version", "{version}", "version: 2", "version: 3"),
        ("helm/values.yaml", "image.tag", "{version}", "tag: latest", 'tag: "3"'),
    ],
)
def test_versions_are_written(file: str, path: str, template: str, old: str, new: str) -> None:
    edit = planned(file, path, template)
    before, after = edit.before.decode().splitlines(), edit.after.decode().splitlines()
    assert len([1 for one, other in zip(before, after, strict=True) if one != other]) == 1
    assert old in edit.before.decode()
    assert new in edit.after.decode()


def test_an_index_that_hits_is_advised_against() -> None:
    findings = planned("staging/kustomization.yaml", f"{LITERALS}[2]", "MODEL_VERSION={version}").findings
    assert [f.code for f in findings if f.code == "bare-index"] == ["bare-index"]
    assert f"{LITERALS}[MODEL_VERSION]" in findings[0].message


def test_a_number_that_the_registry_does_not_know_is_taken_with_our_comment() -> None:
    text = 'model: {version: "17"} # flint-ml: soc\n'
    with pytest.raises(InputError, match="whose highest one is 3"):
        planned("v.yaml", "model.version", texts={"v.yaml": text.replace("flint-ml", "other")})
    text = "model:\n  version: 17 # flint-ml: soc\n"
    assert planned("v.yaml", "", texts={"v.yaml": text}).after == b"model:\n  version: 3 # flint-ml: soc\n"


def test_the_comment_of_another_model_or_two_of_ours_are_no_place() -> None:
    for text, words in (
        ("a: 1 # flint-ml: other\n", "no line carries"),
        ("a: 1 # flint-ml: soc\nb: 1 # flint-ml: soc\n", "2 times"),
    ):
        with pytest.raises(InputError, match=words):
            planned("v.yaml", "", texts={"v.yaml": text})


needs_kustomize = pytest.mark.skipif(
    not (shutil.which("kubectl") or shutil.which("kustomize")), reason="kubectl or kustomize is not installed"
)


@needs_kustomize
def test_the_whole_overlay_is_built_before_anything_is_pushed() -> None:
    assert planned("base/deployment.yaml", f"{CONTAINER}.env[MODEL_VERSION].value").findings == ()
    broken = {**FILES, "staging/kustomization.yaml": KUSTOMIZATION + "patches:\n- path: gone.yaml\n"}
    with pytest.raises(InputError, match=r"staging \(kustomize\) does not build, and nothing was pushed") as caught:
        planned("base/deployment.yaml", f"{CONTAINER}.env[MODEL_VERSION].value", texts=broken)
    assert caught.value.code == "overlay"
    # The patch is well formed for itself; only the built resource has a number where Kubernetes takes text.
    patch = (
        "apiVersion: apps/v1\nkind: Deployment\nmetadata: {name: soc}\nspec: {template: {spec: {containers: "
        "[{name: api, workingDir: 5, image: x}]}}}\n"
    )
    patched = KUSTOMIZATION + "patches:\n- path: patch.yaml\n"
    with pytest.raises(InputError, match="does not take this manifest"):
        planned(
            "staging/kustomization.yaml",
            f"{LITERALS}[MODEL_VERSION]",
            "MODEL_VERSION={version}",
            {**FILES, "staging/kustomization.yaml": patched, "staging/patch.yaml": patch},
        )


def test_without_the_tools_it_is_said_that_nothing_was_built(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PATH", "/nonexistent")
    findings = planned("base/deployment.yaml", f"{CONTAINER}.env[MODEL_VERSION].value").findings
    assert [finding.code for finding in findings] == ["overlay-not-built"]


def test_the_overlays_that_take_a_file_in() -> None:
    references = {
        "base": {"base/deployment.yaml"},
        "staging": {"base"},
        "production": {"base", "parts"},
        "parts": {"parts/x.yaml"},
        "other": {"other/y.yaml"},
    }
    assert top_overlays(references, ["base/deployment.yaml"]) == ["production", "staging"]
    assert top_overlays(references, ["parts/x.yaml"]) == ["production"]
    assert top_overlays(references, ["staging/kustomization.yaml"]) == ["staging"]
    assert top_overlays(references, ["nowhere.yaml"]) == []
