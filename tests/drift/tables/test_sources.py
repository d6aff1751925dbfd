"""Where tables come from: Excel, archives, compressed text, S3 and HTTP on loopback. Secrets stay out of messages."""

from __future__ import annotations

import base64
import bz2
import gzip
import http.server
import io
import string
import threading
import zipfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from flint_ml.drift import DriftRules, check_sources
from flint_ml.drift.tables.reading import open_table, read_columns
from flint_ml.drift.tables.sources import find_remote, shown
from flint_ml.errors import InputError, OutsideError
from helpers.drift import Folder, soil

BASE64 = f"{string.ascii_letters}{string.digits}+/="
SECRET = "not-for-the-log-0816"


def csv(seed: int) -> bytes:
    return soil(seed).to_csv(index=False).encode()


def packed(kind: str, data: bytes) -> bytes:
    if kind == "zip":
        target = io.BytesIO()
        with zipfile.ZipFile(target, "w") as archive:
            archive.writestr("inside/table.csv", data)
            archive.writestr("__MACOSX/table.csv", b"x")
            archive.writestr("README.md", b"about")
        return target.getvalue()
    if kind == "zst":
        sink = pa.BufferOutputStream()
        with pa.CompressedOutputStream(sink, "zstd") as stream:
            stream.write(data)
        return bytes(sink.getvalue())
    return {"gz": gzip.compress, "bz2": bz2.compress}[kind](data)


@pytest.fixture
def folder(tmp_path: Path) -> Folder:
    place = tmp_path / "work"
    place.mkdir()
    result = Folder(place)
    result.write("reference.csv", soil(1))
    result.write("new.csv", soil(2))
    return result


@pytest.mark.parametrize("kind", ["gz", "bz2", "zst", "zip"])
@pytest.mark.parametrize("engine", ["memory", "stream"])
def test_compressed_text_is_read_as_it_is(folder: Folder, kind: str, engine: str) -> None:
    _, plain = folder.run()
    folder.write(f"new.csv.{kind}", packed(kind, csv(2)))
    _, record = folder.run(current=f"new.csv.{kind}", engine=engine)
    assert record["details"]["columns"] == plain["details"]["columns"]


def test_a_workbook_is_read_as_the_csv_is(folder: Folder) -> None:
    _, plain = folder.run()
    table = soil(2)
    with pd.ExcelWriter(folder.folder / "new.xlsx") as book:
        table.to_excel(book, sheet_name="samples", index=False)
        table.to_excel(book, sheet_name="second", index=False)
    for engine in ("memory", "stream"):
        code, record = folder.run(current="new.xlsx", engine=engine)
        assert code == 0
        assert record["details"]["columns"] == plain["details"]["columns"]
    assert "the first sheet, `samples`, was read" in str(record["findings"])


def test_cells_of_a_workbook(tmp_path: Path) -> None:
    from openpyxl import Workbook

    book = Workbook()
    sheet = book.active
    assert sheet is not None
    for row in (
        [],
        ["depth", "SOC", "mixed", "when", "flag", None],
        [10, 1.5, "a", pd.Timestamp("2026-01-02").to_pydatetime(), True],
        [20, None, 2.0, pd.Timestamp("2026-01-03").to_pydatetime(), False],
        [30, 2, "#N/A", None, None],
    ):
        sheet.append(row)
    book.save(tmp_path / "t.xlsx")
    source = open_table(tmp_path / "t.xlsx", "t.xlsx")
    table = read_columns(source, source.names)
    assert table.to_pydict() | {"when": None} == {
        "depth": [10, 20, 30],
        "SOC": [1.5, None, 2.0],
        "mixed": ["a", "2", None],
        "when": None,
        "flag": [True, False, None],
    }
    assert pa.types.is_timestamp(table.schema.field("when").type)
    assert pa.types.is_integer(table.schema.field("depth").type)


@pytest.mark.parametrize(
    ("name", "content", "message"),
    [
        ("t.xlsx", b"PK\x03\x04no workbook", "is not an Excel workbook"),
        ("t.xlsx", b"", "is empty"),
        ("t.xls", b"\xd0\xcf\x11\xe0" + bytes(100), "spreadsheet of another kind"),
        ("t.zip", b"PK\x03\x04", "is no ZIP archive"),
        ("t.zip", packed("zip", b"")[:-10], "is no ZIP archive"),
    ],
)
def test_what_is_no_workbook_or_archive_is_said_to_be_none(
    tmp_path: Path, name: str, content: bytes, message: str
) -> None:
    (tmp_path / name).write_bytes(content)
    with pytest.raises(InputError, match=message):
        open_table(tmp_path / name, name)


def test_an_archive_holds_one_table(tmp_path: Path) -> None:
    with zipfile.ZipFile(tmp_path / "two.zip", "w") as archive:
        archive.writestr("a.csv", "x\n1\n")
        archive.writestr("b.csv", "x\n1\n")
    with pytest.raises(InputError, match="holds 2 tables"):
        open_table(tmp_path / "two.zip", "two.zip")


@pytest.fixture(scope="module")
def s3() -> Iterator[str]:
    """Address of an S3 server with the bucket `soil`."""
    import boto3
    from moto.server import ThreadedMotoServer

    server = ThreadedMotoServer(ip_address="127.0.0.1", port=0, verbose=False)
    server.start()
    host, port = server.get_host_and_port()
    client = boto3.client(
        "s3",
        endpoint_url=f"http://{host}:{port}",
        region_name="us-east-1",
        aws_access_key_id="AKIAGOODKEY",
        aws_secret_access_key=SECRET,
    )
    client.create_bucket(Bucket="soil")
    client.put_object(Bucket="soil", Key="reference.csv", Body=csv(1))
    client.put_object(Bucket="soil", Key="new/a.csv.gz", Body=gzip.compress(csv(2)))
    sink = io.BytesIO()
    wide = pd.concat([soil(2), pd.DataFrame(np.random.default_rng(0).normal(size=(300, 200))).add_prefix("x")], axis=1)
    pq.write_table(pa.Table.from_pandas(wide, preserve_index=False), sink, row_group_size=100)
    client.put_object(Bucket="soil", Key="new.parquet", Body=sink.getvalue())
    yield f"http://{host}:{port}"
    server.stop()


@pytest.fixture
def on_s3(s3: str, folder: Folder, monkeypatch: pytest.MonkeyPatch) -> Folder:
    monkeypatch.setenv("AWS_ENDPOINT_URL", s3)
    monkeypatch.setenv("AWS_ACCESS_KEY_ID", "AKIAGOODKEY")
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", SECRET)
    monkeypatch.setenv("AWS_REGION", "us-east-1")
    monkeypatch.setenv("AWS_EC2_METADATA_DISABLED", "true")
    for name in ("AWS_CONFIG_FILE", "AWS_SHARED_CREDENTIALS_FILE"):  # not those of whoever runs the tests
        monkeypatch.setenv(name, str(folder.folder.parent / name))
    import fsspec

    fsspec.get_filesystem_class("s3").clear_instance_cache()
    return folder


@pytest.mark.parametrize("current", ["s3://soil/new/", "s3://soil/new/*.gz", "s3://soil/new.parquet"])
@pytest.mark.parametrize("engine", ["memory", "stream"])
def test_s3_gives_the_numbers_of_the_file(on_s3: Folder, current: str, engine: str) -> None:
    _, plain = on_s3.run()
    code, record = on_s3.run(reference="s3://soil/reference.csv", current=current, engine=engine)
    assert code == 0
    assert record["details"]["columns"] == plain["details"]["columns"]
    used = record["provenance"]["inputs"]
    assert used[0]["path"] == "s3://soil/reference.csv"
    assert used[0]["bytes"] == len(csv(1))
    assert SECRET not in str(record)


def test_what_s3_does_not_give(on_s3: Folder, monkeypatch: pytest.MonkeyPatch) -> None:
    code, record = on_s3.run(current="s3://soil/none.csv")
    assert (code, record["findings"][0]["code"]) == (2, "missing-file")
    code, record = on_s3.run(current="s3://soil/none-*.csv")
    assert (code, record["findings"][0]["code"]) == (2, "missing-file")
    code, record = on_s3.run(reference="s3://soil/reference.csv", reference_rev="main")
    assert code == 2
    monkeypatch.delenv("AWS_ACCESS_KEY_ID")
    monkeypatch.delenv("AWS_SECRET_ACCESS_KEY")
    import fsspec

    fsspec.get_filesystem_class("s3").clear_instance_cache()
    code, record = on_s3.run(current="s3://soil/reference.csv")
    assert (code, record["findings"][0]["code"]) == (3, "no-access")
    assert "AWS_ACCESS_KEY_ID" in record["findings"][0]["hint"]


class Site(http.server.BaseHTTPRequestHandler):
    """A server that knows two tables, refuses one and breaks off in another."""

    def do_GET(self) -> None:
        self._answer(body=True)

    def do_HEAD(self) -> None:
        self._answer(body=False)

    def _answer(self, *, body: bool) -> None:
        path = self.path.partition("?")[0]
        data = {"/reference.csv": csv(1), "/new.csv.gz": gzip.compress(csv(2)), "/broken.csv": csv(2)}.get(path)
        if path == "/closed.csv" or data is None:
            self.send_error(403 if path == "/closed.csv" else 500 if path == "/fault.csv" else 404)
            return
        self.send_response(200)
        self.send_header("Content-Length", str(len(data) + (500 if path == "/broken.csv" else 0)))
        self.end_headers()
        if body:
            self.wfile.write(data)

    def log_message(self, *_: Any) -> None:
        pass


@pytest.fixture(scope="module")
def site() -> Iterator[str]:
    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Site)
    thread = threading.Thread(target=server.serve_forever, daemon=True)
    thread.start()
    yield f"http://127.0.0.1:{server.server_address[1]}"
    server.shutdown()
    thread.join()


@pytest.mark.parametrize("engine", ["memory", "stream"])
def test_http_gives_the_numbers_of_the_file(folder: Folder, site: str, engine: str) -> None:
    _, plain = folder.run()
    signed = f"{site}/new.csv.gz?signature={SECRET}"
    code, record = folder.run(reference=f"{site}/reference.csv", current=signed, engine=engine)
    assert code == 0
    assert record["details"]["columns"] == plain["details"]["columns"]
    assert SECRET not in str(record) + folder.log.getvalue()


@pytest.mark.parametrize(
    ("path", "code", "finding"),
    [
        ("/none.csv", 2, "missing-file"),
        ("/closed.csv", 3, "no-access"),
        ("/fault.csv", 3, "storage-failed"),
        ("/broken.csv", 3, "storage-failed"),
    ],
)
def test_what_http_does_not_give(folder: Folder, site: str, path: str, code: int, finding: str) -> None:
    seen, record = folder.run(current=f"{site}{path}?signature={SECRET}")
    assert (seen, record["findings"][0]["code"]) == (code, finding)
    assert len(folder.errors()) == 1
    assert SECRET not in str(record) + folder.log.getvalue()


def test_nobody_there() -> None:
    with pytest.raises(OutsideError, match="cannot be read"):
        open_table("http://127.0.0.1:9/t.csv?key=" + SECRET, "t.csv")


def test_addresses_are_shown_without_secrets() -> None:
    assert shown(f"https://me:{SECRET}@example.org/a/b.csv?sig={SECRET}#x") == "https://example.org/a/b.csv"
    assert shown("data/a b.csv") == "data/a b.csv"
    with pytest.raises(InputError, match="is not supported"):
        find_remote("ftp://example.org/a.csv", "current")


def of_unknown_width(path: Path, seed: int, shift: float) -> None:
    """A Parquet file whose Arrow schema names an integer of 128 bits, which Arrow cannot read; polars writes such."""
    values = np.random.default_rng(seed).normal(shift, 1, 80)
    pq.write_table(pa.table({"SOC": values, "wide": range(80)}), path)
    content = path.read_bytes()
    key = content.rindex(b"ARROW:schema")
    start = content.index(b"/////", key)
    end = next(i for i in range(start, len(content)) if chr(content[i]) not in BASE64)
    schema = bytearray(base64.b64decode(content[start:end]))
    width = schema.rindex((64).to_bytes(4, "little"))
    schema[width : width + 4] = (128).to_bytes(4, "little")
    path.write_bytes(content[:start] + base64.b64encode(schema) + content[end:])


@pytest.mark.parametrize("engine", ["memory", "stream"])
def test_a_type_that_arrow_cannot_read_does_not_stop_the_others(tmp_path: Path, engine: Any) -> None:
    for seed, name in enumerate(("a", "b")):
        of_unknown_width(tmp_path / f"{name}.parquet", seed, 1.5 * seed)
    with pytest.raises(pa.ArrowNotImplementedError, match="64 bits"):
        pq.read_schema(tmp_path / "a.parquet")
    result = check_sources(
        open_table(tmp_path / "a.parquet", "a"), open_table(tmp_path / "b.parquet", "b"), DriftRules(), engine=engine
    )
    assert {column.column.name for column in result.drifted} >= {"SOC"}
    assert {note.code for note in result.notes} >= {"foreign-type"}
