"""The list of error codes: all ways in which a code is given are read, and all codes of the package are listed."""

import re
from pathlib import Path

import error_codes

ROOT = Path(__file__).resolve().parents[2]
SOURCE = """
from dataclasses import dataclass
from flint_ml.errors import InputError, OutsideError

CODE = "from-a-constant"

@dataclass(frozen=True)
class Known:
    words: str
    message: str
    hint: str
    code: str

class LostError(OutsideError):
    pass

def bad(label: str, message: str, code: str = "by-default") -> InputError:
    return InputError(message, where=label, hint="mend it", code=code)

def cause(code: str, message: str) -> Known:
    return Known("", message, "look", f"moja-{code}")

def check(path: str, *, outside: bool) -> None:
    text = f"{path} is odd"
    Known("x", "from a table", "do it", "in-a-table")
    cause("prefixed", "a cause: {}")
    raise InputError(text, code=CODE)
    raise bad("a", "refused")
    raise bad("a", "refused", "by-position")
    raise LostError("gone", code="either" if outside else "or")
"""


def test_every_way_to_give_a_code_is_read(tmp_path: Path) -> None:
    package = tmp_path / "flint_ml"
    package.mkdir()
    (package / "git.py").write_text(SOURCE, encoding="utf-8")
    listed = {code.code: code for code in error_codes.codes(package)}
    expected = "from-a-constant by-default by-position in-a-table moja-prefixed either or"
    assert set(listed) == set(expected.split())
    assert listed["from-a-constant"].message == "… is odd"
    assert listed["from-a-constant"].exit_code == "2"
    assert listed["in-a-table"].hint == "do it"
    assert (listed["by-position"].exit_code, listed["by-position"].hint) == ("2", "mend it")
    assert listed["either"].exit_code == "3"
    assert "| `moja-prefixed` |  | a cause: … |  |" in error_codes.table(package)


def test_no_code_of_the_package_is_left_out() -> None:
    listed = {code.code for code in error_codes.codes()}
    written = set()
    for path in (ROOT / "scripts/flint_ml").rglob("*.py"):
        written |= set(re.findall(r'\bcode="([a-z0-9-]+)"', path.read_text(encoding="utf-8")))
    assert written <= listed


def test_most_errors_say_what_to_do() -> None:
    errors = [code for code in error_codes.codes() if code.exit_code in {"2", "3"} and code.message]
    assert sum(bool(code.hint) for code in errors) > 0.8 * len(errors)
