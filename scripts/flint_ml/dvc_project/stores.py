"""Where a DVC remote's objects come from: a folder, or DVC itself."""

from __future__ import annotations

from typing import Any

from flint_ml.dvc_project.transfer import FolderSource, Source


def source_of(repo: Any, remote: str | None, jobs: int | None) -> Source | str:
    """Our own source for the remote, or why DVC must transfer.

    Parameters
    ----------
    remote
        Its name; None: the default one.
    jobs
        Parallel transfers; None: the source's own number.

    Raises
    ------
    dvc.exceptions.DvcException
        If there is no such remote, or its settings are wrong.
    """
    from dvc.fs import get_cloud_fs

    name = remote or repo.config["core"].get("remote")
    if not name:
        repo.cloud.get_remote(None, "pull")  # says what is wrong
    cls, settings, path = get_cloud_fs(repo.config, name=name)
    if repo.cache.local is None or repo.cache.local.fs.protocol != "local":
        return "the cache is not a folder of this machine"
    if settings.get("worktree") or settings.get("version_aware"):
        return "the remote keeps file names and versions"
    if cls.protocol == "local":
        return FolderSource(str(path), jobs)
    return f"a remote of the kind {cls.protocol}"
