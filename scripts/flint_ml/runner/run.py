"""One action from inputs to exit code: every way out leaves a record, outputs and a summary."""

from __future__ import annotations

import os
import platform
import re
import resource
import shutil
import sys
import time
import traceback
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from importlib import metadata
from pathlib import Path
from typing import Any

from pydantic import SecretStr

from flint_ml import __version__
from flint_ml import record as records
from flint_ml.errors import ExitCode, FlintError, InputError
from flint_ml.fences import confined_to
from flint_ml.hashing import file_sha256
from flint_ml.record import MARKS, TREE, Badge, Finding, Piece, Provenance, Record, not_applicable
from flint_ml.runner import scratch
from flint_ml.runner.base_settings import GATE_UNVERIFIED, Authority, authority, own_settings
from flint_ml.runner.context import Context, read_context
from flint_ml.runner.inputs import ActionInputs, GateInputs, build, check_section, from_environment
from flint_ml.runner.job import Action, Job, Outcome, base_fetcher, output_text
from flint_ml.runner.workflow_commands import Commands, Level
from flint_ml.runner.workspace import Workspace
from flint_ml.text import markdown
from flint_ml.text.plotting import own_matplotlibrc
from flint_ml.text.sanitize import visible
from flint_ml.text.secrets import redact, secret_values

_VERSIONS = ("dvc", "mlflow-skinny", "numpy", "scipy", "pandas", "pyarrow", "matplotlib", "rasterio")


@dataclass
class _Run:
    """State of one run that every way out needs."""

    action: Action
    context: Context
    commands: Commands
    started: str
    clock: float
    job: Job | None = None
    inputs: ActionInputs | None = None
    decides: Authority = field(default_factory=Authority)
    # Hashes of the records that were there before the action began, by name.
    seen: dict[str, str] = field(default_factory=dict)
    results_dir: Path = Path("flint-ml-results")
    name: str = ""
    scratch: scratch.Scratch | None = None


def run_action(
    action: Action,
    given: Mapping[str, Any] | None = None,
    *,
    rest: tuple[str, ...] = (),
    env: Mapping[str, str] | None = None,
    context: Context | None = None,
    commands: Commands | None = None,
    known: Sequence[str] | None = None,
) -> int:
    """Run ``action`` with the dashed input values ``given`` (command line) over ``INPUT_*`` (runner).

    ``known`` are the names that sections of flint-ml.yml may have (None: any). Returns the exit code of
    docs/architecture.md; never raises for a user's mistake.
    """
    env = os.environ if env is None else env
    context = context or read_context(env)
    commands = commands or Commands(on_github=context.on_github, env=env)
    commands.hide(secret_values(env))
    own_matplotlibrc()
    run = _Run(action, context, commands, records.now(), time.monotonic(), name=action.name)
    values = dict(given or {})
    try:
        try:
            if context.on_github:
                values = {**from_environment(action.inputs, env), **values}
            with confined_to(context.workspace if context.on_github else None):
                _prepare(run, values, rest, env, known)
                assert run.job is not None
                outcome = action.run(run.inputs, run.job)
        except FlintError as error:
            return _finish_error(run, error)
        except KeyboardInterrupt:
            _finish_error(run, FlintError("was cancelled", where=action.name, code="cancelled"))
            return 130
        except Exception as error:
            commands.say(traceback.format_exc())
            return _finish_error(run, _defect(error))
        return _finish(run, outcome)
    finally:
        scratch.leave(run.scratch)


def _defect(error: Exception) -> FlintError:
    wrapped = FlintError(
        f"stopped on a defect of flint-ml: {type(error).__name__}: {error}",
        hint="please report it with the lines above: https://github.com/moja-global/flint-ml-actions/issues",
        code="defect",
    )
    wrapped.exit_code = ExitCode.OUTSIDE
    return wrapped


def _text(values: Mapping[str, Any], name: str, action: Action) -> str:
    default = action.inputs.model_fields[name.replace("-", "_")].default
    return str(values.get(name) or default)


def _prepare(
    run: _Run, values: dict[str, Any], rest: tuple[str, ...], env: Mapping[str, str], known: Sequence[str] | None
) -> None:
    """Check inputs, open the results directory, build the job."""
    action, context = run.action, run.context
    name = _text(values, "name", action)
    # Another one is refused below, and that too leaves a record.
    run.name = name if re.match(records.NAME_PATTERN, name) else action.name
    workspace = Workspace(context.workspace, _text(values, "working-directory", action), confined=context.on_github)
    run.results_dir = workspace.path(_text(values, "results-dir", action), "results-dir")
    config = _text(values, "config", action)
    decides = Authority()
    if not action.standalone:
        decides = authority(action, values, config, workspace, context, env=env, known=known)
    try:
        inputs = _inputs(action, values, decides.section, config)
    except InputError as error:
        repaired = own_settings(decides, error, config, action.section_name)
        if repaired is None:
            raise
        decides = repaired
        inputs = _inputs(action, values, decides.section, config)
    run.inputs = inputs
    run.decides = decides
    run.name = inputs.name or action.name
    run.results_dir = workspace.path(inputs.results_dir, "results-dir")
    for value in inputs.__dict__.values():
        if isinstance(value, SecretStr):
            run.commands.mask(value.get_secret_value())
    run.scratch = scratch.enter()
    job = Job(
        action=action,
        name=run.name,
        context=context,
        commands=run.commands,
        workspace=workspace,
        results_dir=run.results_dir,
        figures_dir=run.scratch.figures,
        config=config,
        rest=rest,
        env=env,
    )
    job.known_base = decides.base or decides.refused
    job.by_base = decides.by_base
    job.scratch_dir = run.scratch.folder
    if action.fetches_base:
        job.fetcher = base_fetcher(values.get("token"), context, job.git, env)
    run.job = job
    if not action.standalone:
        _clean_results(run, job)
        _look_back(run, job)


def _inputs(action: Action, values: Mapping[str, Any], section: Mapping[str, Any], config: str) -> ActionInputs:
    if action.settings is not None:
        check_section(action.settings, section, action.section_name, config)
    return build(action.inputs, values, section, action.section_name, config)


def _look_back(run: _Run, job: Job) -> None:
    """Compare with the records that this run has left before: what they said is not said again, and what they stand
    for must not have changed."""
    decides, context = run.decides, run.context
    earlier = records.same_run(
        records.read_all(run.results_dir)[0], context.head_sha, context.run_id, context.run_attempt
    )
    earlier = [record for record in earlier if record.name != run.name and record.action != "post-report"]
    run.seen = {record.name: file_sha256(run.results_dir / f"{record.name}.json") for record in earlier}
    noted = [record.details.get("revisions") for record in earlier if record.action == "gate-plan"]
    job.noted_revisions = {str(k): str(v) for each in noted if isinstance(each, dict) for k, v in each.items()}
    said = {(finding.code, finding.message) for record in earlier for finding in record.findings}
    job.gate_findings = [each for each in decides.findings if (each.code, each.message) not in said]
    base = decides.base.commit if decides.base and decides.judges else None
    moved = next((r for r in earlier if base and r.provenance.base_sha not in (None, base)), None)
    if moved is not None and base is not None and not moved.base:
        message = f"the base was {str(moved.provenance.base_sha)[:7]} for {moved.name} and is {base[:7]} now"
        job.gate_findings.append(Finding(severity="warning", code=GATE_UNVERIFIED, message=message))


def _clean_results(run: _Run, job: Job) -> None:
    """Refuse a results directory that Git tracks; drop what an earlier run or commit left there."""
    if run.results_dir == job.workspace.root or run.results_dir in job.workspace.root.parents:
        raise InputError("must be a folder of its own", where="results-dir", code="results-dir")
    tracked = job.git.tracked(run.results_dir) if run.results_dir.is_dir() else []
    if tracked:
        raise InputError(
            f"{job.relative(run.results_dir)} is tracked by Git ({tracked[0]})",
            where="results-dir",
            hint="results are made anew by each run: `git rm -r --cached` the folder and add it to .gitignore",
            code="results-dir",
        )
    if run.action.keeps_results:
        return
    found, _ = records.read_all(run.results_dir)
    context = run.context
    mine = records.same_run(found, context.head_sha, context.run_id, context.run_attempt)
    for old in (record for record in found if record not in mine):
        (run.results_dir / f"{old.name}.json").unlink(missing_ok=True)
        shutil.rmtree(run.results_dir / old.name, ignore_errors=True)


def _provenance(run: _Run, base_sha: str | None) -> Provenance:
    usage = (resource.getrusage(who).ru_maxrss for who in (resource.RUSAGE_SELF, resource.RUSAGE_CHILDREN))
    unit = 1 << 20 if sys.platform == "darwin" else 1 << 10
    versions = {"python": platform.python_version()}
    for name in _VERSIONS:
        if name.removesuffix("-skinny") in sys.modules:
            versions[name] = metadata.version(name)
    if base_sha is None and run.decides.judges and run.decides.base:
        base_sha = run.decides.base.commit
    return Provenance(
        head_sha=run.context.head_sha,
        base_sha=base_sha,
        run_id=run.context.run_id,
        run_attempt=run.context.run_attempt,
        tool=f"flint-ml {__version__}",
        versions=versions,
        inputs=run.job.used if run.job else [],
        records=run.seen,
        started=run.started,
        seconds=round(time.monotonic() - run.clock, 3),
        peak_mb=round(max(usage) / unit, 1),
    )


def _finish(run: _Run, outcome: Outcome) -> int:
    """Write everything for an action that did its job."""
    code: int = ExitCode.OK
    if outcome.status == "failed":
        if isinstance(run.inputs, GateInputs) and run.inputs.on_failure == "warn":
            outcome = replace(outcome, status="warned")
        else:
            code = ExitCode.GATE_CLOSED
    elif outcome.status == "error":
        code = ExitCode.OUTSIDE
    assert run.job is not None
    outcome.findings = [*run.job.gate_findings, *outcome.findings]
    whole = _publish(run, outcome, write=run.action.leaves_record)
    code = code if outcome.exit_code is None else outcome.exit_code
    # A gate without its record, or whose outputs are lost, has not said anything: it must not be green.
    return code if whole else max(code, ExitCode.OUTSIDE)


def _finish_error(run: _Run, error: FlintError) -> int:
    """Write an ``error`` record; a results directory that cannot be used is left alone."""
    # A name of the user's file may hold half a character, which no record can.
    hint = visible(error.hint) if error.hint else None
    finding = Finding(severity="error", code=error.code, message=visible(str(error))[:20_000], hint=hint)
    where = f"{error.where}: " if error.where else ""
    headline = visible(run.commands.redact(f"{where}{error.message}"))
    outcome = Outcome("error", headline[:500], "Error", findings=[finding])
    # Once there is a job, the folder has been checked, and such an error is about another input.
    usable = (
        not run.action.standalone
        and error.code != "results-dir"
        and (run.job is not None or error.code not in {"outside-workspace", "missing-folder"})
    )
    _publish(run, outcome, write=usable)
    file, _, line = (error.where or "").partition(":")
    is_file = bool(file) and (run.context.workspace / file).is_file()
    run.commands.annotate(
        "error",
        str(error),
        title=f"{run.action.name}",
        file=file if is_file else None,
        line=int(line) if is_file and line.isdigit() else None,
    )
    return int(error.exit_code)


def _move_figures(run: _Run) -> None:
    """Put the new figures in the place of the old ones."""
    job = run.job
    if job is None or not job.figures_dir.is_dir():
        return
    target = run.results_dir / run.name
    shutil.rmtree(target, ignore_errors=True)
    if any(job.figures_dir.iterdir()):
        target.parent.mkdir(parents=True, exist_ok=True)
        shutil.move(job.figures_dir, target)
        target.chmod(0o755)


# What is a word of ours, a hash or a path of ours in a record, and so holds no secret.
_WORDS = frozenset(
    {"schema", "action", "status", "verdict", "severity", "code", "kind", "state", "type", "role", "by", "tool"}
    | {"started", "md5", "sha256", "base_md5", "head_sha", "base_sha", "commit", "versions", "records"}
)


def _redacted(run: _Run, record: Record) -> Record:
    """The record without any masked value: replaced in its texts, never in the words that it is read by."""
    data = _texts(record.model_dump(mode="json", by_alias=True), run.commands.secrets)
    data["name"] = record.name
    # Only what is a name of ours is a field; these are names of anybody's.
    data |= {part: _keys(data[part], run.commands.secrets) for part in ("details", "metrics")}
    for figure, made in zip(data["figures"], record.figures, strict=True):
        figure["path"] = made.path
    for written, before in zip(data["wrote"], record.wrote, strict=True):
        written["how"] = before.how
    return Record.model_validate(data)


def _keys(value: Any, secrets: Sequence[str]) -> Any:
    if isinstance(value, dict):
        return {redact(key, secrets): _keys(item, secrets) for key, item in value.items()}
    return [_keys(item, secrets) for item in value] if isinstance(value, list) else value


def _texts(value: Any, secrets: Sequence[str]) -> Any:
    if isinstance(value, str):
        return redact(value, secrets)
    if isinstance(value, dict):
        return {key: item if key in _WORDS else _texts(item, secrets) for key, item in value.items()}
    return [_texts(item, secrets) for item in value] if isinstance(value, list) else value


def _tree(run: _Run) -> list[Piece]:
    """Which tree was judged; without a pull request that is what is checked out."""
    if run.decides.tree is not None:
        return [run.decides.tree]
    return [] if run.decides.judges else [not_applicable(TREE, "no pull request: what is checked out is judged")]


def _publish(run: _Run, outcome: Outcome, *, write: bool = True) -> bool:
    """Record, figures, outputs, summary, annotations; whether record and outputs could be written."""
    record = _redacted(
        run,
        Record(
            action=run.action.name,
            name=run.name,
            status=outcome.status,
            headline=outcome.headline[:500],
            badge=Badge(label=outcome.badge or run.action.badge, message=outcome.message[:200]),
            spoken=outcome.spoken or run.action.spoken,
            verdict=outcome.verdict,
            advice=outcome.advice[:1_000],
            base=outcome.base,
            benchmark=outcome.benchmark,
            badges=outcome.badges,
            changes=outcome.changes,
            fingerprint=outcome.fingerprint,
            log=outcome.log,
            reproduce=outcome.reproduce,
            wrote=outcome.wrote,
            coverage=[*_tree(run), *outcome.coverage],
            metrics=outcome.metrics,
            tables=outcome.tables,
            figures=outcome.figures,
            details=records.finite(outcome.details),
            findings=outcome.findings,
            provenance=_provenance(run, outcome.base_sha),
        ),
    )
    path, whole = "", True
    if write:
        try:
            if outcome.status != "error" or outcome.figures:
                _move_figures(run)
            path = _relative(run, records.write(record, run.results_dir))
        except OSError as error:
            reason = error.strerror or error
            run.commands.annotate("error", f"the record could not be written: {reason}", title=run.action.name)
            whole = False
    outputs = {name: outcome.outputs.get(name) for name in run.action.outputs}
    outputs |= {"status": record.status, "record": path, "headline": record.headline}
    for name, value in outputs.items():
        run.commands.output(name, output_text(value))
    if not outcome.quiet:
        _show(run, record, path)
    return whole and not run.commands.lost


def _relative(run: _Run, path: Path) -> str:
    if run.job is not None:
        return run.job.relative(path)
    root = run.context.workspace.resolve()
    return path.relative_to(root).as_posix() if path.is_relative_to(root) else path.as_posix()


def _sentence(finding: Finding) -> str:
    """A finding with its hint, as two sentences."""
    text = finding.message
    if not finding.hint or finding.hint in text:
        return text
    hint = finding.hint
    if hint.split()[0].isalpha():  # a path or a name keeps its case
        hint = hint[0].upper() + hint[1:]
    return f"{text if text.endswith(('.', '!', '?')) else text + '.'} {hint}"


def summary_markdown(record: Record, rows: int = 30) -> str:
    """A record as a section of the job summary."""
    mark = MARKS[record.status]
    lines = [
        f"### {mark} {markdown.escape(record.badge.label)}: {markdown.escape(record.badge.message)}",
        "",
        markdown.escape(record.headline),
    ]
    for table in record.tables[:1]:
        lines += ["", f"**{markdown.escape(table.title)}**", "", markdown.grid(table, limit=rows)]
    for finding in record.findings[:20]:
        lines += ["", f"- {finding.severity}: {markdown.escape(_sentence(finding))}"]
    return "\n".join(lines)


def _show(run: _Run, record: Record, path: str) -> None:
    """Tell people the result, where they look."""
    commands = run.commands
    if run.action.name != "post-report" or record.status == "error":
        commands.summary(summary_markdown(record))
    if record.status == "error":
        return
    for table in record.tables[:1]:
        commands.say(f"\n{table.title}\n{markdown.grid(table, limit=30, style='simple')}")
    commands.say(f"\n{MARKS[record.status]} {record.badge.label}: {record.badge.message}")
    commands.say(record.headline)
    if path:
        commands.say(f"record: {path}")
    if record.status in {"failed", "warned"}:
        level: Level = "error" if record.status == "failed" else "warning"
        commands.annotate(level, record.headline, title=f"{record.badge.label}: {record.badge.message}")
    for finding in record.findings:
        if finding.severity == "warning":
            commands.annotate("warning", _sentence(finding), title=record.name)
