"""Write a repaired copy of a project: what can be repaired without guessing at the science."""

from __future__ import annotations

import json
import shutil
from contextlib import suppress
from pathlib import Path
from typing import Any

from flint_ml.errors import InputError, OutsideError
from flint_ml.gcbm.project.config import Project, load_project, plain_path, read_json
from flint_ml.gcbm.project.grid import BLOCKS
from flint_ml.gcbm.project.layers import Layer, layer_entries, make_layer
from flint_ml.gcbm.project.validation import PATH_KEYS


def repair(project: Project, folder: str | Path) -> list[str]:
    """Copy a project to ``folder`` and repair the copy; returns what was changed, one sentence each.

    Repaired: Windows separators, a raster whose name differs from the configuration's (when only one file
    can be meant), rasters cropped inside a block (padded with no data to whole tiles), a missing output
    folder. The original is not touched; the copy appears whole or not at all.
    """
    target = Path(folder)
    if target.exists() and any(target.iterdir()):
        raise InputError(
            "the folder for the mended copy is not empty",
            where=str(target),
            hint="give a new folder",
            code="gcbm-mend",
        )
    part = target.with_name(f".{target.name}.part")
    try:
        shutil.rmtree(part, ignore_errors=True)
        shutil.copytree(project.root, part, ignore=shutil.ignore_patterns(".git", ".dvc"))
        copy = load_project(part)
        done = [*_separators(copy)]
        copy = load_project(part)
        done += _layers(copy)
        done += _output_folder(copy)
        if target.exists():
            target.rmdir()
        part.replace(target)
    except OSError as error:
        raise OutsideError(
            f"the mended copy cannot be written: {error}",
            where=str(target),
            hint="free disk space",
            code="gcbm-mend",
        ) from None
    finally:
        with suppress(OSError):
            shutil.rmtree(part)
    return done


def _separators(project: Project) -> list[str]:
    done = []
    for file in (*project.files, *project.provider_files):
        content = read_json(file)
        if changed := _plain(content):
            text = json.dumps(content, indent=4, ensure_ascii=False) + "\n"
            file.write_text(text, encoding="utf-8")
            done.append(f"{project.relative(file)}: {changed} Windows paths written with /")
    return done


def _plain(value: Any) -> int:
    changed = 0
    items = value.items() if isinstance(value, dict) else enumerate(value) if isinstance(value, list) else ()
    for key, item in list(items):
        if key in PATH_KEYS and isinstance(item, str) and "\\" in item:
            value[key] = plain_path(item)
            changed += 1
        else:
            changed += _plain(item)
    return changed


def _layers(project: Project) -> list[str]:
    done = []
    for provider, entry, where in layer_entries(project):
        layer = make_layer(project, provider, entry, where)
        if not layer.tiff.is_file():
            near = sorted(layer.tiff.parent.glob(f"{layer.tiff.stem}*.tif*"))
            if len(near) != 1:
                continue
            near[0].replace(layer.tiff)
            done.append(f"layer {layer.name}: {near[0].name} renamed to {layer.tiff.name}, as the configuration says")
        if layer.cropped() or layer.part_of_tile():
            _pad(layer)
            done.append(f"layer {layer.name}: padded with no data to whole tiles, so that moja.cli can read it")
        layer.close()
    return done


def _pad(layer: Layer) -> None:
    """Extend a raster to whole tiles; only the part with data takes space in the file."""
    import rasterio
    from rasterio.transform import from_origin
    from rasterio.windows import Window

    source = layer.open()
    side = layer.grid.per_block * BLOCKS
    row, column = layer.origin
    top, left = row // side * side, column // side * side
    height = -(-(row + source.height) // side) * side - top
    width = -(-(column + source.width) // side) * side - left
    cell = layer.grid.cell
    profile = {
        "driver": "GTiff",
        "height": height,
        "width": width,
        "count": 1,
        "dtype": layer.dtype.name,
        "crs": source.crs or "EPSG:4326",
        "nodata": layer.nodata.item(),
        "compress": "deflate",
        "tiled": True,
        "blockxsize": 256,
        "blockysize": 256,
        "SPARSE_OK": True,
        "BIGTIFF": "IF_SAFER",
        "transform": from_origin(left * cell - 180.0, 90.0 - top * cell, cell, cell),
    }
    part = layer.tiff.with_name(f".{layer.tiff.name}.part")
    with rasterio.open(part, "w", **profile) as padded:
        for start in range(0, source.height, 512):
            count = min(512, source.height - start)
            data = source.read(1, window=Window(0, start, source.width, count))
            padded.write(data, 1, window=Window(column - left, row - top + start, source.width, count))
    layer.close()
    part.replace(layer.tiff)


def _output_folder(project: Project) -> list[str]:
    folder = project.output_database.parent
    if folder.is_dir():
        return []
    folder.mkdir(parents=True)
    return [f"{project.relative(folder)}: folder made, because moja.cli loses its results without it"]
