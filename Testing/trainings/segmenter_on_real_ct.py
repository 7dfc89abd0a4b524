"""Outlines of a segmenter on scans, to judge: ``python -m Testing.trainings.segmenter_on_real_ct -o DIR SCAN...``.

Three axial, coronal and sagittal planes through the heart that was found, and volumes by region.
"""

from __future__ import annotations

import argparse
import json
from pathlib import Path

import numpy as np

from FedSimCore.pictures.slices import SliceRow, Window, slice_panel, write_figure
from FedSimCore.segmentation.model_file import Segmenter, segmenter_file, shipped_segmenter
from FedSimCore.segmentation.predict import Segmentation, segment
from FedSimCore.volumes import Volume
from FedSimCore.volumes.crop import heart_box_mm
from FedSimCore.volumes.io import read_volume

WINDOW = Window(60.0, 400.0)


def draw(scan: Volume, result: Segmentation, name: str, path: Path) -> None:
    """Write a picture: a row for each of three points along the heart's diagonal."""
    labels = result.labels
    low, high = heart_box_mm(labels) if result.found else (scan.grid.center_mm - 60, scan.grid.center_mm + 60)
    for number, share in enumerate((0.3, 0.5, 0.7)):
        center = low + share * (high - low)
        row = SliceRow(f"{name}, {share:.0%}", scan, labels if result.found else None, WINDOW)
        write_figure(path.with_name(f"{path.stem}-{number}.png"), slice_panel([row], center_mm=center, inches=4.5))


def main() -> None:
    """Segment scans and draw them."""
    parser = argparse.ArgumentParser(prog="python -m Testing.trainings.segmenter_on_real_ct", description=__doc__)
    parser.add_argument("scans", type=Path, nargs="+")
    parser.add_argument("-m", "--model", type=Path, default=None)
    parser.add_argument("-o", "--out", type=Path, required=True)
    options = parser.parse_args()
    options.out.mkdir(parents=True, exist_ok=True)
    file = segmenter_file(options.model) if options.model is not None else shipped_segmenter()
    segmenter = Segmenter.load(file)
    for path in options.scans:
        scan = read_volume(path)
        result = segment(scan, segmenter)
        print(path.name, json.dumps(result.report()), np.bincount(result.labels.array.ravel(), minlength=8).tolist())
        draw(scan, result, path.name, options.out / f"{path.name.split('.')[0]}.png")


if __name__ == "__main__":
    main()
