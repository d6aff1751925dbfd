"""For all tests: the environment's own commands (`python`, `dvc`, `flint-ml`) are the ones on the PATH."""

from __future__ import annotations

import os
import sys
from pathlib import Path

os.environ["PATH"] = f"{Path(sys.executable).parent}{os.pathsep}{os.environ.get('PATH', os.defpath)}"
