"""What a file of a repository may reach: no path out of the workspace, no format but GeoTIFF, no server."""

from __future__ import annotations

import json
import os
import shutil
import socketserver
import threading
import zipfile
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest

from flint_ml.errors import InputError
from flint_ml.fences import confined, confined_to, open_raster
from helpers.gcbm import Place, small_project
from helpers.rasters import write
from runner.test_authority import act

VRT = """<VRTDataset rasterXSize="20" rasterYSize="20"><VRTRasterBand dataType="Byte" band="1"><SimpleSource>
<SourceFilename relativeToVRT="0">{source}</SourceFilename><SourceBand>1</SourceBand></SimpleSource></VRTRasterBand>
</VRTDataset>"""
ABOUT = '<PAMDataset><Metadata domain="OVERVIEWS"><MDI key="OVERVIEW_FILE">{source}</MDI></Metadata></PAMDataset>'
RASTER = np.arange(400, dtype=np.uint8).reshape(20, 20)


class Asked(socketserver.ThreadingTCPServer):
    """Counts who calls."""

    allow_reuse_address = True
    daemon_threads = True

    def __init__(self) -> None:
        self.calls = 0
        super().__init__(("127.0.0.1", 0), socketserver.BaseRequestHandler)

    def process_request(self, *arguments: object) -> None:
        self.calls += 1
        super().process_request(*arguments)  # type: ignore[arg-type]

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.server_address[1]}"


@pytest.fixture(autouse=True)
def same_variables(monkeypatch: pytest.MonkeyPatch) -> None:
    """What opening a raster sets is set for this test only."""
    for name in ("CPL_VSIL_CURL_ALLOWED_FILENAME", "GDAL_HTTP_PROXY"):
        monkeypatch.setenv(name, os.environ.get(name, ""))
        monkeypatch.delenv(name)


@pytest.fixture
def server() -> Iterator[Asked]:
    with Asked() as asked:
        threading.Thread(target=asked.serve_forever, daemon=True).start()
        yield asked
        asked.shutdown()


def context_of(folder: Path):
    from flint_ml.runner import Context

    return Context(on_github=True, workspace=folder)


@pytest.mark.parametrize(
    ("beside", "text"),
    [
        ("new.tif.msk", VRT),
        ("new.tif.ovr", VRT),
        ("new.tif.MSK", VRT),
        ("new.tif.aux.xml", ABOUT),
        ("new.tif.aux.xml", '<!DOCTYPE x [<!ENTITY e SYSTEM "{source}">]><PAMDataset>&e;</PAMDataset>'),
    ],
)
def test_a_file_beside_a_raster_sends_nobody_anywhere(tmp_path: Path, server: Asked, beside: str, text: str) -> None:
    for name in ("ref.tif", "new.tif"):
        write(tmp_path / name, RASTER)
    (tmp_path / beside).write_text(text.format(source=f"/vsicurl/{server.url}/a.tif"))
    code, log, _ = act("check-drift", context_of(tmp_path), reference="ref.tif", current="new.tif")
    assert (code, server.calls) == (2, 0), log
    assert beside in log


def test_a_rasters_own_description_sends_nobody_anywhere(tmp_path: Path, server: Asked) -> None:
    """GDAL takes the name of overviews from the description inside the file too, and opens it for a smaller picture."""
    import rasterio

    path = write(tmp_path / "a.tif", RASTER)
    with rasterio.open(path, "r+") as dataset:
        dataset.update_tags(ns="OVERVIEWS", OVERVIEW_FILE=f"/vsicurl/{server.url}/a.tif")
    if (tmp_path / "a.tif.aux.xml").exists():
        (tmp_path / "a.tif.aux.xml").unlink()
    with open_raster(path, "a.tif") as dataset:
        assert dataset.overviews(1) == []
        dataset.read(1, out_shape=(2, 2))
    assert server.calls == 0


def test_a_mask_that_is_a_geotiff_is_read(tmp_path: Path) -> None:
    path = write(tmp_path / "a.tif", RASTER)
    write(tmp_path / "a.tif.msk", np.full((20, 20), 255, dtype=np.uint8))
    with open_raster(path, "a.tif") as dataset:
        assert dataset.read_masks(1).all()


@pytest.mark.parametrize("name", ["in.txt", "link", "../out.txt", "up/out.txt", "/etc/hostname"])
def test_paths_stay_in_the_workspace(tmp_path: Path, name: str) -> None:
    root = tmp_path / "work"
    (root / "deep").mkdir(parents=True)
    (root / "in.txt").write_text("x")
    (root / "link").symlink_to("in.txt")
    (root / "up").symlink_to(tmp_path)
    path = root / name
    with confined_to(root):
        if name in ("in.txt", "link"):
            assert confined(path, "x") == path
        else:
            with pytest.raises(InputError, match="leads out of the workspace"):
                confined(path, "x")
    assert confined(path, "x") == path


# -- a GCBM project -----------------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def landscape(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return small_project(tmp_path_factory.mktemp("landscape") / "project")


@pytest.fixture
def place(tmp_path: Path, landscape: Path) -> Place:
    (tmp_path / "work").mkdir()
    return Place(tmp_path / "work", landscape)


def rewrite(file: Path, before: str, after: str) -> None:
    text = file.read_text()
    assert before in text
    file.write_text(text.replace(before, after))


def layer_elsewhere(place: Place, outside: Path, server: Asked) -> None:
    shutil.copytree(place.project / "layers/tiled", outside / "tiled")
    rewrite(place.project / "config/provider_config.json", "../layers/tiled/Species", "../../../outside/tiled/Species")


def layer_link(place: Place, outside: Path, server: Asked) -> None:
    file = place.project / "layers/tiled/Species.tiff"
    shutil.move(file, outside / "Species.tiff")
    file.symlink_to(outside / "Species.tiff")


def layer_vrt(place: Place, outside: Path, server: Asked) -> None:
    file = place.project / "layers/tiled/Species.tiff"
    file.write_text(VRT.format(source=f"/vsicurl/{server.url}/a.tif"))


def mask_vrt(place: Place, outside: Path, server: Asked) -> None:
    file = place.project / "layers/tiled/Species.tiff.msk"
    file.write_text(VRT.format(source=f"/vsicurl/{server.url}/a.tif"))


def database_elsewhere(place: Place, outside: Path, server: Asked) -> None:
    shutil.copy(place.project / "input_database/gcbm_input.db", outside / "gcbm_input.db")
    absolute = json.dumps(str(outside / "gcbm_input.db"))
    rewrite(place.project / "config/provider_config.json", '"../input_database/gcbm_input.db"', absolute)


def configuration_elsewhere(place: Place, outside: Path, server: Asked) -> None:
    shutil.move(place.project / "config/spinup.json", outside / "p.json")
    rewrite(place.project / "config/gcbm_config.cfg", "=spinup.json", "=../../../outside/p.json")


def configuration_link(place: Place, outside: Path, server: Asked) -> None:
    file = place.project / "config/provider_config.json"
    shutil.move(file, outside / "p.json")
    file.symlink_to(outside / "p.json")


CASES = [
    layer_elsewhere,
    layer_link,
    layer_vrt,
    mask_vrt,
    database_elsewhere,
    configuration_elsewhere,
    configuration_link,
]


@pytest.mark.parametrize("break_out", CASES, ids=lambda case: case.__name__)
def test_a_simulation_reads_only_its_own_files(place: Place, tmp_path: Path, server: Asked, break_out) -> None:
    outside = tmp_path / "outside"
    outside.mkdir()
    break_out(place, outside, server)
    code, record = place.run()
    assert (code, server.calls) == (2, 0), record["headline"]
    assert record["status"] == "error"


# -- archives -------------------------------------------------------------------------------------------------------


def bomb(file: Path, size: int) -> None:
    with (
        zipfile.ZipFile(file, "w", zipfile.ZIP_DEFLATED, compresslevel=1) as archive,
        archive.open("x.bin", "w") as out,
    ):
        block = bytes(1 << 20)
        for _ in range(size >> 20):
            out.write(block)


def many(file: Path) -> None:
    with zipfile.ZipFile(file, "w") as archive:
        for number in range(300):
            archive.writestr(f"{number}", b"")


@pytest.mark.parametrize("kind", ["bytes", "files", "lies", "broken", "climbs"])
def test_an_archive_has_limits_that_it_cannot_talk_away(
    place: Place, tmp_path: Path, kind: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    from flint_ml.gcbm.project import config

    monkeypatch.setattr(config, "MAX_UNPACKED", 4 << 20)
    monkeypatch.setattr(config, "MAX_ENTRIES", 200)
    monkeypatch.setattr("tempfile.tempdir", str(tmp_path / "temp"))
    (tmp_path / "temp").mkdir()
    file = place.folder / "p.zip"
    if kind == "files":
        many(file)
    elif kind == "climbs":
        with zipfile.ZipFile(file, "w") as archive:
            archive.writestr("../../escaped.txt", b"x")
    else:
        bomb(file, 8 << 20)
        data = bytearray(file.read_bytes())
        if kind == "lies":  # the directory at the end says that the file is small
            at = data.rindex(b"PK\x01\x02") + 24
            data[at : at + 4] = (1000).to_bytes(4, "little")
        elif kind == "broken":
            data[100:200] = os.urandom(100)
        file.write_bytes(data)
    code, record = place.run(project="p.zip")
    assert code == 2, record["headline"]
    written = sum(p.stat().st_size for p in (tmp_path / "temp").rglob("*") if p.is_file())
    assert written <= 6 << 20
    assert not list(tmp_path.rglob("escaped.txt"))


# -- tables -----------------------------------------------------------------------------------------------------------


def workbook(file: Path, sheet: bytes, **more: bytes) -> None:
    """A workbook of one sheet, written from its parts."""
    import openpyxl

    book = openpyxl.Workbook()
    book.active.append(["a"])
    book.save(file)
    with zipfile.ZipFile(file) as archive:
        parts = {name: archive.read(name) for name in archive.namelist()}
    parts["xl/worksheets/sheet1.xml"] = sheet
    with zipfile.ZipFile(file, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, content in {**parts, **more}.items():
            archive.writestr(name, content)


SHEET = b'<worksheet xmlns="http://schemas.openxmlformats.org/spreadsheetml/2006/main"><sheetData>%s</sheetData></worksheet>'


@pytest.mark.parametrize("kind", ["row", "cut", "prefix", "strings"])
def test_tables_have_limits_that_they_cannot_talk_away(
    tmp_path: Path, kind: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Row 15: a row that does not end, in one piece or many, by any prefix; text of gigabytes."""
    from flint_ml import fences

    monkeypatch.setattr(fences, "MAX_WORKBOOK", 16 << 20)
    row = {
        "row": b"<row>" + b"<c><v>1</v></c>" * 20_000 + b"</row>",
        "cut": b"<row>" + b"<c/>" * 600_000 + b"</row>",
        "prefix": b"<x:row>" + b"<x:c r='A1'/>" * 20_000 + b"</x:row>",
        "strings": b"<row><c><v>1</v></c></row>",
    }[kind]
    more = {"xl/sharedStrings.xml": bytes(20 << 20)} if kind == "strings" else {}
    workbook(tmp_path / "a.xlsx", SHEET % row, **more)
    code, log, found = act("check-drift", context_of(tmp_path), reference="a.xlsx", current="a.xlsx")
    assert (code, found["check-drift"].findings[0].code) == (2, "workbook-too-large"), log


def test_a_wide_workbook_is_read(tmp_path: Path) -> None:
    from flint_ml.fences import check_workbook

    rows = b"".join(b"<row>" + b"<c><v>1</v></c>" * 16_384 + b"</row>" for _ in range(3))
    workbook(tmp_path / "a.xlsx", SHEET % rows)
    check_workbook(tmp_path / "a.xlsx", "a.xlsx")


@pytest.mark.parametrize("suffix", [".gz", ".bz2"])
def test_a_compressed_table_is_as_large_as_what_it_holds(
    tmp_path: Path, suffix: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Row 15: what would not fit into memory is read in parts, however small its file is."""
    import bz2
    import gzip

    from flint_ml.drift.rules import DriftRules
    from flint_ml.drift.streaming import choose
    from flint_ml.drift.tables.reading import Source

    text = b"a\n" + b"1\n" * (8 << 20)
    file = tmp_path / f"a.csv{suffix}"
    file.write_bytes((gzip if suffix == ".gz" else bz2).compress(text))
    assert file.stat().st_size < 100_000
    source = Source(file, "a", ["a"], parquet=False)
    monkeypatch.setattr(choose, "available_memory", lambda: 64 << 20)
    assert choose.needed_memory(source, ["a"], DriftRules()) >= len(text)
    monkeypatch.setattr(choose, "available_memory", lambda: 4 << 20)
    assert choose.choose("auto", (source, source), DriftRules()) == "stream"
