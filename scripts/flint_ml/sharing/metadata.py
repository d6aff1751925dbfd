"""What is shared: who made it, what it is, where and when it holds, under which licence."""

from __future__ import annotations

import re
import unicodedata
from dataclasses import dataclass
from typing import Literal

from flint_ml.errors import InputError
from flint_ml.record import Record

Kind = Literal["dataset", "model", "simulation"]
# The licences that people here mean; any other SPDX name is taken as it is.
USUAL_LICENCES = ("CC-BY-4.0", "CC0-1.0", "CC-BY-SA-4.0", "ODbL-1.0", "MIT", "Apache-2.0", "MPL-2.0")


@dataclass(frozen=True)
class Person:
    """An author: given and family names, or the name of an organisation alone."""

    name: str
    given: str = ""
    family: str = ""
    orcid: str = ""
    affiliation: str = ""
    email: str = ""

    @property
    def organisation(self) -> bool:
        """Whether it is no single person."""
        return not self.family


@dataclass(frozen=True)
class Item:
    """One thing to take: name, kind, path relative to the project, and what is known of its content."""

    name: str
    kind: Kind
    path: str
    description: str = ""
    md5: str | None = None
    size: int | None = None
    folder: bool = False


@dataclass(frozen=True)
class Shared:
    """Everything that the descriptions say.

    ``region`` is a place's name and, with ``box``, its bounds (west, south, east, north in degrees); ``period`` is
    ``2010/2020`` or a longer ISO 8601 interval; ``date`` the day of the commit.
    """

    title: str
    description: str
    licence: str
    authors: tuple[Person, ...]
    items: tuple[Item, ...]
    date: str
    version: str = "1.0.0"
    keywords: tuple[str, ...] = ()
    region: str = ""
    box: tuple[float, float, float, float] | None = None
    period: str = ""
    doi: str = ""
    repository: str = ""
    records: tuple[Record, ...] = ()


def _wrong(where: str, message: str, hint: str) -> InputError:
    return InputError(message, where=where, hint=hint, code="invalid-share")


def orcid(text: str) -> str:
    """An ORCID as its address; the check digit (ISO 7064, mod 11-2) is verified.

    Raises
    ------
    InputError
        If it is none.
    """
    bare = text.strip().removeprefix("https://orcid.org/").removeprefix("http://orcid.org/").upper()
    if re.fullmatch(r"\d{4}-\d{4}-\d{4}-\d{3}[\dX]", bare):
        total = 0
        for digit in bare.replace("-", "")[:-1]:
            total = (total + int(digit)) * 2
        check = (12 - total % 11) % 11
        if bare[-1] == ("X" if check == 10 else str(check)):
            return f"https://orcid.org/{bare}"
    raise _wrong("authors", f"`{text}` is no ORCID", "copy it from https://orcid.org, such as 0000-0002-1825-0097")


def period(text: str) -> str:
    """``text`` as an ISO 8601 interval of years, months or days; a single date stands for itself.

    Raises
    ------
    InputError
        If it is none, or ends before it begins.
    """
    day = r"\d{4}(?:-\d{2}(?:-\d{2})?)?"
    bare = re.sub(r"\s*(?:/|–|\bto\b)\s*", "/", text.strip())
    if not re.fullmatch(rf"{day}(?:/(?:{day}|\.\.))?", bare):
        raise _wrong("period", f"`{text}` is no period", "write 2010/2020 or 2010-04-01/2020-10-31")
    start, _, end = bare.partition("/")
    if end and end != ".." and end < start[: len(end)]:
        raise _wrong("period", f"`{text}` ends before it begins", "the earlier date comes first")
    return bare


def box(values: list[float]) -> tuple[float, float, float, float]:
    """Bounds as west, south, east, north in degrees.

    Raises
    ------
    InputError
        If they are no four numbers on the globe.
    """
    if len(values) == 4:
        west, south, east, north = map(float, values)
        if -180 <= west <= 180 and -180 <= east <= 180 and -90 <= south <= north <= 90:
            return west, south, east, north
    raise _wrong("bounds", f"{values} are no bounds", "west, south, east, north in degrees: [-50.5, -23, -49, -22]")


def licence(text: str) -> str:
    """An SPDX name of a licence.

    Raises
    ------
    InputError
        If it is none by its form; a usual one is suggested.
    """
    bare = text.strip()
    usual = {name.lower().replace("-", "").replace(".", ""): name for name in USUAL_LICENCES}
    known = usual.get(re.sub(r"[-.\s]", "", bare.lower()))
    if known:
        return known
    if not re.fullmatch(r"[A-Za-z0-9][A-Za-z0-9.+-]{1,60}", bare):
        raise _wrong(
            "licence",
            f"`{text}` is no SPDX name",
            f"such as {', '.join(USUAL_LICENCES[:4])}; https://spdx.org/licenses",
        )
    return bare


def doi(text: str) -> str:
    """A DOI without its address.

    Raises
    ------
    InputError
        If it is none.
    """
    bare = re.sub(r"^(?:https?://(?:dx\.)?doi\.org/|doi:)", "", text.strip(), flags=re.IGNORECASE)
    if bare and not re.fullmatch(r"10\.\d{4,9}(?:\.\d+)?/\S+", bare):
        raise _wrong("doi", f"`{text}` is no DOI", "such as 10.5281/zenodo.1234567")
    return bare


def identifier(text: str) -> str:
    """``text`` as a name that DVC and Git tags take: small letters, digits and dashes."""
    plain = unicodedata.normalize("NFKD", text).encode("ascii", "ignore").decode().lower()
    return re.sub(r"[^a-z0-9]+", "-", plain).strip("-") or "item"
