"""What ``flint-ml share`` does: describe a repository so that others find it, cite it and take it."""
