class TryError(Exception):
    """What went wrong, to what, and what to do."""


class Missing(TryError):
    """The program can't run here, or tbmesh lacks something that it needs: nothing was compared."""
