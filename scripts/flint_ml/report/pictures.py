"""How the figures of a comment are shown: pictures on a branch where the token may write, else diagrams."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from pathlib import Path

from flint_ml.errors import InputError, OutsideError
from flint_ml.github import ForbiddenError, GitHub, branch
from flint_ml.record import Figure, slug
from flint_ml.report import figures
from flint_ml.report.figures import Draw, Load

MAX_FIGURES = 20
_PLACE = "in the results of the run"


def own_images(paths: Sequence[Path], name: str) -> dict[str, tuple[Figure, Path]]:
    """The user's own pictures as figures, by the path that the record will give; ``name`` is its folder.

    Raises
    ------
    InputError
        If a file is no PNG, or larger than a comment can take.
    """
    found: dict[str, tuple[Figure, Path]] = {}
    for number, path in enumerate(paths, start=1):
        if figures.read_png(path) is None:
            raise InputError(
                f"is no PNG of at most {figures.MAX_PICTURE // 2**20} MB",
                where=str(path.name),
                hint="save the picture as PNG, and smaller",
                code="invalid-image",
            )
        title = path.stem.replace("_", " ").replace("-", " ")
        key = f"{name}/{number}-{slug(path.name)}"
        found[key] = (Figure(title=title, alt=title, path=key), path)
    return found


def choose(
    mode: str, shown: Iterable[Figure], load: Load, client: Callable[[], GitHub] | None, server_url: str
) -> tuple[Draw, str]:
    """How to draw figures, and one sentence for the log that says why.

    Parameters
    ----------
    mode
        ``auto`` and ``branch`` try the branch first; ``mermaid`` draws from the data; ``none`` leaves figures out.
    shown
        The figures of the report.
    load
        Gives a picture's bytes.
    client
        Makes the client; None where nothing may be written: no token, or a pull request from a fork.
    """
    if mode == "none":
        return figures.none, "figures are left out"
    drawn = figures.drawn(_PLACE)
    if mode == "mermaid":
        return drawn, "figures are drawn from their data"
    unique = list({figure.path: figure for figure in shown}.values())[:MAX_FIGURES]
    data = {figure.path: picture for figure in unique if (picture := load(figure.path)) is not None}
    if not data:
        return drawn, "there are no pictures"
    if client is None:
        return (
            drawn,
            "figures are drawn from their data, because there is no token that may write here",
        )
    names = {path: branch.hashed_name(picture) for path, picture in data.items()}
    try:
        github = client()
        branch.put(github, {names[path]: picture for path, picture in data.items()})
    except ForbiddenError:
        return drawn, "figures are drawn from their data; with `permissions: contents: write` they would be pictures"
    except (InputError, OutsideError) as error:
        return drawn, f"figures are drawn from their data, because the branch could not be written: {error}"
    urls = {path: branch.address(server_url, github.repository, name) for path, name in names.items()}
    return figures.linked(urls, drawn), f"figures are pictures on the branch {branch.BRANCH}"
