"""A picture of the HTML report, made by a Chromium on the PATH."""

from __future__ import annotations

import shutil
import subprocess
import tempfile
from pathlib import Path

NAMES = ("chromium", "chromium-browser", "google-chrome", "google-chrome-stable", "chrome")
HOW_TO_GET = (
    "no Chromium on the PATH, so no picture of the report was made; open report.html in a browser, or install one "
    "(Debian and Ubuntu: `sudo apt-get install chromium`, macOS: `brew install --cask chromium`)"
)
_FLAGS = (
    "--headless",
    "--no-sandbox",
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
    "--hide-scrollbars",
)


def find_chromium() -> str | None:
    """Path of a Chromium or Chrome on the PATH."""
    return next((path for name in NAMES if (path := shutil.which(name))), None)


def render_png(
    html: Path, png: Path, width: int = 860, height: int = 2400, *, dark: bool = False, seconds: float = 60
) -> str | None:
    """Draw ``html`` as ``png``, ``width`` by at most ``height`` pixels; what is empty below the page is cut off.

    Returns
    -------
    str or None
        None when the picture was made, else one sentence: why not and what to do.
    """
    browser = find_chromium()
    if browser is None:
        return HOW_TO_GET
    with tempfile.TemporaryDirectory(prefix="flint-ml-chromium-") as folder:
        made = Path(folder) / "page.png"
        command = [
            browser,
            *_FLAGS,
            f"--user-data-dir={folder}/profile",
            f"--window-size={width},{height}",
            f"--screenshot={made}",
            *(["--blink-settings=preferredColorScheme=0"] if dark else []),
            html.resolve().as_uri(),
        ]
        try:
            result = subprocess.run(command, capture_output=True, text=True, timeout=seconds, check=False)
        except (OSError, subprocess.TimeoutExpired) as error:
            return f"no picture of the report was made: {error}"
        if not made.is_file():
            last = (result.stderr.strip().splitlines() or ["it said nothing"])[-1][:300]
            return f"no picture of the report was made: {Path(browser).name} exited with {result.returncode}: {last}"
        _trim(made)
        png.parent.mkdir(parents=True, exist_ok=True)
        shutil.move(made, png)
    return None


def _trim(picture: Path, margin: int = 16) -> None:
    """Cut off the rows below the last one that is not plain background."""
    from PIL import Image, ImageChops

    with Image.open(picture) as opened:
        image = opened.convert("RGB")
    corner = image.getpixel((image.width - 1, image.height - 1))
    assert isinstance(corner, tuple)
    box = ImageChops.difference(image, Image.new("RGB", image.size, corner)).getbbox()
    if box:
        image.crop((0, 0, image.width, min(image.height, box[3] + margin))).save(picture)
