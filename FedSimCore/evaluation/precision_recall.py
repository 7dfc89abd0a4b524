"""Precision and recall of a distribution (PRD): how much of the generated is real, and of the real is generated.

Sajjadi et al., "Assessing Generative Models via Precision and Recall", NeurIPS 2018: vectors of both sets are put into
clusters together, and the two histograms over the clusters are compared for every trade-off between the two.
"""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray
from scipy.cluster.vq import kmeans, vq

from FedSimCore.errors import InputError

Array = NDArray[np.float64]
Vectors = NDArray[np.floating[Any]]

CLUSTERS = 20
"""As the authors took."""
ANGLES = 1001
BETA = 8.0
"""F with this weight stands for recall, with its inverse for precision, as the authors took."""


class Curve(NamedTuple):
    """Precision and recall (ANGLES,) for every trade-off, 0 to 1."""

    precision: Array
    recall: Array

    def f_score(self, beta: float) -> float:
        """Return the largest F score over the curve, ``(1 + b^2) p r / (b^2 p + r)``."""
        p, r = self.precision, self.recall
        scores = (1 + beta**2) * p * r / np.maximum(beta**2 * p + r, np.finfo(float).tiny)
        return float(scores.max())


def cluster_shares(x: Vectors, y: Vectors, seed: int, clusters: int = CLUSTERS) -> tuple[Array, Array]:
    """Put the vectors of two cohorts into clusters together (k-means).

    Args:
        x: (N, S, D) S vectors of each of N hearts.
        y: (M, S, D).
        seed: of the clusters' first middles.
        clusters: at most; clusters that stay empty are left out.

    Returns:
        (N, K) and (M, K): share of each heart's vectors in each cluster.

    Raises:
        InputError: the vectors differ in length.
    """
    if x.shape[-1] != y.shape[-1]:
        raise InputError(f"Features {x.shape} and {y.shape} are not of the same length.")
    vectors = np.concatenate([part.reshape(-1, part.shape[-1]) for part in (x, y)]).astype(np.float64)
    middles, _ = kmeans(vectors, min(clusters, len(vectors)), iter=3, seed=np.random.default_rng(seed))
    found = vq(vectors, middles)[0]
    sizes = len(x) * x.shape[1]

    def shares(own: NDArray[np.int32], hearts: int) -> Array:
        one_hot = own.reshape(hearts, -1)[..., None] == np.arange(len(middles))
        return one_hot.mean(1)

    return shares(found[:sizes], len(x)), shares(found[sizes:], len(y))


def prd_curve(generated: Array, reference: Array) -> Curve:
    """Compare two distributions over clusters.

    Args:
        generated: (K,) shares, which sum to 1.
        reference: (K,) shares.

    Returns:
        The curve, from all weight on recall to all weight on precision (the paper's equation 6 and algorithm 1).
    """
    slopes = np.tan(np.linspace(1e-10, np.pi / 2 - 1e-10, ANGLES))
    precision = np.minimum(reference * slopes[:, None], generated).sum(1)
    return Curve(precision.clip(0, 1), (precision / slopes).clip(0, 1))
