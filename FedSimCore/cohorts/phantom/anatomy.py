"""Who the patient is and how the heart is built: numbers drawn from the tables of a site."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from FedSimCore.cohorts.phantom.sites import Site, Variant, shape_table

ADULT_BSA_M2 = 1.85
# Volumes of the heart grow with about the 1.3rd power of body surface area, lengths with its cube root.
VOLUME_EXPONENT = 1.3
LENGTH_EXPONENT = VOLUME_EXPONENT / 3


@dataclass(frozen=True)
class Subject:
    """A person.

    Attributes:
        sex: ``"female"`` or ``"male"``.
        age_years: 1/12 for a child of one month.
        height_cm: stature.
        weight_kg: body mass.
    """

    sex: str
    age_years: float
    height_cm: float
    weight_kg: float

    @property
    def bsa_m2(self) -> float:
        """Body surface area, Mosteller 1987: sqrt(height x weight / 3600)."""
        return float(np.sqrt(self.height_cm * self.weight_kg / 3600))

    @property
    def length_scale(self) -> float:
        """Length of this heart over that of an adult of 1.85 m2."""
        return float((self.bsa_m2 / ADULT_BSA_M2) ** LENGTH_EXPONENT)


# Median height (cm) and weight (kg) by age, WHO growth standards (to 5 years) and reference 2007 (5 to 19 years),
# female and male averaged to the nearest cm and half kg up to ten years.
_AGES = (0.08, 0.25, 0.5, 1, 2, 3, 5, 8, 10, 12, 14, 16, 18, 21)
_HEIGHT = {
    "female": (54, 60, 66, 74, 86, 95, 109, 127, 139, 151, 160, 162, 163, 163),
    "male": (55, 61, 68, 76, 88, 96, 110, 127, 138, 149, 164, 173, 176, 177),
}
_WEIGHT = {
    "female": (4.2, 5.8, 7.3, 9, 11.5, 14, 18, 25, 32, 42, 49, 54, 56, 58),
    "male": (4.5, 6.4, 7.9, 9.6, 12, 14.5, 18.5, 25.5, 31, 40, 51, 62, 67, 70),
}


def draw_subject(site: Site, rng: np.random.Generator) -> Subject:
    """Draw sex, age, height and weight; ages are uniform in their cube root so that infants are not rare."""
    sex = "female" if rng.random() < 0.5 else "male"
    low, high = site.age_years
    age = float(rng.uniform(low ** (1 / 3), high ** (1 / 3)) ** 3)
    height = float(np.interp(age, _AGES, _HEIGHT[sex]) * np.exp(rng.normal(0, 0.04)))
    if age < 20:
        weight = float(np.interp(age, _AGES, _WEIGHT[sex]) * np.exp(rng.normal(0, 0.12)))
    else:
        weight = (height / 100) ** 2 * float(np.clip(rng.normal(24.5, 3.2), 18, 33))
    return Subject(sex, age, height, weight)


@dataclass(frozen=True)
class Targets:
    """What the heart's parts should measure: pools in ml, wall and diameters in mm."""

    lv_ml: float
    rv_ml: float
    la_ml: float
    ra_ml: float
    lv_wall_mm: float
    aorta_mm: float
    pa_mm: float

    def scaled(self, factors: dict[str, float]) -> Targets:
        """Multiply the fields named in ``factors``."""
        return Targets(**{name: value * factors.get(name, 1.0) for name, value in vars(self).items()})


# Mean at the sex's mean adult body size, and coefficient of variation at fixed size.
# LV, RV, LA: Hudsmith 2005 (CMR, end diastole; LA maximal); RA: within Fuchs 2016 (CCTA); wall: Hindso 2017
# (CCTA); aorta: Rogers 2013 (CT); pulmonary trunk: Karazincir 2008 (CT). Full citations: anatomy/norms.json.
_NORMS = {
    "male": Targets(160, 190, 103, 115, 6.6, 33.5, 27),
    "female": Targets(135, 148, 89, 95, 5.4, 31, 25.5),
}
_SEX_BSA = {"male": 1.98, "female": 1.72}
_SPREAD = Targets(0.12, 0.13, 0.17, 0.16, 0.08, 0.07, 0.07)


def draw_targets(subject: Subject, variant: Variant, rng: np.random.Generator) -> Targets:
    """Draw the sizes of a heart: the norm for sex and body size, varied in common and part by part."""
    ratio = subject.bsa_m2 / _SEX_BSA[subject.sex]
    common = rng.normal()
    values = {}
    for name, mean in vars(_NORMS[subject.sex]).items():
        volume = name.endswith("_ml")
        size = ratio ** (VOLUME_EXPONENT if volume else LENGTH_EXPONENT)
        z = np.clip((0.6 if volume else 0.3) * common + (0.8 if volume else 0.95) * rng.normal(), -2.2, 2.2)
        values[name] = float(mean * size * np.exp(getattr(_SPREAD, name) * z))
    return Targets(**values).scaled(variant.targets)


class Shape(dict[str, float]):
    """Numbers that bend, turn and place the parts; names, units and spreads are in Resources/phantom/shape.json."""

    def __getattr__(self, name: str) -> float:
        try:
            return self[name]
        except KeyError:
            raise AttributeError(name) from None


def draw_shape(variant: Variant, rng: np.random.Generator) -> Shape:
    """Draw every number of the shape table (normal, clipped at 2.2 SD), then apply the variant."""
    shape = Shape()
    for name, row in shape_table().items():
        shape[name] = row.mean + row.sd * float(np.clip(rng.normal(), -2.2, 2.2))
    for name, (low, high) in variant.shape.items():
        shape[name] = float(rng.uniform(low, high))
    return shape
