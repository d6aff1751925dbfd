"""open-issue: one issue for one trouble, kept up to date while it lasts, closed when it is over."""

from __future__ import annotations

from pydantic import Field

from flint_ml.commands.github_client import client, text_of
from flint_ml.errors import InputError
from flint_ml.github import issue as issues
from flint_ml.runner import Action, ActionInputs, Job, Outcome


class Inputs(ActionInputs):
    """Inputs of open-issue."""

    key: str = Field(
        description="Names the trouble: there is one open issue for each key, brought up to date by later runs.",
        min_length=1,
        max_length=200,
    )
    title: str = Field("", description="Title of the issue; not needed with `close`.")
    body: str = Field("", description="Text before that of `body-file`, Markdown.")
    body_file: str = Field("", description="File with the text, Markdown, such as the report of post-report.")
    labels: list[str] = Field(default=[], description="Labels that a new issue gets.")
    close: bool = Field(False, description="Close the open issue of this key, if there is one; `body` is the comment.")


def run(inputs: Inputs, job: Job) -> Outcome:
    """Open, update or close; say which."""
    text = "\n\n".join(part for part in (inputs.body, text_of(job, inputs.body_file, "body-file")) if part.strip())
    github = client(job)
    if inputs.close:
        done = issues.close(github, inputs.key, text)
    elif inputs.title.strip():
        done = issues.put(github, inputs.key, inputs.title, text, inputs.labels)
    else:
        raise InputError("is missing", where="title", hint="give `--title`, or `--close`", code="invalid-input")
    headline = f"issue #{done.number} {done.how}" if done.number else "no open issue to close"
    job.say(f"{headline}{f': {done.url}' if done.url else ''}")
    return Outcome(
        "passed",
        headline,
        headline,
        details={"key": inputs.key, "how": done.how, "number": done.number, "url": done.url},
        outputs={"number": done.number, "url": done.url, "how": done.how},
    )


ACTION = Action(
    name="open-issue",
    summary="one issue for one trouble, kept up to date, closed when it is over",
    description="Open an issue for a trouble, once; bring it up to date while it lasts and close it when it is over.",
    badge="Issue",
    inputs=Inputs,
    run=run,
    outputs={
        "number": "Number of the issue; empty where there was none to close.",
        "url": "Address of the issue.",
        "how": "`opened`, `updated`, `unchanged`, `closed` or `none`.",
    },
    published=False,
    keeps_results=True,
)
