"""Errors that are told to the person at the keyboard, without a traceback."""


class LabError(Exception):
    """What happened, to what, and what to do."""
