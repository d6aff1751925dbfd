"""Content of tracked data: where DVC's cache keeps it, its bytes and its hash at a revision, one hash over all of it.

Paths are relative to the Git root, with forward slashes.
"""

from __future__ import annotations

import configparser
import hashlib
import json
import os
import posixpath
import re
from collections.abc import Callable, Iterable, Mapping
from pathlib import Path

from flint_ml.dvc_project.entries import Entry, folder_md5, holder, is_md5, tracked
from flint_ml.dvc_project.paths import dvc_root, listing, within
from flint_ml.errors import InputError
from flint_ml.git import Git, blob_md5, file_md5_as_kept, whole
from flint_ml.hashing import file_md5

NOT_IN_CACHE = "not-in-cache"
# A name in a listing that cannot leave its folder: the common case, told without taking the path apart.
_PLAIN = re.compile(r"(?:[^./\\\0][^/\\\0]*/)*[^./\\\0][^/\\\0]*")


def cache_dir(folder: Path) -> Path:
    """The cache of the DVC project that ``folder`` belongs to, as DVC's settings say (default ``.dvc/cache``)."""
    root = dvc_root(folder) or folder.resolve()
    home = Path.home() / ".config"
    settings = [
        Path(os.environ.get("DVC_SYSTEM_CONFIG_DIR", "/etc/xdg/dvc")) / "config",
        Path(os.environ.get("DVC_GLOBAL_CONFIG_DIR", Path(os.environ.get("XDG_CONFIG_HOME") or home) / "dvc"))
        / "config",
        root / ".dvc" / "config",
        root / ".dvc" / "config.local",
    ]
    chosen = root / ".dvc" / "cache"
    for file in settings:
        parser = configparser.ConfigParser(interpolation=None, strict=False, allow_no_value=True)
        try:
            parser.read(file, encoding="utf-8")
            value = parser.get("cache", "dir", fallback=None)
        except (configparser.Error, UnicodeDecodeError):
            continue  # DVC itself explains a broken settings file, when it runs
        if value:
            chosen = file.parent / Path(value).expanduser()
    return chosen.resolve()


def object_path(cache: Path, md5: str, *, legacy: bool = False) -> Path:
    """Where the cache keeps the content with this hash."""
    # One text, not four joins: this is asked several times for each of thousands of files.
    return Path(f"{cache}/{'' if legacy else 'files/md5/'}{md5[:2]}/{md5[2:]}")


def cached(root: Path, entry: Entry, cache: Path | None = None) -> Path | None:
    """The file in the cache that holds ``entry`` (for a folder: its listing), or None. ``root`` is the Git root."""
    path = object_path(cache or cache_dir(root / entry.root), entry.md5, legacy=entry.legacy)
    return path if path.is_file() else None


def members(root: Path, entry: Entry, cache: Path | None = None) -> dict[str, str] | None:
    """Files of a tracked folder, path inside the folder to md5, or None where the listing is not in the cache.

    Raises
    ------
    InputError
        If the listing names a file outside the folder, or something that is not a hash: DVC would write there.
    """
    stored = cached(root, entry, cache)
    if stored is None:
        return None
    try:
        files = {str(item["relpath"]): str(item["md5"]) for item in json.loads(stored.read_bytes())}
    except (ValueError, TypeError, KeyError, RecursionError):
        return None
    for name, md5 in files.items():
        if _PLAIN.fullmatch(name) and is_md5(md5):
            continue
        inside = posixpath.normpath(name)
        escapes = posixpath.isabs(name) or "\\" in name or "\0" in name or inside in {".", ".."}
        if escapes or inside.startswith("../") or not is_md5(md5):
            raise InputError(
                f"the listing of this folder names {name[:80]!r}, which is not a file inside it",
                where=entry.path,
                hint="restore the folder's hash from Git, or `dvc add` and `dvc push` it again",
                code="unsafe-listing",
            )
    return files


def _not_in_cache(path: str, revision: str) -> InputError:
    return InputError(
        f"`{path}` of revision {revision[:10]} is tracked by DVC, and its content is not in the cache",
        where=path,
        hint="run pull-data with `base-revision: auto` (or that revision) before this step",
        code=NOT_IN_CACHE,
    )


def read_at(git: Git, revision: str, path: str) -> bytes | None:
    """Content of the file ``path`` at ``revision``: from Git, Git LFS or the DVC cache; None where it is absent.

    Raises
    ------
    InputError
        With code ``lfs-pointer`` if Git LFS keeps it and its content is not here.
        With code ``not-in-cache`` if DVC tracks it there and the cache lacks it or holds something else.
    """
    content = git.show(revision, path)
    if content is not None:
        return whole(git, content, path, revision)
    entry = holder(tracked(git, revision), path)
    root = git.root
    if entry is None or root is None:
        return None
    md5 = entry.md5
    if entry.is_dir:
        if entry.path == path:
            raise InputError("is a folder", where=path, hint="name a file in it", code="is-a-folder")
        inside = members(root, entry)
        if inside is None:
            raise _not_in_cache(path, revision)
        md5 = inside.get(path.removeprefix(entry.path + "/"), "")
        if not md5:
            return None
    stored = object_path(cache_dir(root / entry.root), md5, legacy=entry.legacy)
    if not stored.is_file():
        raise _not_in_cache(path, revision)
    content = stored.read_bytes()
    if not entry.legacy and hashlib.md5(content, usedforsecurity=False).hexdigest() != md5:
        raise _not_in_cache(path, revision)
    return content


def hash_at(git: Git, revision: str | None, path: str) -> str | None:
    """md5 of the file or folder ``path`` at ``revision`` (None: the working tree); None where it is absent.

    DVC's hash where DVC tracks it, else computed from Git or the working tree in the same way, so that a file
    that moves from Git to DVC keeps its hash.
    """
    root = git.root or git.folder
    in_workspace = root / path
    # Git is asked first: most references are small files of its own, and need no DVC.
    if revision is not None and (content := git.show(revision, path)) is not None:
        return blob_md5(git, content, path)
    if revision is None and in_workspace.is_file() and git.tracked(in_workspace):
        return file_md5_as_kept(git, in_workspace)
    entries = tracked(git, revision)
    entry = holder(entries, path)
    if revision is None:
        if in_workspace.is_file() and not (entry and entry.legacy):
            return file_md5(in_workspace)
        if in_workspace.is_dir() and entry and entry.path == path and not entry.legacy:
            files = (file for file in in_workspace.rglob("*") if file.is_file())
            return folder_md5({file.relative_to(in_workspace).as_posix(): file_md5(file) for file in files})
    if entry is not None:
        if entry.path == path:
            return entry.md5 or None
        return (members(root, entry) or {}).get(path.removeprefix(entry.path + "/"))
    return _mixed_folder(git, revision, path, entries)


def _mixed_folder(git: Git, revision: str | None, path: str, entries: Mapping[str, Entry]) -> str | None:
    """Hash of a folder whose files are Git's, DVC's or both."""
    inside: Callable[[str], str] = lambda name: posixpath.relpath(name, path or ".")  # noqa: E731
    names = [name for name in listing(git, revision) if within(name, path) and name != path]
    if revision is not None:
        contents = git.show_many(revision, names)
        files = {inside(name): blob_md5(git, data, name) for name, data in contents.items()}
    else:
        root = git.root or git.folder
        files = {inside(name): file_md5_as_kept(git, root / name) for name in names if (root / name).is_file()}
    files |= {inside(name): entry.md5 for name, entry in entries.items() if within(name, path)}
    return folder_md5(files) if files else None


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
