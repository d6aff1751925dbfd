"""Workflows: inputs, permissions, checkout depth, runners, credentials, pins."""

from __future__ import annotations

import difflib
import posixpath
import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from flint_ml.doctor.checks import Check, Project
from flint_ml.doctor.datastore import default_remote
from flint_ml.dvc_project import dvc_root, read_pipelines, within
from flint_ml.errors import InputError
from flint_ml.scaffold import storage_of, workflow_files
from flint_ml.text.yaml import parse_yaml

AREA = "workflows"
_OURS = re.compile(r"^(?:moja-global/flint-ml-actions(?:/(?P<name>[^@]+))?@(?P<ref>.+)|\./actions/(?P<local>[\w-]+))$")
# Steps that compare with the base, and so need the history.
_HISTORY = {"gate", "pull-data", "run-gcbm", "run-gcbm-flint", "check-drift", "compare-metrics"}
_COMMENTS = {"gate", "post-report"}
_DATA = {"gate", "pull-data"}
_LOGINS = ("aws-actions/configure-aws-credentials", "google-github-actions/auth", "azure/login")


@dataclass(frozen=True)
class Use:
    """One step of ours: the action's name (``gate``: the root action), its step, job and place."""

    name: str
    step: Mapping[str, Any]
    job: Mapping[str, Any]
    flow: Mapping[str, Any]
    place: str

    @property
    def before(self) -> list[Mapping[str, Any]]:
        """Steps of the job that run earlier."""
        steps = _steps(self.job)
        return steps[: next((i for i, step in enumerate(steps) if step is self.step), 0)]

    @property
    def checkouts(self) -> list[Mapping[str, Any]]:
        """The checkouts before it."""
        return [step for step in self.before if str(step.get("uses", "")).startswith("actions/checkout@")]

    @property
    def given(self) -> Mapping[str, Any]:
        """Its inputs."""
        given = self.step.get("with")
        return given if isinstance(given, Mapping) else {}

    @property
    def alone(self) -> bool:
        """Whether it compares with no base: told so, or only a part of a simulation."""
        parts = {"plan", "part", "merge"} & set(self.given)
        return bool(parts) or "none" in {str(self.given.get(name)) for name in ("base", "base-revision")}

    @property
    def env(self) -> dict[str, Any]:
        """Variables that the step sees."""
        found: dict[str, Any] = {}
        for level in (self.flow, self.job, self.step):
            own = level.get("env")
            found |= own if isinstance(own, dict) else {}
        return found


def _steps(job: Mapping[str, Any]) -> list[Mapping[str, Any]]:
    steps = job.get("steps")
    return [step for step in steps if isinstance(step, Mapping)] if isinstance(steps, list) else []


def triggers(flow: Mapping[str, Any]) -> dict[str, Any]:
    """The workflow's events and their settings."""
    on = flow.get("on")
    if isinstance(on, str):
        return {on: {}}
    if isinstance(on, list):
        return {str(name): {} for name in on}
    return {str(name): value or {} for name, value in on.items()} if isinstance(on, Mapping) else {}


def uses(flow: Mapping[str, Any], file: str) -> list[Use]:
    """The steps of ours in a workflow."""
    found: list[Use] = []
    jobs = flow.get("jobs")
    for name, job in jobs.items() if isinstance(jobs, Mapping) else []:
        for step in _steps(job) if isinstance(job, Mapping) else []:
            matched = _OURS.match(str(step.get("uses", "")))
            if matched:
                action = matched["name"] or matched["local"] or "gate"
                found.append(Use(action.strip("/"), step, job, flow, f"{file}, job {name}"))
    return found


def examine(project: Project) -> Iterator[Check]:
    """Every workflow that uses our actions, and the pins of all."""
    ours: list[Use] = []
    loose: list[str] = []
    for file in workflow_files(project.root):
        try:
            flow = parse_yaml(file.read_text(encoding="utf-8-sig", errors="replace"), file.name)
        except InputError as error:
            yield Check(AREA, "failure", f"{error.where}: {error.message}", error.hint or "correct the file")
            continue
        if not isinstance(flow, Mapping):
            yield Check(AREA, "failure", f"{file.name}: is no workflow", "give it `on:` and `jobs:`")
            continue
        found = uses(flow, file.name)
        ours += found
        loose += [f"{file.name}: {text}" for text in _unpinned(flow)] if found else []
        yield from _flow(project, flow, found, file.name)
    yield from _ungated(project, ours)
    if not ours:
        yield Check(AREA, "warning", "no workflow uses flint-ml-actions", "flint-ml init writes one")
    if loose:
        fix = "name the commit: owner/name@<40 hex digits> # v1.2.3 (a tag can be moved)"
        yield Check(AREA, "warning", f"not pinned by commit: {', '.join(dict.fromkeys(loose[:4]))}", fix)


def _ungated(project: Project, ours: Sequence[Use]) -> Iterator[Check]:
    """Projects of this repository that no workflow gates."""
    if not ours or project.git.root is None:
        return
    named = {str(use.given.get("working-directory", ".")).strip("/") for use in ours}
    if any("${{" in name for name in named):
        return
    folders = {posixpath.dirname(stage.file) for stage in read_pipelines(project.git, None).stages}
    gated = [name for name in named if name not in {"", "."}]
    whole = bool({"", "."} & named) and (dvc_root(project.root) == project.root)
    missing = sorted(folder for folder in folders if folder and not whole and not any(within(folder, g) for g in gated))
    if missing:
        fix = f"flint-ml init --working-directory {missing[0]}"
        yield Check(AREA, "warning", f"no workflow gates {', '.join(missing[:4])}", fix)


def _unpinned(flow: Mapping[str, Any]) -> list[str]:
    jobs = flow.get("jobs")
    jobs = jobs.values() if isinstance(jobs, Mapping) else []
    named = [str(step.get("uses", "")) for job in jobs if isinstance(job, Mapping) for step in _steps(job)]
    foreign = [text for text in named if "@" in text and not _OURS.match(text) and not text.startswith("docker://")]
    return [text for text in foreign if not re.search(r"@[0-9a-f]{40}$", text)]


def _flow(project: Project, flow: Mapping[str, Any], found: Sequence[Use], file: str) -> Iterator[Check]:
    if not found:
        return
    events = triggers(flow)
    checks = [check for use in found for check in _use(project, use, events)]
    checks += list(_branches(project, events, found, file))
    if "pull_request_target" in events and not any(_checks_out_head(use.job) for use in found):
        fix = "use `pull_request`; for forks two workflows (docs/report.md)"
        text = f"{file}: pull_request_target checks out the base: the report would be about another tree"
        checks.append(Check(AREA, "failure", text, fix))
    if "pull_request_target" in events and any(_checks_out_head(use.job) for use in found):
        fix = "use `pull_request`; for forks two workflows (docs/report.md)"
        text = f"{file}: pull_request_target checks out the pull request: a stranger's code would run with your secrets"
        checks.append(Check(AREA, "failure", text, fix))
    yield from dict.fromkeys(checks)
    if not any(check.mark == "failure" for check in checks):
        yield Check(AREA, "ok", f"{file}: inputs, permissions and checkout fit")


def _checks_out_head(job: Mapping[str, Any]) -> bool:
    checkouts = [step for step in _steps(job) if str(step.get("uses", "")).startswith("actions/checkout@")]
    given = [step.get("with") for step in checkouts]
    return any(
        isinstance(g, Mapping) and re.search(r"pull_request\.head|head_ref", str(g.get("ref", ""))) for g in given
    )


def _use(project: Project, use: Use, events: Mapping[str, Any]) -> Iterator[Check]:
    known = project.inputs.get(use.name)
    if known is None:
        close = difflib.get_close_matches(use.name, project.inputs, n=1)
        fix = f"did you mean `{close[0]}`?" if close else f"actions are: {', '.join(sorted(project.inputs))}"
        yield Check(AREA, "failure", f"{use.place}: there is no action `{use.name}`", fix)
        return
    for name in use.given:
        if str(name) not in known:
            close = difflib.get_close_matches(str(name), sorted(known), n=1)
            fix = f"did you mean `{close[0]}`?" if close else f"docs/actions/{use.name}.md lists the inputs"
            yield Check(AREA, "failure", f"{use.place}: {use.name} has no input `{name}`", fix)
    yield from _runner(use)
    yield from _checkout(use, events)
    yield from _permissions(project, use, events)
    yield from _large_files(project, use)
    yield from _credentials(project, use)
    yield from _training(project, use)
    if "timeout-minutes" not in use.job:
        fix = "timeout-minutes: 30, twice what training takes"
        yield Check(AREA, "warning", f"{use.place}: no time limit (GitHub's is six hours)", fix)
    ours = [step for step in use.before if _OURS.match(str(step.get("uses", "")))]
    if (
        use.name == "post-report"
        and ours
        and not re.search(r"cancelled\(\)|always\(\)", str(use.step.get("if", use.job.get("if", ""))))
    ):
        fix = "if: ${{ !cancelled() }}"
        yield Check(AREA, "warning", f"{use.place}: after a failed step there is no report", fix)


def _runner(use: Use) -> Iterator[Check]:
    machine = str(use.job.get("runs-on", "")).lower()
    if use.name != "setup" and re.search(r"windows|macos", machine):
        fix = "runs-on: ubuntu-latest (the actions are containers; train elsewhere in a job of its own, if you must)"
        yield Check(AREA, "failure", f"{use.place}: actions in containers do not run on {machine}", fix)


def _checkout(use: Use, events: Mapping[str, Any]) -> Iterator[Check]:
    if use.name not in _HISTORY:
        return
    found = use.checkouts
    if not found:
        if "workflow_run" not in events:
            fix = "add actions/checkout with fetch-depth: 0 as the first step"
            yield Check(AREA, "failure", f"{use.place}: {use.name} runs before the repository is checked out", fix)
        return
    given = found[-1].get("with")
    depth = str((given if isinstance(given, Mapping) else {}).get("fetch-depth", "1"))
    if depth != "0" and not use.alone:
        mark = "failure" if use.name in _DATA | {"run-gcbm", "run-gcbm-flint"} else "warning"
        fix = "fetch-depth: 0 under `with:` of actions/checkout"
        text = f"{use.place}: {use.name} compares with the base, which a checkout of depth {depth} lacks"
        yield Check(AREA, mark, text, fix)  # type: ignore[arg-type]


def _large_files(project: Project, use: Use) -> Iterator[Check]:
    """Files in Git LFS come only where the checkout asks for them."""
    attributes = project.root / ".gitattributes"
    if use.name not in _HISTORY or not attributes.is_file() or not use.checkouts:
        return
    given = use.checkouts[-1].get("with")
    asked = str((given if isinstance(given, Mapping) else {}).get("lfs", "")).lower() == "true"
    lines = "\n".join(str(step.get("run", "")) for step in use.before)
    if "filter=lfs" in attributes.read_text("utf-8", "replace") and not asked and "git lfs pull" not in lines:
        fix = "lfs: true under `with:` of actions/checkout"
        yield Check(AREA, "failure", f"{use.place}: files in Git LFS are not checked out, only pointers to them", fix)


def _posted_later(project: Project) -> bool:
    """Whether a workflow of its own posts the report of another's run, as forks need it."""
    texts = [file.read_text(encoding="utf-8", errors="replace") for file in workflow_files(project.root)]
    return any("workflow_run:" in text and "post-report@" in text for text in texts)


def _permissions(project: Project, use: Use, events: Mapping[str, Any]) -> Iterator[Check]:
    granted = use.job.get("permissions", use.flow.get("permissions"))
    comments = use.name in _COMMENTS and {"pull_request", "workflow_run"} & set(events)
    if granted is None:
        if comments:
            fix = "permissions: {contents: read, pull-requests: write} on the job"
            text = f"{use.place}: no `permissions`; where the repository's default is read-only, nothing is posted"
            yield Check(AREA, "warning", text, fix)
        return
    rights = granted if isinstance(granted, Mapping) else {}
    if granted == "write-all" or (granted == "read-all" and not comments):
        return
    if rights.get("contents") not in {"read", "write"} and granted != "read-all" and use.checkouts:
        fix = "contents: read under `permissions:` of the job"
        yield Check(AREA, "failure", f"{use.place}: the token may not check out a private repository", fix)
    # Where a second workflow posts, the first has no right to on purpose.
    if comments and rights.get("pull-requests") != "write" and not _posted_later(project):
        fix = "pull-requests: write under `permissions:` of the job"
        text = f"{use.place}: the token may not comment; the report would stay in the job summary"
        yield Check(AREA, "warning", text, fix)
    if "workflow_run" in events and use.name == "post-report" and rights.get("actions") not in {"read", "write"}:
        fix = "actions: read under `permissions:` of the job"
        yield Check(AREA, "failure", f"{use.place}: the token may not read the other run's artifact", fix)


def _credentials(project: Project, use: Use) -> Iterator[Check]:
    root = dvc_root(project.folder)
    remote = default_remote(root) if root else None
    kind = storage_of(remote.url) if remote else None
    if use.name not in _DATA or kind is None or not kind.ways:
        return
    expect = project.section("gate").get("expect")
    if use.name == "gate" and isinstance(expect, list) and "pull-data" not in expect:
        return
    if any(str(step.get("uses", "")).lower().startswith(_LOGINS) for step in use.before):
        return
    # A step may also write the variable into GITHUB_ENV.
    lines = "\n".join(str(step.get("run", "")) for step in use.before)
    if not any(all(name in use.env or name in lines for name in way) for way in kind.ways):
        fix = f"{' and '.join(kind.ways[0])}: see docs/where-to-keep-data.md"
        yield Check(AREA, "failure", f"{use.place}: {use.name} gets no credentials for {kind.name}", fix)


def _training(project: Project, use: Use) -> Iterator[Check]:
    """What the user's own command needs on the runner."""
    if use.name != "gate":
        return
    command = str(use.given.get("command") or project.command)
    expect = project.section("gate").get("expect")
    if isinstance(expect, list) and "train" not in expect:
        return
    lines = "\n".join(str(step.get("run", "")) for step in use.before)
    actions = " ".join(str(step.get("uses", "")) for step in use.before)
    program = command.split(maxsplit=1)[0] if command.split() else ""
    for name in re.findall(r"pip install\b.*?-r\s+([\w./-]+)", lines):
        if not (project.root / name).is_file():
            fix = f"make {name} (pip freeze), or take the line out"
            yield Check(AREA, "failure", f"{use.place}: a step installs from {name}, which is not there", fix)
    if program == "dvc" and "setup-dvc" not in actions and not _installs(project, lines, "dvc"):
        fix = "add dvc to requirements.txt, or a step `pipx install dvc`"
        yield Check(AREA, "failure", f"{use.place}: `{command}` needs dvc on the runner, and no step installs it", fix)
    if program.startswith("python") and "setup-python" not in actions and "conda" not in lines:
        fix = "actions/setup-python with your version, then install your packages"
        yield Check(AREA, "warning", f"{use.place}: `{command}` runs with whatever Python the runner has", fix)
    if program == "Rscript" and "setup-r" not in actions:
        yield Check(AREA, "failure", f"{use.place}: `{command}` needs R on the runner", "add r-lib/actions/setup-r")


def _installs(project: Project, lines: str, package: str) -> bool:
    """Whether the steps before install ``package``, directly or from a requirements file."""
    if re.search(rf"install\b.*\b{package}\b", lines):
        return True
    for name in re.findall(r"-r\s+(\S+)", lines):
        file = project.root / name
        if file.is_file() and re.search(rf"^{package}\b", file.read_text("utf-8", "replace"), re.MULTILINE):
            return True
    pyproject = project.folder / "pyproject.toml"
    own = re.search(r"install .*\.(\s|$)", lines) and pyproject.is_file()
    # Other ways to install (conda, renv, a script of one's own) cannot be seen through: no alarm.
    return bool(own and package in pyproject.read_text("utf-8", "replace")) or "conda" in lines


def _branches(project: Project, events: Mapping[str, Any], found: Sequence[Use], file: str) -> Iterator[Check]:
    branch = (project.git.default_branch() or "").removeprefix("origin/")
    push = events.get("push")
    branches = push.get("branches") if isinstance(push, Mapping) else None
    listed = list(map(str, branches)) if isinstance(branches, list) else []
    if branch and listed and branch not in listed and not any(re.search(r"[*?\[]", item) for item in listed):
        fix = f"branches: [{branch}]"
        text = f"{file}: runs on a push to {', '.join(listed)}, and the default branch is {branch}"
        yield Check(AREA, "warning", text, fix)
    if "pull_request" not in events and any(use.name == "gate" for use in found):
        yield Check(AREA, "warning", f"{file}: the gate does not run on pull requests", "on: pull_request")
