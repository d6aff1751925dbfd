"""``python -m flint_ml``."""

import sys

from flint_ml.cli import main

sys.exit(main())
