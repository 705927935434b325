"""The lab: several hosts on one Linux machine. See deploy/lab --help."""
