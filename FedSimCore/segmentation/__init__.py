"""Finding the heart's regions in scans: models, prediction, and chests made at random; docs/segmentation.md."""
