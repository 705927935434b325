"""Real programs installed beside the repository and run in the lab. See deploy/try --help."""
