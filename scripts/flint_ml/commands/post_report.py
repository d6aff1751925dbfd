"""One comment on the pull request that lets a lead decide: records in, decision and report out."""

from __future__ import annotations

import shutil
from collections.abc import Callable, Iterable
from dataclasses import asdict, replace
from pathlib import Path, PurePosixPath
from typing import Literal

from pydantic import Field, SecretStr

from flint_ml import record as records
from flint_ml.decision import EXPECTED, Run, decide
from flint_ml.errors import ExitCode, InputError
from flint_ml.github import DEADLINE, GitHub, Marker
from flint_ml.record import Figure, Finding, Severity, Status
from flint_ml.report import (
    PAGE,
    CheckName,
    Facts,
    Report,
    ReportFiles,
    ReportSource,
    build,
    checks,
    figures,
    publish,
    relayed,
    write,
)
from flint_ml.runner import Action, ChangeInputs, Job, Outcome

GUIDE = "https://github.com/moja-global/flint-ml-actions/blob/main/docs/report.md"
MAX_IMAGES = 12
# Seconds for what is read or written beside the comment: a comment without it is better than none.
EXTRAS_DEADLINE = 40.0
# Events whose commit is the head of a pull request, so that a newer head makes the report stale.
_HEAD_EVENTS = ("pull_request", "pull_request_target")


class PostReportInputs(ChangeInputs):
    """Inputs of post-report."""

    title: str = Field("", description="Heading above the report, where several reports are on one pull request.")
    key: str = Field(
        "",
        description="Names the comment: one for each key. Default: the workflow's name and the working directory.",
        max_length=200,
    )
    expect: list[str] = Field(
        default=list(EXPECTED),
        description="Records that must be there and have passed before the advice is `approve`.",
    )
    publisher: Literal["github", "cml", "none"] = Field(
        "github",
        description="Who posts: `github` (GitHub's API), `cml` (a `cml` on the PATH), or `none` (only the files).",
    )
    token: SecretStr | None = Field(
        None,
        description="Token that may write comments (`pull-requests: write`). Default in a workflow: the job's own.",
    )
    figures: Literal["auto", "branch", "mermaid", "none"] = Field(
        "auto",
        description="How figures are shown: `auto` and `branch` put pictures on a branch of this repository where the "
        "token may write (`contents: write`), else draw them from their data; `mermaid` always draws; `none`.",
    )
    images: list[str] = Field(
        default=[],
        description="Further pictures (PNG files or patterns) of your pipeline, such as `plots/confusion_matrix.png`.",
    )
    pull_request: str = Field(
        "", description="Number of the pull request. Default: that of the event.", pattern=r"^#?[0-9]{0,10}$"
    )
    run_id: str = Field(
        "",
        description="Report on another workflow run, from its artifact. Default: the run of a `workflow_run` event.",
        pattern=r"^[0-9]{0,20}$",
    )
    artifact: str = Field("flint-ml-results", description="Name of that run's artifact.", max_length=200)
    fail_on: Literal["never", "review", "request-changes"] = Field(
        "never", description="Decision (or worse) that fails this step, after the report is made."
    )
    check_run: bool = Field(
        False, description="Also show the decision as a check on the commit; needs `permissions: checks: write`."
    )
    template: str = Field(
        "", description="A Jinja2 template of your own instead of the built-in one, relative to the working directory."
    )


def run(inputs: PostReportInputs, job: Job) -> Outcome:
    """Read the records, decide, write the report, post it, say what became of it."""
    source = _source(inputs, job)
    read, refused = records.read_all(job.results_dir)
    judged = Run(source.head_sha, source.run_id, source.run_attempt)
    problems = [str(error) for error in refused] + list(source.problems)
    # The report is no evidence for itself; what the change did to its settings is.
    problems += [finding.message for finding in job.gate_findings if finding.severity == "warning"]
    problems += records.altered(read, job.results_dir)
    template = job.ruling_file(inputs.template, "template") if inputs.template else None
    if inputs.template and template is None:
        problems.append(f"the report's template {inputs.template} is new with this change: the built-in one was used")
    decision = decide(read, inputs.expect, judged, problems, from_fork=source.fork)
    images = publish.own_images(_images(inputs, job), job.name)
    extra = _client(inputs, job, EXTRAS_DEADLINE) if inputs.publisher == "github" else None
    talk, note = publish.read_conversation(extra, source.pull, _key(inputs, job), source.head_sha)
    facts = _facts(inputs, job, source, names=_names(decision.missing))
    facts = replace(facts, accepted=talk.accepted, not_accepted=talk.notes, earlier=talk.checks)
    report = build(decision, facts, [figure for figure, _ in images.values()])
    load = figures.loader(job.results_dir, {path: file for path, (_, file) in images.items()})
    writes = extra if source.pull is not None and not source.fork else None
    shown = [figure for record in decision.records for figure in record.figures] + report.images
    draw, how = publish.choose_drawing(inputs.figures, shown, load, writes, job.context.server_url)
    written = write(report, job.results_dir, draw, load, template=template, label=_key(inputs, job))
    job.commands.summary(written.complete)
    with job.group("Report"):
        job.say(written.body)
    for line in (note, how, *_beside(inputs, job, report, written, extra)):
        job.say(line)
    comment = _comment(inputs, job, source, report, written)
    problem = written.problem or _keep(job, images)
    delivery = publish.send(comment, _client(inputs, job))
    return _outcome(inputs, job, report, comment, delivery, problem=problem)


def _names(missing: Iterable[str]) -> dict[str, CheckName]:
    """How checks are called that left no record: actions say it themselves, and so does `record` of its commands."""
    from flint_ml.commands import load, names
    from flint_ml.commands.record import KNOWN

    called = {}
    for name in missing:
        if name in names():
            action = load(name)
            called[name] = CheckName(action.badge, action.spoken)
        elif name in KNOWN:
            called[name] = CheckName(*KNOWN[name])
    return called


def _beside(
    inputs: PostReportInputs, job: Job, report: Report, written: ReportFiles, client: Callable[[], GitHub] | None
) -> list[str]:
    """The check run where it is asked for, the badge on the default branch; returns lines for the log."""
    context, key = job.context, _key(inputs, job)
    lines = [publish.check_run(client, report, key, written.body)] if inputs.check_run else []
    on_main = context.event_name == "push" and context.ref == f"refs/heads/{context.default_branch}"
    if on_main and inputs.figures in ("auto", "branch") and client is not None:
        lines.append(publish.publish_badge(client, key, report.decision.value, context.server_url))
    return lines


def _images(inputs: PostReportInputs, job: Job) -> list[Path]:
    """The files that `images` names; a pattern may match none."""
    paths: list[Path] = []
    for text in inputs.images:
        if any(sign in text for sign in "*?["):
            pattern = PurePosixPath(text)
            if pattern.is_absolute() or ".." in pattern.parts:
                raise InputError("a pattern starts in the working directory and stays there", where="images")
            paths += sorted(path for path in job.workspace.base.glob(text) if path.is_file())[:MAX_IMAGES]
        else:
            paths.append(job.existing(text, "images"))
    return paths[:MAX_IMAGES]


def _keep(job: Job, images: dict[str, tuple[Figure, Path]]) -> str:
    """Put the user's pictures beside the record, so that the results are complete; returns what prevented it."""
    try:
        for key, (_, file) in images.items():
            shutil.copyfile(file, job.figures_dir / PurePosixPath(key).name)
    except OSError as error:
        return f"the pictures could not be kept: {error.strerror or error}"
    return ""


def _source(inputs: PostReportInputs, job: Job) -> ReportSource:
    """This run, or the run that a `workflow_run` event or the input `run-id` names."""
    context, text = job.context, inputs.pull_request.lstrip("#")
    given = int(text) if text else None
    other = inputs.run_id or (context.event.get("workflow_run") or {}).get("id")
    if not other:
        base = ((context.event.get("pull_request") or {}).get("base") or {}).get("ref")
        pull = context.pull_request if given is None else given
        watched = context.event_name in _HEAD_EVENTS and pull == context.pull_request
        return ReportSource(
            context.head_sha,
            context.run_id,
            context.run_attempt,
            context.run_number or 0,
            context.run_url,
            pull,
            str(base or "base"),
            watched,
            context.from_fork,
        )
    client = _client(inputs, job)
    if client is None:
        hint = "give `token`, and the job `permissions: actions: read, pull-requests: write`"
        raise InputError("reading another run needs a token", where="token", hint=hint, code="no-token")
    source = relayed(client(), int(other), inputs.artifact, job.results_dir)
    return source if given is None else replace(source, pull=given, note="")


def _key(inputs: PostReportInputs, job: Job) -> str:
    if inputs.key:
        return inputs.key
    workflow = job.env.get("GITHUB_WORKFLOW") or "flint-ml"
    folder = inputs.working_directory.strip("/")
    return workflow if folder in ("", ".") else f"{workflow} / {folder}"


def _facts(inputs: PostReportInputs, job: Job, source: ReportSource, names: dict[str, CheckName]) -> Facts:
    """What the report says beside the records."""
    context = job.context
    guide = GUIDE
    sop = job.workspace.base / "SOP.md"
    if context.repository and context.sha and sop.is_file():
        guide = f"{context.server_url}/{context.repository}/blob/{context.sha}/{job.relative(sop)}"
    return Facts(
        title=inputs.title,
        base_name=source.base_name,
        pull_request=source.pull,
        run_url=source.run_url,
        guide_url=guide,
        page=PAGE,
        head_sha=source.head_sha,
        from_fork=source.fork,
        names=names,
        folder="" if inputs.working_directory in ("", ".") else inputs.working_directory,
    )


def _client(inputs: PostReportInputs, job: Job, deadline: float = DEADLINE) -> Callable[[], GitHub] | None:
    """How to make the client; None without a token. At a terminal the environment may say where to."""
    context, env = job.context, job.env
    token = inputs.token.get_secret_value().strip() if inputs.token else ""
    if not token and not context.on_github:
        token = env.get("GITHUB_TOKEN", "").strip()
        job.commands.mask(token)
    if not token:
        return None
    repository = context.repository or env.get("GITHUB_REPOSITORY", "")
    api_url = context.api_url if context.on_github else env.get("GITHUB_API_URL") or context.api_url
    return lambda: GitHub(token, repository, api_url, deadline=deadline, say=job.say)


def _comment(
    inputs: PostReportInputs, job: Job, source: ReportSource, report: Report, written: ReportFiles
) -> publish.Comment:
    number, attempt, head = source.run_number, source.run_attempt, source.head_sha or ""
    return publish.Comment(
        publisher=inputs.publisher,
        pull=source.pull,
        marker=Marker(_key(inputs, job), number, attempt, head, checks(report)),
        body=written.body,
        file=written.markdown,
        watched=source.watched,
        from_fork=source.fork,
        server_url=job.context.server_url,
        note=source.note,
        env=job.env,
    )


def _outcome(
    inputs: PostReportInputs,
    job: Job,
    report: Report,
    comment: publish.Comment,
    delivery: publish.Delivery,
    *,
    problem: str,
) -> Outcome:
    decision, posted, path = report.decision, delivery.comment, job.relative(comment.file)
    failed = decision.at_least(inputs.fail_on)
    status: Status = "failed" if failed else "warned" if delivery.read_only else "passed"
    findings = []
    exit_code = int(delivery.error.exit_code) if delivery.error else None
    if problem:
        status, exit_code = "error", int(ExitCode.OUTSIDE)
        hint = "free disk space on the runner, or choose another results-dir"
        job.commands.annotate("error", problem, title="post-report")
        findings.append(Finding(severity="error", code="results-unwritable", message=problem, hint=hint))
    if delivery.note:
        severity: Severity = "warning" if delivery.read_only else "info"
        findings.append(Finding(severity=severity, code="not-posted", message=delivery.note))
        if not delivery.read_only:
            job.commands.annotate("notice", delivery.note, title="post-report")
    if delivery.error is not None:
        status = "error"
        text = f"{delivery.error} The report is in the job summary and in {path}."
        job.commands.annotate("error", text, title="post-report")
        findings.append(Finding(severity="error", code=delivery.error.code, message=text, hint=delivery.error.hint))
    if posted:
        job.say(f"comment {posted.how}: {posted.url}")
    return Outcome(
        status=status,
        headline=f"{report.word}: {report.reason}",
        message=report.word,
        exit_code=exit_code,
        figures=report.images,
        findings=findings,
        details={
            "decision": decision.value,
            "reasons": [{"kind": r.kind, "record": r.name, "text": r.text} for r in decision.reasons],
            "missing": list(decision.missing),
            "not_looked_at": [asdict(gap) for gap in decision.gaps],
            "ignored": list(decision.ignored),
            "report": path,
        },
        outputs={
            "decision": decision.value,
            "posted": posted is not None,
            "comment-id": posted.comment_id if posted else None,
            "comment-url": posted.url if posted else None,
            "report": path,
            "pull-request": comment.pull,
            "key": comment.marker.key,
        },
    )


ACTION = Action(
    name="post-report",
    summary="one comment on the pull request that lets a lead decide",
    description="All records of the run as one report with a decision: a comment on the pull request, kept up to date.",
    badge="Report",
    spoken="the report",
    inputs=PostReportInputs,
    run=run,
    outputs={
        "decision": "`approve`, `review` or `request-changes`.",
        "posted": "`true` if the comment is on the pull request and up to date.",
        "comment-id": "Number of the comment.",
        "comment-url": "Address of the comment.",
        "report": "Path of the report in Markdown, as posted, relative to the workspace.",
        "pull-request": "Number of the pull request.",
        "key": "The key that names the comment.",
    },
    icon="message-square",
    color="blue",
    keeps_results=True,
)
