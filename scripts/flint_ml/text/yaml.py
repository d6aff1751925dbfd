"""YAML read safely, with the line of what is wrong."""

from __future__ import annotations

from typing import Any

from flint_ml.errors import InputError

MAX_BYTES = 2 * 1024 * 1024


def parse_yaml(text: str, where: str) -> Any:
    """Plain Python values of YAML 1.2 ``text``.

    Raises
    ------
    InputError
        If ``text`` is too large or is not YAML; ``where`` and the line are named.
    """
    from ruamel.yaml import YAML
    from ruamel.yaml.error import MarkedYAMLError, YAMLError

    if len(text.encode()) > MAX_BYTES:
        raise InputError(f"is larger than {MAX_BYTES:,} bytes", where=where, code="yaml-too-large")
    loader = YAML(typ="safe", pure=True)
    loader.max_depth = 50
    try:
        return loader.load(text)
    except MarkedYAMLError as error:
        mark = error.problem_mark
        place = f"{where}:{mark.line + 1}" if mark else where
        raise InputError(
            f"is not valid YAML: {error.problem or error.context}",
            where=place,
            hint="check indentation and quotes on that line",
            code="invalid-yaml",
        ) from None
    except (YAMLError, RecursionError, ValueError) as error:
        raise InputError(f"is not valid YAML: {error}", where=where, code="invalid-yaml") from None
