"""The model registry (MLflow): what a version is made of, how it is found again, how stages move.

Nothing here unpickles a model: a model is bytes with a hash.

=====================  ======================================================================================
``resolve``            an input or variable -> ``Address``, without its credentials
``connect``            ``Address`` -> ``Store``: MLflow's client with time limits, and errors in words
``gate_approval``      the gate's records -> ``Approval``
``read_model``         a file or folder -> ``ModelFiles`` with one hash
``register_model``     ``Submission`` -> ``Registration``: once, however often it is asked for
``move_forward``       Staging to a newer version; ``promote``: Production by a person's word
``version_named``      a number or an alias -> ``Version``; ``find_registered``: with its run and stored files
``model_card``         everything that is known of a version, as Markdown
=====================  ======================================================================================
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from flint_ml.doors import door

if TYPE_CHECKING:
    from flint_ml.registry.address import WAYS_TO_HOST, Address, check_model_name, resolve
    from flint_ml.registry.approval import Approval, gate_approval
    from flint_ml.registry.baseline import find_registered, parse_address
    from flint_ml.registry.card import card_page, model_card, pictures_of, project_files, read_rights
    from flint_ml.registry.model_files import ModelFiles, described_as_mlflow, read_model, trained_python, training_run
    from flint_ml.registry.register import (
        ATTACHMENTS_FOLDER,
        CARD_PAGE,
        MODEL_FOLDER,
        Registration,
        Submission,
        register_model,
    )
    from flint_ml.registry.stages import (
        OVERRIDE,
        Move,
        Promotion,
        history_of,
        move_forward,
        promote,
        version_named,
    )
    from flint_ml.registry.store import Store, Version, connect
    from flint_ml.registry.version import (
        GATE,
        Source,
        base_metrics,
        description,
        flatten,
        from_repository,
        idempotency_key,
        metrics_of,
        mlflow_name,
        owner,
        provenance,
        run_tags,
        version_tags,
    )

_HOME = {
    "ATTACHMENTS_FOLDER": "register",
    "Address": "address",
    "Approval": "approval",
    "CARD_PAGE": "register",
    "GATE": "version",
    "MODEL_FOLDER": "register",
    "ModelFiles": "model_files",
    "Move": "stages",
    "OVERRIDE": "stages",
    "Promotion": "stages",
    "Registration": "register",
    "Source": "version",
    "Store": "store",
    "Submission": "register",
    "Version": "store",
    "WAYS_TO_HOST": "address",
    "base_metrics": "version",
    "card_page": "card",
    "check_model_name": "address",
    "connect": "store",
    "described_as_mlflow": "model_files",
    "description": "version",
    "find_registered": "baseline",
    "gate_approval": "approval",
    "flatten": "version",
    "from_repository": "version",
    "history_of": "stages",
    "idempotency_key": "version",
    "metrics_of": "version",
    "mlflow_name": "version",
    "model_card": "card",
    "move_forward": "stages",
    "owner": "version",
    "parse_address": "baseline",
    "pictures_of": "card",
    "project_files": "card",
    "promote": "stages",
    "provenance": "version",
    "read_model": "model_files",
    "read_rights": "card",
    "register_model": "register",
    "resolve": "address",
    "run_tags": "version",
    "trained_python": "model_files",
    "training_run": "model_files",
    "version_named": "stages",
    "version_tags": "version",
}

__all__ = [
    "ATTACHMENTS_FOLDER",
    "CARD_PAGE",
    "GATE",
    "MODEL_FOLDER",
    "OVERRIDE",
    "WAYS_TO_HOST",
    "Address",
    "Approval",
    "ModelFiles",
    "Move",
    "Promotion",
    "Registration",
    "Source",
    "Store",
    "Submission",
    "Version",
    "base_metrics",
    "card_page",
    "check_model_name",
    "connect",
    "described_as_mlflow",
    "description",
    "find_registered",
    "flatten",
    "from_repository",
    "gate_approval",
    "history_of",
    "idempotency_key",
    "metrics_of",
    "mlflow_name",
    "model_card",
    "move_forward",
    "owner",
    "parse_address",
    "pictures_of",
    "project_files",
    "promote",
    "provenance",
    "read_model",
    "read_rights",
    "register_model",
    "resolve",
    "run_tags",
    "trained_python",
    "training_run",
    "version_named",
    "version_tags",
]

__getattr__ = door(__name__, _HOME)
