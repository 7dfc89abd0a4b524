"""Anything that runs for long, kept in a folder of its own: what it was asked, how far it is, how to go on.

No module of this room imports torch: the Slicer module reads runs in its own process.
"""
