"""share: describe data, model or simulation so that others find it, cite it, and take it with one DVC command."""

from __future__ import annotations

import shlex
from typing import Any, Literal

from pydantic import BaseModel, ConfigDict, Field, field_validator

from flint_ml import record as records
from flint_ml.errors import InputError
from flint_ml.hashing import file_md5
from flint_ml.runner import Action, ActionInputs, Job, Outcome, dashed


class _Part(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True, alias_generator=dashed, populate_by_name=True)


class Author(_Part):
    """One author."""

    name: str = Field("", description="Full name, family name last; or `given-names` and `family-names`.")
    given_names: str = Field("", description="Given names.")
    family_names: str = Field("", description="Family names.")
    organisation: str = Field("", description="Name of an organisation, instead of a person's.")
    orcid: str = Field("", description="ORCID, such as 0000-0002-1825-0097.")
    affiliation: str = Field("", description="Where the author works.")
    email: str = Field("", description="Address for questions; it becomes public.")


class Artifact(_Part):
    """One thing to take."""

    path: str = Field(description="File or folder, relative to the project.")
    type: Literal["dataset", "model", "simulation"] = Field(description="What it is.")
    description: str = Field("", description="What it holds, in a sentence.")


class Inputs(ActionInputs):
    """Inputs of share."""

    title: str = Field("", description="Title of what is shared. Default: the README's heading.")
    description: str = Field("", description="What it is and what it may be used for, in a few sentences.")
    licence: str = Field("", description="Licence by its SPDX name, such as CC-BY-4.0.")
    authors: list[Author] = Field(
        default_factory=list,
        description="Authors: `Ana Silva <0000-0002-1825-0097>`, one a line; in flint-ml.yml also as mappings.",
    )
    region: str = Field("", description="Where the data come from, as the name of a place.")
    bounds: list[float] = Field(
        default_factory=list, description="Bounds of the region in degrees: west, south, east, north."
    )
    period: str = Field("", description="When the data were taken, or the years of the simulation: 2010/2020.")
    keywords: list[str] = Field(default_factory=list, description="Words that people search for.")
    version: str = Field("1.0.0", description="Version of what is shared.", pattern=r"^\d+\.\d+\.\d+$")
    doi: str = Field("", description="DOI, once an archive gave one.")
    repository: str = Field("", description="Address of the repository. Default: that of the remote `origin`.")
    artifacts: dict[str, Artifact] = Field(
        default_factory=dict,
        description="What others may take, by name, such as `{soil-model: {path: model.pkl, type: model}}`. Default: "
        "the data that people gave to DVC, the model under register-model, the output of a simulation.",
    )
    yes: bool = Field(False, description="Write without asking.")
    dry_run: bool = Field(False, description="Only show what would be written.")

    @field_validator("authors", mode="before")
    @classmethod
    def _written_out(cls, value: Any) -> Any:
        return (
            [_of_text(item) if isinstance(item, str) else item for item in value] if isinstance(value, list) else value
        )


def _of_text(text: str) -> dict[str, str]:
    """``Ana Silva <0000-0002-1825-0097>``."""
    name, _, rest = text.partition("<")
    return {"name": name.strip(), "orcid": rest.rstrip("> ").strip()}


def run(inputs: Inputs, job: Job) -> Outcome:
    """Gather, describe, show, ask, write, say how others take it."""
    from flint_ml.scaffold import propose, write_files
    from flint_ml.sharing import citation_file, crate_file, pipeline_file

    shared = _shared(inputs, job)
    folder = job.workspace.base
    plan = folder / "dvc.yaml"
    try:
        before = plan.read_text(encoding="utf-8") if plan.is_file() else None
    except UnicodeDecodeError:
        raise InputError(
            "is no UTF-8 text", where="dvc.yaml", hint="restore it from Git", code="invalid-dvc-file"
        ) from None
    proposed = [
        propose(folder, "ro-crate-metadata.json", crate_file(shared)),
        propose(folder, "CITATION.cff", citation_file(shared)),
        propose(folder, "dvc.yaml", pipeline_file(shared, before)),
    ]
    written = write_files(proposed, job.say, "share", yes=inputs.yes, dry_run=inputs.dry_run, overwrite=True)
    _say_next(shared, job)
    return Outcome(
        "passed",
        f"{len(written)} files written",
        "written",
        quiet=True,
        outputs={"written": written, "artifacts": [item.name for item in shared.items]},
    )


def _shared(inputs: Inputs, job: Job) -> Any:
    from flint_ml.scaffold import heading
    from flint_ml.sharing import USUAL_LICENCES, Shared, box, doi, licence, period

    if not inputs.licence:
        raise InputError(
            "nobody may use what has no licence",
            where="licence",
            hint=f"name one, such as {', '.join(USUAL_LICENCES[:3])} for data; under `share:` in {inputs.config}",
            code="missing-input",
        )
    if not inputs.authors:
        hint = f"authors: [{{name: Ana Silva, orcid: 0000-0002-1825-0097}}] under `share:` in {inputs.config}"
        raise InputError("nobody to cite is named", where="authors", hint=hint, code="missing-input")
    head = job.git.commit("HEAD")
    if head is None:
        raise InputError(
            "there is no commit yet", where="share", hint="commit what you want to share", code="no-commit"
        )
    title = inputs.title or heading(job.workspace.base)
    found = records.read_all(job.results_dir)[0]
    return Shared(
        title=title,
        description=inputs.description or f"{title}: data, model and how they were made.",
        licence=licence(inputs.licence),
        authors=tuple(_person(author) for author in inputs.authors),
        items=tuple(_items(inputs, job, title)),
        date=job.git.date(head) or records.now()[:10],
        version=inputs.version,
        keywords=tuple(inputs.keywords),
        region=inputs.region,
        box=box(inputs.bounds) if inputs.bounds else None,
        period=period(inputs.period) if inputs.period else "",
        doi=doi(inputs.doi),
        repository=inputs.repository or _address(job),
        records=tuple(record for record in found if record.action not in {"post-report", "register-model"}),
    )


def _address(job: Job) -> str:
    """The repository's address for people: https, without credentials."""
    import re

    text = job.git.setting("remote.origin.url") or ""
    found = re.match(r"(?:git@|ssh://git@|https://(?:[^@/]*@)?)([^:/]+)(?::\d+/|[:/])(.+?)(?:\.git)?/?$", text)
    return f"https://{found[1]}/{found[2]}" if found else ""


def _person(author: Author) -> Any:
    from flint_ml.sharing import Person, orcid

    if author.organisation:
        return Person(author.organisation, email=author.email)
    given, family = author.given_names, author.family_names
    if not family and "," in author.name:
        family, _, given = (part.strip() for part in author.name.partition(","))
    elif not family:
        given, _, family = (part.strip() for part in author.name.rpartition(" "))
    if not family:
        hint = "give `name` (family name last), `family-names` and `given-names`, or `organisation`"
        raise InputError("an author has no name", where="authors", hint=hint, code="missing-input")
    return Person(
        f"{given} {family}".strip(),
        given,
        family,
        orcid(author.orcid) if author.orcid else "",
        author.affiliation,
        author.email,
    )


def _items(inputs: Inputs, job: Job, title: str) -> list[Any]:
    """What is shared: as told, or what the project is known to make; with hash and size."""
    from flint_ml.dvc_project import holder, joined, project_folder, tracked
    from flint_ml.sharing import Item, identifier

    project = project_folder(job.git)
    kept = tracked(job.git)
    told = dict(inputs.artifacts) or _usual(job, kept, project)
    if not told:
        raise InputError(
            "there is nothing to share",
            where="artifacts",
            hint="keep data or results with DVC (`dvc add`), or name them under `artifacts:`",
            code="nothing-to-share",
        )
    items: list[Any] = []
    for name, artifact in told.items():
        path = artifact.path.strip("/")
        place = job.path(path, "artifacts")
        entry = holder(kept, joined(project, path))
        whole = entry if entry is not None and entry.path == joined(project, path) else None
        if whole is None and not (place.exists() and job.git.tracked(place)):
            raise InputError(
                f"`{path}` is neither in Git nor in DVC, so nobody could take it",
                where=f"artifacts: {name}",
                hint=f"dvc add {path}, or let a DVC stage make it",
                code="not-shared",
            )
        folder = whole.is_dir if whole else place.is_dir()
        size = whole.size if whole else place.stat().st_size if place.is_file() else None
        text = artifact.description or f"{title}: {path}"
        md5 = whole.md5 if whole else file_md5(place) if place.is_file() else None
        items.append(Item(identifier(name), artifact.type, path, text, md5, size, folder))
    return items


def _usual(job: Job, kept: Any, project: str) -> dict[str, Artifact]:
    """Data that people gave to DVC, the model, the simulation's results."""
    from flint_ml.commands import names
    from flint_ml.dvc_project import within
    from flint_ml.runner import read_settings
    from flint_ml.sharing import identifier

    settings = read_settings(job.path(job.config, "config"), job.config, names(), named=False)
    model = str(settings.section("register-model").get("model") or "").strip("/")
    output = str(settings.section("run-gcbm").get("output-dir") or "") if settings.section("run-gcbm") else ""
    found: dict[str, Artifact] = {}
    for path, entry in kept.items():
        if not within(path, project):
            continue
        own = path.removeprefix(f"{project}/") if project else path
        stem = own.rpartition("/")[2].partition(".")[0]
        if own == model:
            name = str(settings.section("register-model").get("model-name") or stem)
            found[identifier(name)] = Artifact(path=own, type="model")
        elif output and within(own, output) and own.endswith(".db"):
            found[identifier(stem)] = Artifact(path=own, type="simulation")
        elif entry.source and not entry.imported:
            name = identifier(stem if identifier(stem) not in found else own)
            found[name] = Artifact(path=own, type="dataset")
    return found


def _say_next(shared: Any, job: Job) -> None:
    from flint_ml.dvc_project import project_folder

    address = shared.repository or "ADDRESS-OF-THIS-REPOSITORY"
    tags = [f"{item.name}@v{shared.version}" for item in shared.items]
    project = project_folder(job.git)
    job.say("\nPublish it:\n")
    job.say('  git add ro-crate-metadata.json CITATION.cff dvc.yaml && git commit -m "Describe what is shared"')
    job.say("  dvc push")
    for tag in tags if not project else []:
        job.say(f'  git tag --annotate {tag} --message "{tag}"')
    job.say("  git push --follow-tags")
    job.say("\nOthers take it into their own repository, and `dvc update` brings later versions:")
    job.say()
    for item in shared.items:
        path = f"{project}/{item.path}" if project else item.path
        job.say(f"  dvc import {shlex.quote(address)} {shlex.quote(path)}")
    if not project:
        job.say("\nOr by name and version, without keeping the connection:")
        job.say()
        for item in shared.items:
            job.say(f"  dvc artifacts get {shlex.quote(address)} {item.name} --rev v{shared.version}")


ACTION = Action(
    name="share",
    summary="describe data, model or simulation so that others find, cite and take it",
    description="Write RO-Crate metadata, CITATION.cff and DVC artifacts, so that other repositories take data, model "
    "or simulation with one DVC command.",
    badge="Share",
    inputs=Inputs,
    run=run,
    outputs={"written": "Files that were written, as JSON.", "artifacts": "Names of what is shared, as JSON."},
    published=False,
    leaves_record=False,
    keeps_results=True,
)
