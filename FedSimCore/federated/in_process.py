"""A study in one process, sites one after the other: the reference for every engine, and quick for small studies."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from contextlib import ExitStack
from pathlib import Path

from FedSimCore.federated.local_sites import SERVER, local_sites
from FedSimCore.federated.messages import Reply, Request
from FedSimCore.federated.server import open_server
from FedSimCore.federated.site import Site
from FedSimCore.federated.study import Study
from FedSimCore.federated.workflow import conduct
from FedSimCore.runs.folder import RunFolder
from FedSimCore.runs.history import status
from FedSimCore.training.reporter import Listener, ignore


class InProcessLink:
    """Calls sites directly, in their order."""

    def __init__(self, sites: Mapping[str, Site]) -> None:
        """Reach these sites."""
        self.sites = sites

    def ask(self, request: Request, sites: Sequence[str], seconds: float) -> dict[str, Reply]:  # noqa: ARG002
        """Ask sites one after the other; nobody is ever late."""
        return {name: self.sites[name].answer(request) for name in sites if name in self.sites}


def run_in_process(study: Study, folder: Path, listen: Listener = ignore) -> None:
    """Run a study, or go on with it; a finished one is left as it is.

    Args:
        study: with its sites' data.
        folder: holds the server's run and those of the sites.
        listen: told every event of the server's run.

    Raises:
        InputError: data or folder can't be used.
        TrainingError: the study can't go on.
        CancelledError: somebody stopped it.
        DiskError: the disk is full.
    """
    run = RunFolder(folder / SERVER)
    if run.exists and status(run).state == "finished":
        return
    with ExitStack() as stack:
        sites = {own.name: Site(own) for own in local_sites(study, folder)}
        for site in sites.values():
            stack.callback(site.close)
        server = stack.enter_context(open_server(study, run, listen))
        stack.enter_context(server.wants_stop.signals())
        conduct(server, InProcessLink(sites))
