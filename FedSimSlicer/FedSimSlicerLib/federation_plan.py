"""The epsilon that a study will have spent at its end, told while its form is filled."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import qt
from slicer.i18n import tr as _

from FedSimCore.cohorts import read_cohort
from FedSimCore.errors import FedSimError
from FedSimSlicerLib.federation_privacy import Expense

if TYPE_CHECKING:
    from FedSimCore.federated.study import Study
    from FedSimSlicerLib.background import Background
    from FedSimSlicerLib.federation_privacy import EpsilonPlans

AFTER_MS = 500
"""After the last change, and from one question to the next while an answer is worked out."""


class NoisePlan:
    """Tells what the noise of a form promises to each site.

    Args:
        label: a qt.QLabel.
        background: for what reads files.
        plans: works epsilons out.
        study: gives the study that the form makes; None while it cannot be used or adds no noise.
    """

    def __init__(
        self, label: Any, background: Background, plans: EpsilonPlans, study: Callable[[], Study | None]
    ) -> None:
        self._label, self._background, self._plans, self._study = label, background, plans, study
        self._timer = qt.QTimer()
        self._timer.setSingleShot(True)
        self._timer.setInterval(AFTER_MS)
        self._timer.connect("timeout()", self._ask)

    def changed(self) -> None:
        """Work it out anew soon."""
        self._timer.start()

    def close(self) -> None:
        """Tell nothing more."""
        self._timer.stop()

    def _ask(self) -> None:
        study = self._study()
        self._label.visible = study is not None
        if study is None:
            return
        sites = [site.model_dump(mode="json") for site in study.sites]
        self._background.run(lambda: cases_of(sites), lambda found: self._show(study, found), lambda _error: None)

    def _show(self, study: Study, cases: Mapping[str, int]) -> None:
        assert study.privacy is not None
        batch_size, noise, delta = study.config(None).batch_size, study.privacy.noise, study.privacy.delta
        told, open_ = [], False
        for name, count in cases.items():
            planned = self._plans.planned(Expense(noise, delta, study.rounds, batch_size, count))
            open_ |= planned is None and not self._plans.failed
            if planned is not None:
                told.append(_("{site} {epsilon:.1f} ({cases} cases)").format(site=name, epsilon=planned, cases=count))
        if told:
            self._label.text = _("Epsilon at the end: {sites}.").format(sites=", ".join(told))
        elif open_:
            self._label.text = _("Working out epsilon...")
        else:
            self._label.text = _("Epsilon is told when the sites’ data can be read and the packages are installed.")
        if open_:
            self._timer.start()


def cases_of(sites: Sequence[Mapping[str, Any]]) -> dict[str, int]:
    """Return the number of cases of each site whose cohort can be read."""
    found = {}
    for site in sites:
        try:
            cases = read_cohort(Path(site["cohort"])).cases if site.get("cohort") else ()
        except (FedSimError, OSError):
            continue
        own = site.get("cohort_site")
        count = len([case for case in cases if own is None or case.site == own])
        if count:
            found[str(site["name"])] = count
    return found
