"""Run one Docker action as the GitHub runner does: same mounts, variables, translated paths, file commands, limits.

act runs whole workflows, yet holds back some of the runner's habits: it drops no summary over 1 MiB, gives the
workspace to root, and mounts it at another place. This harness covers those.
"""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import tempfile
import uuid
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from ruamel.yaml import YAML

from e2e.protocol import (
    OUTPUTS_LIMIT,
    SUMMARY_LIMIT,
    Annotation,
    RunnerError,
    evaluate,
    input_variable,
    mask,
    parse_pairs,
    read_log,
    translate,
)

ROOT = Path(__file__).parents[2]
IMAGE = "flint-ml-actions:test"
# The user and group of GitHub's hosted runners.
RUNNER_UID, RUNNER_GID = 1001, 1001
FILE_COMMANDS = {
    "GITHUB_OUTPUT": "set_output",
    "GITHUB_STATE": "save_state",
    "GITHUB_STEP_SUMMARY": "step_summary",
    "GITHUB_ENV": "set_env",
    "GITHUB_PATH": "add_path",
}


@dataclass(frozen=True)
class ContainerResult:
    """What a step's container left, as the runner would take it.

    ``stdout`` and ``stderr`` are raw; ``log`` is what the website shows, masks applied. ``annotations`` are the ones
    that are shown, at most ten a level. ``summary`` is empty when the runner would drop it. ``problems`` lists what
    the runner itself would complain about. ``left_by_root`` are paths below the workspace that the runner's user
    could not change afterwards.
    """

    exit_code: int
    stdout: str
    stderr: str
    outputs: Mapping[str, str]
    state: Mapping[str, str]
    summary: str
    annotations: Sequence[Annotation]
    record: Mapping[str, Any] | None
    log: str
    problems: Sequence[str]
    left_by_root: Sequence[str]


def docker(*arguments: str, **options: Any) -> subprocess.CompletedProcess[str]:
    """Run the docker client; Debian's own first, because it has BuildKit."""
    client = "/usr/bin/docker" if Path("/usr/bin/docker").exists() else "docker"
    return subprocess.run([client, *arguments], check=False, text=True, capture_output=True, **options)


def metadata(action: str) -> dict[str, Any]:
    """``actions/<action>/action.yml`` as plain data."""
    loaded = YAML(typ="safe").load(ROOT / "actions" / action / "action.yml")
    return dict(loaded)


def step_inputs(
    declared: Mapping[str, Mapping[str, Any]], given: Mapping[str, str], github: Mapping[str, str]
) -> tuple[dict[str, str], list[str]]:
    """Values of all inputs, and the runner's warnings about unknown ones; no value and no default is empty.

    Inputs are case-insensitive, and ``required`` is not enforced, just as in the runner.
    """
    known = {name.lower() for name in declared}
    values = {name: evaluate(_scalar(spec.get("default")), {"github": github}) for name, spec in declared.items()}
    problems = []
    for name, value in given.items():
        if name.lower() not in known:
            problems.append(f"Unexpected input(s) '{name}', valid inputs are [{', '.join(sorted(declared))}]")
        values = {key: old for key, old in values.items() if key.lower() != name.lower()}
        values[name] = value
    return values, problems


def _scalar(value: object) -> str:
    if value is None:
        return ""
    return str(value).lower() if isinstance(value, bool) else str(value)


def github_variables(event: Mapping[str, Any], workspace: Path) -> dict[str, str]:
    """The variables of a pull request's run, host paths not yet translated; a caller's ``env`` may replace any."""
    pull = event.get("pull_request", {})
    number = pull.get("number", event.get("number"))
    name = event.get("event_name") or ("pull_request" if pull else "push")
    ref = f"refs/pull/{number}/merge" if name == "pull_request" else event.get("ref", "refs/heads/main")
    return {
        "GITHUB_ACTION": "__self",
        "GITHUB_ACTOR": "octocat",
        "GITHUB_API_URL": "https://api.github.com",
        "GITHUB_BASE_REF": pull.get("base", {}).get("ref", ""),
        "GITHUB_EVENT_NAME": name,
        "GITHUB_HEAD_REF": pull.get("head", {}).get("ref", ""),
        "GITHUB_JOB": "gate",
        "GITHUB_REF": ref,
        "GITHUB_REF_NAME": ref.removeprefix("refs/").removeprefix("heads/").removeprefix("pull/"),
        "GITHUB_REPOSITORY": event.get("repository", {}).get("full_name", "octo-org/soil"),
        "GITHUB_REPOSITORY_OWNER": "octo-org",
        "GITHUB_RUN_ATTEMPT": "1",
        "GITHUB_RUN_ID": "1",
        "GITHUB_RUN_NUMBER": "1",
        "GITHUB_SERVER_URL": "https://github.com",
        "GITHUB_SHA": _head(workspace),
        "GITHUB_WORKFLOW": "Model gate",
        "GITHUB_WORKSPACE": str(workspace),
        "RUNNER_ARCH": "X64",
        "RUNNER_ENVIRONMENT": "github-hosted",
        "RUNNER_NAME": "harness",
        "RUNNER_OS": "Linux",
        "CI": "true",
    }


def _head(workspace: Path) -> str:
    command = ["git", "-c", "safe.directory=*", "-C", str(workspace), "rev-parse", "HEAD"]
    done = subprocess.run(command, check=False, text=True, capture_output=True)
    return done.stdout.strip() if done.returncode == 0 else "0" * 40


def give_to_runner(top: Path) -> None:
    """Make the workspace belong to the runner's user, which root alone can do."""
    if os.geteuid() != 0:
        return
    for folder, folders, files in os.walk(top):
        for name in (".", *folders, *files):
            os.chown(Path(folder, name), RUNNER_UID, RUNNER_GID, follow_symlinks=False)


def left_by_root(top: Path) -> list[str]:
    """Paths below ``top`` that belong to root although ``top`` does not."""
    if top.stat().st_uid == 0:
        return []
    return sorted(str(path.relative_to(top)) for path in top.rglob("*") if path.lstat().st_uid == 0)


def run_action(
    image: str,
    action_name: str,
    inputs: Mapping[str, str],
    workspace: Path,
    event: Mapping[str, Any] | None = None,
    env: Mapping[str, str] | None = None,
    *,
    token: str = "",
    network: str = "host",
    runner_temp: Path | None = None,
    timeout: float = 600,
) -> ContainerResult:
    """Run ``actions/<action_name>`` in ``image`` on ``workspace`` and read what it left, as the runner does.

    Parameters
    ----------
    inputs
        The step's ``with:``; defaults come from ``action.yml``.
    event
        Content of ``event.json``; ``event_name`` in it names the event (default: ``pull_request`` or ``push``).
    env
        More variables, or others than the usual ones (``GITHUB_API_URL`` for a loopback server).
    token
        Value of ``github.token`` in defaults; masked from the start, as the runner masks it.
    runner_temp
        Keep it between calls to let steps of one job share their home folder.
    timeout
        Seconds.
    """
    described = metadata(action_name)
    workspace = workspace.resolve()
    github = {"token": token, "sha": _head(workspace)}
    values, problems = step_inputs(described.get("inputs") or {}, inputs, github)
    temp = (runner_temp or Path(tempfile.mkdtemp(prefix="runner-temp-"))).resolve()
    try:
        mappings, variables, files = _prepare(temp, workspace, event or {})
        variables |= {input_variable(name): value for name, value in values.items()}
        for name, value in (described["runs"].get("env") or {}).items():
            variables.setdefault(name, evaluate(_scalar(value), {"github": github, "inputs": values}))
        variables |= env or {}
        arguments = [
            evaluate(_scalar(part), {"github": github, "inputs": values})
            for part in described["runs"].get("args") or []
        ]
        give_to_runner(workspace)
        give_to_runner(temp)
        translated = {name: translate(value, mappings) for name, value in variables.items()}
        done = _docker_run(image, arguments, translated, mappings, network, timeout)
        return _collect(done, files, workspace, values, action_name, token, problems)
    finally:
        if runner_temp is None:
            shutil.rmtree(temp, ignore_errors=True)


def _prepare(
    temp: Path, workspace: Path, event: Mapping[str, Any]
) -> tuple[list[tuple[str, str]], dict[str, str], dict[str, Path]]:
    """Make the runner's temporary folders; mount mappings (last added first), variables, file-command files."""
    home, commands, workflow = temp / "_github_home", temp / "_runner_file_commands", temp / "_github_workflow"
    for folder in (home, commands, workflow):
        folder.mkdir(parents=True, exist_ok=True)
    event_file = workflow / "event.json"
    event_file.write_text(json.dumps({key: value for key, value in event.items() if key != "event_name"}))
    files = {}
    for variable, prefix in FILE_COMMANDS.items():
        files[variable] = commands / f"{prefix}_{uuid.uuid4()}"
        files[variable].touch()
    variables = github_variables(event, workspace)
    variables |= {variable: str(path) for variable, path in files.items()}
    variables |= {"GITHUB_EVENT_PATH": str(event_file), "RUNNER_TEMP": str(temp), "HOME": str(home)}
    mappings = [
        (str(workspace), "/github/workspace"),
        (str(commands), "/github/file_commands"),
        (str(workflow), "/github/workflow"),
        (str(home), "/github/home"),
        (str(temp), "/github/runner_temp"),
    ]
    return mappings, variables, files


def _docker_run(
    image: str,
    arguments: Sequence[str],
    variables: Mapping[str, str],
    mappings: Sequence[tuple[str, str]],
    network: str,
    timeout: float,
) -> subprocess.CompletedProcess[str]:
    name = f"flint-ml-{uuid.uuid4().hex[:12]}"
    command = ["run", "--name", name, "--rm", "--workdir", "/github/workspace", "--network", network]
    # By name only, so that no value stands in a process list, as the runner does it.
    for variable in variables:
        command += ["-e", variable]
    command += ["-e", "GITHUB_ACTIONS=true"]
    for host, inside in reversed(mappings):
        command += ["-v", f"{host}:{inside}"]
    environment = {"PATH": os.environ["PATH"], **variables}
    try:
        return docker(*command, image, *arguments, env=environment, timeout=timeout)
    except subprocess.TimeoutExpired:
        docker("rm", "--force", name)
        raise


def _collect(
    done: subprocess.CompletedProcess[str],
    files: Mapping[str, Path],
    workspace: Path,
    values: Mapping[str, str],
    action_name: str,
    token: str,
    problems: list[str],
) -> ContainerResult:
    log = read_log(done.stdout + done.stderr, [token] if token else [])
    exit_code = done.returncode
    pairs: dict[str, dict[str, str]] = {"GITHUB_OUTPUT": {}, "GITHUB_STATE": {}}
    for variable in pairs:
        try:
            pairs[variable] = parse_pairs(files[variable].read_text(encoding="utf-8"))
        except RunnerError as error:
            problems.append(f"Unable to process file command: {error}")
            exit_code = exit_code or 1
    if sum(len(value.encode()) for value in pairs["GITHUB_OUTPUT"].values()) > OUTPUTS_LIMIT:
        problems.append("The outputs of a job may take 1 MB at most")
    summary = files["GITHUB_STEP_SUMMARY"].read_bytes()
    if len(summary) > SUMMARY_LIMIT:
        problems.append(
            f"$GITHUB_STEP_SUMMARY upload aborted, supports content up to 1024k, got {len(summary) // 1024}k"
        )
        summary = b""
    return ContainerResult(
        exit_code=exit_code,
        stdout=done.stdout,
        stderr=done.stderr,
        outputs=pairs["GITHUB_OUTPUT"],
        state=pairs["GITHUB_STATE"],
        summary=mask(summary.decode("utf-8"), log.masks),
        annotations=log.shown(),
        record=_record(workspace, values, action_name),
        log=log.text,
        problems=[*problems, *log.problems],
        left_by_root=left_by_root(workspace),
    )


def _record(workspace: Path, values: Mapping[str, str], action_name: str) -> Mapping[str, Any] | None:
    """The record that the step left, if any."""
    folder = workspace / values.get("working-directory", "") / (values.get("results-dir") or "flint-ml-results")
    path = folder / f"{values.get('name') or action_name}.json"
    if not path.is_file():
        return None
    loaded: dict[str, Any] = json.loads(path.read_text(encoding="utf-8"))
    return loaded
