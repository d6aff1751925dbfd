"""A copy of the configuration that ``moja.cli`` can run safely; the project itself is not touched.

Changed in the copy: inputs become absolute paths (the layers and the database are read where they are),
outputs go to a folder of the run, Windows separators become slashes, the number of threads is set, and
logging goes to stderr only (a project's own ``logging.conf`` may write into a folder that does not exist).
"""

from __future__ import annotations

import json
import os
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from flint_ml.gcbm.project.config import CFG, Json, Project, plain_path, read_json
from flint_ml.gcbm.project.grid import BlockId, parse_blocks

INPUT_KEYS = {"path", "layer_path", "queryFile"}
OUTPUT_KEYS = {
    "databasename",
    "output_path",
    "output_filename",
    "output_file_name",
    "output_info_path",
    "filename",
    "stats_databasename",
    "debugging_output_path",
}
DATABASE = "gcbm_output.db"
LOGGING = """[Core]
DisableLogging=false

[Sinks.console]
Destination=Console
Asynchronous=false
AutoFlush=true
Format="<%TimeStamp%> (%Severity%) - %Message%"
Filter="%Severity% >= info"
"""


@dataclass(frozen=True)
class Prepared:
    """A configuration ready to run: where to start, with which arguments, and where the results will be."""

    folder: Path
    output: Path
    database: Path
    arguments: list[str]


def prepare(
    project: Project, work: Path, *, threads: int | None = None, blocks: Sequence[str | BlockId] | None = None
) -> Prepared:
    """Write the copy under ``work`` and make every folder that the run writes into.

    Parameters
    ----------
    threads
        Worker threads; default: one for each core. The main thread comes on top, it only waits.
    blocks
        Run these blocks only (``tile:block``), as a part of a matrix of jobs.
    """
    folder, output = work.absolute() / "config", work.absolute() / "output"
    folder.mkdir(parents=True)
    output.mkdir(parents=True)
    copy = _Copy(project, output, threads or os.cpu_count() or 1, None if blocks is None else parse_blocks(blocks))
    lines = []
    for kind, files in (("config", project.files), ("config_provider", project.provider_files)):
        for number, file in enumerate(files):
            name = f"{kind}_{number:02d}_{file.name}"
            content = copy.rewritten(read_json(file))
            (folder / name).write_text(json.dumps(content, indent=1, ensure_ascii=False), encoding="utf-8")
            lines.append(f"{kind}={name}\n")
    (folder / CFG).write_text("".join(lines), encoding="utf-8")
    (folder / "logging.conf").write_text(LOGGING, encoding="utf-8")
    for path in copy.folders:
        path.mkdir(parents=True, exist_ok=True)
    return Prepared(folder, output, output / DATABASE, ["--config_file", CFG, "--logging_config", "logging.conf"])


class _Copy:
    def __init__(self, project: Project, output: Path, threads: int, blocks: list[BlockId] | None) -> None:
        self.project, self.output, self.threads, self.blocks = project, output, threads, blocks
        self.home = project.output_database.parent
        self.folders: list[Path] = [output]

    def rewritten(self, content: Json) -> Json:
        result: Json = self._walk(content)
        domain = result.get("LocalDomain")
        if isinstance(domain, dict) and isinstance(domain.get("landscape"), dict):
            self._landscape(domain["landscape"])
        return result

    def _landscape(self, landscape: Json) -> None:
        landscape["do_logging"] = True  # without it there is no summary to judge by
        landscape["num_threads"] = self.threads
        if self.blocks is not None:
            landscape.pop("tiles", None)
            landscape.pop("cells", None)
            chosen = [{"tile_index": block.tile, "block_index": block.block} for block in self.blocks]
            landscape |= {"iteration_type": "BlockIndex", "num_threads": 0, "blocks": chosen}

    def _walk(self, value: Any) -> Any:
        if isinstance(value, list):
            return [self._walk(item) for item in value]
        if not isinstance(value, dict):
            return value
        return {key: self._entry(key, item) for key, item in value.items()}

    def _entry(self, key: str, item: Any) -> Any:
        if not isinstance(item, str) or not item.strip():
            return self._walk(item)
        if key in INPUT_KEYS:
            path = self.project.config_dir / plain_path(item)
            return str(path.resolve())
        if key in OUTPUT_KEYS:
            return str(self._output(key, item))
        return item

    def _output(self, key: str, text: str) -> Path:
        """The place under the run's output folder that mirrors the configured one."""
        if key == "databasename":
            return self.output / DATABASE
        wanted = self.project.config_dir / plain_path(text)
        relative = os.path.relpath(wanted, self.home)
        inside = relative if not relative.startswith("..") else wanted.name
        target = self.output / inside
        self.folders.append(target if key.endswith("_path") else target.parent)
        return target
