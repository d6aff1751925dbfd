"""Measure the actions' image and keep the figures in ``docs/image.md``: ``python tools/image_facts.py --write``.

Sizes come from the image itself, the compressed one from ``docker save | gzip -6`` (a registry stores within one per
cent of that), start times from whole ``docker run`` calls, medians of five. Without ``--write`` nothing is changed and
the exit code is 1 when the page's sizes are more than five per cent off.
"""

from __future__ import annotations

import argparse
import re
import statistics
import subprocess
import sys
import time
import zlib
from datetime import UTC, datetime
from pathlib import Path

from tabulate import tabulate

PAGE = Path(__file__).resolve().parent.parent / "docs" / "image.md"
BLOCK = re.compile(r"(<!-- figures -->\n).*?(<!-- /figures -->)", re.DOTALL)
TOLERANCE = 0.05
RUNS = 5
STARTED = {
    "`true` instead of an action (Docker alone)": ("--entrypoint", "true"),
    "Python alone": ("--entrypoint", "python", "IMAGE", "-c", "pass"),
    "`flint-ml --help`": ("IMAGE", "--help"),
}


def docker(*arguments: str) -> str:
    return subprocess.run(["docker", *arguments], check=True, capture_output=True, text=True).stdout


def sizes(image: str) -> dict[str, float]:
    """Megabytes of the image, as stored and as a registry sends it."""
    compressor, packed = zlib.compressobj(6), 0
    with subprocess.Popen(["docker", "save", image], stdout=subprocess.PIPE) as saved:
        assert saved.stdout
        while chunk := saved.stdout.read(1 << 20):
            packed += len(compressor.compress(chunk))
    packed += len(compressor.flush())
    whole = int(docker("image", "inspect", "--format", "{{.Size}}", image))
    return {"uncompressed": whole / 1e6, "compressed": packed / 1e6}


def biggest(image: str, count: int = 12) -> list[tuple[str, float]]:
    """The largest folders of the Python environment, in megabytes."""
    script = "cd /opt/venv/lib/python3*/site-packages && du -sk -- */ | sort -rn | head -n " + str(count)
    lines = docker("run", "--rm", "--entrypoint", "sh", image, "-c", script).splitlines()
    return [(name.rstrip("/"), int(size) / 1024) for size, name in (line.split("\t") for line in lines)]


def started(image: str) -> list[tuple[str, float]]:
    """Seconds of whole ``docker run --rm`` calls."""
    rows = []
    for label, arguments in STARTED.items():
        command = [image if part == "IMAGE" else part for part in arguments]
        if image not in command:
            command.append(image)
        taken = []
        for _ in range(RUNS):
            began = time.perf_counter()
            docker("run", "--rm", "--network", "none", *command)
            taken.append(time.perf_counter() - began)
        rows.append((label, statistics.median(taken)))
    return rows


def figures(image: str) -> str:
    """The generated part of the page."""
    size = sizes(image)
    head = [("uncompressed", f"{size['uncompressed']:.0f} MB"), ("compressed", f"{size['compressed']:.0f} MB")]
    parts = tabulate(
        [(f"`{name}`", f"{megabytes:.0f}") for name, megabytes in biggest(image)],
        headers=("largest parts", "MB"),
        tablefmt="pipe",
        colalign=("left", "right"),
    )
    starts = tabulate(
        [(label, f"{seconds:.2f}") for label, seconds in started(image)],
        headers=("start", "seconds, median of five"),
        tablefmt="pipe",
        colalign=("left", "right"),
    )
    day = datetime.now(UTC).date().isoformat()
    table = tabulate(head, headers=("size", f"{day}"), tablefmt="pipe", colalign=("left", "right"))
    return f"{table}\n\n{parts}\n\n{starts}\n"


def stated(page: str) -> dict[str, float]:
    """The sizes that the page states."""
    return {name: float(value) for name, value in re.findall(r"^\| (\w+) +\| +([\d.]+) MB \|$", page, re.MULTILINE)}


def main() -> int:
    options = argparse.ArgumentParser(description="Measure the image and keep docs/image.md true.")
    options.add_argument("--image", default="flint-ml-actions:test")
    options.add_argument("--write", action="store_true", help="write the figures into docs/image.md")
    given = options.parse_args()
    page = PAGE.read_text(encoding="utf-8")
    if given.write:
        made = BLOCK.sub(lambda found: found[1] + figures(given.image) + found[2], page)
        temporary = PAGE.with_suffix(".tmp")
        temporary.write_text(made, encoding="utf-8")
        temporary.replace(PAGE)
        return 0
    measured, page_says = sizes(given.image), stated(page)
    wrong = [
        f"docs/image.md: {name} {page_says.get(name, 0):.0f} MB, measured {value:.0f} MB"
        for name, value in measured.items()
        if abs(value - page_says.get(name, 0)) > TOLERANCE * value
    ]
    print("\n".join(wrong) or "docs/image.md states the image's sizes")
    if wrong:
        print("Run: python tools/image_facts.py --write")
    return 1 if wrong else 0


if __name__ == "__main__":
    sys.exit(main())
