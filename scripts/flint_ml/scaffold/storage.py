"""Where a DVC remote may live, and what a blank runner needs to reach it."""

from __future__ import annotations

import re
from dataclasses import dataclass


@dataclass(frozen=True)
class Storage:
    """One kind of remote: its name, secrets that the job passes on, and the module that DVC needs for it.

    ``ways`` are the sets of variables of which one is enough; ``direct`` where a secret's value is the variable's
    value, and no file is needed; else ``key_name`` is the secret that holds the file.
    """

    name: str
    ways: tuple[tuple[str, ...], ...] = ()
    module: str | None = None
    package: str | None = None
    direct: bool = True
    key_name: str = ""

    @property
    def secrets(self) -> tuple[str, ...]:
        """The usual set of variables."""
        return self.ways[0] if self.ways and self.direct else ()


S3 = Storage("S3", (("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY"),), "dvc_s3", "dvc[s3]")
_KINDS = {
    "s3": S3,
    "gs": Storage(
        "Google Cloud Storage",
        (("GOOGLE_APPLICATION_CREDENTIALS",),),
        "dvc_gs",
        "dvc[gs]",
        direct=False,
        key_name="GCS_KEY",
    ),
    "azure": Storage(
        "Azure",
        (
            ("AZURE_STORAGE_CONNECTION_STRING",),
            ("AZURE_STORAGE_KEY",),
            ("AZURE_STORAGE_SAS_TOKEN",),
            ("AZURE_CLIENT_ID", "AZURE_TENANT_ID", "AZURE_CLIENT_SECRET"),
        ),
        "dvc_azure",
        "dvc[azure]",
    ),
    "ssh": Storage("SSH", (), "dvc_ssh", "dvc[ssh]", direct=False, key_name="DVC_SSH_KEY"),
    "http": Storage("HTTP"),
    "https": Storage("HTTP"),
    "gdrive": Storage("Google Drive", (), "dvc_gdrive", "dvc[gdrive]"),
    "webdavs": Storage("WebDAV", (), "dvc_webdav", "dvc[webdav]"),
    "oss": Storage("Alibaba OSS", (), "dvc_oss", "dvc[oss]"),
    "hdfs": Storage("HDFS", (), "dvc_hdfs", "dvc[hdfs]"),
}
# What the container of pull-data can read.
IN_THE_IMAGE = {"s3", "gs", "azure", "ssh", "http", "https"}


def scheme(address: str) -> str:
    """``s3`` of ``s3://bucket/path``; empty for a folder such as ``/srv/dvc`` or ``../dvc``."""
    found = re.match(r"([A-Za-z][A-Za-z0-9+.-]+)://", address)
    name = found[1].lower() if found else ""
    return "" if name == "file" else name


def storage_of(address: str | None) -> Storage | None:
    """The kind of the remote at ``address``; None for a folder, or where nothing is known."""
    return _KINDS.get(scheme(address)) if address else None


def is_folder(address: str) -> bool:
    """Whether ``address`` is a folder of one machine, which a blank runner does not see."""
    return not scheme(address)
