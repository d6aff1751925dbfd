"""Secrets of this process's environment, kept from other processes of the same user.

On Linux every process of the user may read ``/proc/<number>/environ``: a filter of Git, a hook, the command that
trains. What stands there is the memory in which the kernel handed the variables over, so it can be overwritten.
"""

from __future__ import annotations

import os
import sys
from pathlib import Path

from flint_ml.text.secrets import inside, is_secret

# Fields of /proc/self/stat (proc(5)), counted from the one after the program's name.
_ENV_START, _ENV_END = 47, 48


def conceal() -> None:
    """Overwrite secrets in the memory that ``/proc/<number>/environ`` shows.

    This process and the programs that it starts have them as before. Elsewhere than on Linux, and where the kernel
    does not say where that memory is, nothing is done.
    """
    names = [name for name, value in os.environ.items() if is_secret(name) or inside(value)]
    if sys.platform != "linux" or not names:
        return
    import ctypes

    try:
        fields = Path("/proc/self/stat").read_text(encoding="utf-8", errors="replace").rpartition(")")[2].split()
        start, end = int(fields[_ENV_START]), int(fields[_ENV_END])
        libc = ctypes.CDLL(None)
    except (OSError, ValueError, IndexError):
        return
    libc.getenv.restype = ctypes.c_void_p
    for name in names:
        key, value = os.fsencode(name), os.environ[name]
        handed_over = libc.getenv(key)
        os.environ[name] = value  # a copy in memory of our own, which children get
        # Only the kernel's block: strings of the C library's own must stay as they are.
        if handed_over and start <= handed_over < end and libc.getenv(key) != handed_over:
            ctypes.memset(handed_over, ord("*"), len(os.fsencode(value)))
