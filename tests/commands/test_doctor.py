"""doctor: each fault is found, named and mended in one line; a sound project has none."""

from __future__ import annotations

import http.server
import io
import json
import os
import shutil
import socket
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from flint_ml.commands.doctor import ACTION
from flint_ml.runner.context import Context
from flint_ml.runner.run import run_action
from flint_ml.runner.workflow_commands import Commands

BIN = Path(sys.executable).parent
ROOT = Path(__file__).resolve().parents[2]
FLOW = """\
on:
  pull_request:
  push: {branches: [main]}
permissions: {}
jobs:
  gate:
    runs-on: ubuntu-latest
    timeout-minutes: 30
    permissions: {contents: read, pull-requests: write}
    steps:
      - uses: actions/checkout@3d3c42e5aac5ba805825da76410c181273ba90b1
        with: {fetch-depth: 0, persist-credentials: false}
      - uses: actions/setup-python@5fda3b95a4ea91299a34e894583c3862153e4b97
        with: {python-version: "3.13"}
      - run: pip install -r requirements.txt
      - uses: moja-global/flint-ml-actions@v1
        with: {title: Soil}
        env:
          AWS_ACCESS_KEY_ID: ${{ secrets.AWS_ACCESS_KEY_ID }}
          AWS_SECRET_ACCESS_KEY: ${{ secrets.AWS_SECRET_ACCESS_KEY }}
"""
SETTINGS = """\
gate: {command: python train.py}
check-drift: {reference: reference.csv, current: new.csv, exclude: [id]}
compare-metrics: {metrics: metrics.json, predictions: predictions.csv}
"""


def sh(folder: Path, command: str) -> None:
    environment = {
        **os.environ,
        "PATH": f"{BIN}{os.pathsep}{os.environ['PATH']}",
        "GIT_CONFIG_GLOBAL": os.devnull,
        "GIT_AUTHOR_NAME": "A",
        "GIT_AUTHOR_EMAIL": "a@example.org",
        "GIT_COMMITTER_NAME": "A",
        "GIT_COMMITTER_EMAIL": "a@example.org",
        "DVC_NO_ANALYTICS": "1",
    }
    subprocess.run(["bash", "-ec", command], cwd=folder, env=environment, check=True, capture_output=True)


def doctor(folder: Path, *options: str) -> tuple[int, list[dict[str, str]]]:
    """Exit code and list of ``flint-ml doctor --json``, run in this process."""
    kept = {key: value for key, value in os.environ.items() if not key.startswith(("GITHUB_", "INPUT_", "MLFLOW_"))}
    env = {**kept, "DVC_SITE_CACHE_DIR": str(folder.parent / "site-cache")}
    said = io.StringIO()
    given = {"json": True, **{option.strip("-"): True for option in options}}
    context = Context(on_github=False, workspace=folder)
    code = run_action(ACTION, given, env=env, context=context, commands=Commands(on_github=False, stdout=said))
    assert code in {0, 1}, said.getvalue()
    return code, json.loads(said.getvalue())["checks"]


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A sound project, made once: tables in Git, a DVC project with a remote on S3, workflow and settings."""
    folder = tmp_path_factory.mktemp("doctor") / "project"
    (folder / ".github/workflows").mkdir(parents=True)
    (folder / ".github/workflows/gate.yml").write_text(FLOW)
    (folder / "flint-ml.yml").write_text(SETTINGS)
    (folder / "requirements.txt").write_text("numpy==2.3.5\n")
    (folder / "train.py").write_text("import numpy\n")
    for name in ("reference", "new"):
        (folder / f"{name}.csv").write_text("id,clay,soc\n1,2,3\n2,3,4\n")
    (folder / "metrics.json").write_text('{"rmse": 1.5}')
    (folder / "predictions.csv").write_text("id,truth,prediction\n1,2,3\n2,3,4\n")
    (folder / ".gitignore").write_text("flint-ml-results/\n")
    sh(
        folder,
        "git init -q -b main && dvc init -q && dvc remote add -q -d s s3://bucket/dvc && dvc config cache.type copy",
    )
    (folder / "big.csv").write_text("x\n1\n")
    sh(folder, "dvc add -q big.csv && git add -A && git commit -qm all && git remote add origin ../origin")
    return folder


@pytest.fixture
def project(made: Path, tmp_path: Path) -> Path:
    return Path(shutil.copytree(made, tmp_path / "project"))


def failures(checks: list[dict[str, str]]) -> list[str]:
    return [check["what"] for check in checks if check["mark"] == "failure"]


def test_a_sound_project_has_no_fault(project: Path) -> None:
    code, checks = doctor(project)
    assert (code, [check for check in checks if check["mark"] != "ok"]) == (0, [])
    assert {check["area"] for check in checks} == {"Git", "DVC", "flint-ml.yml", "workflows", "this machine"}


def test_what_only_looks_like_a_fault_is_none(project: Path) -> None:
    config = project / ".dvc/config"
    config.write_text(f"{config.read_text()}['remote \"up\"']\n    url = ssh://h/x\n    ask_password = true\n")
    (project / ".github/workflows/old.yml").mkdir()
    # Names of Python's own modules: neither run nor in the way.
    for name in ("csv.py", "random.py", "dvc.py"):
        (project / name).write_text("raise SystemExit('run')\n")
    (project / "dvc.yaml").write_text("stages: {}\n")
    code, checks = doctor(project)
    assert (code, failures(checks)) == (0, [])
    assert not any("dvc status" in check["what"] for check in checks)


def swap(name: str, old: str, new: str) -> Callable[[Path], None]:
    def change(folder: Path) -> None:
        text = (folder / name).read_text()
        assert old in text
        (folder / name).write_text(text.replace(old, new))

    return change


GATE = ".github/workflows/gate.yml"
OURS = "moja-global/flint-ml-actions@v1"
FAULTS: dict[str, tuple[Callable[[Path], object], str]] = {
    # workflows
    "unknown input": (swap(GATE, "title: Soil", "tittle: Soil"), "has no input `tittle`"),
    "unknown action": (swap(GATE, OURS, "moja-global/flint-ml-actions/chek-drift@v1"), "no action `chek-drift`"),
    "shallow checkout": (swap(GATE, "fetch-depth: 0, ", ""), "a checkout of depth 1 lacks"),
    "no checkout": (swap(GATE, "uses: actions/checkout", "uses: someone/checkout"), "before the repository is checked"),
    "token may not read": (swap(GATE, "contents: read, ", ""), "may not check out a private repository"),
    "windows": (swap(GATE, "ubuntu-latest", "windows-latest"), "do not run on windows-latest"),
    "no credentials": (swap(GATE, "AWS_SECRET_ACCESS_KEY:", "OTHER:"), "gets no credentials for S3"),
    "dvc is missing": (swap("flint-ml.yml", "python train.py", "dvc repro"), "needs dvc on the runner"),
    "R is missing": (swap("flint-ml.yml", "python train.py", "Rscript train.R"), "needs R on the runner"),
    "no requirements": (lambda f: (f / "requirements.txt").unlink(), "installs from requirements.txt"),
    "broken workflow": (swap(GATE, "jobs:", "jobs: ]"), "gate.yml"),
    # settings
    "unknown section": (swap("flint-ml.yml", "check-drift:", "chek-drift:"), "unknown section `chek-drift`"),
    "unknown key": (swap("flint-ml.yml", "exclude", "exlude"), "unknown key `exlude`"),
    "wrong value": (swap("flint-ml.yml", "exclude: [id]", "alpha: often"), "`alpha`"),
    "broken settings": (swap("flint-ml.yml", "gate: {", "gate: [{"), "is not valid YAML"),
    "no such table": (swap("flint-ml.yml", "new.csv", "nwe.csv"), "`current: nwe.csv` does not exist"),
    "no such column": (swap("flint-ml.yml", "[id]", "[cley]"), "names `cley`, which the reference does not have"),
    "table that no runner has": (
        lambda f: (shutil.copy(f / "new.csv", f / "loose.csv"), swap("flint-ml.yml", "new.csv", "loose.csv")(f)),
        "neither in Git nor in DVC",
    ),
    "no column in common": (swap("new.csv", "id,clay,soc", "a,b,c"), "no column in common"),
    "metrics that are none": (swap("metrics.json", "1.5", '"good"'), "holds no number"),
    "a sample twice": (swap("predictions.csv", "2,3,4", "1,3,4"), "predictions.csv"),
    "no such script, no packages": (
        lambda f: ((f / "requirements.txt").unlink(), swap("flint-ml.yml", "python train.py", "python fit.py")(f)),
        "there is no fit.py",
    ),
    "no such script": (swap("flint-ml.yml", "python train.py", "python fit.py"), "there is no fit.py"),
    # DVC
    "folder as remote": (swap(".dvc/config", "s3://bucket/dvc", "/srv/dvc"), "is a folder of this machine"),
    "no default remote": (swap(".dvc/config", "remote = s\n", ""), "no default remote"),
    "key in Git": (
        swap(".dvc/config", "s3://bucket/dvc", "s3://b\n    secret_access_key = x"),
        "for everybody to read",
    ),
    "password in an address in Git": (
        swap(".dvc/config", "s3://bucket/dvc", "https://reader:hunter2@data.example.org/dvc"),
        "holds a password",
    ),
    "remote on this machine only": (
        lambda f: shutil.move(f / ".dvc/config", f / ".dvc/config.local"),
        "in .dvc/config.local only",
    ),
    "pipeline that never ran": (
        lambda f: (f / "dvc.yaml").write_text("stages:\n  train: {cmd: 'true', outs: [model.bin]}\n"),
        "never run",
    ),
    # Git
    "results in Git": (
        lambda f: sh(f, "mkdir flint-ml-results; touch flint-ml-results/a.json; git add -f flint-ml-results/a.json"),
        "are in Git; every action refuses that",
    ),
    "secrets in Git": (lambda f: sh(f, "touch .env; git add -f .env; git commit -qm env"), ".env is in Git"),
    # registry
    "registry in a file": (
        lambda f: (f / "flint-ml.yml").write_text(f"{SETTINGS}register-model: {{model: m, model-name: soc}}\n"),
        "lost with the runner",
    ),
}


@pytest.mark.parametrize("name", FAULTS)
def test_each_fault_is_found_and_mended(project: Path, name: str) -> None:
    change, said = FAULTS[name]
    change(project)
    code, checks = doctor(project)
    assert code == 1
    assert said in " | ".join(failures(checks)), checks
    assert all(check["mend"] for check in checks if check["mark"] != "ok")


WARNINGS: dict[str, tuple[Callable[[Path], object], str]] = {
    "not pinned": (
        swap(GATE, "@5fda3b95a4ea91299a34e894583c3862153e4b97", "@v7"),
        "not pinned by commit: gate.yml: actions/setup-python@v7",
    ),
    "no comment": (swap(GATE, ", pull-requests: write", ""), "may not comment"),
    "no time limit": (swap(GATE, "    timeout-minutes: 30\n", ""), "no time limit"),
    "another branch": (swap(GATE, "branches: [main]", "branches: [master]"), "the default branch is main"),
    "no workflow": (lambda f: (f / GATE).unlink(), "no workflow uses flint-ml-actions"),
    "results not ignored": (lambda f: (f / ".gitignore").write_text("/big.csv\n"), "is not ignored"),
    "large file": (lambda f: sh(f, "head -c 6000000 /dev/zero > l.b; git add l.b; git commit -qm l"), "l.b (6.0 MB)"),
    "not committed": (swap("flint-ml.yml", "gate:", "gate :"), "not committed: flint-ml.yml"),
    "data changed": (
        lambda f: ((f / "dvc.yaml").write_text("stages: {}\n"), (f / "big.csv").write_text("x\n2\n")),
        "changed since the last run: big.csv.dvc",
    ),
    "open versions": (swap("requirements.txt", "numpy==2.3.5", "numpy"), "names no version of numpy"),
    "no remote": (lambda f: sh(f, "git remote remove origin"), "there is no remote `origin`"),
}


@pytest.mark.parametrize("name", WARNINGS)
def test_what_is_worth_a_look_does_not_fail(project: Path, name: str) -> None:
    change, said = WARNINGS[name]
    change(project)
    code, checks = doctor(project)
    warned = [check["what"] for check in checks if check["mark"] == "warning"]
    assert said in " | ".join(warned), checks
    assert (code, failures(checks)) == (0, [])


def test_a_stranger_must_not_run_with_the_secrets(project: Path) -> None:
    swap(GATE, "  pull_request:\n", "  pull_request_target:\n")(project)
    swap(GATE, "fetch-depth: 0,", "fetch-depth: 0, ref: '${{ github.event.pull_request.head.sha }}',")(project)
    assert any("a stranger's code would run with your secrets" in what for what in failures(doctor(project)[1]))


@pytest.mark.parametrize("flow", sorted((ROOT / "examples/workflows").glob("*.yml")), ids=lambda path: path.stem)
def test_the_example_workflows_are_sound(project: Path, flow: Path) -> None:
    (project / GATE).unlink()
    shutil.copy(flow, project / ".github/workflows")
    swap(".dvc/config", "s3://bucket/dvc", "https://data.example.org/dvc")(project)
    if "forks" in flow.name:  # two that belong together
        for other in flow.parent.glob("model-gate-forks*.yml"):
            shutil.copy(other, project / ".github/workflows")
    found = [c for c in doctor(project)[1] if c["area"] == "workflows" and c["mark"] != "ok"]
    assert [c["what"] for c in found if "no workflow uses" not in c["what"]] == []


def test_what_was_not_pushed_is_found_where_the_remote_can_be_asked(project: Path, tmp_path: Path) -> None:
    swap(".dvc/config", "s3://bucket/dvc", "../../remote")(project)
    assert "not on the remote: big.csv" in failures(doctor(project)[1])
    sh(project, "dvc push -q")
    assert "not on the remote: big.csv" not in failures(doctor(project)[1])


@pytest.mark.parametrize("command", ["", "git init -q"])
def test_an_empty_folder_is_no_reason_to_stop(tmp_path: Path, command: str) -> None:
    folder = tmp_path / "empty"
    folder.mkdir()
    if command:
        sh(folder, command)
    code, checks = doctor(folder)
    assert code == 1
    assert failures(checks)[0] in {"this is no Git repository", "there is no commit yet"}


def test_a_simulation_is_validated(tmp_path: Path) -> None:
    folder = tmp_path / "landscape"
    shutil.copytree(ROOT / "examples" / "gcbm", folder, ignore=shutil.ignore_patterns("dvc.*", ".dvc*", "output"))
    sh(folder, "git init -q -b main && git add -A && git commit -qm all")
    assert doctor(folder)[0] == 0
    shutil.rmtree(folder / "layers")
    code, checks = doctor(folder)
    assert (code, {check["area"] for check in checks if check["mark"] == "failure"}) == (1, {"GCBM"})


class _Registry(http.server.BaseHTTPRequestHandler):
    status = 200

    def do_GET(self) -> None:
        self.send_response(self.status)
        self.end_headers()
        self.wfile.write(b"{}")

    def log_message(self, *arguments: object) -> None:
        """Say nothing."""


@pytest.fixture
def registry() -> Iterator[str]:
    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), _Registry)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    yield f"http://127.0.0.1:{server.server_port}"
    server.shutdown()


@pytest.mark.parametrize(("status", "said"), [(200, ""), (401, "refuses (HTTP 401)"), (500, "answers HTTP 500")])
def test_the_registry_is_asked_only_online(
    project: Path, registry: str, monkeypatch: pytest.MonkeyPatch, status: int, said: str
) -> None:
    monkeypatch.setattr(_Registry, "status", status)
    text = f"{SETTINGS}register-model: {{model: m, model-name: soc, tracking-uri: '{registry}'}}\n"
    (project / "flint-ml.yml").write_text(text)
    swap(".dvc/config", "s3://bucket/dvc", "../../remote")(project)
    found = [c["what"] for c in doctor(project, "--online")[1] if c["area"] == "MLflow" and c["mark"] == "failure"]
    assert (said in " ".join(found)) if said else not found
    offline = [c for c in doctor(project)[1] if c["area"] == "MLflow"]
    assert [c["mark"] for c in offline] == ["ok"]
    assert "not asked" in offline[0]["what"]


def test_a_registry_that_is_not_there(project: Path) -> None:
    with socket.socket() as closed:
        closed.bind(("127.0.0.1", 0))
        port = closed.getsockname()[1]
    text = f"{SETTINGS}register-model: {{model: m, model-name: soc, tracking-uri: 'http://127.0.0.1:{port}'}}\n"
    (project / "flint-ml.yml").write_text(text)
    swap(".dvc/config", "s3://bucket/dvc", "../../remote")(project)
    assert any("does not answer" in what for what in failures(doctor(project, "--online")[1]))


def test_the_list_for_people(project: Path) -> None:
    swap("flint-ml.yml", "new.csv", "nwe.csv")(project)
    done = subprocess.run(
        [sys.executable, "-m", "flint_ml", "doctor"], cwd=project, capture_output=True, text=True, check=False
    )
    assert done.returncode == 1
    assert "  ✖ check-drift: `current: nwe.csv` does not exist\n      → check the spelling" in done.stdout
    assert "1 thing will fail in CI, 1 worth a look." in done.stdout
    assert done.stderr == ""
