"""CPU, wall time and memory of `flint-ml pull-data` beside `dvc pull`, in fresh clones with empty caches.

Both fetch the same data from the same remote, interleaved. `dvc: start and index` is what DVC needs before it moves
anything: a process that opens the project, builds its index and reads the folder's listing from the remote. CPU is user
and system of the whole process with its children; a server on loopback is not in it.

    python benchmarks/pull_data.py [--rounds 5] [--case folder] [--files 10000] [--out benchmarks/results/pull-data.md]

Cases: `folder` (one tracked folder), `dvc-files` (each file with a `.dvc` file of its own), `s3` (a folder on a moto
server on loopback), `large` (one file of 2 GiB, beside a floor that reads, hashes and writes it once).
"""

from __future__ import annotations

import argparse
import hashlib
import json
import os
import platform
import random
import shutil
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path

BIN = Path(sys.executable).parent
INDEX = """
from dvc.commands import data_sync
from dvc.repo import Repo
with Repo() as repo:
    index = repo.index.targets_view(None, push=False).data["repo"]
    remote = repo.cloud.get_remote(None, "pull")
    for _, entry in index.iteritems(shallow=True):
        if entry.hash_info and entry.hash_info.isdir:
            from dvc_data.hashfile.tree import Tree
            try:
                Tree.load(repo.cache.local, entry.hash_info)
            except Exception:
                Tree.load(remote.odb, entry.hash_info)
"""
FLOOR = """
import hashlib, sys
from pathlib import Path
source, target = map(Path, sys.argv[1:])
digest = hashlib.md5(usedforsecurity=False)
with source.open("rb") as stream, target.open("wb") as copy:
    while block := stream.read(1 << 20):
        digest.update(block)
        copy.write(block)
print(digest.hexdigest())
"""


@dataclass
class Measured:
    """CPU s, wall s and peak MB of each run."""

    cpu: list[float] = field(default_factory=list)
    wall: list[float] = field(default_factory=list)
    peak: list[float] = field(default_factory=list)

    def row(self) -> tuple[float, float, float]:
        return tuple(statistics.median(values) for values in (self.cpu, self.wall, self.peak))  # type: ignore[return-value]


def git(folder: Path, *arguments: str) -> None:
    command = ["git", "-c", "user.name=b", "-c", "user.email=b@example.org", *arguments]
    subprocess.run(command, cwd=folder, check=True, capture_output=True)


def make(top: Path, case: str, files: int) -> Path:
    """A repository and a remote with its data, written in DVC's layout: `dvc add` of so many files takes minutes."""
    repo, remote = top / "origin", top / "remote"
    (repo / ".dvc").mkdir(parents=True)
    (repo / ".dvc/.gitignore").write_text("/config.local\n/tmp\n/cache\n")
    (repo / ".dvc/config").write_text(
        f"[core]\n    remote = store\n    analytics = false\n['remote \"store\"']\n    url = {remote}\n"
    )
    (repo / ".gitignore").write_text("/data/soil\n/data/*.csv\n/data/large.bin\n/flint-ml-results\n")
    (repo / "data").mkdir()
    rng = random.Random(0)

    def keep(content: bytes, suffix: str = "") -> str:
        md5 = hashlib.md5(content, usedforsecurity=False).hexdigest()
        target = remote / "files/md5" / md5[:2] / (md5[2:] + suffix)
        target.parent.mkdir(parents=True, exist_ok=True)
        target.write_bytes(content)
        target.chmod(0o444)
        return md5 + suffix

    if case == "large":
        block = rng.randbytes(1 << 20)
        digest = hashlib.md5(usedforsecurity=False)
        scratch = top / "scratch"
        with scratch.open("wb") as stream:
            for number in range(2048):
                part = number.to_bytes(8, "big") + block[8:]
                digest.update(part)
                stream.write(part)
        md5 = digest.hexdigest()
        target = remote / "files/md5" / md5[:2] / md5[2:]
        target.parent.mkdir(parents=True)
        scratch.rename(target)
        target.chmod(0o444)
        (repo / "data/large.bin.dvc").write_text(
            f"outs:\n- md5: {md5}\n  size: {2048 << 20}\n  hash: md5\n  path: large.bin\n"
        )
    else:
        rows, total = [], 0
        for number in range(files):
            content = rng.randbytes(rng.randrange(2_000, 6_000))
            total += len(content)
            rows.append({"md5": keep(content), "relpath": f"site{number % 40:02}/plot{number:06}.csv"})
            if case == "dvc-files":
                md5 = rows[-1]["md5"]
                text = f"outs:\n- md5: {md5}\n  size: {len(content)}\n  hash: md5\n  path: plot{number:06}.csv\n"
                (repo / f"data/plot{number:06}.csv.dvc").write_text(text)
        if case != "dvc-files":
            rows.sort(key=lambda row: row["relpath"])
            name = keep(json.dumps(rows).encode(), ".dir")
            (repo / "data/soil.dvc").write_text(
                f"outs:\n- md5: {name}\n  size: {total}\n  nfiles: {files}\n  hash: md5\n  path: soil\n"
            )
    git(repo, "init", "-q", "-b", "main")
    git(repo, "add", "-A")
    git(repo, "commit", "-qm", "data")
    return repo


@contextmanager
def s3_server(top: Path) -> Iterator[str]:
    """Address of a moto server that holds the remote in the bucket `soil`, in a process of its own."""
    import boto3

    port = random.randrange(20_000, 40_000)
    server = subprocess.Popen(
        [BIN / "moto_server", "-H", "127.0.0.1", "-p", str(port)], stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL
    )
    address = f"http://127.0.0.1:{port}"
    try:
        client = boto3.client(
            "s3", endpoint_url=address, region_name="us-east-1", aws_access_key_id="a", aws_secret_access_key="b"
        )
        for _ in range(60):
            try:
                client.create_bucket(Bucket="soil")
                break
            except Exception:
                time.sleep(0.5)
        for path in (top / "remote").rglob("*"):
            if path.is_file():
                key = f"store/{path.relative_to(top / 'remote').as_posix()}"
                client.put_object(Bucket="soil", Key=key, Body=path.read_bytes())
        yield address
    finally:
        server.terminate()
        server.wait()


def run(command: list[str], folder: Path, top: Path) -> tuple[float, float, float]:
    """CPU s (children included), wall s and peak MB of one process."""
    env = {**os.environ, "DVC_SITE_CACHE_DIR": str(folder.parent / "site"), "DVC_NO_ANALYTICS": "1"}
    env |= {"AWS_ACCESS_KEY_ID": "a", "AWS_SECRET_ACCESS_KEY": "b", "AWS_EC2_METADATA_DISABLED": "true"}
    env.pop("GITHUB_ACTIONS", None)
    # Byte code is kept, as in the image: without it every start compiles hundreds of modules.
    env.pop("PYTHONDONTWRITEBYTECODE", None)
    env.setdefault("PYTHONPYCACHEPREFIX", str(Path(tempfile.gettempdir()) / "pull-data-pyc"))
    log = top / "log"
    started = time.perf_counter()
    with log.open("wb") as stream:
        process = subprocess.Popen(command, cwd=folder, env=env, stdout=stream, stderr=stream)
        _, status, usage = os.wait4(process.pid, 0)
    wall = time.perf_counter() - started
    if os.waitstatus_to_exitcode(status):
        raise SystemExit(f"{command}: {log.read_text(errors='replace')[-2000:]}")
    return usage.ru_utime + usage.ru_stime, wall, usage.ru_maxrss / 1024


def clone(top: Path, address: str | None) -> Path:
    shutil.rmtree(top / "run", ignore_errors=True)
    (top / "run").mkdir()
    git(top, "clone", "-q", str(top / "origin"), str(top / "run/clone"))
    folder = top / "run/clone"
    if address:
        (folder / ".dvc/config.local").write_text(
            f"['remote \"store\"']\n    url = s3://soil/store\n    endpointurl = {address}\n    region = us-east-1\n"
        )
    return folder


def measure(case: str, files: int, rounds: int, only: list[str]) -> list[str]:
    """Rows of the table."""
    pull = [str(BIN / "dvc"), "pull", "-q"]
    ours = [str(BIN / "flint-ml"), "pull-data", "--base-revision", "none"]
    index = [sys.executable, "-c", INDEX]
    steps: dict[str, tuple[list[str], bool]] = {
        "dvc: start and index": (index, True),
        "dvc pull": (pull, True),
        "dvc pull, again": (pull, False),
        "dvc status, after": ([str(BIN / "dvc"), "status", "-q"], False),
        "flint-ml pull-data": (ours, True),
        "flint-ml pull-data, again": (ours, False),
        "dvc status, after ours": ([str(BIN / "dvc"), "status", "-q"], False),
        "dvc: start and index, warm": (index, False),
    }
    if only:
        steps = {name: step for name, step in steps.items() if any(part in name for part in only)}
    results = {name: Measured() for name in steps}
    with tempfile.TemporaryDirectory(prefix="pull-data-", dir=os.environ.get("BENCH_DIR")) as name:
        top = Path(name)
        make(top, "folder" if case == "s3" else case, files)
        work: Callable[[str | None], None] = lambda address: rows(top, address, steps, results, rounds, case)  # noqa: E731
        if case == "s3":
            with s3_server(top) as address:
                work(address)
        else:
            work(None)
    title = {"large": "one file of 2 GiB, local remote"}.get(case, f"{files:,} files, {case}")
    return [
        f"| {title} | {name} | {cpu:.2f} | {wall:.2f} | {peak:.0f} |"
        for name, result in results.items()
        if result.cpu
        for cpu, wall, peak in [result.row()]
    ]


def rows(
    top: Path,
    address: str | None,
    steps: dict[str, tuple[list[str], bool]],
    results: dict[str, Measured],
    rounds: int,
    case: str,
) -> None:
    if case == "large":
        source = next(path for path in (top / "remote").rglob("*") if path.is_file())
        steps = {
            "floor: read, hash, write once": ([sys.executable, "-c", FLOOR, str(source), "large.copy"], True),
            **steps,
        }
        results["floor: read, hash, write once"] = Measured()
    folder = top / "none"
    for number in range(rounds + 1):  # the first one compiles
        for name, (command, fresh) in steps.items():
            if fresh:
                folder = clone(top, address)
            cpu, wall, peak = run(command, folder, top)
            if not number:
                continue
            results[name].cpu.append(cpu)
            results[name].wall.append(wall)
            results[name].peak.append(peak)
            print(f"{name}: {cpu:.2f} CPU s, {wall:.2f} s, {peak:.0f} MB", file=sys.stderr, flush=True)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--case", action="append", choices=["folder", "dvc-files", "s3", "large"])
    parser.add_argument("--files", type=int)
    parser.add_argument("--only", action="append", default=[])
    parser.add_argument("--out", type=Path)
    options = parser.parse_args()
    lines: list[str] = []
    for case in options.case or ["folder", "dvc-files", "s3"]:
        lines += measure(case, options.files or (3_000 if case == "s3" else 10_000), options.rounds, options.only)
    import dvc

    text = "\n".join(
        [
            "# pull-data beside dvc pull",
            "",
            f"Made by `benchmarks/pull_data.py`: median of {options.rounds} whole processes, interleaved. "
            f"{os.cpu_count()} shared cores, Python {platform.python_version()}, dvc {dvc.__version__}, "
            f"{datetime.now(UTC):%Y-%m-%d}.",
            "",
            "| data | process | CPU s | wall s | peak MB |",
            "|:--|:--|--:|--:|--:|",
            *lines,
            "",
        ]
    )
    print(text)
    if options.out:
        options.out.write_text(text, encoding="utf-8")


if __name__ == "__main__":
    main()
