"""Measures of what networks made: how real, how new, how consistent."""
