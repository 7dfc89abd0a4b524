"""Volumes with their place in the world. World coordinates are RAS millimetres, as nibabel gives them.

Readers and writers are in ``volumes.io``, resampling in ``volumes.resample``, the working grid in ``volumes.crop``.
"""

from FedSimCore.volumes.grid import Grid
from FedSimCore.volumes.volume import Volume

__all__ = ["Grid", "Volume"]
