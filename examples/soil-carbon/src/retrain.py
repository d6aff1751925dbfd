"""What the gate runs after the drift check: `dvc repro`, but only on the data whose drift was checked.

The drift check reads data/prepared/, which `dvc pull` brought as dvc.lock names it. If somebody changed
data/raw/ and forgot `dvc repro prepare`, plain `dvc repro` would now prepare the new batch and train on it
unchecked. So this refuses first, and says what to do.
"""

from __future__ import annotations

import json
import subprocess
import sys

DVC = [sys.executable, "-m", "dvc"]


def main() -> int:
    answer = subprocess.run([*DVC, "status", "--json", "prepare"], stdout=subprocess.PIPE, text=True, check=False)
    if answer.returncode != 0:
        return answer.returncode
    if stale := json.loads(answer.stdout):
        print(
            "data/prepared does not belong to this commit's raw data, so its drift check says nothing:", file=sys.stderr
        )
        print(json.dumps(stale, indent=2), file=sys.stderr)
        print("To do: dvc repro prepare && dvc push, then commit dvc.lock and push again.", file=sys.stderr)
        return 1
    return subprocess.run([*DVC, "repro"], check=False).returncode


if __name__ == "__main__":
    sys.exit(main())
