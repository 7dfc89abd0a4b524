"""The procedural phantom: whole hearts with thorax that stand in for patients where none may be shared.

Written from anatomy facts, and from nothing of :mod:`FedSimCore.ct` or :mod:`FedSimCore.shape`: what is
learnt from it is not the simulator's own assumptions read back. See docs/phantom.md.
"""

from FedSimCore.cohorts.phantom.cohort import PhantomCohort, make_cohort
from FedSimCore.cohorts.phantom.model import Phantom, make_label_map, make_phantom

__all__ = ["Phantom", "PhantomCohort", "make_cohort", "make_label_map", "make_phantom"]
