"""The statistical shape model of the heart: meshes, voxelizer, modes, pose, fit, measurements."""
