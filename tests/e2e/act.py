"""Run a workflow file, unchanged, with act on a machine that reaches neither GitHub nor an image registry.

What works, with act 0.2.89, and why each flag is there:

``--local-repository OWNER/NAME@REF=FOLDER``
    takes an action from a folder. One mapping covers all actions below it (``OWNER/NAME/check-drift@REF``), and
    composite actions resolve their own ``uses:`` through the same list. The ref must be the very one in the file.
    :func:`run_workflow` finds the refs itself, in the workflow and in the mapped folders.
``-P ubuntu-latest=flint-ml-job:test --pull=false --action-offline-mode``
    jobs run in a locally built image. ``docker://NAME:TAG`` of an ``action.yml`` is a local tag too. The other form,
    ``-P ubuntu-latest=-self-hosted``, hands host paths to Docker actions and cannot work for them.
``--network host``
    a server on 127.0.0.1 of this machine is reached from jobs; a Docker action's container joins its job's network.
``--env GITHUB_API_URL=http://127.0.0.1:PORT``
    changes ``github.api_url`` and the variable. ``GITHUB_REPOSITORY``, ``GITHUB_RUN_ID`` and ``GITHUB_RUN_ATTEMPT``
    are set in the same way.
``--container-options "-v HOST:INSIDE"``
    mounts a folder into the jobs and into the containers of Docker actions: artifacts, caches, DVC remotes.
``--concurrent-jobs 1``
    act's list of local repositories is an unguarded map: jobs side by side may crash it.
``--container-daemon-socket -``
    no Docker socket inside the jobs. ``--no-cache-server``: act's own cache service is not needed.
``--json``
    one line an event, among them step results, outputs, summaries and annotations.

act skips ``actions/checkout`` and copies the folder instead, with ``.git`` and without what ``.gitignore`` names. What
it does otherwise than GitHub: the workspace has the folder's own path (not ``/github/workspace``) and belongs to
root; permissions are not enforced; a summary over 1 MiB is kept (``e2e.harness`` covers those). A last line of
output without its newline is lost.
"""

from __future__ import annotations

import json
import os
import re
import shutil
import signal
import subprocess
import tempfile
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

ROOT = Path(__file__).parents[2]
STAND_INS = Path(__file__).parent / "actions"
JOB_IMAGE = "flint-ml-job:test"
OWN = "moja-global/flint-ml-actions"
ARTIFACTS, CACHE = "/flint-ml-test/artifacts", "/flint-ml-test/cache"
_USES = re.compile(r"^\s*(?:-\s+)?uses:\s*['\"]?([\w.-]+/[\w.-]+)(?:/[\w./-]+)?@([\w./-]+)", re.MULTILINE)


@dataclass
class Step:
    """One step of a job. ``id`` has one part, or more for the steps inside a composite action.

    ``conclusion`` is ``success``, ``failure``, ``skipped`` or empty when it never ended. ``annotations`` are pairs of
    level and message.
    """

    id: tuple[str, ...]
    name: str
    stage: str = "Main"
    conclusion: str = ""
    lines: list[str] = field(default_factory=list)
    summary: str = ""
    outputs: dict[str, str] = field(default_factory=dict)
    annotations: list[tuple[str, str]] = field(default_factory=list)

    @property
    def log(self) -> str:
        """What the step printed."""
        return "".join(self.lines)


@dataclass
class Job:
    """One job: ``conclusion`` and its steps in the order in which they began."""

    id: str
    conclusion: str = ""
    steps: list[Step] = field(default_factory=list)

    def step(self, wanted: str) -> Step:
        """The main step with this id, or the first whose name contains ``wanted``.

        Raises
        ------
        KeyError
            When there is none.
        """
        main = [step for step in self.steps if step.stage == "Main"]
        for step in main:
            if step.id[-1] == wanted:
                return step
        for step in main:
            if wanted in step.name:
                return step
        raise KeyError(f"no step {wanted!r} in job {self.id}: {[step.name for step in main]}")


@dataclass
class ActResult:
    """What act did: its exit code, the jobs by id (``id {matrix}`` for a matrix), and the whole log."""

    exit_code: int
    jobs: dict[str, Job]
    log: str

    @property
    def summaries(self) -> list[str]:
        """Step summaries in the order in which they were written."""
        return [step.summary for job in self.jobs.values() for step in job.steps if step.summary]


def act_command() -> str:
    """Path of act: ``build/bin``, where ``.ci/lib/tools`` puts it, or the PATH."""
    found = shutil.which("act", path=os.pathsep.join([str(ROOT / "build" / "bin"), os.environ.get("PATH", "")]))
    if found is None:
        raise FileNotFoundError("act is not installed: run .ci/lib/tools")
    return found


def uses(files: Iterable[Path]) -> set[tuple[str, str]]:
    """Repository and ref of every ``uses: owner/name[/path]@ref`` in the files."""
    found: set[tuple[str, str]] = set()
    for file in files:
        found.update(_USES.findall(file.read_text(encoding="utf-8")))
    return found


def local_folders(workflow: Path, release_tree: Path | None) -> dict[str, Path]:
    """``owner/name@ref`` → folder, for each action that the workflow uses, itself or through our own actions."""
    files = [workflow, *(sorted(release_tree.rglob("action.yml")) if release_tree else ())]
    folders = {}
    for repository, ref in sorted(uses(files)):
        if repository == OWN and release_tree:
            folders[f"{repository}@{ref}"] = release_tree
        elif (STAND_INS / repository).is_dir():
            folders[f"{repository}@{ref}"] = STAND_INS / repository
    return folders


def run_workflow(
    repo_dir: Path,
    workflow: str,
    event_name: str,
    event: Mapping[str, Any],
    env: Mapping[str, str],
    artifacts_dir: Path,
    *,
    release_tree: Path | None = None,
    local_repositories: Mapping[str, Path] | None = None,
    secrets: Mapping[str, str] | None = None,
    cache_dir: Path | None = None,
    mounts: Mapping[Path, str] | None = None,
    inputs: Mapping[str, str] | None = None,
    variables: Mapping[str, str] | None = None,
    job: str | None = None,
    labels: Sequence[str] = (),
    timeout: float = 1800,
) -> ActResult:
    """Run one workflow of a checked-out repository.

    Parameters
    ----------
    repo_dir
        Work tree with ``.git``; it is copied into each job, so nothing that a job writes comes back.
    workflow
        File, relative to ``repo_dir``.
    event_name, event
        ``pull_request`` and the content of ``event.json``.
    env
        Variables for all steps, among them ``GITHUB_REPOSITORY`` and ``GITHUB_API_URL``.
    artifacts_dir
        Folder for artifacts: ``<artifacts_dir>/<run id>/<artifact name>/``.
    release_tree
        Folder for every ``moja-global/flint-ml-actions…@ref``.
    local_repositories
        Further ``owner/name@ref`` → folder.
    secrets
        ``GITHUB_TOKEN`` becomes ``github.token``. Values travel by environment, not by argument.
    cache_dir
        Folder for ``actions/cache`` and for pip's downloads; keep it to make later jobs quicker.
    mounts
        Host folder → folder inside jobs and containers.
    inputs, variables
        Inputs of a ``workflow_dispatch``; the repository's variables (``vars.NAME``).
    job
        Run this job and those that it needs only.
    labels
        Further labels of ``runs-on`` whose jobs run in the job image too, such as ``self-hosted``.
    timeout
        Seconds; act is then ended and ``subprocess.TimeoutExpired`` raised.
    """
    folders = local_folders(repo_dir / workflow, release_tree) | dict(local_repositories or {})
    with tempfile.TemporaryDirectory(prefix="act-") as temporary:
        temp = Path(temporary)
        cache = cache_dir or temp / "cache"
        binds = {artifacts_dir: ARTIFACTS, cache: CACHE, **(mounts or {})}
        for folder in binds:
            folder.mkdir(parents=True, exist_ok=True)
        environment = {
            "FLINT_ML_TEST_ARTIFACTS": ARTIFACTS,
            "FLINT_ML_TEST_CACHE": CACHE,
            "PIP_CACHE_DIR": f"{CACHE}/pip",
            "UV_CACHE_DIR": f"{CACHE}/uv",
            **env,
        }
        command = [act_command(), event_name, "-C", str(repo_dir.resolve()), "-W", workflow]
        command += _fixed_flags(temp, event)
        command += [part for key, value in environment.items() for part in ("--env", f"{key}={value}")]
        command += [part for key, value in (inputs or {}).items() for part in ("--input", f"{key}={value}")]
        command += [part for key, value in (variables or {}).items() for part in ("--var", f"{key}={value}")]
        command += [
            part for key, value in folders.items() for part in ("--local-repository", f"{key}={value.resolve()}")
        ]
        command += ["--container-options", " ".join(f"-v {host.resolve()}:{inside}" for host, inside in binds.items())]
        command += [part for name in secrets or {} for part in ("-s", name)]
        command += [part for label in labels for part in ("-P", f"{label}={JOB_IMAGE}")]
        command += ["-j", job] if job else []
        return _run(command, temp, secrets or {}, timeout)


def _fixed_flags(temp: Path, event: Mapping[str, Any]) -> list[str]:
    (temp / "event.json").write_text(json.dumps(event), encoding="utf-8")
    # Without a settings file act asks which image to use; without these files it would read the user's.
    (temp / "config" / "act").mkdir(parents=True)
    (temp / "config" / "act" / "actrc").touch()
    return [
        *("-e", str(temp / "event.json"), "-P", f"ubuntu-latest={JOB_IMAGE}", "--network", "host", "--json", "--rm"),
        *("--pull=false", "--action-offline-mode", "--no-cache-server", "--container-daemon-socket", "-"),
        *("--concurrent-jobs", "1"),
    ]


def _run(command: Sequence[str], temp: Path, secrets: Mapping[str, str], timeout: float) -> ActResult:
    environment = {
        **{name: os.environ[name] for name in ("PATH", "HOME", "DOCKER_HOST") if name in os.environ},
        "XDG_CONFIG_HOME": str(temp / "config"),
        "XDG_CACHE_HOME": str(temp / "xdg-cache"),
        **secrets,
    }
    with subprocess.Popen(
        command,
        cwd=temp,
        env=environment,
        text=True,
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
    ) as process:
        try:
            output, _ = process.communicate(timeout=timeout)
        except subprocess.TimeoutExpired:
            # On this signal act removes its containers.
            process.send_signal(signal.SIGTERM)
            process.communicate(timeout=60)
            raise
    return read_events(output, process.returncode)


def _entries(output: str) -> Iterator[dict[str, Any]]:
    for line in output.splitlines():
        try:
            entry = json.loads(line)
        except ValueError:
            entry = {"msg": line}
        yield entry if isinstance(entry, dict) else {"msg": line}


def read_events(output: str, exit_code: int) -> ActResult:
    """Jobs and steps from act's ``--json`` lines."""
    jobs: dict[str, Job] = {}
    messages = []
    for entry in _entries(output):
        messages.append(str(entry.get("msg", "")).rstrip("\n"))
        if "jobID" not in entry:
            continue
        matrix = entry.get("matrix")
        key = f"{entry['jobID']} {json.dumps(matrix, sort_keys=True)}" if matrix else str(entry["jobID"])
        job = jobs.setdefault(key, Job(key))
        job.conclusion = entry.get("jobResult", job.conclusion)
        if "stepID" in entry:
            _read_step(entry, job)
    return ActResult(exit_code, jobs, "\n".join(messages))


def _read_step(entry: Mapping[str, Any], job: Job) -> None:
    place, stage = tuple(map(str, entry["stepID"])), str(entry.get("stage", "Main"))
    step = next((step for step in job.steps if step.id == place and step.stage == stage), None)
    if step is None:
        step = Step(place, str(entry.get("step", "")), stage)
        job.steps.append(step)
    step.conclusion = entry.get("stepResult", step.conclusion)
    command = entry.get("command")
    if entry.get("raw_output"):
        step.lines.append(str(entry["msg"]))
    elif command == "summary":
        step.summary += str(entry["content"])
    elif command == "set-output":
        step.outputs[str(entry["name"])] = str(entry["arg"])
    elif command in {"error", "warning", "notice"}:
        step.annotations.append((str(command), str(entry["arg"])))
