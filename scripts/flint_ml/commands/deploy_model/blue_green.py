"""The blue/green side of deploy-model: its settings, and its result for people."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from typing import Any, Protocol

from flint_ml.commands.deploy_model.inputs import ColourInput, Inputs
from flint_ml.deployment import (
    Check,
    Colour,
    Edit,
    Result,
    Samples,
    Switch,
    Switched,
    Target,
    check_target,
    run_smoke_tests,
)
from flint_ml.errors import InputError
from flint_ml.record import Column, Finding, Table
from flint_ml.runner import Outcome


def _invalid(name: str, message: str, hint: str) -> InputError:
    return InputError(message, where=name, hint=hint, code="invalid-input")


def _address(name: str, url: str) -> str:
    if not re.match(r"https?://[^/@\s]+(/\S*)?$", url):
        raise _invalid(name, f"`{url}` is not an http address", "such as http://soc-api-blue.example.org")
    return url


class Registered(Protocol):
    """What is asked of the registry."""

    def number(self) -> int:
        """The version that is wanted, now."""

    def samples(self, number: int) -> Samples:
        """The samples that were registered with a version."""

    def highest(self) -> int:
        """The highest version that the registry knows."""

    def say_it(self, verb: str, where: str, number: int, edit: Edit, reason: str) -> str:
        """The commit message."""


def _refuse_what_cannot_work(inputs: Inputs, checks: Mapping[str, Check]) -> None:
    if inputs.mode != "push":
        raise _invalid("mode", "blue-green needs `mode: push`", "it tries the version before it switches")
    if "predictions" in checks and inputs.predict_path:
        raise _invalid("checks", "the name `predictions` is taken by `predict-path`", "give that check another name")
    if len(inputs.colours) != 2:
        raise _invalid("colours", f"{len(inputs.colours)} colours are given, not two", "give them in flint-ml.yml")
    if not any("{version}" in check.contains for check in checks.values()):
        raise _invalid(
            "checks",
            "no check tells the new version from the old one",
            "add one such as `version: {path: /version, contains: '\"{version}\"'}`",
        )


def switch_of(inputs: Inputs, branch: str, registry: Registered, say: Callable[[str], None]) -> Switch:
    """The switch that the inputs of deploy-model describe.

    Raises
    ------
    InputError
        If the colours or checks cannot do what they are for.
    """
    colours: Mapping[str, ColourInput] = inputs.colours
    checks = {name: Check(c.path, c.status, c.contains, c.body) for name, c in inputs.checks.items()}
    _refuse_what_cannot_work(inputs, checks)
    targets: dict[str, Target] = {}
    for name, colour in colours.items():
        file = check_target(colour.file, inputs.value)
        targets[name] = Target(file, colour.path, inputs.value, inputs.kubernetes_version, inputs.model_name)
    if len({(target.file, target.path) for target in targets.values()}) == 1:
        raise _invalid("colours", "both colours have their version at the same place", "give each its own")
    paths = {target.file: target.path for target in targets.values()}

    def say_it(verb: str, number: int, edit: Edit, reason: str) -> str:
        return registry.say_it(verb, f"{edit.file}: {paths.get(edit.file, inputs.path)}", number, edit, reason)

    def ready(number: int) -> None:
        if inputs.predict_path:
            checks["predictions"] = Check(
                inputs.predict_path, samples=registry.samples(number), tolerance=inputs.tolerance
            )

    def run_checks(address: str, number: int) -> list[Result]:
        say(f"checking version {number} at {address}")
        results = run_smoke_tests(address, checks, number, inputs.smoke_timeout)
        for result in results:
            say(f"  {result.name}: {_told(result)}")
        return results

    return Switch(
        branch,
        Target(check_target(inputs.file, "{version}"), inputs.path, kubernetes=inputs.kubernetes_version),
        {name: Colour(targets[name], _address("colours", colour.url)) for name, colour in colours.items()},
        registry.number,
        run_checks,
        say_it,
        ready,
        _address("live-url", inputs.live_url) if inputs.live_url else "",
        inputs.rollback,
        registry.highest,
        say,
    )


def _told(result: Result) -> str:
    return result.said or "passed" + (f" ({result.note})" if result.note else "")


def outcome_of(inputs: Inputs, manifests: str, branch: str, done: Switched, web: str | None) -> Outcome:
    """The result for people."""
    title = f"{inputs.model_name} version {done.number}"
    failed = [f"{result.name}: {result.said}" for result in done.results if result.said]
    headline = {
        "changed": f"{title} is live on {done.live} (before: {done.old} on {done.idle})",
        "same": f"{title} is live on {done.live} already",
        "newer": f"{title} was not deployed: {done.live} has the newer `{done.old}`",
        "failed": f"{title} failed its checks and was taken back; {done.live} is live with {done.old} "
        f"({'; '.join(failed)})",
        "unwell": f"{title} is live on {done.live}, but fails its checks ({'; '.join(failed)})",
    }[done.result]
    findings = list(done.findings)
    if failed:
        hints = {
            "failed": "see what its pods say; what was live before is live",
            "unwell": "to go back, give the version before as `version` with `rollback: true`",
        }
        findings.append(
            Finding(
                severity="error",
                code="smoke-failed",
                message="; ".join(failed),
                hint=hints.get(done.result),
            )
        )
    if done.result == "newer":
        hint = "to go back on purpose, set `rollback: true`"
        findings.append(Finding(severity="warning", code="newer-deployed", message=headline, hint=hint))
    commit = done.commits[-1] if done.commits else None
    url = f"{web}/commit/{commit}" if web and commit else None
    rows: list[list[Any]] = [[result.name, _told(result)] for result in done.results]
    columns = [Column(name="check"), Column(name="result")]
    return Outcome(
        {"failed": "failed", "unwell": "failed", "newer": "warned"}.get(done.result, "passed"),  # type: ignore[arg-type]
        headline,
        {
            "changed": f"{done.live} is live",
            "same": "unchanged",
            "newer": "a newer version stays",
            "unwell": "live, but unwell",
        }.get(done.result, "taken back"),
        tables=[Table(title="Smoke tests", columns=columns, rows=rows)] if rows else [],
        findings=findings,
        details={
            "result": done.result,
            "model": inputs.model_name,
            "version": done.number,
            "before": done.old,
            "live": done.live,
            "idle": done.idle,
            "manifests": manifests,
            "branch": branch,
            "commits": list(done.commits),
            "commit": commit,
            "url": url,
            "strategy": "blue-green",
        },
        outputs={"changed": bool(done.commits), "version": done.number, "commit": commit, "url": url},
    )
