"""Files that init and share propose: shown as a diff, written where a person or ``--yes`` agrees."""

from __future__ import annotations

from collections.abc import Sequence

from flint_ml.runner import Job
from flint_ml.scaffold.files import Proposal, agreed, write


def offer(proposed: Sequence[Proposal], job: Job, *, yes: bool, dry_run: bool, over: bool) -> list[str]:
    """Show, ask, write; returns the names of what was written.

    ``over`` says whether a file that is there may be changed; where not, it is shown and left alone.
    """
    for proposal in proposed:
        if proposal.state == "same":
            job.say(f"\n{proposal.name}: is there already, as it should be.")
            continue
        job.say(f"\n{proposal.diff()}".rstrip())
        if proposal.state == "differs" and not over:
            job.say(
                f"\n{proposal.name} is yours and stays as it is. The lines with + are what {job.action.name} would "
                "write; copy those that you want."
            )
    wanted = [item for item in proposed if item.state == "new" or (over and item.state == "differs")]
    if not wanted:
        job.say("\nThere is nothing to write.")
        return []
    names = ", ".join(item.name for item in wanted)
    if dry_run:
        job.say(f"\nNothing was written (--dry-run). It would be: {names}.")
        return []
    if not yes and not agreed(input, f"\nWrite {names}?"):
        job.say(f"\nNothing was written. `flint-ml {job.action.name} --yes` writes without asking.")
        return []
    written = write(wanted)
    job.say(f"\nWritten: {', '.join(written)}.")
    return written
