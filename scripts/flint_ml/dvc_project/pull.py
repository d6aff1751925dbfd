"""Bring DVC-tracked data from a remote: fetch into the cache, put in place, and prove that it is right.

What has meaning is DVC's own: the remotes and their settings, the layout of the cache, how files are linked, its state.
Where the transfer itself is the brake (folders, object stores, HTTP) it is ours, and every object is hashed while it
arrives; anything else DVC transfers, and the log says so. DVC believes what a remote or a restored cache holds: here
nothing reaches the working tree that was not hashed on this machine.
"""

from __future__ import annotations

import hashlib
import os
import posixpath
import shutil
import time
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, TypeVar

from flint_ml.dvc_project.cache import cache_dir, members, object_path
from flint_ml.dvc_project.config import use_remotes
from flint_ml.dvc_project.entries import Entry
from flint_ml.dvc_project.errors import UNREACHABLE, logged_causes, only_missing, translate
from flint_ml.dvc_project.placing import Look, Output, link_kind, note, place
from flint_ml.dvc_project.plan import Plan, Say, progress, stored
from flint_ml.dvc_project.stores import source_of
from flint_ml.dvc_project.transfer import (
    CacheWriter,
    Delivery,
    ObjectName,
    Source,
    file_hash,
    hash_and_size,
    lacking,
    object_key,
    read_small,
)
from flint_ml.errors import FlintError, InputError

Value = TypeVar("Value")

# Seconds before the second, third and fourth attempt.
WAITS: tuple[float, ...] = (2, 8, 30)
_TRANSIENT = {UNREACHABLE, "dvc-locked"}


@dataclass
class Verification:
    """How pulled data stand; paths are relative to the Git root.

    Attributes
    ----------
    missing_in_cache
        Not brought: the remote lacks it.
    missing_in_workspace
        Not where it should be, although the cache holds it.
    corrupt
        The cache's object does not match its hash, or (those are ``refused`` too) the remote sent something else.
    differs
        The file in the workspace does not match its hash, and the cache's object does.
    files, bytes
        What was compared with its hash and matches.
    """

    missing_in_cache: list[str] = field(default_factory=list)
    missing_in_workspace: list[str] = field(default_factory=list)
    corrupt: list[str] = field(default_factory=list)
    refused: list[str] = field(default_factory=list)
    differs: list[str] = field(default_factory=list)
    files: int = 0
    bytes: int = 0

    @property
    def wrong(self) -> set[str]:
        """Every path that is not there, or not right."""
        return {*self.missing_in_cache, *self.missing_in_workspace, *self.corrupt, *self.differs}


def with_retries(work: Callable[[], Value], say: Say, waits: Sequence[float] | None = None) -> Value:
    """Call ``work`` again, after growing waits, while it fails for a reason that may pass."""
    for number, wait in enumerate(WAITS if waits is None else waits, start=1):
        try:
            return work()
        except FlintError as error:
            if error.code not in _TRANSIENT:
                raise
            say(f"attempt {number} failed: {error.message}; next one in {wait:g} s")
            time.sleep(wait)
    return work()


class DvcProject:
    """A DVC project, opened through DVC's own interface.

    Parameters
    ----------
    git_root
        Top folder of the repository; paths of entries are relative to it.
    folder
        The DVC project's folder, relative to ``git_root``.
    remote
        Name of the remote; None: the project's default one.
    jobs
        Parallel transfers; None: DVC's own number.
    base_config
        The base's ``.dvc/config``, whose remotes count instead of the working tree's; None: the working tree's.
    no_origin
        Imports whose source is not asked, by path, with the reason: only the remote is.
    say
        Prints one line for people.
    """

    def __init__(
        self,
        git_root: Path,
        folder: str = "",
        *,
        remote: str | None = None,
        jobs: int | None = None,
        base_config: bytes | None = None,
        no_origin: Mapping[str, str] | None = None,
        say: Say = print,
    ) -> None:
        self.git_root = git_root
        self.folder = folder
        self.remote = remote
        self.jobs = jobs
        self.base_config = base_config
        self.no_origin = no_origin or {}
        self.say = say
        self.cache = cache_dir(git_root / folder)
        self.plan = Plan()
        self._listings: dict[str, dict[str, str]] = {}
        # Objects that came and were hashed on the way, objects that came wrong, files put in place and hashed.
        self._proved: set[ObjectName] = set()
        self._refused: set[ObjectName] = set()
        self._placed: dict[str, Look] = {}

    @property
    def remote_words(self) -> str:
        """The remote for messages."""
        return f"remote `{self.remote}`" if self.remote else "default remote"

    @contextmanager
    def _repo(self) -> Iterator[tuple[Any, list[BaseException]]]:
        """DVC's repository object; whatever it raises becomes an error for users."""
        with logged_causes() as causes:
            try:
                from dvc.repo import Repo

                with Repo(str(self.git_root / self.folder)) as repo:
                    if self.base_config is not None:
                        use_remotes(repo, self.base_config)
                    yield repo, causes
            except (FlintError, KeyboardInterrupt, GeneratorExit):
                raise
            except BaseException as error:
                if not isinstance(error, Exception):
                    raise
                raise translate(error, causes, self.remote_words) from None

    def fetch(self, entries: Sequence[Entry], revision: str | None = None) -> None:
        """Bring ``entries`` into the cache, with retries; what the remote does not hold is left out.

        Raises
        ------
        InputError
            For credentials, settings, an unknown remote.
        OutsideError
            If the remote cannot be reached after all attempts.
        """
        if not self.missing_in_cache(entries) and not self._to_download(entries, revision):
            return
        with_retries(lambda: self._fetch(entries, revision), self.say)

    def look_ahead(self, entries: Sequence[Entry], revision: str | None = None) -> Plan:
        """The plan for ``entries``; only listings of folders are brought, for they tell what is in them."""
        paths = self._paths([entry for entry in entries if not entry.partial])
        self.plan = self._plan(paths, self._lacking(paths))
        if self.missing_in_cache(entries) or self._to_download(entries, revision):
            with_retries(lambda: self._fetch(entries, revision, dry=True), self.say)
        return self.plan

    def _plan(self, paths: Mapping[ObjectName, Sequence[str]], absent: set[ObjectName]) -> Plan:
        """The plan for files at ``paths`` by object, of which the cache lacks ``absent``."""
        files = sum(map(len, paths.values()))
        coming = sum(len(paths[name]) for name in absent)
        folder = next(path for path in (self.cache, *self.cache.parents) if path.is_dir())
        return Plan(files, files - coming, coming, free=shutil.disk_usage(folder).free)

    def _fetch(self, entries: Sequence[Entry], revision: str | None, *, dry: bool = False) -> None:
        own = {entry.remote for entry in entries if not entry.imported}
        with self._repo() as (repo, causes):
            for remote in sorted(own, key=str):
                part = [entry for entry in entries if entry.remote == remote and not entry.imported]
                if self.missing_in_cache(part):
                    self._from_remote(repo, part, self.remote or remote, causes, revision, dry=dry)
            fenced = [e for e in entries if e.imported and e.path in self.no_origin and not e.partial]
            if self.missing_in_cache(fenced):
                self._from_remote(repo, fenced, self.remote, causes, revision, dry=dry)
            imported = [entry for entry in entries if entry.imported and entry.path not in self.no_origin]
            if not dry and (self.missing_in_cache(imported) or self._to_download(imported, revision)):
                with progress(lambda: stored(self.cache), *self._amount(imported), self.say):
                    self._by_path(repo, imported, revision, causes)

    @staticmethod
    def _amount(entries: Sequence[Entry]) -> tuple[int, int]:
        return sum(entry.nfiles or 1 for entry in entries), sum(entry.size or 0 for entry in entries)

    def _to_download(self, entries: Iterable[Entry], revision: str | None) -> list[Entry]:
        """Imports without download that the working tree lacks; those of another revision are not brought."""
        return [
            e
            for e in entries
            if e.partial and revision is None and e.path not in self.no_origin and not (self.git_root / e.path).exists()
        ]

    def _from_remote(
        self,
        repo: Any,
        entries: Sequence[Entry],
        remote: str | None,
        causes: list[BaseException],
        revision: str | None,
        *,
        dry: bool = False,
    ) -> None:
        source = source_of(repo, remote, self.jobs)
        if not isinstance(source, str):
            self._from_source(repo, source, entries, dry=dry)
            return
        self.say(f"transferred by DVC itself: {source}")
        files, size = self._amount(entries)
        store = repo.cloud.get_remote(remote, "pull")
        if dry:
            coming = len(self.missing_in_cache(entries))
            self.plan = Plan(files, files - coming, coming, None, free=self.plan.free, by=f"DVC ({source})")
            return
        with progress(lambda: stored(self.cache), files, size, self.say):
            if store.worktree or store.fs.version_aware:
                self._by_path(repo, entries, revision, causes)
                return
            # Listings of folders first: DVC leaves a listing out of the cache while one of its files is missing.
            self._transfer(repo, {(e.md5, e.legacy) for e in entries}, remote, causes)
            self._transfer(repo, {name for e in entries for name in self._names(e)}, remote, causes)
            self._explain_missing(store, entries, causes)

    def _from_source(self, repo: Any, source: Source, entries: Sequence[Entry], *, dry: bool) -> None:
        """Plan, then bring what is missing; a second time for what came wrong."""
        with CacheWriter(self.cache, repo.cache.local.makedirs) as writer:
            listings = [(e.md5, e.legacy) for e in entries if e.is_dir and not self._held((e.md5, e.legacy))]
            first = self._bring(source, listings, writer, Delivery())
            paths = self._paths([entry for entry in entries if (entry.md5, entry.legacy) not in first.corrupt])
            coming = sorted(self._lacking(paths))
            sizes = source.sizes(coming) if coming else {}
            plan = self._plan(paths, set(coming))
            plan.bytes = self._amount(entries)[1] if sizes is None and not plan.cached else None
            if sizes is not None:
                plan.bytes = sum(sizes.values())
                plan.lacking = tuple(path for name in coming if name not in sizes for path in paths[name])
                plan.coming -= len(plan.lacking)
            self.plan = plan
            self.say(plan.words())
            if dry:
                return
            plan.refuse_full_disk()
            # In the order of their names: objects of a folder are written one after another.
            names = sorted(coming if sizes is None else sizes)
            delivery = Delivery()
            with progress(lambda: delivery, len(names), plan.bytes, self.say):
                self._bring(source, names, writer, delivery)
            self._refused = (self._refused - self._proved) | first.corrupt | delivery.corrupt

    def _bring(self, source: Source, names: Sequence[ObjectName], writer: CacheWriter, delivery: Delivery) -> Delivery:
        if names:
            source.bring(names, writer, delivery)
            if delivery.corrupt:
                self.say(f"{len(delivery.corrupt):,} objects do not match their hash; they are asked for once more")
                source.bring(sorted(delivery.corrupt), writer, delivery)
            self._proved.update(name for name in names if name not in delivery.missing | delivery.corrupt)
        return delivery

    def _names(self, entry: Entry) -> list[ObjectName]:
        """Objects of ``entry``: its listing and what that names, as far as the listing is here."""
        if entry.partial:
            return []
        inside = self._members(entry) if entry.is_dir else {}
        return [(entry.md5, entry.legacy), *((md5, entry.legacy) for md5 in set((inside or {}).values()))]

    def _paths(self, entries: Sequence[Entry]) -> dict[ObjectName, list[str]]:
        """Where the objects of ``entries`` stand in the working tree."""
        paths: dict[ObjectName, list[str]] = {}
        for entry in entries:
            for path, _, md5 in self._objects(entry) or [(entry.path, "", entry.md5)]:
                paths.setdefault((md5, entry.legacy), []).append(path)
        return paths

    def _held(self, name: ObjectName) -> bool:
        return name in self._proved or os.path.isfile(f"{self.cache}/{object_key(name)}")  # noqa: PTH113

    def _lacking(self, names: Iterable[ObjectName]) -> set[ObjectName]:
        """Those of ``names`` that the cache does not hold."""
        return lacking(str(self.cache), (name for name in names if name not in self._proved))

    def _members(self, entry: Entry) -> dict[str, str] | None:
        """Files of a tracked folder, read once."""
        inside = self._listings.get(entry.md5)
        if inside is None:
            inside = members(self.git_root, entry, self.cache)
            if inside is not None:
                self._listings[entry.md5] = inside
        return inside

    def _transfer(
        self, repo: Any, objects: Iterable[tuple[str, bool]], remote: str | None, causes: list[BaseException]
    ) -> None:
        from dvc_data.hashfile.hash_info import HashInfo

        missing = {(md5, old) for md5, old in objects if not object_path(self.cache, md5, legacy=old).is_file()}
        if not missing:
            return
        hashes = {HashInfo("md5-dos2unix" if old else "md5", md5) for md5, old in missing}
        for _ in range(2):
            causes.clear()
            result = repo.cloud.pull(hashes, jobs=self.jobs, remote=remote)
            if not result.failed:
                return
            if not only_missing(causes):
                raise causes[0]
            # DVC believed a note of an earlier listing; it has dropped it now, and looks again.

    def _explain_missing(self, store: Any, entries: Sequence[Entry], causes: list[BaseException]) -> None:
        """Tell "not there" from "no answer": over HTTP DVC takes each failure for a missing file."""
        for entry in entries:
            if object_path(self.cache, entry.md5, legacy=entry.legacy).is_file():
                continue
            storage = store.legacy_odb if entry.legacy else store.odb
            try:
                storage.fs.info(storage.oid_to_path(entry.md5))
            except FileNotFoundError as error:
                if not only_missing([error]):
                    raise
            return

    def _by_path(self, repo: Any, entries: Sequence[Entry], revision: str | None, causes: list[BaseException]) -> None:
        """`dvc fetch` of paths: for imports, and for remotes that keep file names and versions."""
        from dvc.exceptions import DownloadError

        paths = [str(self.git_root / entry.path) for entry in entries]
        options: dict[str, Any] = {}
        if revision:
            here = Path.cwd().resolve()
            start = here if here.is_relative_to(self.git_root.resolve()) else self.git_root.resolve()
            paths = [os.path.relpath((self.git_root / entry.path).resolve(), start) for entry in entries]
            options = {"revs": [revision], "workspace": False}
        try:
            repo.fetch(targets=paths, jobs=self.jobs, remote=self.remote, **options)
        except DownloadError:
            if not only_missing(causes):
                raise

    def checkout(self, entries: Sequence[Entry]) -> list[str]:
        """Put ``entries`` from the cache into the working tree; files that DVC does not know are never overwritten.

        What is not there yet is put in place directly: DVC's own checkout of ten thousand files spends ten seconds of
        CPU on its index. What is there is left to DVC, which knows what may be replaced.

        Returns
        -------
        list of str
            Paths whose object in the cache did not match its hash. It is removed from there.

        Raises
        ------
        InputError
            If a folder on the way is a link out of the repository.
        """
        with self._repo() as (repo, _):
            rest, wrong = self._place_new(repo, entries)
            if rest:
                repo.checkout(targets=[str(self.git_root / entry.path) for entry in rest], allow_missing=True)
        return wrong

    def _place_new(self, repo: Any, entries: Sequence[Entry]) -> tuple[list[Entry], list[str]]:
        """Put in place what the working tree lacks; returns the entries that DVC must look at, and wrong paths."""
        top = self.git_root.resolve()
        for folder in sorted({posixpath.dirname(entry.path) for entry in entries}):
            if not (self.git_root / folder).resolve().is_relative_to(top):
                raise InputError(
                    "is a link out of this repository", where=folder, hint="remove the link", code="outside-workspace"
                )
        new = {e.path: e for e in entries if not e.partial and not os.path.lexists(self.git_root / e.path)}
        rest = [entry for entry in entries if entry.path not in new]
        outputs = []
        absent = self._lacking(name for entry in new.values() for name in self._names(entry))
        for entry in new.values():
            objects = self._objects(entry)
            if objects is None:
                rest.append(entry)
                continue
            start = len(entry.path) + 1
            held = [
                (path[start:], file, (md5, entry.legacy))
                for path, file, md5 in objects
                if (md5, entry.legacy) not in absent
            ]
            if held or entry.is_dir:
                outputs.append(Output(f"{top}/{entry.path}", held, entry.is_dir, entry.executable))
        kind = link_kind(repo, outputs[0].path) if outputs else "copy"
        if kind is None:
            return list(entries), []
        done = place(outputs, kind, self._proved, Path(repo.tmp_dir) / "flint-ml")
        legacy = {f"{top}/{path}" for e in new.values() if e.legacy for path, _, _ in self._objects(e) or []}
        note(repo, done, legacy)
        self._placed |= done.files
        for name in done.wrong:
            Path(f"{self.cache}/{object_key(name)}").unlink(missing_ok=True)
        paths = self._paths(list(new.values())) if done.wrong else {}
        return rest, [path for name in sorted(done.wrong) for path in paths[name]]

    def _objects(self, entry: Entry) -> list[tuple[str, str, str]] | None:
        """Path, object in the cache and md5 of each file of ``entry``; None where a folder's listing is not there."""
        inside = self._members(entry) if entry.is_dir else {"": entry.md5}
        if inside is None:
            return None
        return [
            (f"{entry.path}/{name}" if name else entry.path, f"{self.cache}/{object_key((md5, entry.legacy))}", md5)
            for name, md5 in inside.items()
        ]

    def missing_in_cache(self, entries: Iterable[Entry]) -> list[str]:
        """Paths whose content is not, or not wholly, in the cache; imports without download never are."""
        whole = [entry for entry in entries if not entry.partial]
        absent = self._lacking(name for entry in whole for name in self._names(entry))
        missing: list[str] = []
        for entry in whole:
            name = (entry.md5, entry.legacy)
            objects = None if name in absent else self._objects(entry)
            if objects is None:
                missing.append(entry.path)
            elif absent:
                missing += [path for path, _, md5 in objects if (md5, entry.legacy) in absent]
        return missing

    def verify(self, entries: Sequence[Entry], *, in_cache: bool = False) -> Verification:
        """Compare every file of ``entries`` with its hash, in the working tree or in the cache.

        What this object hashed while it arrived, and what it put in place and nobody touched since, is not read again.
        """
        result = Verification(missing_in_cache=self.missing_in_cache(entries))
        lacking = set(result.missing_in_cache)
        rows: list[tuple[str, str, str, bool, str]] = []
        for entry in entries:
            if entry.partial:
                if not in_cache:
                    self._verify_download(entry, result)
                continue
            for path, file, md5 in self._objects(entry) or []:
                if path not in lacking:
                    rows.append((path, file if in_cache else f"{self.git_root}/{path}", md5, entry.legacy, file))
        present = [row for row in rows if not self._known(row, result, in_cache=in_cache)]
        for row, actual in zip(present, hashes([(row[1], row[3]) for row in present]), strict=True):
            path, _, md5, legacy, object_file = row
            if actual is None:
                result.missing_in_workspace.append(path)
            elif actual[0] == md5:
                result.files += 1
                result.bytes += actual[1]
            elif in_cache or not os.path.isfile(object_file) or file_hash(object_file, legacy=legacy) != md5:  # noqa: PTH113
                result.corrupt.append(path)
            else:
                result.differs.append(path)
        self._tell_refused(entries, result)
        return result

    def _known(self, row: tuple[str, str, str, bool, str], result: Verification, *, in_cache: bool) -> bool:
        """Whether a file need not be read: it was hashed in this run."""
        _, file, md5, legacy, _ = row
        look = self._placed.get(file)
        if look is not None and look.md5 == md5 and look.holds(file):
            size = look.size
        elif in_cache and (md5, legacy) in self._proved and os.path.isfile(file):  # noqa: PTH113
            size = os.stat(file).st_size  # noqa: PTH116
        else:
            return False
        result.files += 1
        result.bytes += size
        return True

    def _tell_refused(self, entries: Sequence[Entry], result: Verification) -> None:
        """What came from the remote and was wrong is not in the cache, and is not missing on the remote."""
        if not self._refused:
            return
        by_path = {path: name for name, paths in self._paths(entries).items() for path in paths}
        wrong = [path for path in result.missing_in_cache if by_path.get(path) in self._refused]
        result.corrupt += wrong
        result.refused = wrong
        result.missing_in_cache = [path for path in result.missing_in_cache if path not in set(wrong)]

    def _verify_download(self, entry: Entry, result: Verification) -> None:
        """An import without download: its hash is its source's, where the source has one."""
        file = self.git_root / entry.path
        if not file.exists():
            result.missing_in_cache.append(entry.path)
        elif file.is_file() and entry.md5 and file_hash(str(file), legacy=entry.legacy) != entry.md5:
            result.differs.append(entry.path)
        else:
            result.files += 1
            result.bytes += file.stat().st_size if file.is_file() else 0

    def drop_corrupt(self, entries: Sequence[Entry], corrupt: Sequence[str]) -> None:
        """Delete objects of the cache that do not hold what their name says, and the copies made of them."""
        wrong = set(corrupt)
        copies: dict[ObjectName, list[Path]] = {}
        for entry in entries:
            for path, _, md5 in [] if entry.partial else self._objects(entry) or []:
                if path in wrong:
                    copies.setdefault((md5, entry.legacy), []).append(self.git_root / path)
        for name, files in copies.items():
            md5, legacy = name
            held = object_path(self.cache, md5, legacy=legacy)
            if not held.is_file() or (actual := file_hash(str(held), legacy=legacy)) == md5:
                continue
            for copy in files:
                if copy.is_file() and file_hash(str(copy), legacy=legacy) == actual:
                    copy.unlink()
            held.unlink(missing_ok=True)
            self._proved.discard(name)


def hashes(files: Sequence[tuple[str, bool]]) -> list[tuple[str, int] | None]:
    """md5 and bytes of each file, None where there is none; True marks DVC 2's hash.

    Large ones are read side by side.
    """

    def look(file: tuple[str, bool]) -> tuple[str, int] | None:
        path, legacy = file
        try:
            return hash_and_size(path, legacy=legacy)
        except (FileNotFoundError, NotADirectoryError, IsADirectoryError):
            return None

    done: list[tuple[str, int] | None] = []
    large: list[int] = []
    for number, (path, legacy) in enumerate(files):
        try:
            data = None if legacy else read_small(path)
        except (FileNotFoundError, NotADirectoryError, IsADirectoryError):
            done.append(None)
            continue
        if data is None:
            large.append(number)
            done.append(None)
        else:
            done.append((hashlib.md5(data, usedforsecurity=False).hexdigest(), len(data)))
    if large:
        with ThreadPoolExecutor(min(4, os.cpu_count() or 1)) as pool:
            for number, row in zip(large, pool.map(lambda number: look(files[number]), large), strict=True):
                done[number] = row
    return done
