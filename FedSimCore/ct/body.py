"""What lies in the scanner: a label map, the tissue of each label, and the rest of the body on a coarser grid."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from FedSimCore.ct.materials import Tissue, region_tissues
from FedSimCore.errors import InputError
from FedSimCore.volumes import Volume


@dataclass(frozen=True, eq=False)
class Body:
    """A patient as the simulator sees him.

    Attributes:
        inner: integer label map on the grid that will be reconstructed; 0 is vacuum.
        tissue_of: tissue key of every label but 0 that occurs.
        outer: label map of the rest of the body on a coarser, larger grid; what lies within ``inner`` is ignored.

    Raises:
        InputError: a label has no tissue.
    """

    inner: Volume
    tissue_of: Mapping[int, str]
    outer: Volume | None = None

    def __post_init__(self) -> None:
        for volume in (self.inner, self.outer):
            if volume is None:
                continue
            if not np.issubdtype(volume.array.dtype, np.integer):
                raise InputError(f"A label map needs whole numbers, not {volume.array.dtype}.")
            counts = dict(zip(*(a.tolist() for a in np.unique(volume.array, return_counts=True)), strict=True))
            for label, count in counts.items():
                if label != 0 and label not in self.tissue_of:
                    raise InputError(
                        f"Label {label} ({count} voxels) has no tissue; tissues are given for labels "
                        f"{sorted(self.tissue_of)}."
                    )

    @classmethod
    def heart_alone(cls, labels: Volume) -> Body:
        """Return the seven regions with their default tissues, in vacuum."""
        return cls(labels, region_tissues())

    def tissues(self, known: Mapping[str, Tissue]) -> dict[int, Tissue]:
        """Look up the tissue of every label, e.g. in :func:`FedSimCore.ct.materials.tissues` of a phase.

        Raises:
            InputError: a key is not among the known tissues.
        """
        for label, key in self.tissue_of.items():
            if key not in known:
                raise InputError(f"Label {label} is made of {key!r}, which is none of {', '.join(known)}.")
        return {label: known[key] for label, key in self.tissue_of.items()}


def labels_in(array: NDArray[np.integer]) -> tuple[int, ...]:
    """Return the labels that occur, without 0."""
    return tuple(int(v) for v in np.unique(array) if v != 0)
