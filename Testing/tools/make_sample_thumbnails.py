"""Make the pictures of the phantom patients in Slicer's Sample Data module.

Needs Pillow. Run from the repository root:

    python Testing/tools/make_sample_thumbnails.py

Writes ``FedSimSlicer/Resources/Icons/Sample*.png``: an axial slice through the middle of the heart, seen from the feet
(the patient's right on the left), at a window of 900 and a level of 200 HU; with the regions in their colours where the
sample has them.
"""

from __future__ import annotations

import sys
from pathlib import Path
from types import ModuleType

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from FedSimCore import anatomy
from FedSimCore.cohorts.phantom import make_phantom
from FedSimCore.volumes import Grid
from FedSimCore.volumes.resample import AIR_HU, resample

ROOT = Path(__file__).resolve().parents[2]
SIZE = (192, 144)  # 4 to 3, as the buttons of the Sample Data module
HEART_WIDTHS = 1.35
WINDOW, LEVEL, OPACITY = 900.0, 200.0, 0.55


def samples() -> ModuleType:
    """Return the module that lists the samples; it needs Slicer's `slicer` for its texts only."""
    slicer, i18n = ModuleType("slicer"), ModuleType("slicer.i18n")
    i18n.tr = str  # type: ignore[attr-defined]
    sys.modules.update({"slicer": slicer, "slicer.i18n": i18n})
    sys.path.insert(0, str(ROOT / "FedSimSlicer"))
    from FedSimSlicerLib import sample_data

    return sample_data


def thumbnail(site: str, seed: int, variant: str, segmented: bool) -> NDArray[np.uint8]:
    """Return a picture (height, width, 3)."""
    phantom = make_phantom(site, seed, variant=variant)
    heart = phantom.label.grid.to_world(np.argwhere(phantom.label.array > 0))
    low, high = heart.min(axis=0), heart.max(axis=0)
    width = HEART_WIDTHS * (high - low)[:2].max()
    middle = (low + high) / 2
    grid = Grid.centered((*SIZE, 1), (width / SIZE[0], width / SIZE[0], 1.0), middle)
    hounsfield = resample(phantom.image, grid, outside=AIR_HU).array[:, :, 0]
    gray = np.clip((hounsfield - LEVEL) / WINDOW + 0.5, 0, 1) * 255
    picture = np.repeat(gray[..., None], 3, axis=-1)
    if segmented:
        labels = resample(phantom.label, grid, "nearest").array[:, :, 0]
        for region in anatomy.regions():
            inside = labels == region.label
            picture[inside] = (1 - OPACITY) * picture[inside] + OPACITY * np.array(region.color)
    return picture.round().astype(np.uint8)[::-1, ::-1].transpose(1, 0, 2)


def main() -> None:
    """Make all of them."""
    module = samples()
    for sample in module.SAMPLES:
        picture = thumbnail(sample.site, sample.seed, sample.variant, sample.segmented)
        Image.fromarray(picture).save(module.ICONS / sample.thumbnail, optimize=True)
        print(module.ICONS / sample.thumbnail)


if __name__ == "__main__":
    main()
