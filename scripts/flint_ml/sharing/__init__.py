"""What ``flint-ml share`` does: describe a repository so that others find it, cite it and take it.

``Shared`` holds what is said; ``citation_file``, ``crate_file`` and ``pipeline_file`` are the texts of CITATION.cff,
ro-crate-metadata.json and dvc.yaml.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from flint_ml.doors import door

if TYPE_CHECKING:
    from flint_ml.sharing.citation import citation_file
    from flint_ml.sharing.crate import crate_file
    from flint_ml.sharing.metadata import (
        USUAL_LICENCES,
        Item,
        Person,
        Shared,
        box,
        doi,
        identifier,
        licence,
        orcid,
        period,
    )
    from flint_ml.sharing.pipeline import pipeline_file

_HOME = {
    "Item": "metadata",
    "Person": "metadata",
    "Shared": "metadata",
    "USUAL_LICENCES": "metadata",
    "box": "metadata",
    "citation_file": "citation",
    "crate_file": "crate",
    "doi": "metadata",
    "identifier": "metadata",
    "licence": "metadata",
    "orcid": "metadata",
    "period": "metadata",
    "pipeline_file": "pipeline",
}

__all__ = [
    "USUAL_LICENCES",
    "Item",
    "Person",
    "Shared",
    "box",
    "citation_file",
    "crate_file",
    "doi",
    "identifier",
    "licence",
    "orcid",
    "period",
    "pipeline_file",
]

__getattr__ = door(__name__, _HOME)
