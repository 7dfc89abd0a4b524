"""One patient: the person, the heart, and its place in the world, all drawn from one seed."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from FedSimCore.cohorts.phantom.anatomy import Subject, Targets, draw_shape, draw_subject, draw_targets
from FedSimCore.cohorts.phantom.carving import grown
from FedSimCore.cohorts.phantom.heart import Heart
from FedSimCore.cohorts.phantom.landmarks import MIDLINE_MM
from FedSimCore.cohorts.phantom.scanning import Scan, draw_scan
from FedSimCore.cohorts.phantom.sites import Site, Variant, variant
from FedSimCore.cohorts.phantom.thorax import Build, draw_build
from FedSimCore.cohorts.phantom.warp import Deformation, Extent

# Root mean square displacement (nominal mm per axis) for each correlation length (nominal mm).
# Holds the part of a chest that scans of the heart show, in nominal mm.
CHEST_EXTENT_MM: Extent = ((-160.0, 240.0), (-160.0, 140.0), (-140.0, 180.0))
WARP_MM = {60.0: 2.2, 28.0: 1.2, 14.0: 0.45}


@dataclass(frozen=True)
class Patient:
    """A drawn patient.

    Attributes:
        site: where the patient is scanned.
        seed: what the patient was drawn from.
        variant: kind of heart.
        subject: sex, age and body size.
        targets: intended sizes of the heart's parts (ml, mm).
        heart: the heart in nominal mm.
        deformation: from nominal mm of this patient to those of the smooth shapes the heart is made of.
        build: the chest round the heart.
        scan: settings and contrast of the scan.
        origin_mm: RAS position in the world of the nominal frame's origin.
    """

    site: Site
    seed: int
    variant: Variant
    subject: Subject
    targets: Targets
    heart: Heart
    deformation: Deformation
    build: Build
    scan: Scan
    origin_mm: NDArray[np.float64]

    @property
    def scale(self) -> float:
        """World mm per nominal mm."""
        return self.subject.length_scale

    def rng(self, stream: str) -> np.random.Generator:
        """Return the generator of one aspect (e.g. ``"warp"``), so that aspects don't disturb each other."""
        return np.random.default_rng([self.seed, *stream.encode()])

    def to_world(self, nominal_mm: NDArray[np.floating]) -> NDArray[np.float64]:
        """Take nominal positions (..., 3) to RAS mm of the world, leaving the random deformation out."""
        return np.asarray(nominal_mm) * self.scale + self.origin_mm


def draw_patient(site: Site, seed: int, kind: str | None = None) -> Patient:
    """Draw a patient; ``kind`` forces the variant instead of drawing it from the site's shares."""
    rng = np.random.default_rng([seed, *site.name.encode()])
    names, shares = list(site.variants), np.array(list(site.variants.values()))
    drawn = names[rng.choice(len(names), p=shares / shares.sum())]
    chosen = variant(kind or drawn)
    subject = draw_subject(site, rng)
    targets = draw_targets(subject, chosen, rng)
    shape = draw_shape(chosen, rng)
    nominal = Targets(
        **{
            name: value / subject.length_scale ** (3 if name.endswith("_ml") else 1)
            for name, value in vars(targets).items()
        }
    )
    # The table's middle is near the spine; the scanner's zero of S is anywhere along the body.
    origin = np.array([rng.normal(0, 8), rng.normal(-20, 12), rng.uniform(-220, -60)])
    origin[0] -= MIDLINE_MM * subject.length_scale
    deformation = Deformation.draw(CHEST_EXTENT_MM, WARP_MM, rng)
    heart = grown(Heart(shape, nominal, chosen.outflow), deformation)
    build = draw_build(subject, rng)
    scan = draw_scan(site.look, subject.length_scale, rng)
    return Patient(site, seed, chosen, subject, targets, heart, deformation, build, scan, origin)
