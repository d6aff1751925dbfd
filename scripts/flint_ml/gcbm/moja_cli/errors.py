"""From the words of ``moja.cli`` to what they mean: one cause for each known failure."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass, field

from flint_ml.gcbm.project.problems import Problem


@dataclass
class Evidence:
    """Lines of the log and texts of ErrorDimension; ``rest`` are those that no cause explained."""

    lines: list[str]
    explained: set[int] = field(default_factory=set)

    def rest(self) -> list[str]:
        left = [short(line) for i, line in enumerate(self.lines) if i not in self.explained]
        return list(dict.fromkeys(filter(None, left)))


def short(line: str) -> str:
    """The telling part of a message: boost's diagnostics have the name of a variable on their last line."""
    parts = [part.strip() for part in line.strip().splitlines() if part.strip()]
    text = f"{parts[0]} ... {parts[-1]}" if len(parts) > 2 else " ".join(parts)
    return text if len(text) <= 300 else f"{text[:297]}..."


@dataclass(frozen=True)
class Cause:
    """A failure: the words it is known by, what it means, and what to do. ``{}`` takes what was matched."""

    code: str
    pattern: re.Pattern[str]
    message: str
    hint: str

    def find(self, evidence: Evidence) -> Problem | None:
        """The problem, if some line is of this kind; these lines are explained then."""
        named: list[str] = []
        hit = False
        for number, line in enumerate(evidence.lines):
            match = self.pattern.search(line)
            if match is None or number in evidence.explained:
                continue
            hit = True
            evidence.explained.add(number)
            groups = [group for group in match.groups() if group]
            named.append(" in spatial unit ".join(groups) if groups else short(line))
        return self.problem("; ".join(dict.fromkeys(named))) if hit else None

    def problem(self, what: str) -> Problem:
        message = self.message.format(what if len(what) <= 600 else f"{what[:597]}...")
        return Problem("error", self.code, message, "moja.cli", self.hint)

    @staticmethod
    def of(causes: Sequence[Cause], code: str) -> Cause:
        return next(cause for cause in causes if cause.code == code)


def _cause(code: str, pattern: str, message: str, hint: str) -> Cause:
    return Cause(f"gcbm-flint-{code}", re.compile(pattern, re.IGNORECASE), message, hint)


# Failures that leave exit code 0.
CAUSES = (
    _cause(
        "disturbance-type",
        r"Missing DM association for dist type (.*?) in SPU (\S+)",
        "no disturbance matrix for {}: moja.cli skips such events and calls its result complete",
        "correct the type's name in the layer's attribute table (dashes and spaces count), or add the pair to "
        "disturbance_matrix_association",
    ),
    _cause(
        "table",
        r"(no such (?:table|column)[^\n]*)",
        "a query of the configuration does not fit the input database: {}",
        "the database must have the GCBM tables; correct the query or make the database again",
    ),
    _cause(
        "growth-curve",
        r"tag_?variablename\w*\*?\] = growth_curve_id|variable (?:not found|empty)[^\n]*growth_curve_id",
        "pixels have classifier values without growth curve; moja.cli drops these pixels",
        "add a growth curve with these classifier values (or ?) to growth_curve_classifier_value",
    ),
    _cause(
        "boundary",
        r"tag_?variablename\w*\*?\] = (spatial_unit_id|spinup_parameters|admin_boundary|eco_boundary)"
        r"|variable (?:not found|empty)[^\n]*?(spatial_unit_id|spinup_parameters|admin_boundary|eco_boundary)",
        "pixels lie in an administrative or ecological boundary that the input database does not know ({} is empty)",
        "compare admin_boundary and eco_boundary of the configuration or layer with the database's tables",
    ),
    _cause(
        "raster",
        r"^ERROR \d+: |GDAL|FileReadException|RasterIO|error caught reading|\.tiff?\b",
        "a layer is missing or cannot be read: {}",
        "pull or tile the layer again; a raster cropped inside a 0.1-degree block cannot be read either",
    ),
)
# Failures before the simulation: exit code 1.
EARLY = (
    _cause(
        "library",
        r"(librar(?:y|ies)[^\n]*|(?:module|transform|provider|flintdata)[^\n]*? doesn't exist[^\n]*"
        r"|[^\n]*cannot open shared object file[^\n]*"
        r"|[^\n]*failed to initialise the (?:module|transform|provider)[^\n]*)",
        "a library or module is missing: {}",
        "put the plug-in libraries beside the real moja.cli, and spell modules as the library does",
    ),
    _cause(
        "layer-json",
        r"filename\w*\*?\] = ([^\n]*\.json)|file not found: ([^\n]*layers?/[^\n]*\.json)",
        "a layer has no description: {} does not exist",
        "put the JSON beside the raster, with the same base name",
    ),
    _cause(
        "database",
        r"file is not a database|connectionfailed|unable to open database|filename\w*\*?\] = [^\n]*\.db",
        "the input database is missing or is none: {}",
        "copy or pull the file again (a pointer file of Git LFS or DVC is not the database itself)",
    ),
    _cause(
        "json",
        r"(file not found: [^\n]*\.(?:json|cfg)|json[^\n]*|syntax error[^\n]*|unexpected[^\n]*|invalid access[^\n]*"
        r"|unrecognised option[^\n]*|bad cast[^\n]*)",
        "a configuration file is missing or is not valid JSON (moja.cli does not say which): {}",
        "run with --check, which names file and line",
    ),
)
# Failures after the whole simulation, when the results cannot be written: exit code 1.
LATE = (
    _cause(
        "output-database",
        r"unable to open|cannot open|readonly database|read-only|disk is full|no space left|disk i/o"
        r"|database is locked",
        "the simulation is done, but its results could not be written: {}",
        "free disk space, and choose a writable output-dir",
    ),
    _cause(
        "output-folder",
        r"no such file or directory|path not found|does not exist",
        "the simulation is done, but the output folder was gone and the results are lost. {}",
        "do not remove the working folder while a run is going on",
    ),
)
