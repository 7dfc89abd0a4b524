"""Panels and collaborators of the FedSim module for 3D Slicer, one file each."""
