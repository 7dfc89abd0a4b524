"""Artifact of the SynthSeg-like baseline: random shapes in random bodies, every structure of a random intensity.

After Billot et al. 2023 (SynthSeg: Segmentation of brain MRI scans of any contrast and resolution without retraining),
section 3: a Gaussian mixture given the labels, whose means and deviations are drawn anew for each image from wide
uniform distributions, blurred, with a bias field and gamma of their own. Nothing is learnt. Shapes are the shape
model's, with random modes and pose within its limits; what lies round the heart is the simulator's thorax of a random
person. SynthSeg makes new images for ever; here there are as many as the scale says.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from FedSimCore.experiments.artifact import Artifact, Bench

VERSION = 1
LOW_HU, HIGH_HU = -1000.0, 1000.0
"""Means are drawn uniformly over the whole scale that networks see, without regard to what a structure is."""
LARGEST_SD = 0.1
SMOOTHING_VOXELS = (0.3, 1.2)
BIAS_SD = 0.15
GAMMA_SD = 0.2


@dataclass(frozen=True, eq=False)
class RandomIntensityHearts(Artifact):
    """Hearts of random shape and random intensities on the working grid.

    Attributes:
        count: hearts.
        seed: of all.
        size: voxels along each side.
        spacing_mm: between voxels.
    """

    count: int
    seed: int
    size: int
    spacing_mm: float
    result = "cohort"

    @property
    def title(self) -> str:
        """Name for people."""
        return "hearts-of-random-intensity"

    @property
    def needs(self) -> tuple[Artifact, ...]:
        """Nothing."""
        return ()

    @property
    def content(self) -> Mapping[str, Any]:
        """Number, seed and grid."""
        return {
            "version": VERSION,
            "count": self.count,
            "seed": self.seed,
            "size": self.size,
            "spacing_mm": self.spacing_mm,
        }

    def make(self, bench: Bench, folder: Path) -> Mapping[str, Any]:
        """Make every heart."""
        from FedSimCore.cohorts import Case, Cohort, write_cohort
        from FedSimCore.volumes.io import write_label_map, write_volume

        cases = []
        for number in range(self.count):
            bench.progress(number, self.count, self.title)
            name = f"random-s{self.seed}-{number:04d}"
            files = {role: folder / self.result / f"{name}_{role}.nii.gz" for role in ("image", "label")}
            if not files["label"].is_file():
                image, label = random_heart(self.seed, number, self.size, self.spacing_mm)
                write_volume(image, files["image"], "int16")
                write_label_map(label, files["label"])
            cases.append(Case(id=name, image=files["image"], label=files["label"], site="random"))
        write_cohort(Cohort(name=self.title, cases=tuple(cases)), folder / self.result)
        return {"hearts": self.count}


def random_heart(seed: int, number: int, size: int, spacing_mm: float) -> tuple[Any, Any]:
    """Make one heart.

    Args:
        seed: of the cohort.
        number: of the heart.
        size: voxels along each side.
        spacing_mm: between voxels.

    Returns:
        CT in HU and label map, both :class:`~FedSimCore.volumes.Volume`; the heart lies in the grid's middle.
    """
    import numpy as np
    import torch

    from FedSimCore.ct.surroundings import surround
    from FedSimCore.shape.model import builtin_model
    from FedSimCore.shape.voxelizer import label_map
    from FedSimCore.volumes import Grid, Volume

    source = np.random.default_rng([seed, number])
    model = builtin_model()
    parameters = model.sample(1, torch.Generator().manual_seed(int(source.integers(2**62))), "uniform", pose=True)
    vertices = model.vertices(parameters)
    vertices = vertices - (vertices.amax(1, keepdim=True) + vertices.amin(1, keepdim=True)) / 2
    grid = Grid.centered(size, spacing_mm)
    label = label_map(vertices, model.topology, grid)[0].numpy()
    structures = surround(Volume(label, grid), "thorax", int(source.integers(2**31))).inner.array
    image = random_intensities(structures, source)
    return Volume(image, grid), Volume(label.astype(np.uint8), grid)


def random_intensities(structures: Any, source: Any) -> Any:
    """Return an image (X, Y, Z), float32 HU, of a structure map.

    Args:
        structures: (X, Y, Z) whole numbers.
        source: numpy's random generator.
    """
    import numpy as np
    from scipy import ndimage

    count = int(structures.max()) + 1
    means, deviations = source.uniform(0, 1, count), source.uniform(0, LARGEST_SD, count)
    image = means[structures] + deviations[structures] * source.standard_normal(structures.shape)
    image = ndimage.gaussian_filter(image, source.uniform(*SMOOTHING_VOXELS))
    coarse = source.normal(0, source.uniform(0, BIAS_SD), (4, 4, 4))
    zoom = [side / 4 for side in structures.shape]
    image = image * np.exp(ndimage.zoom(coarse, zoom, order=1, grid_mode=True, mode="nearest"))
    image = np.clip(image, 0, 1) ** np.exp(source.normal(0, GAMMA_SD))
    return (LOW_HU + (HIGH_HU - LOW_HU) * image).astype(np.float32)
