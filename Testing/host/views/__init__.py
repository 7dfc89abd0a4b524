"""Views of the scene.

Real displayable managers of slicer-core in Qt widgets, rendered off screen and painted as images.
"""
