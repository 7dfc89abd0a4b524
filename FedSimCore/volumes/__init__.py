"""Volumes with their place in the world. World coordinates are RAS millimetres, as nibabel gives them."""

from FedSimCore.volumes.grid import Grid
from FedSimCore.volumes.volume import Volume

__all__ = ["Grid", "Volume"]
