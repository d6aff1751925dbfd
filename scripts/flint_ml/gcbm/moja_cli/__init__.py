"""Run a project with moja global's C++ engine, ``moja.cli``, and decide whether its result counts.

``moja.cli`` exits 0 on many failures, loses results when a folder is missing, and crashes on some projects
without a word. So it runs on a copy of the configuration with folders made first, its log is followed, and
its verdict comes from all the signs together (``verdict``), never from the exit code alone.

    done = run_flint(project, moja_cli=None, work=Path("work"), progress=None)
    indicators(done.db)

=========================  ==============================================================================
``run_flint``              preflight, run, verdict -> ``FlintRun``; nothing of a failed run stays
``find_moja_cli``          the executable, by path or on the PATH -> path or None
``preflight``              what would make the C++ fail, found before it starts -> list of ``Problem``
``version_of``             hashes of the executable and its libraries
=========================  ==============================================================================
"""

from __future__ import annotations

from flint_ml.gcbm.moja_cli.locate import find_moja_cli, version_of
from flint_ml.gcbm.moja_cli.preflight import preflight
from flint_ml.gcbm.moja_cli.run import FlintRun, run_flint

__all__ = ["FlintRun", "find_moja_cli", "preflight", "run_flint", "version_of"]
