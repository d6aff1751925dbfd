"""``ro-crate-metadata.json``, RO-Crate 1.1: what the repository holds, as linked data that archives read.

The data that DVC keeps are part of the crate once ``dvc pull`` has brought them; their md5 says which they are.
"""

from __future__ import annotations

import json
import mimetypes
from datetime import datetime, timedelta
from typing import Any
from urllib.parse import quote

from flint_ml.record import Provenance, Record
from flint_ml.sharing.metadata import Item, Person, Shared, identifier

CONTEXT = "https://w3id.org/ro/crate/1.1/context"
PROFILE = "https://w3id.org/ro/crate/1.1"
TOOL = "https://github.com/moja-global/flint-ml-actions"
_WORDS = {"dataset": "Data", "model": "Model", "simulation": "Result of a simulation"}
_TYPES = {
    ".parquet": "application/vnd.apache.parquet",
    ".db": "application/vnd.sqlite3",
    ".onnx": "application/onnx",
    ".tif": "image/tiff",
    ".tiff": "image/tiff",
    ".csv": "text/csv",
}

Entity = dict[str, Any]


def _clean(entity: Entity) -> Entity:
    return {key: value for key, value in entity.items() if value not in ("", None, [], ())}


def _ref(name: str) -> dict[str, str]:
    return {"@id": name}


def _person(person: Person) -> Entity:
    kind = "Organization" if person.organisation else "Person"
    return _clean(
        {
            "@id": person.orcid or f"#{kind.lower()}-{identifier(person.name)}",
            "@type": kind,
            "name": person.name,
            "givenName": person.given,
            "familyName": person.family,
            "email": person.email,
            "affiliation": _ref(f"#organization-{identifier(person.affiliation)}") if person.affiliation else None,
        }
    )


def _item_id(item: Item) -> str:
    """The path as a reference of linked data, in which spaces and other signs are percent-encoded."""
    return quote(f"{item.path}/" if item.folder else item.path)


def _item(item: Item, shared: Shared) -> Entity:
    suffix = "." + item.path.rpartition(".")[2].lower()
    return _clean(
        {
            "@id": _item_id(item),
            "@type": "Dataset" if item.folder else "File",
            "name": item.name,
            "description": item.description or f"{_WORDS[item.kind]} of {shared.title}",
            "additionalType": item.kind,
            "contentSize": str(item.size) if item.size is not None else None,
            "encodingFormat": None if item.folder else _TYPES.get(suffix) or mimetypes.guess_type(item.path)[0],
            "identifier": f"md5:{item.md5}" if item.md5 else None,
            "license": _ref(_licence(shared)),
        }
    )


def _licence(shared: Shared) -> str:
    return f"https://spdx.org/licenses/{shared.licence}"


def _place(shared: Shared) -> list[Entity]:
    if not (shared.region or shared.box):
        return []
    place: Entity = {"@id": "#region", "@type": "Place", "name": shared.region or "area of the data"}
    if shared.box is None:
        return [place]
    west, south, east, north = shared.box
    # A box is lower corner, then upper corner, each latitude first.
    shape = {"@id": "#bounds", "@type": "GeoShape", "box": f"{south} {west} {north} {east}"}
    return [{**place, "geo": _ref("#bounds")}, shape]


def _measures(records: tuple[Record, ...]) -> list[Entity]:
    """The results' numbers: metrics of the comparison and indicators of the simulation."""
    wanted = [record for record in records if record.action in {"compare-metrics", "run-gcbm", "run-gcbm-flint"}]
    return [
        _clean(
            {
                "@id": f"#{record.name}/{name}",
                "@type": "PropertyValue",
                "name": name,
                "value": metric.value,
                "unitText": metric.unit,
            }
        )
        for record in wanted
        for name, metric in record.metrics.items()
        if metric.value is not None and "/" not in name
    ]


def _end(seen: Provenance) -> str | None:
    """When a record was made: its start and the seconds that it took."""
    try:
        start = datetime.fromisoformat(seen.started)
    except ValueError:
        return None
    return (start + timedelta(seconds=round(seen.seconds or 0))).strftime("%Y-%m-%dT%H:%M:%SZ")


def _actions(shared: Shared, measures: list[Entity]) -> list[Entity]:
    """How the results were made: one action for each record, from its inputs with their hashes."""
    found: list[Entity] = []
    for record in shared.records:
        seen = record.provenance
        own = [_ref(measure["@id"]) for measure in measures if measure["@id"].startswith(f"#{record.name}/")]
        found.append(
            _clean(
                {
                    "@id": f"#{record.name}",
                    "@type": "CreateAction",
                    "name": f"{record.action}: {record.headline}",
                    "description": f"{seen.tool} at commit {seen.head_sha or 'unknown'}: {record.status}",
                    "instrument": _ref(TOOL),
                    "startTime": seen.started,
                    "endTime": _end(seen),
                    "object": [_ref(f"#{record.name}/input/{index}") for index, _ in enumerate(seen.inputs)],
                    "result": own,
                }
            )
        )
        found += [
            _clean(
                {
                    "@id": f"#{record.name}/input/{index}",
                    "@type": "PropertyValue",
                    "name": given.path,
                    "value": f"md5:{given.md5}" if given.md5 else f"sha256:{given.sha256}",
                }
            )
            for index, given in enumerate(seen.inputs)
        ]
    return found


def content(shared: Shared) -> dict[str, Any]:
    """The crate's graph: descriptor, root, authors, licence, region, items, numbers, how they were made."""
    people = [_person(person) for person in shared.authors]
    places = sorted({person.affiliation for person in shared.authors if person.affiliation})
    organisations = [{"@id": f"#organization-{identifier(n)}", "@type": "Organization", "name": n} for n in places]
    measures = _measures(shared.records)
    actions = _actions(shared, measures)
    place = _place(shared)
    descriptor = {
        "@id": "ro-crate-metadata.json",
        "@type": "CreativeWork",
        "conformsTo": _ref(PROFILE),
        "about": _ref("./"),
    }
    root = _clean(
        {
            "@id": "./",
            "@type": "Dataset",
            "name": shared.title,
            "description": shared.description,
            "datePublished": shared.date,
            "version": shared.version,
            "license": _ref(_licence(shared)),
            "author": [_ref(person["@id"]) for person in people],
            "keywords": ", ".join(shared.keywords),
            "temporalCoverage": shared.period,
            "spatialCoverage": _ref("#region") if place else None,
            "identifier": f"https://doi.org/{shared.doi}" if shared.doi else None,
            "url": shared.repository,
            "hasPart": [_ref(_item_id(item)) for item in shared.items],
            "variableMeasured": [_ref(measure["@id"]) for measure in measures],
            "mentions": [_ref(action["@id"]) for action in actions if action["@type"] == "CreateAction"],
        }
    )
    licence = {"@id": _licence(shared), "@type": "CreativeWork", "name": shared.licence}
    tool = [{"@id": TOOL, "@type": "SoftwareApplication", "name": "flint-ml-actions", "url": TOOL}] if actions else []
    items = [_item(item, shared) for item in shared.items]
    return {
        "@context": CONTEXT,
        "@graph": [descriptor, root, *items, *people, *organisations, licence, *place, *measures, *actions, *tool],
    }


def crate_file(shared: Shared) -> str:
    """The file."""
    return json.dumps(content(shared), indent=2, ensure_ascii=False) + "\n"
