"""The repository's code and data: Git revisions, DVC-tracked files, fingerprints. Knows nothing of GitHub."""
