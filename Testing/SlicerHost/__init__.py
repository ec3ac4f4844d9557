"""A host for Slicer modules where there is no Slicer: real MRML, real views, real widgets, and a small application.

    from SlicerHost import start

    host = start()
    module = host.load_module(path_of_MedLandmark_py)
    module.enter()

It stands in for what the PyPI package slicer-core lacks (`qt`, `ctk`, `slicer.app`, `slicer.modules`, scripted modules,
parameter nodes, node selectors). It is written from Slicer's documentation, is for tests only, and raises on whatever
it does not implement.
"""

from .host import Host, start

__all__ = ["Host", "start"]
