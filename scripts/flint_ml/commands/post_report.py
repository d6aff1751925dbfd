"""One comment on the pull request that lets a lead decide: records in, decision and report out."""

from __future__ import annotations

import shutil
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path, PurePosixPath
from typing import Literal

from pydantic import Field, SecretStr

from flint_ml import record as records
from flint_ml.decision import EXPECTED, Run, decide
from flint_ml.errors import InputError
from flint_ml.github import DEADLINE, GitHub, Marker
from flint_ml.record import Figure, Finding, Severity, Status
from flint_ml.report import extras, figures, files, pictures
from flint_ml.report.model import Facts, Report, build, checks
from flint_ml.report.publish import Letter, Sent, send
from flint_ml.report.source import Subject, relayed
from flint_ml.runner import Action, ActionInputs, Job, Outcome

GUIDE = "https://github.com/moja-global/flint-ml-actions/blob/main/docs/report.md"
# Events whose commit is the head of a pull request, so that a newer head makes the report stale.
MAX_IMAGES = 12
# Seconds for what is read or written beside the comment: a comment without it is better than none.
EXTRAS_DEADLINE = 40.0
_HEAD_EVENTS = ("pull_request", "pull_request_target")


class PostReportInputs(ActionInputs):
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
    subject = _subject(inputs, job)
    found, refused = records.read_all(job.results_dir)
    judged = Run(subject.head_sha, subject.run_id, subject.run_attempt)
    problems = [str(error) for error in refused] + list(subject.problems)
    decision = decide(found, inputs.expect, judged, problems, from_fork=subject.fork)
    images = pictures.own_images(_images(inputs, job), job.name)
    extra = _client(inputs, job, EXTRAS_DEADLINE) if inputs.publisher == "github" else None
    talk, note = extras.read_conversation(extra, subject.pull, _key(inputs, job))
    facts = replace(_facts(inputs, job, subject), accepted=talk.accepted, earlier=talk.checks)
    report = build(decision, facts, [figure for figure, _ in images.values()])
    template = job.existing(inputs.template, "template") if inputs.template else None
    load = figures.loader(job.results_dir, {path: file for path, (_, file) in images.items()})
    writes = extra if subject.pull is not None and not subject.fork else None
    shown = [figure for record in decision.records for figure in record.figures] + report.images
    draw, how = pictures.choose(inputs.figures, shown, load, writes, job.context.server_url)
    written = files.write(report, job.results_dir, draw, load, template=template, label=_key(inputs, job))
    job.commands.summary(written.complete)
    with job.group("Report"):
        job.say(written.body)
    for line in (note, how, *_beside(inputs, job, report, written, extra)):
        job.say(line)
    letter = _letter(inputs, job, subject, report, written)
    _keep(job, images)
    return _outcome(inputs, job, report, letter, send(letter, _client(inputs, job)))


def _beside(
    inputs: PostReportInputs, job: Job, report: Report, written: files.Written, client: Callable[[], GitHub] | None
) -> list[str]:
    """The check run where it is asked for, the badge on the default branch; returns lines for the log."""
    context, key = job.context, _key(inputs, job)
    lines = [extras.check_run(client, report, key, written.body)] if inputs.check_run else []
    on_main = context.event_name == "push" and context.ref == f"refs/heads/{context.default_branch}"
    if on_main and inputs.figures in ("auto", "branch") and client is not None:
        lines.append(extras.publish_badge(client, key, report.decision.value, context.server_url))
    return lines


def _images(inputs: PostReportInputs, job: Job) -> list[Path]:
    """The files that `images` names; a pattern may match none."""
    found: list[Path] = []
    for text in inputs.images:
        if any(sign in text for sign in "*?["):
            pattern = PurePosixPath(text)
            if pattern.is_absolute() or ".." in pattern.parts:
                raise InputError("a pattern starts in the working directory and stays there", where="images")
            found += sorted(path for path in job.workspace.base.glob(text) if path.is_file())[:MAX_IMAGES]
        else:
            found.append(job.existing(text, "images"))
    return found[:MAX_IMAGES]


def _keep(job: Job, images: dict[str, tuple[Figure, Path]]) -> None:
    """Put the user's pictures beside the record, so that the results are complete by themselves."""
    for key, (_, file) in images.items():
        shutil.copyfile(file, job.figures_dir / PurePosixPath(key).name)


def _subject(inputs: PostReportInputs, job: Job) -> Subject:
    """This run, or the run that a `workflow_run` event or the input `run-id` names."""
    context, text = job.context, inputs.pull_request.lstrip("#")
    given = int(text) if text else None
    other = inputs.run_id or (context.event.get("workflow_run") or {}).get("id")
    if not other:
        base = ((context.event.get("pull_request") or {}).get("base") or {}).get("ref")
        pull = context.pull_request if given is None else given
        watched = context.event_name in _HEAD_EVENTS and pull == context.pull_request
        return Subject(
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
    subject = relayed(client(), int(other), inputs.artifact, job.results_dir)
    return subject if given is None else replace(subject, pull=given, note="")


def _key(inputs: PostReportInputs, job: Job) -> str:
    if inputs.key:
        return inputs.key
    workflow = job.env.get("GITHUB_WORKFLOW") or "flint-ml"
    folder = inputs.working_directory.strip("/")
    return workflow if folder in ("", ".") else f"{workflow} / {folder}"


def _facts(inputs: PostReportInputs, job: Job, subject: Subject) -> Facts:
    """What the report says beside the records."""
    context = job.context
    guide = GUIDE
    sop = job.workspace.base / "SOP.md"
    if context.repository and context.sha and sop.is_file():
        guide = f"{context.server_url}/{context.repository}/blob/{context.sha}/{job.relative(sop)}"
    return Facts(
        title=inputs.title,
        base_name=subject.base_name,
        pull_request=subject.pull,
        run_url=subject.run_url,
        guide_url=guide,
        page=files.PAGE,
        head_sha=subject.head_sha,
        from_fork=subject.fork,
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


def _letter(inputs: PostReportInputs, job: Job, subject: Subject, report: Report, written: files.Written) -> Letter:
    number, attempt, head = subject.run_number, subject.run_attempt, subject.head_sha or ""
    return Letter(
        publisher=inputs.publisher,
        pull=subject.pull,
        marker=Marker(_key(inputs, job), number, attempt, head, checks(report)),
        body=written.body,
        file=written.markdown,
        watched=subject.watched,
        from_fork=subject.fork,
        server_url=job.context.server_url,
        note=subject.note,
        env=job.env,
    )


def _outcome(inputs: PostReportInputs, job: Job, report: Report, letter: Letter, sent: Sent) -> Outcome:
    decision, comment, path = report.decision, sent.comment, job.relative(letter.file)
    status: Status = "failed" if decision.at_least(inputs.fail_on) else "warned" if sent.read_only else "passed"
    findings = []
    if sent.note:
        severity: Severity = "warning" if sent.read_only else "info"
        findings.append(Finding(severity=severity, code="not-posted", message=sent.note))
        if not sent.read_only:
            job.commands.annotate("notice", sent.note, title="post-report")
    if sent.error is not None:
        status = "error"
        text = f"{sent.error} The report is in the job summary and in {path}."
        job.commands.annotate("error", text, title="post-report")
        findings.append(Finding(severity="error", code=sent.error.code, message=text, hint=sent.error.hint))
    if comment:
        job.say(f"comment {comment.how}: {comment.url}")
    return Outcome(
        status=status,
        headline=f"{report.word}: {report.reason}",
        message=report.word,
        exit_code=int(sent.error.exit_code) if sent.error else None,
        figures=report.images,
        findings=findings,
        details={
            "decision": decision.value,
            "reasons": [{"kind": r.kind, "record": r.name, "text": r.text} for r in decision.reasons],
            "missing": list(decision.missing),
            "ignored": list(decision.ignored),
            "report": path,
        },
        outputs={
            "decision": decision.value,
            "posted": comment is not None,
            "comment-id": comment.comment_id if comment else None,
            "comment-url": comment.url if comment else None,
            "report": path,
            "pull-request": letter.pull,
            "key": letter.marker.key,
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
