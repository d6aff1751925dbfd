"""List the files of an image: ``docker export CONTAINER | python tools/image_files.py``.

One line a file, sorted: path, mode, owner, sha256 of the content (or the target of a link). Times are left out: they
differ between two builds of the same sources. `.ci/lib/reproducible` compares two such lists.
"""

from __future__ import annotations

import hashlib
import sys
import tarfile
from typing import IO

# Docker itself puts these into every container, empty or as the machine needs them.
OF_DOCKER = {".dockerenv", "dev", "etc/hostname", "etc/hosts", "etc/resolv.conf", "etc/mtab", "proc", "sys"}


def listed(stream: IO[bytes]) -> list[str]:
    """The lines for a tar stream as ``docker export`` writes it."""
    lines: list[str] = []
    with tarfile.open(fileobj=stream, mode="r|") as archive:
        for member in archive:
            if member.name in OF_DOCKER or member.name.startswith("dev/"):
                continue
            content = "-"
            if member.isreg():
                opened = archive.extractfile(member)
                content = hashlib.sha256(opened.read()).hexdigest() if opened else "-"
            elif member.issym() or member.islnk():
                content = f"-> {member.linkname}"
            lines.append(f"{member.name}\t{member.mode:o}\t{member.uid}:{member.gid}\t{content}")
    return sorted(lines)


if __name__ == "__main__":
    sys.stdout.writelines(f"{line}\n" for line in listed(sys.stdin.buffer))
