"""Short names for exactly this data: a fingerprint for people and registries, a key for caches."""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Mapping

from flint_ml.dvc_project.files import Entry


def fingerprint(entries: Iterable[Entry]) -> str:
    """sha256 over the sorted paths and md5s of the tracked data, in hexadecimal.

    It changes when a file changes, moves, comes or goes, and with nothing else: not with the machine, the cache, the
    remote or the order of files.
    """
    lines = sorted(f"{entry.path}\0{entry.md5}\n" for entry in entries)
    return hashlib.sha256("".join(lines).encode()).hexdigest()


def cache_key(system: str, texts: Mapping[str, bytes]) -> str:
    """``dvc-<system>-<hash>`` for actions/cache, from the contents of ``dvc.lock`` and ``*.dvc`` by path."""
    digest = hashlib.sha256()
    for name, content in sorted(texts.items()):
        digest.update(f"{name}\0{len(content)}\0".encode() + content)
    return f"dvc-{system}-{digest.hexdigest()[:32]}"
