"""Which data is wanted, its fingerprint, and DVC's failures in words."""

from __future__ import annotations

import errno
import itertools

import pytest

from flint_ml.dvc_project.cache import cache_key, fingerprint
from flint_ml.dvc_project.entries import Entry
from flint_ml.dvc_project.errors import clean, only_missing, translate
from flint_ml.dvc_project.plan import size_text
from flint_ml.dvc_project.pull import with_retries
from flint_ml.dvc_project.targets import SMALL_BYTES, base_entries, paths_in_settings, select_targets
from flint_ml.errors import InputError, OutsideError

ENTRIES = {
    entry.path: entry
    for entry in [
        Entry("p/data/soil.csv", "1" * 32, stage="p/data/soil.csv.dvc"),
        Entry("p/data/forest.csv", "2" * 32, stage="p/data/forest.csv.dvc"),
        Entry("p/plots", "3" * 32 + ".dir", is_dir=True, stage="p/plots.dvc"),
        Entry("p/model.bin", "4" * 32, stage="p/dvc.yaml:train"),
        Entry("p/a.csv", "5" * 32, stage="p/dvc.yaml:split@a"),
        Entry("p/b.csv", "6" * 32, stage="p/dvc.yaml:split@b"),
    ]
}


@pytest.mark.parametrize(
    ("target", "paths"),
    [
        ("data/soil.csv", ["p/data/soil.csv"]),
        ("./data/soil.csv.dvc", ["p/data/soil.csv"]),
        ("data", ["p/data/soil.csv", "p/data/forest.csv"]),
        ("data/*.csv", ["p/data/soil.csv", "p/data/forest.csv"]),
        ("plots/", ["p/plots"]),
        ("plots/deep/x.csv", ["p/plots"]),
        ("train", ["p/model.bin"]),
        ("dvc.yaml:train", ["p/model.bin"]),
        ("split", ["p/a.csv", "p/b.csv"]),
        ("split@b", ["p/b.csv"]),
        ("dvc.yaml", ["p/model.bin", "p/a.csv", "p/b.csv"]),
        (".", list(ENTRIES)),
    ],
)
def test_a_target_means(target: str, paths: list[str]) -> None:
    assert [entry.path for entry in select_targets(ENTRIES, [target], "p")] == paths


def test_all_without_targets_and_none_twice() -> None:
    assert len(select_targets(ENTRIES, [], "p")) == 6
    assert len(select_targets(ENTRIES, ["data", "data/soil.csv"], "p")) == 2


@pytest.mark.parametrize(("target", "hint"), [("data/sol.csv", "data/soil.csv"), ("zzz", "tracked are")])
def test_a_target_that_means_nothing(target: str, hint: str) -> None:
    with pytest.raises(InputError) as error:
        select_targets(ENTRIES, ["data", target], "p")
    assert error.value.code == "bad-target"
    assert hint in (error.value.hint or "")


def test_what_a_comparison_needs_of_the_base() -> None:
    def entry(path: str, md5: str, size: int = 10) -> Entry:
        return Entry(path, md5, size=size, is_dir=md5.endswith(".dir"))

    before = {
        e.path: e
        for e in [
            entry("same.csv", "a"),
            entry("old.csv", "b"),
            entry("huge.csv", "c", SMALL_BYTES + 1),
            entry("named.csv", "d", SMALL_BYTES + 1),
            entry("model.bin", "e"),
            entry("folder", "f.dir"),
            entry("reference", "g.dir"),
            entry("moved.csv", "h"),
        ]
    }
    after = {e.path: e for e in [entry("same.csv", "a"), entry("old.csv", "z"), entry("elsewhere.csv", "h")]}
    found = base_entries(before, after, ["named.csv", "reference/part.csv", "nowhere.csv"])
    assert sorted(e.path for e in found) == ["named.csv", "old.csv", "reference"]


def test_the_settings_name_files_in_any_form() -> None:
    sections = {
        "compare-metrics": {"metrics": "a.json, b.json\nc.json", "predictions": ["p.csv"], "rules": {"x": "no"}},
        "check-drift": {"reference": {"file": "r.csv"}, "current": "no.csv"},
    }
    assert paths_in_settings(sections) == ["a.json", "b.json", "c.json", "p.csv", "r.csv"]
    assert paths_in_settings({"check-drift": {}}) == []


def test_the_fingerprint_knows_content_and_place_only() -> None:
    entries = list(ENTRIES.values())
    mark = fingerprint(entries)
    assert {fingerprint(order) for order in itertools.permutations(entries[:4])} == {fingerprint(entries[:4])}
    assert len(mark) == 64
    assert fingerprint(entries[1:]) != mark
    assert fingerprint([*entries[1:], Entry("p/moved.csv", entries[0].md5)]) != mark
    assert fingerprint([*entries[1:], Entry(entries[0].path, "0" * 32)]) != mark
    assert fingerprint([*entries[1:], Entry(entries[0].path, entries[0].md5, size=5, stage="s", root="r")]) == mark


def test_the_cache_key() -> None:
    key = cache_key("Linux", {"dvc.lock": b"1", "a.dvc": b"2"})
    assert key == cache_key("Linux", {"a.dvc": b"2", "dvc.lock": b"1"})
    assert key.startswith("dvc-Linux-")
    others = [{"dvc.lock": b"1"}, {"dvc.lock": b"2", "a.dvc": b"1"}, {"dvc.lock": b"1", "b.dvc": b"2"}]
    assert key not in {cache_key("Linux", texts) for texts in others}
    assert cache_key("macOS", {}) != cache_key("Linux", {})


def error_of(name: str, text: str = "", base: type[Exception] = Exception, cause: Exception | None = None) -> Exception:
    made: Exception = type(name, (base,), {})(text)
    made.__cause__ = cause
    return made


FULL = OSError(errno.ENOSPC, "No space left on device", "/cache/x")
LOCAL = PermissionError(errno.EACCES, "Permission denied", "/srv/store")


@pytest.mark.parametrize(
    ("error", "code", "exit_code"),
    [
        (error_of("NoCredentialsError", "Unable to locate credentials"), "no-credentials", 2),
        (error_of("DefaultCredentialsError"), "no-credentials", 2),
        (PermissionError("Access Denied"), "credentials-refused", 2),
        (error_of("ClientError", "An error occurred (SignatureDoesNotMatch)"), "credentials-refused", 2),
        (error_of("AuthError", "SSH", OSError), "credentials-refused", 2),
        (LOCAL, "permission", 2),
        (FULL, "disk-full", 3),
        (FileNotFoundError("The specified bucket does not exist"), "remote-not-found", 2),
        (error_of("EndpointConnectionError", "Could not connect"), "remote-unreachable", 3),
        (TimeoutError("timed out"), "remote-unreachable", 3),
        (FileNotFoundError("http://x/y"), "remote-unreachable", 3),
        (error_of("NoRemoteError"), "no-remote", 2),
        (error_of("RemoteNotFoundError"), "unknown-remote", 2),
        (error_of("RemoteMissingDepsError"), "missing-remote-extra", 2),
        (error_of("YAMLValidationError", "'dvc.yaml' validation failed"), "invalid-dvc-file", 2),
        (error_of("ConfigError"), "dvc-config", 2),
        (error_of("LockError"), "dvc-locked", 3),
        (ValueError("Invalid endpoint"), "dvc-failed", 2),
        (error_of("X", "Can't remove the following unsaved files without confirmation.\na.csv"), "local-changes", 2),
    ],
)
def test_each_failure_has_its_own_name(error: Exception, code: str, exit_code: int) -> None:
    found = translate(error, [], "default remote")
    assert (found.code, found.exit_code) == (code, exit_code)
    assert found.hint


def test_what_dvc_logged_counts_for_more_than_its_count() -> None:
    counted = error_of("DownloadError", "2 files failed to download")
    found = translate(counted, [error_of("NoCredentialsError", "Unable to locate credentials")], "remote `s`")
    assert (found.code, "remote `s`" in found.message) == ("no-credentials", True)
    assert translate(counted, [TimeoutError("timed out")], "remote `s`").code == "remote-unreachable"


def test_a_defect_stays_one() -> None:
    with pytest.raises(TypeError):
        translate(TypeError("ours"), [], "default remote")


def test_no_password_of_an_address_is_shown() -> None:
    text = clean(OSError("https://me:secret@host/x?sig=abc failed\nmore"))
    assert text == "https://***@host/x?*** failed"
    assert clean(OSError()) == "OSError"


def test_not_found_is_not_no_answer() -> None:
    missing = FileNotFoundError("key")
    assert only_missing([missing, error_of("Gone", base=FileNotFoundError, cause=error_of("NoSuchKey"))])
    assert not only_missing([missing, PermissionError("no")])
    assert not only_missing([error_of("Hidden", base=FileNotFoundError, cause=ConnectionRefusedError())])
    forbidden = error_of("ClientResponseError")
    forbidden.status = 403  # type: ignore[attr-defined]
    assert not only_missing([error_of("Hidden", base=FileNotFoundError, cause=forbidden)])


def test_retries_are_for_what_may_pass() -> None:
    calls: list[str] = []

    def work(*codes: str) -> str:
        if len(calls) < len(codes):
            calls.append(codes[len(calls)])
            raise OutsideError("x", code=calls[-1])
        return "done"

    said: list[str] = []
    assert with_retries(lambda: work("remote-unreachable", "dvc-locked"), said.append, (0, 0)) == "done"
    assert len(said) == 2
    calls.clear()
    with pytest.raises(OutsideError):
        with_retries(lambda: work("disk-full"), said.append, (0, 0))
    assert calls == ["disk-full"]
    calls.clear()
    with pytest.raises(OutsideError):
        with_retries(lambda: work(*["remote-unreachable"] * 9), said.append, (0, 0))
    assert len(calls) == 3


@pytest.mark.parametrize(
    ("size", "text"),
    [
        (0, "0 bytes"),
        (999, "999 bytes"),
        (1234, "1.2 kB"),
        (123_456, "123 kB"),
        (5e12, "5,000 GB"),
    ],
)
def test_sizes_for_people(size: float, text: str) -> None:
    assert size_text(size) == text
