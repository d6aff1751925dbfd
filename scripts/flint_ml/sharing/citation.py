"""``CITATION.cff``, version 1.2.0 of the Citation File Format: how to cite the repository."""

from __future__ import annotations

import io
from typing import Any

from flint_ml.sharing.metadata import Person, Shared


def _author(person: Person) -> dict[str, str]:
    if person.organisation:
        return {"name": person.name} | ({"email": person.email} if person.email else {})
    found = {
        "family-names": person.family,
        "given-names": person.given,
        "orcid": person.orcid,
        "affiliation": person.affiliation,
        "email": person.email,
    }
    return {key: value for key, value in found.items() if value}


def content(shared: Shared) -> dict[str, Any]:
    """The file's content; keys without a value are left out."""
    data_only = all(item.kind == "dataset" for item in shared.items)
    found: dict[str, Any] = {
        "cff-version": "1.2.0",
        "message": f"If you use this {'dataset' if data_only else 'work'}, please cite it as below.",
        "type": "dataset" if data_only else "software",
        "title": shared.title,
        "abstract": shared.description,
        "authors": [_author(person) for person in shared.authors],
        "version": shared.version,
        "date-released": shared.date,
        "license": shared.licence,
        "doi": shared.doi,
        "repository-code": shared.repository,
        "keywords": list(shared.keywords),
    }
    return {key: value for key, value in found.items() if value}


def citation_file(shared: Shared) -> str:
    """The file."""
    from ruamel.yaml import YAML
    from ruamel.yaml.scalarstring import DoubleQuotedScalarString

    data = content(shared)
    # A version such as 1.0 and a date are texts here.
    for key in ("version", "date-released"):
        data[key] = DoubleQuotedScalarString(data[key])
    writer = YAML()
    writer.width = 110
    writer.indent(mapping=2, sequence=4, offset=2)
    stream = io.StringIO()
    writer.dump(data, stream)
    return stream.getvalue()
