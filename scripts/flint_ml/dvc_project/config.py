"""``.dvc/config``: whose remotes count, and which of its options nobody follows.

A pull request brings its own ``.dvc/config``. Whoever writes it could send credentials to an address of their own, or
name a file of settings in the repository that starts a program. So a runner takes the base's remotes, and options that
name files inside the workspace are refused where Git brought them.
"""

from __future__ import annotations

import configparser
import posixpath
import re
from pathlib import Path
from typing import Any

from flint_ml.errors import InputError
from flint_ml.git import Git

# Options of remotes whose value is a file that a storage library reads: settings, keys, certificates.
FILE_OPTIONS = frozenset(
    {
        "configpath",
        "credentialpath",
        "keyfile",
        "sshconfig",
        "cert_path",
        "key_path",
        "kerb_ticket",
        "ssl_verify",
        "gdrive_user_credentials_file",
        "gdrive_service_account_json_file_path",
    }
)


def parse_config(text: str) -> configparser.ConfigParser:
    """DVC's settings in ``text``; raises ``configparser.Error`` where it is not of that form."""
    parser = configparser.ConfigParser(interpolation=None, strict=False, allow_no_value=True)
    parser.read_string(text)
    return parser


def remote_name(section: str) -> str | None:
    """``storage`` of the section ``'remote "storage"'``, None for another section."""
    matched = re.fullmatch(r"'?remote \"(.*)\"'?", section)
    return matched[1] if matched else None


def remote_settings(text: bytes | None) -> dict[str, Any]:
    """What decides where data come from: the default remote, and each remote's options, by name."""
    try:
        parser = parse_config((text or b"").decode("utf-8-sig", "replace"))
    except configparser.Error:
        return {"unreadable": text}
    remotes: dict[str, Any] = {
        name: dict(parser[section]) for section in parser.sections() if (name := remote_name(section)) is not None
    }
    return {"default": parser.get("core", "remote", fallback=None), "remotes": remotes}


def refuse_files(git: Git, root: Path) -> None:
    """Refuse settings of the DVC project in ``root`` that Git brought and that name files inside the repository.

    Raises
    ------
    InputError
        With code ``dvc-config-file`` for such an option, and ``dvc-config-in-git`` for a ``.dvc/config.local`` that
        Git tracks: that file is for one machine alone.
    """
    local = root / ".dvc" / "config.local"
    if git.tracked(local):
        raise InputError(
            "is in Git, and is meant for one machine alone",
            where=".dvc/config.local",
            hint="git rm --cached .dvc/config.local, and renew the passwords in it",
            code="dvc-config-in-git",
        )
    top = (git.root or root).resolve()
    file = root / ".dvc" / "config"
    try:
        parser = parse_config(file.read_text(encoding="utf-8-sig", errors="replace")) if file.is_file() else None
    except configparser.Error:
        return  # DVC itself explains a broken settings file, when it runs
    for section in parser.sections() if parser else []:
        name = remote_name(section)
        for option, value in parser[section].items() if parser and name is not None else []:
            if option in FILE_OPTIONS and value and _inside(file.parent, value, top):
                raise InputError(
                    f"`{option} = {value[:80]}` of the remote {name} names a file of this repository, which a change "
                    "could write",
                    where=".dvc/config",
                    hint=f"let the workflow set it: dvc remote modify --local {name} {option} FILE",
                    code="dvc-config-file",
                )


def _inside(folder: Path, value: str, top: Path) -> bool:
    """Whether an option's value is a path below ``top``; ``true`` and ``false`` are none."""
    if value.lower() in {"true", "false", "yes", "no", "on", "off", "1", "0"} or "://" in value:
        return False
    path = Path(value).expanduser()
    return (path if path.is_absolute() else Path(posixpath.normpath(folder / path))).resolve().is_relative_to(top)


def use_remotes(repo: Any, text: bytes) -> None:
    """Let DVC's repository object ``repo`` take remotes from the ``.dvc/config`` in ``text``, not from its own.

    Settings of the machine (global, and ``config.local``, which the workflow writes) hold as before.
    """
    import tempfile

    from dvc.config import Config

    with tempfile.TemporaryDirectory(prefix="flint-ml-") as folder:
        file = Path(folder) / "config"
        file.write_bytes(text)
        base = Config.load_file(str(file))

    class _WithBase(Config):  # type: ignore[misc]
        def _load_config(self, level: str) -> Any:
            return base if level == "repo" else super()._load_config(level)

    trusted = _WithBase(repo.dvc_dir)
    repo.config["remote"] = trusted["remote"]
    repo.config["core"]["remote"] = trusted["core"].get("remote")
    if not repo.config["core"]["remote"]:
        del repo.config["core"]["remote"]
