"""Small cohorts of blobs that look a little like hearts, in files."""

from __future__ import annotations

from pathlib import Path

import numpy as np
from scipy import ndimage

from FedSimCore.volumes import Grid, Volume
from FedSimCore.volumes.io import write_label_map, write_volume

GRID = Grid.centered(32, 4.0, (10, -20, 30))


def write_blobs(folder: Path, seeds: range, *, blood_hu: float = 300.0, labelled: bool = True, site: str = "a") -> Path:
    """Write hearts with seven regions, one for each seed; return the cohort's folder."""
    for seed in seeds:
        image, label = blob(seed, blood_hu)
        write_volume(image, folder / f"case{seed}_image.nii.gz", "int16")
        if labelled:
            write_label_map(label, folder / f"case{seed}_label.nii.gz")
    rows = [f"case{n},case{n}_image.nii.gz,{f'case{n}_label.nii.gz' if labelled else ''},{site}" for n in seeds]
    (folder / "cohort.csv").write_text("\n".join(["case,image,label,site", *rows]))
    return folder


def blob(seed: int, blood_hu: float = 300.0) -> tuple[Volume, Volume]:
    """Return the image and the label map of one heart."""
    rng = np.random.default_rng(seed)
    index = np.indices(GRID.shape) - 15.5
    radius = np.linalg.norm(index * rng.uniform(0.8, 1.2, 3)[:, None, None, None], axis=0)
    sector = (np.floor((np.arctan2(index[1], index[0]) / np.pi + 1) * 3.5).clip(0, 6) + 1).astype(np.uint8)
    labels = np.where(radius < 9, sector, 0).astype(np.uint8)
    hu = np.select([labels > 0, radius < 13], [blood_hu + 20 * labels, -80.0], -800.0)
    noise = ndimage.gaussian_filter(rng.normal(size=GRID.shape), 0.7) * 40
    return Volume((hu + noise).astype(np.float32), GRID), Volume(labels, GRID)
