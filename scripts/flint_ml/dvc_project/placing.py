"""Objects from DVC's cache into the working tree, as ``cache.type`` says, and the rows that DVC keeps of it.

Nothing that has not been hashed on this machine reaches the working tree: an object that this run did not bring (one
that was restored from another run's cache) is hashed on the way.
"""

from __future__ import annotations

import errno
import hashlib
import json
import os
import shutil
from collections.abc import Container, Iterator, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from itertools import islice
from pathlib import Path
from typing import Any

from flint_ml.dvc_project.transfer import ObjectName, file_hash, read_small

_ROWS = 5_000


@dataclass(frozen=True, slots=True)
class Look:
    """What tells that a file is still the one that was hashed."""

    md5: str
    inode: int
    mtime: float
    size: int

    def holds(self, path: str) -> bool:
        """Whether the file at ``path`` is still that one."""
        try:
            now = os.stat(path)  # noqa: PTH116 - thousands of times
        except OSError:
            return False
        return (now.st_ino, now.st_mtime, now.st_size) == (self.inode, self.mtime, self.size)


@dataclass(frozen=True)
class Output:
    """A tracked file or folder to put in place: absolute path, objects by path inside it ("" for a file itself)."""

    path: str
    objects: Sequence[tuple[str, str, ObjectName]]
    folder: bool = False
    executable: bool = False


@dataclass
class Placed:
    """What was put in place: files by absolute path, files of each output, and wrong objects."""

    files: dict[str, Look] = field(default_factory=dict)
    outputs: dict[str, list[str]] = field(default_factory=dict)
    wrong: set[ObjectName] = field(default_factory=set)


def link_kind(repo: Any, target: str) -> str | None:
    """How DVC's settings put ``target`` in place: ``copy``, ``reflink``, ``hardlink`` or ``symlink``.

    None where none of the kinds that they allow works between the two folders: DVC says so itself.
    """
    from dvc_objects.fs.generic import test_links

    cache = repo.cache.local
    kinds = test_links(cache.cache_types, cache.fs, cache.path, repo.fs, target)
    return str(kinds[0]) if kinds else None


def place(outputs: Sequence[Output], kind: str, proved: Container[ObjectName], staging: Path) -> Placed:
    """Put outputs where nothing is yet: each is made in ``staging`` and renamed whole, so that none is ever half there.

    Parameters
    ----------
    proved
        Objects that this run hashed already.
    staging
        A folder for unfinished outputs; on another file system than an output, that output is made beside itself.
    """
    done = Placed()
    staging.mkdir(parents=True, exist_ok=True)
    device = staging.stat().st_dev
    parents: dict[str, bool] = {}
    for number, output in enumerate(outputs):
        parent, name = os.path.split(output.path)
        if parent not in parents:
            os.makedirs(parent, exist_ok=True)  # noqa: PTH103 - once for each of thousands
            parents[parent] = os.stat(parent).st_dev == device  # noqa: PTH116
        part = f"{staging}/{number}" if parents[parent] else f"{parent}/.{name}.flint-ml"
        files = _fill(output, part, kind, proved, done.wrong)
        if not output.folder and not files:
            continue
        if output.executable and not output.folder:
            Path(part).chmod(Path(part).stat().st_mode | 0o111)
        try:
            os.rename(part, output.path)  # noqa: PTH104
        except OSError as error:
            if error.errno not in {errno.ENOTEMPTY, errno.EEXIST}:
                raise
            shutil.rmtree(part, ignore_errors=True)  # another run put it there just now
            continue
        placed = {f"{output.path}/{inside}" if inside else output.path: look for inside, look in files}
        done.files |= placed
        done.outputs[output.path] = list(placed)
    return done


def _fill(
    output: Output, part: str, kind: str, proved: Container[ObjectName], wrong: set[ObjectName]
) -> list[tuple[str, Look]]:
    from dvc_objects.fs.local import localfs

    copied = kind in {"copy", "reflink"}
    if output.folder:
        shutil.rmtree(part, ignore_errors=True)
        for folder in sorted({os.path.dirname(inside) for inside, _, _ in output.objects} | {""}):  # noqa: PTH120
            os.makedirs(f"{part}/{folder}", exist_ok=True)  # noqa: PTH103
    else:
        Path(part).unlink(missing_ok=True)
    files = []
    for inside, stored, name in output.objects:
        md5, legacy = name
        known = name in proved
        data = read_small(stored) if copied or not known else None
        if not known:
            if data is None or legacy:
                actual = file_hash(stored, legacy=legacy)
            else:
                actual = hashlib.md5(data, usedforsecurity=False).hexdigest()
            if actual != md5:
                wrong.add(name)
                continue
        target = f"{part}/{inside}" if inside else part
        if not copied:
            getattr(localfs, kind)(stored, target)
            look = _look(os.stat(target), md5)  # noqa: PTH116
        elif data is not None:
            # A small copy costs less than a link of blocks, and DVC does not tell them apart.
            look = _write_new(target, data, md5)
        else:
            look = _large(kind, stored, target, md5)
        files.append((inside, look))
    return files


def _look(state: os.stat_result, md5: str) -> Look:
    return Look(md5, state.st_ino, state.st_mtime, state.st_size)


def _write_new(target: str, data: bytes, md5: str) -> Look:
    descriptor = os.open(target, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o666)
    try:
        written = os.write(descriptor, data)
        while written < len(data):
            written += os.write(descriptor, data[written:])
        return _look(os.fstat(descriptor), md5)
    except BaseException:
        Path(target).unlink(missing_ok=True)
        raise
    finally:
        os.close(descriptor)


def _large(kind: str, stored: str, target: str, md5: str) -> Look:
    from dvc_objects.fs import generic
    from dvc_objects.fs.local import localfs

    generic.transfer(localfs, stored, localfs, target, links=["copy"] if kind == "copy" else [kind, "copy"])
    return _look(os.stat(target), md5)  # noqa: PTH116


def note(repo: Any, done: Placed, legacy: Container[str]) -> None:
    """Write DVC's rows of files that were hashed, in one transaction, and of the outputs that it may remove again.

    Parameters
    ----------
    legacy
        Paths whose hash is DVC 2's.
    """
    from dvc_data.hashfile.hash_info import HashInfo

    state, fs, placed, outputs = repo.state, repo.fs, done.files, done.outputs
    if not hasattr(state, "hashes"):
        return  # a project that keeps no state

    def rows() -> Iterator[tuple[str, HashInfo, dict[str, Any]]]:
        for path, look in placed.items():
            name = "md5-dos2unix" if path in legacy else "md5"
            yield path, HashInfo(name, look.md5), {"ino": look.inode, "mtime": look.mtime, "size": look.size}

    pending = rows()
    with state.hashes.transact():
        while batch := list(islice(pending, _ROWS)):
            state.save_many(batch, fs)
    with state.links.transact():
        for path, files in outputs.items():
            # As dvc_data.hashfile.utils.get_mtime_and_size would find it, without walking the folder once more.
            single = placed.get(path)
            if single is not None:
                mark = str(round(single.mtime * 1_000_000_000))
            else:
                times = json.dumps({name: placed[name].mtime for name in files}, sort_keys=True)
                mark = hashlib.md5(times.encode(), usedforsecurity=False).hexdigest()
            with suppress(FileNotFoundError):
                state.links[os.path.relpath(path, repo.root_dir)] = (os.lstat(path).st_ino, mark)
