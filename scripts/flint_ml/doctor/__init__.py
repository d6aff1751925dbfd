"""What ``flint-ml doctor`` does: say what will fail in CI, and how to mend it, before it does."""
