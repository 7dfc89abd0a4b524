"""Pictures of hearts, scans and label maps, made without a graphics card or a display."""
