"""FedSim: hearts that can be moved, imaged and learnt from.

The headless package under the 3D Slicer module. Importing it is cheap: torch, vtk and the other
heavy libraries are imported by the rooms that need them (see docs/design.md).
"""

__version__ = "0.1.0"
