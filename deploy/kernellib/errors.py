class KernelError(Exception):
    """What went wrong, to what, and what to do."""


class Missing(KernelError):
    """The machine can't be had here: nothing was tested."""
