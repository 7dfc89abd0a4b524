"""Cone-beam CT: materials, spectra, geometry, projector, reconstruction, noise, simulator."""
