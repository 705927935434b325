class KernelError(Exception):
    """What went wrong, to what, and what to do."""


class Missing(KernelError):
    """The machine can't be had here: nothing was tested."""


class MachineDied(KernelError):
    """QEMU itself crashed: nothing that was tested is to blame."""
