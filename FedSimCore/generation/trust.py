"""How far a generated heart can be trusted: figures that are kept with it. Read without torch."""

from __future__ import annotations

from typing import Literal

from pydantic import BaseModel, ConfigDict, Field

_STRICT = ConfigDict(frozen=True, extra="forbid", allow_inf_nan=False)

_RARE_PERCENTILE = 99.0
_POOR_DICE = 0.7


class Nearest(BaseModel):
    """The training case that a heart is most like.

    Attributes:
        case: its id.
        distance: to it.
        unit: of the distance: ``"mm"``, mean over the surfaces' vertices, or ``"HU"``, root mean square over the image.
        usual_distance: median over the training cases of the distance to their own nearest other case.
        ratio: distance / usual distance. Far below 1 the heart is nearly a copy of the case; far above, unlike all.
        percentile: share of the training cases, 0 to 100, whose own nearest other case is nearer than this one; 0:
            no two training cases are as alike as this heart and its nearest.
    """

    model_config = _STRICT
    case: str
    distance: float = Field(ge=0)
    unit: Literal["mm", "HU"]
    usual_distance: float = Field(ge=0)
    ratio: float = Field(ge=0)
    percentile: float = Field(ge=0, le=100)


class Unusualness(BaseModel):
    """How far a heart is from the middle of a normal distribution.

    Attributes:
        distance: Mahalanobis distance, in standard deviations.
        percentile: share of the distribution, 0 to 100, that is nearer to the middle (chi-square).
    """

    model_config = _STRICT
    distance: float = Field(ge=0)
    percentile: float = Field(ge=0, le=100)


class SegmenterAgreement(BaseModel):
    """Whether a segmenter finds a heart where its labels are.

    Attributes:
        segmenter_sha256: checksum of the segmenter.
        found: whether it finds a heart at all.
        dice: of the labels against the segmenter's, by region that is in one of them; ``"heart"`` is all as one.
    """

    model_config = _STRICT
    segmenter_sha256: str
    found: bool
    dice: dict[str, float]


class Trust(BaseModel):
    """The figures of one heart.

    Attributes:
        nearest_shape: most similar shape among the training cases, size kept, place and direction left out; compared
            with what the generator makes of the cases' latents.
        nearest_image: most similar CT among the training cases; None where the training cohort was not given.
        latent: within the distribution fitted to the latents of the heart's population of training cases.
        weights: within the shape model: its mode weights against the standard normal.
        faces: of the surfaces.
        self_intersecting_faces: of these, how many cut another face of the same region.
        inverted_faces: how many are turned inside out.
        outside_norms: measurement key to ``"low"`` or ``"high"`` where a published norm of healthy adults is left.
        segmenter: how a segmenter sees it; None where none was given.
    """

    model_config = _STRICT
    nearest_shape: Nearest
    nearest_image: Nearest | None = None
    latent: Unusualness
    weights: Unusualness
    faces: int
    self_intersecting_faces: int
    inverted_faces: int
    outside_norms: dict[str, Literal["low", "high"]]
    segmenter: SegmenterAgreement | None = None

    def concerns(self) -> tuple[str, ...]:
        """Return what gives reason for doubt, a sentence each; none does not mean that the heart is real."""
        found = []
        for what, nearest in (("Its shape", self.nearest_shape), ("Its CT", self.nearest_image)):
            if nearest is not None and nearest.percentile == 0:
                found.append(
                    f"{what} is nearer to training case {nearest.case} ({nearest.distance:.3g} {nearest.unit}) than "
                    "any two training cases are to each other: it may be a copy."
                )
        for what, unusual in (("Its latent", self.latent), ("Its shape", self.weights)):
            if unusual.percentile > _RARE_PERCENTILE:
                found.append(f"{what} is rarer than {_RARE_PERCENTILE:g} in 100 ({unusual.distance:.1f} SD).")
        if self.self_intersecting_faces or self.inverted_faces:
            found.append(
                f"Its surfaces are faulty: {self.self_intersecting_faces} of {self.faces} faces cut others and "
                f"{self.inverted_faces} are inside out."
            )
        if self.segmenter is not None:
            whole = self.segmenter.dice.get("heart", 0.0)
            if not self.segmenter.found:
                found.append("The segmenter finds no heart in its CT.")
            elif whole < _POOR_DICE:
                found.append(f"The segmenter finds its heart elsewhere than its labels are (Dice {whole:.2f}).")
        return tuple(found)
