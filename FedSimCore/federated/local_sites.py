"""The sites of a study on one machine: their files, made of the study. No torch."""

from __future__ import annotations

from pathlib import Path

from FedSimCore.errors import InputError
from FedSimCore.federated.policy import ON_ONE_MACHINE, SiteFile
from FedSimCore.federated.study import Study
from FedSimCore.files import write_json

SERVER = "server"
SITES = "sites"
SITE_FILE = "site.json"


def local_sites(study: Study, folder: Path) -> list[SiteFile]:
    """Return what each site would know if it were elsewhere.

    Args:
        study: whose sites name their cohorts.
        folder: of the study; a site's runs lie in ``sites/NAME``.

    Raises:
        InputError: a site has no cohort.
    """
    found = []
    for site in study.sites:
        if site.cohort is None:
            raise InputError(
                f"The site {site.name!r} of {study.name!r} names no cohort, which a study on one machine needs; "
                "between hospitals use `fedsim federate provision`."
            )
        policy = site.policy or ON_ONE_MACHINE
        own = SiteFile(name=site.name, cohort=site.cohort, runs=folder / SITES / site.name, policy=policy)
        found.append(own.model_copy(update={"cohort_site": site.cohort_site, "model": site.model}))
    return found


def write_site_files(study: Study, folder: Path) -> list[Path]:
    """Write the sites' files; returns them in the order of the sites."""
    paths = []
    for own in local_sites(study, folder):
        path = own.runs / SITE_FILE
        write_json(path, own.model_dump(mode="json"))
        paths.append(path)
    return paths
