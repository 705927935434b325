"""Taking a lab away, with or without its keeper."""

import shutil

from . import hosts, network


def clean(layout):
    """Takes away what a lab left, with or without its keeper. Harmless where nothing is left."""
    for namespace in network.namespaces(layout.prefix):
        hosts.kill_all(namespace)
        network.delete_namespace(namespace)
    if layout.exists():
        shutil.rmtree(layout.dir, ignore_errors=True)
