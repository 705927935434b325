"""A machine with Debian's own kernel, in QEMU, in which the node is tested. See deploy/test-kernel --help."""
