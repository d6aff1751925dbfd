"""Find and read a GCBM project's configuration the way ``moja.cli`` does (specification, section 1)."""

from __future__ import annotations

import atexit
import json
import re
import shutil
import tempfile
import zipfile
import zlib
from collections.abc import Iterator
from dataclasses import dataclass, field
from datetime import date
from pathlib import Path
from typing import Any

from flint_ml.errors import InputError
from flint_ml.fences import confined
from flint_ml.gcbm.project.problems import readable

CFG = "gcbm_config.cfg"
BUNDLE = ("classifiers", "db", "disturbances", "miscellaneous")
Json = dict[str, Any]
# What an archive may hold: files, and bytes once unpacked, which may also be this many times its own size.
MAX_ENTRIES = 100_000
MAX_UNPACKED = 1 << 30
MAX_RATIO = 50


@dataclass(frozen=True)
class Project:
    """A project folder's merged configuration.

    ``config``: section -> key -> value, first file wins; ``origin``: where each (section, key) came from;
    ``providers``: data providers by name. Paths resolve against ``config_dir``, where the C++ is started.
    ``extra_masks``: variables that mask pixels besides the project's own. ``obey_smoother``: whether
    ``smoother_enabled: false`` counts, which the C++ never obeys.
    """

    root: Path
    config_dir: Path
    config: dict[str, Json]
    origin: dict[tuple[str, str], Path]
    providers: dict[str, Json]
    files: tuple[Path, ...]
    provider_files: tuple[Path, ...] = field(default=())
    extra_masks: tuple[str, ...] = ()
    obey_smoother: bool = False

    def section(self, name: str) -> Json:
        return self.config.get(name, {})

    def source(self, section: str, key: str = "") -> str:
        """The file (relative to the project) that gives an entry, for messages."""
        path = self.origin.get((section, key)) or self.origin.get((section, ""))
        return f"{self.relative(path) if path else self.relative(self.config_dir / CFG)}"

    def relative(self, path: Path) -> str:
        try:
            return path.resolve().relative_to(self.root.resolve()).as_posix()
        except ValueError:
            return path.as_posix()

    def variable(self, name: str, *, spinup: bool = False) -> Any:
        """Definition of a variable; in spinup ``SpinupVariables`` come first. KeyError when unknown."""
        if spinup and name in self.section("SpinupVariables"):
            return self.section("SpinupVariables")[name]
        return self.section("Variables")[name]

    def overridden(self, name: str) -> bool:
        """Whether spinup has its own definition of a variable, another than the run's."""
        spinup = self.section("SpinupVariables")
        return name in spinup and spinup[name] != self.section("Variables").get(name)

    def has_variable(self, name: str) -> bool:
        return name in self.section("Variables")

    def module(self, name: str) -> Json | None:
        """Configuration of an enabled module, else None."""
        entry = self.section("Modules").get(name)
        return entry if isinstance(entry, dict) and entry.get("enabled", True) is not False else None

    def settings(self, name: str) -> Json:
        """Settings of an enabled module; InputError where they are no object."""
        settings = (self.module(name) or {}).get("settings") or {}
        if not isinstance(settings, dict):
            raise InputError(
                f"the settings of {name} are {settings!r:.40}, not an object",
                where=self.source("Modules", name),
                hint='write them as { "setting": value }',
                code="gcbm-value",
            )
        return settings

    @property
    def mask_variables(self) -> list[str]:
        """Variables whose null on a pixel keeps it from being simulated (1.5)."""
        own = [str(name) for name in self.settings("CBMBuildLandUnitModule").get("mask_vars") or []]
        return list(dict.fromkeys([*own, *self.extra_masks]))

    @property
    def spinup_mask_variables(self) -> list[str]:
        """Variables whose null keeps spinup, and only that, from running: ``mask_vars`` of ``SpinupModules``."""
        entry = self.section("SpinupModules").get("CBMBuildLandUnitModule")
        settings = entry.get("settings") if isinstance(entry, dict) else None
        return [str(name) for name in (settings or {}).get("mask_vars") or []]

    @property
    def masks_spinup_alone(self) -> bool:
        """Whether a pixel may be kept from spinup and yet be simulated."""
        return not set(self.spinup_mask_variables) <= {"initial_classifier_set", *self.mask_variables}

    @property
    def smoother_off(self) -> bool:
        """Whether the growth module's settings switch the smoother off."""
        return self.settings("CBMGrowthModule").get("smoother_enabled", True) is False

    @property
    def disturbance_variables(self) -> list[str]:
        """The enabled listener's variables, in its order (2.7)."""
        return [str(name) for name in self.settings("CBMDisturbanceListener").get("vars") or []]

    @property
    def reporting_classifiers(self) -> str:
        """The variable whose classifiers results are reported by (3.1)."""
        return str(self.settings("CBMAggregatorLandUnitData").get("reporting_classifier_set", "classifier_set"))

    @property
    def years(self) -> list[int]:
        """Calendar years of steps 1..n: start, start+1, ... while the date is before the end date."""
        start, end = self._date("start_date"), self._date("end_date")
        count = end.year - start.year + ((end.month, end.day) > (start.month, start.day))
        if count <= 0:
            raise InputError(
                f"end_date {end:%Y/%m/%d} is not after start_date {start:%Y/%m/%d}; nothing would be simulated",
                where=self.source("LocalDomain", "end_date"),
                hint="set LocalDomain.start_date and end_date (the end date itself is not simulated)",
                code="gcbm-dates",
            )
        return list(range(start.year, start.year + count))

    @property
    def first_day(self) -> tuple[int, int]:
        """Month and day on which every step starts."""
        start = self._date("start_date")
        return start.month, start.day

    def _date(self, key: str) -> date:
        text = str(self.section("LocalDomain").get(key, ""))
        match = re.fullmatch(r"\s*(\d{4})/(\d{1,2})/(\d{1,2})\s*", text)
        try:
            if match is None:
                raise ValueError(text)
            return date(*(int(part) for part in match.groups()))
        except ValueError:
            raise InputError(
                f"LocalDomain.{key} is {text!r}, not a date like 2010/01/01",
                where=self.source("LocalDomain", key),
                hint="write it as yyyy/mm/dd",
                code="gcbm-dates",
            ) from None

    def path(self, text: str, *, what: str, where: str) -> Path:
        """Resolve a path of the configuration: Windows separators, relative to the configuration folder."""
        path = Path(plain_path(text))
        if not (path.is_absolute() or re.match(r"^[A-Za-z]:", text)):
            return confined(self.config_dir / path, where)
        if path.exists():
            return confined(path, where)
        raise InputError(
            f"{what} has the absolute path {text!r}, which does not exist here",
            where=where,
            hint="use a path relative to the configuration folder, so that it works on every machine",
            code="gcbm-path",
        )

    @property
    def database(self) -> Path:
        """The input database (the SQLite provider's file); it must exist."""
        for name, provider in self.providers.items():
            if provider.get("type") == "SQLite":
                where = self.source("Providers", name)
                path = self.path(str(provider.get("path", "")), what=f"provider {name}", where=where)
                if path.is_file():
                    return path
                raise InputError(
                    f"the input database {provider.get('path')!r} of provider {name} does not exist",
                    where=where,
                    hint=f"put it at {self.relative(path)}, or correct the path",
                    code="gcbm-database",
                )
        raise InputError(
            "no provider of type SQLite: there is no input database",
            where=self.source("Providers"),
            hint="add a SQLite provider with the path of gcbm_input.db",
            code="gcbm-database",
        )

    @property
    def output_database(self) -> Path:
        """Where the configuration wants the results."""
        name = self.settings("CBMAggregatorSQLiteWriter").get("databasename", "../output/gcbm_output.db")
        return confined(self.config_dir / plain_path(str(name)), "CBMAggregatorSQLiteWriter.databasename")


def plain_path(text: str) -> str:
    """Windows separators to slashes."""
    return text.strip().replace("\\", "/")


def load_project(path: str | Path) -> Project:
    """Read a project folder, its configuration folder, its ``gcbm_config.cfg``, or a zip of it.

    Raises
    ------
    InputError
        Nothing or more than one configuration found, unreadable cfg or JSON (with line), missing files.
    """
    start = Path(path)
    if start.is_file() and zipfile.is_zipfile(start):
        start = _unzip(start)
    config_dir = find_config_dir(start)
    root = config_dir.parent if config_dir.name in {"config", "gcbm_project"} else config_dir
    files, provider_files = _read_cfg(config_dir / CFG)
    config: dict[str, Json] = {}
    origin: dict[tuple[str, str], Path] = {}
    _all_readable([*files, *provider_files])
    for file in files:
        _merge(config, origin, read_json(file), file)
    with readable("the list of providers", ", ".join(str(file) for file in provider_files)):
        providers = _read_providers(provider_files, origin)
        if "Providers" in config:
            for name, entry in config.pop("Providers").items():
                providers.setdefault(name, dict(entry))
    return Project(root, config_dir, config, origin, providers, tuple(files), tuple(provider_files))


def find_config_dir(start: Path) -> Path:
    """The folder that holds ``gcbm_config.cfg``: given, gcbm_project/, config/, or one level deeper."""
    if start.is_file() and start.name == CFG:
        return start.parent
    if not start.is_dir():
        raise InputError(
            f"{start} is not a folder or a zip file",
            where=str(start),
            hint="give a GCBM project folder",
            code="gcbm-project",
        )
    deeper = sorted(p for p in start.iterdir() if p.is_dir() and not p.name.startswith((".", "__")))
    for level in ([start], [start / "gcbm_project", start / "config"], list(_deeper(deeper))):
        hits = [folder for folder in level if (folder / CFG).is_file()]
        if len(hits) == 1:
            return hits[0]
        if hits:
            names = ", ".join(sorted(str(hit.relative_to(start)) for hit in hits))
            raise InputError(
                f"more than one {CFG}: {names}",
                where=str(start),
                hint="say which with the config-dir input",
                code="gcbm-project",
            )
    bundle = next((folder for folder in (start, *deeper) if all((folder / name).is_dir() for name in BUNDLE)), None)
    if bundle is not None:
        raise InputError(
            f"an upload bundle of FLINT.Cloud's service ({', '.join(f'{name}/' for name in BUNDLE)}): layers and a "
            "database without configuration, and without what the values of the rasters mean, which the service adds",
            where=str(start),
            hint="add config/ with gcbm_config.cfg, and a JSON with the attributes beside each raster; "
            "FLINT.Cloud's linux-demo.zip is such a project as a whole and runs as it is",
            code="gcbm-bundle",
        )
    raise InputError(
        f"no {CFG} here, in gcbm_project/, in config/, or one level deeper",
        where=str(start),
        hint="give the folder that holds the GCBM project",
        code="gcbm-project",
    )


def _deeper(folders: list[Path]) -> Iterator[Path]:
    for folder in folders:
        if folder.name not in {"gcbm_project", "config"}:
            yield folder
        yield folder / "gcbm_project"
        yield folder / "config"


def _unzip(archive: Path) -> Path:
    target = Path(tempfile.mkdtemp(prefix="gcbm-"))
    atexit.register(shutil.rmtree, target, ignore_errors=True)
    left = max(MAX_UNPACKED, MAX_RATIO * archive.stat().st_size)
    with zipfile.ZipFile(archive) as bundle:
        entries = bundle.infolist()
        if len(entries) > MAX_ENTRIES:
            raise _too_large(archive, f"{len(entries):,} files, more than {MAX_ENTRIES:,}")
        for info in entries:
            destination = (target / plain_path(info.filename)).resolve()
            if not destination.is_relative_to(target.resolve()):
                raise InputError(
                    f"the archive holds a path outside itself: {info.filename!r}",
                    where=str(archive),
                    hint="zip the project folder again",
                    code="gcbm-zip",
                )
            if info.is_dir():
                destination.mkdir(parents=True, exist_ok=True)
                continue
            destination.parent.mkdir(parents=True, exist_ok=True)
            left = _extract(bundle, info, destination, left, archive)
    return target


def _extract(bundle: zipfile.ZipFile, info: zipfile.ZipInfo, target: Path, left: int, archive: Path) -> int:
    """Write one file of an archive; returns how many bytes are left. The size that it tells is not believed."""
    try:
        with bundle.open(info) as packed, target.open("wb") as out:
            while block := packed.read(1 << 20):
                left -= len(block)
                if left < 0:
                    raise _too_large(archive, "more bytes than an archive of its size may (1 GiB, or 50 times its own)")
                out.write(block)
    except (zipfile.BadZipFile, zlib.error, EOFError, RuntimeError, NotImplementedError) as error:
        raise InputError(
            f"{info.filename!r} cannot be unpacked: {error}",
            where=str(archive),
            hint="zip the project folder again, without a password",
            code="gcbm-zip",
        ) from None
    return left


def _too_large(archive: Path, what: str) -> InputError:
    hint = "give the project as a folder, or zip its files only"
    return InputError(f"the archive holds {what}", where=str(archive), hint=hint, code="gcbm-zip")


def _read_cfg(cfg: Path) -> tuple[list[Path], list[Path]]:
    files: list[Path] = []
    providers: list[Path] = []
    for number, line in enumerate(_text(cfg).splitlines(), 1):
        key, sign, value = line.split("#", 1)[0].partition("=")
        if not sign or key.strip() not in {"config", "config_provider"}:
            continue
        file = confined(cfg.parent / plain_path(value), f"{cfg}:{number}")
        if not file.is_file():
            raise InputError(
                f"{key.strip()}={value.strip()}: this file does not exist",
                where=f"{cfg}:{number}",
                hint="correct the name or remove the line",
                code="gcbm-config-file",
            )
        (files if key.strip() == "config" else providers).append(file)
    if not files:
        raise InputError(
            "no config= line",
            where=str(cfg),
            hint="list the configuration's JSON files, one config=FILE a line",
            code="gcbm-config-file",
        )
    default = cfg.parent / "provider_config.json"
    if not providers and default.is_file():
        providers = [default]
    return files, providers


def _text(path: Path) -> str:
    try:
        return confined(path, str(path)).read_text(encoding="utf-8-sig")
    except UnicodeDecodeError as error:
        raise InputError(
            f"not UTF-8 text (byte {error.start})",
            where=str(path),
            hint="save the file as UTF-8",
            code="gcbm-encoding",
        ) from None


def read_json(path: Path) -> Json:
    """Read one JSON object; a syntax error is reported with its line and column."""
    try:
        content = json.loads(_text(path))
    except json.JSONDecodeError as error:
        raise InputError(
            f"this is not JSON: {error.msg} (column {error.colno})",
            where=f"{path}:{error.lineno}",
            hint="look at this line and the end of the one before it: a comma or bracket is missing or too many",
            code="gcbm-json",
        ) from None
    if not isinstance(content, dict):
        raise InputError("the file must hold one JSON object", where=str(path), hint="wrap it in { }", code="gcbm-json")
    return content


def _all_readable(files: list[Path]) -> None:
    """Report every broken file at once, not one after the other."""
    broken: list[InputError] = []
    for file in files:
        try:
            read_json(file)
        except InputError as error:
            broken.append(error)
    if len(broken) > 1:
        raise InputError(
            "\n".join(["these files cannot be read:", *(f"- {e.where}: {e.message}" for e in broken)]),
            where=broken[0].where,
            hint=broken[0].hint,
            code=broken[0].code,
        )
    if broken:
        raise broken[0]


def _merge(config: dict[str, Json], origin: dict[tuple[str, str], Path], new: Json, file: Path) -> None:
    """First file wins, one level deep: an entry that exists is never changed by a later file."""
    for section, entries in new.items():
        if isinstance(entries, list):  # Variables may be a list of one-key objects
            flat: Json = {}
            for item in entries:
                for key, value in (item if isinstance(item, dict) else {}).items():
                    flat.setdefault(key, value)
            content: Any = flat
        else:
            content = entries
        if not isinstance(content, dict):
            raise InputError(
                f"section {section} must be an object", where=str(file), hint="write it as { }", code="gcbm-json"
            )
        known = config.setdefault(section, {})
        origin.setdefault((section, ""), file)
        for key, value in content.items():
            if key not in known:
                known[key] = value
                origin[section, key] = file


def _read_providers(files: list[Path], origin: dict[tuple[str, str], Path]) -> dict[str, Json]:
    providers: dict[str, Json] = {}
    for file in files:
        for name, entry in read_json(file).get("Providers", {}).items():
            origin.setdefault(("Providers", ""), file)
            if name not in providers:
                providers[name] = dict(entry)
                origin["Providers", name] = file
            elif isinstance(entry.get("layers"), list):
                providers[name]["layers"] = [*providers[name].get("layers", []), *entry["layers"]]
    return providers
