"""What ``flint-ml init`` does: look at a repository, propose the files it lacks, say what to type."""
