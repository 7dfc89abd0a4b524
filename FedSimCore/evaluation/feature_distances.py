"""Distances between two sets of feature vectors: Fréchet (FID) and kernel (MMD, KID).

Both are functions of inner products alone, which is how they are computed here: exactly, in time that does not grow
with the number of features, and from products that a bootstrap computes once for all its draws. Of MONAI's two metrics
``FIDMetric`` agrees to one part in 10^6, but takes the root of a matrix of all features anew each time (30 times as
long for 160 vectors of 368); ``MMDMetric`` has the linear kernel, which sees means only, and needs cohorts of one size.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from FedSimCore.errors import InputError
from FedSimCore.evaluation.intervals import Index

Array = NDArray[np.float64]
Vectors = NDArray[np.floating[Any]]


@dataclass(frozen=True, eq=False)
class Products:
    """Inner products of the vectors of two cohorts, x and y, with S vectors a heart, those of a heart together.

    Attributes:
        xx: (N S, N S) of the first cohort's N hearts.
        yy: (M S, M S) of the second cohort's M hearts.
        xy: (N S, M S).
        per_heart: S.
        features: length of the vectors.
    """

    xx: Array
    yy: Array
    xy: Array
    per_heart: int
    features: int

    @classmethod
    def of(cls, x: Vectors, y: Vectors) -> Products:
        """Multiply the vectors of two cohorts.

        Args:
            x: (N, S, D) S vectors of each of N hearts.
            y: (M, S, D).

        Raises:
            InputError: the vectors don't fit each other or are not finite.
        """
        if x.ndim != 3 or x.shape[1:] != y.shape[1:]:
            raise InputError(f"Features {x.shape} and {y.shape} are not of the same number and length for each heart.")
        flat_x, flat_y = (part.reshape(-1, part.shape[-1]).astype(np.float64) for part in (x, y))
        if not np.isfinite(flat_x).all() or not np.isfinite(flat_y).all():
            raise InputError("There are features that are not finite numbers; check the images and the network.")
        return cls(flat_x @ flat_x.T, flat_y @ flat_y.T, flat_x @ flat_y.T, x.shape[1], x.shape[2])

    def frechet(self, hearts: Index, others: Index) -> float:
        """Return the squared Fréchet distance of normal distributions fitted to the vectors of chosen hearts.

        Heusel et al. 2017: ``|m - m'|^2 + tr(C + C' - 2 (C C')^(1/2))``. The trace of the root is the sum of the
        singular values of the centred inner products over the root of (n - 1)(n' - 1), which needs neither C nor C'.
        """
        rows, columns = self._vectors(hearts), self._vectors(others)
        xx, yy, xy = self.xx[np.ix_(rows, rows)], self.yy[np.ix_(columns, columns)], self.xy[np.ix_(rows, columns)]
        means = xx.mean() + yy.mean() - 2 * xy.mean()
        n, m = len(rows), len(columns)
        spread = (np.trace(xx) - n * xx.mean()) / (n - 1) + (np.trace(yy) - m * yy.mean()) / (m - 1)
        centred = xy - xy.mean(0) - xy.mean(1)[:, None] + xy.mean()
        root = np.linalg.svd(centred, compute_uv=False).sum() / np.sqrt((n - 1) * (m - 1))
        return max(float(means + spread - 2 * root), 0.0)

    def kernel(self, hearts: Index, others: Index) -> float:
        """Return the squared maximum mean discrepancy with the kernel ``(x y / D + 1)^3`` (KID, Binkowski et al. 2018).

        Pairs within a cohort are of two different hearts, also where a heart is drawn twice, so that it is 0 on
        average for cohorts of one distribution (Gretton et al. 2012, lemma 6), and may be negative.
        """
        within = [
            self._mean_of_pairs(*part) for part in ((self.xx, hearts, hearts, True), (self.yy, others, others, True))
        ]
        return sum(within) - 2 * self._mean_of_pairs(self.xy, hearts, others, apart=False)

    def _mean_of_pairs(self, products: Array, first: Index, second: Index, apart: bool) -> float:
        values = (products / self.features + 1) ** 3
        size = self.per_heart
        by_heart = values.reshape(len(values) // size, size, -1, size).mean((1, 3))[np.ix_(first, second)]
        counted = first[:, None] != second if apart else np.ones(by_heart.shape, dtype=bool)
        # A draw of one heart alone has no pair; it says nothing about a spread.
        return float(by_heart[counted].mean()) if counted.any() else float(by_heart.mean())

    def _vectors(self, hearts: Index) -> Index:
        return (hearts[:, None] * self.per_heart + np.arange(self.per_heart)).ravel()
