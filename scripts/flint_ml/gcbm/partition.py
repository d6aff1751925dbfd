"""Split a run into jobs and join their results to exactly what one run gives (specification, 7).

Sums are made by block, and added over blocks in block order, in one job as in many: so the joined result
is the same to the last bit. A part is one file (numpy's npz), written whole or not at all.
"""

from __future__ import annotations

import json
import zipfile
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import asdict, dataclass
from itertools import pairwise
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from flint_ml.errors import InputError, OutsideError
from flint_ml.gcbm.engine.aggregate import Folded, Names, Observed, Partials, Result, total
from flint_ml.gcbm.engine.checks import run_checks
from flint_ml.gcbm.engine.processes import FLOWS
from flint_ml.gcbm.engine.run import Reader
from flint_ml.gcbm.project.config import Project
from flint_ml.gcbm.project.grid import BlockId, format_blocks, parse_blocks

Index = NDArray[np.int64]
FORMAT = "flint-ml/gcbm-part/1"
_PAIRS = (("keys", "sums"), ("events", "event_area"), ("moves", "moved"), ("failures", "failed"))
_ARRAYS = ("keys", "sums", "events", "event_area", "moves", "moved", "failures", "failed")


@dataclass(frozen=True)
class Job:
    """A part of a run: consecutive blocks (text for ``run(blocks=...)``), unique stands, pixels."""

    part: int
    of: int
    blocks: str
    stands: int
    pixels: int


def plan(project: Project, jobs: int) -> list[Job]:
    """Split the project's blocks into at most ``jobs`` runs of consecutive blocks.

    The largest number of stands (summed over blocks) in a job is as small as it can be. Blocks without
    pixels go along, so that the parts together are the whole project. A project whose pixels depend on the pixel
    before them (``masks_spinup_alone``) is one job.
    """
    if jobs < 1:
        raise InputError(f"{jobs} jobs", where="jobs", hint="ask for at least one", code="gcbm-plan")
    with Reader(project) as reader:
        sizes = reader.block_sizes()
    if project.masks_spinup_alone:
        jobs = 1
    weights = [stands for _, stands, _ in sizes]
    low, high = max([1, *weights]), max(1, sum(weights))
    while low < high:
        middle = (low + high) // 2
        if len(_cut(weights, middle)) <= jobs:
            high = middle
        else:
            low = middle + 1
    spans = _cut(weights, low)
    return [
        Job(
            number,
            len(spans),
            format_blocks(block for block, _, _ in sizes[a:b]),
            sum(s for _, s, _ in sizes[a:b]),
            sum(p for _, _, p in sizes[a:b]),
        )
        for number, (a, b) in enumerate(spans, 1)
    ]


def _cut(weights: Sequence[int], most: int) -> list[tuple[int, int]]:
    """Consecutive spans that weigh at most ``most``; an empty tail joins the last."""
    spans: list[tuple[int, int]] = []
    start = weight = 0
    for i, w in enumerate(weights):
        if weight and w and weight + w > most:
            spans.append((start, i))
            start, weight = i, 0
        weight += w
    spans.append((start, len(weights)))
    return spans


def write_part(result: Result, path: str | Path) -> Path:
    """Write a job's result (from ``run(..., keep_partials=True)``) for ``merge``."""
    if result.partials is None or result.observed is None:
        raise ValueError("the result keeps no partial sums: use run(..., keep_partials=True)")
    target = Path(path)
    part = target.with_name(f".{target.name}.part")
    about = {
        "format": FORMAT,
        "fingerprint": result.fingerprint,
        "blocks": result.blocks,
        "first_day": result.first_day,
        "pool_names": result.pool_names,
        "pool_index": result.pool_index,
        "classifiers": result.classifiers,
        "names": {name: getattr(result.names, name) for name in ("sets", "lands", "errors", "types")},
        "age_bounds": result.age_bounds,
        "age_indicators": result.age_indicators,
        "pixels": result.pixels,
        "block_areas": result.block_areas,
        "observed": result.observed.to_json(),
    }
    text = np.frombuffer(json.dumps(about).encode(), dtype=np.uint8)
    try:
        target.parent.mkdir(parents=True, exist_ok=True)
        with part.open("wb") as file:
            arrays = {name: getattr(result.partials, name) for name in _ARRAYS}
            np.savez_compressed(file, about=text, stand_ids=result.stand_ids, **arrays)
        part.replace(target)
    except OSError as error:
        with suppress(OSError):
            part.unlink(missing_ok=True)
        raise OutsideError(
            f"the part cannot be written: {error}",
            where=str(target),
            hint="free disk space, or choose another folder",
            code="gcbm-output",
        ) from None
    return target


def _read_part(path: Path) -> tuple[dict[str, Any], Partials, NDArray[np.uint64]]:
    try:
        with np.load(path, allow_pickle=False) as data:
            about = json.loads(bytes(data["about"]).decode())
            if about.get("format") != FORMAT:
                raise ValueError(f"format {about.get('format')!r}")
            return about, Partials(*(data[name] for name in _ARRAYS)), data["stand_ids"]
    except (OSError, ValueError, KeyError, zipfile.BadZipFile, UnicodeDecodeError) as error:
        raise InputError(
            f"not a part of a GCBM run, or an incomplete one ({error})",
            where=str(path),
            hint="run this part again",
            code="gcbm-part",
        ) from None


def merge(paths: Sequence[str | Path]) -> Result:
    """Join the parts of a run.

    Raises
    ------
    InputError
        Parts of different inputs, years or engine versions; blocks that two parts have, or that none has.
    """
    if not paths:
        raise InputError("no parts to merge", where="parts", hint="give the parts' files", code="gcbm-part")
    found = [(Path(path), *_read_part(Path(path))) for path in sorted(map(str, paths))]
    first = found[0][1]
    _same_inputs([(path, about) for path, about, _, _ in found])
    _all_blocks([(path, about) for path, about, _, _ in found])
    names = Names()
    width = 1 + len(first["pool_names"]) + len(FLOWS)
    folded = Folded(width)
    for part in _in_block_order([_renumber(part, about["names"], names) for _, about, part, _ in found]):
        for kind, values in _PAIRS:
            folded.add(kind, getattr(part, kind), getattr(part, values))
    observed = Observed.join([about["observed"] for _, about, _, _ in found])
    areas = sorted((int(order), float(area)) for _, about, _, _ in found for order, area in about["block_areas"])
    stand_ids = np.unique(np.concatenate([ids for _, _, _, ids in found]))
    blocks = sorted((BlockId.parse(b) for _, about, _, _ in found for b in about["blocks"]), key=lambda b: b.order)
    result = folded.result(
        years=[int(year) for year in first["fingerprint"]["years"]],
        first_day=(first["first_day"][0], first["first_day"][1]),
        pool_names=first["pool_names"],
        pool_index=first["pool_index"],
        classifiers=next((about["classifiers"] for _, about, _, _ in found if about["classifiers"]), []),
        names=names,
        age_bounds=[(a, b) for a, b in first["age_bounds"]],
        age_indicators=first["age_indicators"],
        stands=int(stand_ids.size),
        pixels=sum(about["pixels"] for _, about, _, _ in found),
        area_ha=total(area for _, area in areas),
        blocks=[str(block) for block in blocks],
    )
    result.checks = run_checks(result, observed)
    result.fingerprint = first["fingerprint"]
    return result


def _in_block_order(parts: Sequence[Partials]) -> list[Partials]:
    """Parts such that each begins after the one before has ended: interleaved ones are joined to one."""
    spans = [np.concatenate([getattr(part, kind)[:, 0] for kind, _ in _PAIRS]) for part in parts]
    order = sorted((i for i in range(len(parts)) if spans[i].size), key=lambda i: int(spans[i].min()))
    if all(int(spans[a].max()) < int(spans[b].min()) for a, b in pairwise(order)):
        return [parts[i] for i in order]
    fields = []
    for kind, values in _PAIRS:
        keys = np.concatenate([getattr(part, kind) for part in parts])
        sums = np.concatenate([getattr(part, values) for part in parts])
        by_block = np.argsort(keys[:, 0], kind="stable")
        fields += [keys[by_block], sums[by_block]]
    return [Partials(*fields)]


def _same_inputs(parts: list[tuple[Path, dict[str, Any]]]) -> None:
    wanted = parts[0][1]["fingerprint"]
    for path, about in parts[1:]:
        other = about["fingerprint"]
        changed = sorted(key for key in {*wanted, *other} if wanted.get(key) != other.get(key))
        if changed:
            raise InputError(
                f"this part was made from other inputs than {parts[0][0].name}: {', '.join(changed)} differ",
                where=str(path),
                hint="run all parts on the same commit and data",
                code="gcbm-part",
            )


def _all_blocks(parts: list[tuple[Path, dict[str, Any]]]) -> None:
    owner: dict[str, Path] = {}
    for path, about in parts:
        for block in about["blocks"]:
            if block in owner:
                raise InputError(
                    f"block {block} is in {owner[block].name} too; its carbon would count twice",
                    where=str(path),
                    hint="give each part once",
                    code="gcbm-part",
                )
            owner[block] = path
    missing = [b for b in parse_blocks([parts[0][1]["fingerprint"]["blocks"]]) if str(b) not in owner]
    if missing:
        raise InputError(
            f"no part has the blocks {format_blocks(missing)}: a job is missing",
            where=", ".join(path.name for path, _ in parts),
            hint="run the missing part again; a missing job is a failure, not a smaller area",
            code="gcbm-part",
        )


def _renumber(part: Partials, theirs: dict[str, Any], names: Names) -> Partials:
    """Keys with the numbers of ``names``, matched by what they mean."""

    def table(kind: str) -> Index:
        values = [tuple(v) if isinstance(v, list) else v for v in theirs[kind]]
        return np.array([names.number(kind, value) for value in values] or [0], dtype=np.int64)

    sets, lands, errors, types = (table(kind) for kind in ("sets", "lands", "errors", "types"))
    changed = asdict(part)
    for key in ("keys", "events", "moves", "failures"):
        changed[key] = changed[key].copy()
    changed["keys"][:, 2], changed["keys"][:, 3] = sets[part.keys[:, 2]], lands[part.keys[:, 3]]
    for key in ("events", "moves"):
        rows = getattr(part, key)
        for column, numbers in ((2, sets), (3, lands), (5, types), (6, sets), (7, lands)):
            changed[key][:, column] = numbers[rows[:, column]]
    for column, numbers in ((1, sets), (2, lands), (4, errors)):
        changed["failures"][:, column] = numbers[part.failures[:, column]]
    return Partials(**changed)
