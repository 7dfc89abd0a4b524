"""From label maps to a shape model, in one call."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime, timezone

import numpy as np
from numpy.typing import NDArray

from FedSimCore import __version__
from FedSimCore.progress import Progress, silent
from FedSimCore.shape.correspondence import SPACING_MM, Correspondence, correspond
from FedSimCore.shape.labelled_heart import LabelledHeart
from FedSimCore.shape.model import PAPER_MODES, ShapeModel
from FedSimCore.shape.model_file import Arrays, ModelHeader, Provenance
from FedSimCore.shape.pca import principal_modes
from FedSimCore.shape.pose_statistics import pose_statistics
from FedSimCore.shape.procrustes import generalised_procrustes
from FedSimCore.shape.quality import quality_report
from FedSimCore.shape.template import FACE_COUNT

LIMIT_SIGMA = 1.5


def build_model(
    hearts: Sequence[LabelledHeart],
    provenance: Provenance,
    modes: int = PAPER_MODES,
    limit_sigma: float = LIMIT_SIGMA,
    face_count: int = FACE_COUNT,
    spacing_mm: float = SPACING_MM,
    progress: Progress = silent,
) -> tuple[ShapeModel, Correspondence]:
    """Build a shape model of label maps and report its quality in its header.

    Args:
        hearts: at least three, each with all seven regions.
        provenance: where they come from; its seed draws the samples of the quality report.
        modes: modes to keep, at most one less than there are hearts.
        limit_sigma: limit of the mode weights.
        face_count: triangles of the template over all regions.
        spacing_mm: of the registration grid.
        progress: told of every step.

    Returns:
        The model, and the correspondence it was made from.

    Raises:
        InputError: too few cases, a region is missing, or the cases are no hearts of the same labelling.
    """
    correspondence = correspond(hearts, face_count, spacing_mm, progress)
    centres = [heart.centre_mm for heart in hearts]
    model = model_from_correspondence(correspondence, centres, provenance, modes, limit_sigma, progress)
    return model, correspondence


def model_from_correspondence(
    correspondence: Correspondence,
    centres_mm: Sequence[NDArray[np.float64]],
    provenance: Provenance,
    modes: int = PAPER_MODES,
    limit_sigma: float = LIMIT_SIGMA,
    progress: Progress = silent,
) -> ShapeModel:
    """Take the pose off hearts in correspondence and find their modes.

    Args:
        correspondence: N hearts.
        centres_mm: N centres (3,) to which pose statistics refer, RAS mm.
        provenance: see :func:`build_model`.
        modes: see :func:`build_model`.
        limit_sigma: see :func:`build_model`.
        progress: told of every step of the quality report.
    """
    aligned = generalised_procrustes(correspondence.vertices)
    components = principal_modes(aligned.shapes, modes)
    arrays: Arrays = {
        "mean": components.mean.astype(np.float32),
        "modes": components.modes.astype(np.float32),
        "eigenvalues": components.eigenvalues,
        "faces": correspondence.topology.faces,
        "face_region": correspondence.topology.face_region,
    }
    header = ModelHeader(
        limit_sigma=limit_sigma,
        pose=pose_statistics(aligned.poses, centres_mm),
        total_variance_mm2=components.total_variance,
        provenance=provenance,
    )
    model = ShapeModel(arrays, header)
    quality = quality_report(
        model, aligned.shapes, correspondence.distances_mm, correspondence.names, provenance.seed, progress
    )
    model.header = header.model_copy(update={"quality": quality})
    return model


def provenance_now(
    cohort: str, sites: dict[str, int], command: str, seed: int, skipped: Sequence[str] = ()
) -> Provenance:
    """Return the provenance of a model that is built now by this version of FedSim."""
    return Provenance(
        cohort=cohort,
        sites=sites,
        cases=sum(sites.values()),
        skipped=tuple(skipped),
        command=command,
        version=__version__,
        seed=seed,
        created=datetime.now(timezone.utc).strftime("%Y-%m-%dT%H:%M:%SZ"),
    )
