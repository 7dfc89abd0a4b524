"""Studies as processes: begun on this machine, resumed, stopped, or taken part in with a start-up kit."""

from __future__ import annotations

import os
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from slicer.i18n import tr as _

from FedSimCore.errors import FedSimError, InputError
from FedSimCore.federated.local_sites import SERVER, SITE_FILE
from FedSimCore.federated.study import STUDY_SCHEMA, Study, read_study
from FedSimCore.files import disk_errors, read_json, write_json
from FedSimCore.runs.control import start_in_background
from FedSimCore.runs.folder import RunFolder
from FedSimCore.runs.lock import is_locked
from FedSimSlicerLib.interpreter import python_interpreter
from FedSimSlicerLib.python_path import find_fedsim_core
from FedSimSlicerLib.training_runs import Start, TrainingRuns

STUDY_NAME = "study.json"
"""As ``fedsim federate run`` keeps it in the study's folder."""
_UNKNOWN = "/change/me"
"""As ``fedsim federate provision`` leaves a path that the site has to fill in."""


@dataclass(frozen=True)
class Kit:
    """A site's start-up kit.

    Attributes:
        path: its folder.
        name: of the site.
        server: address at which it looks for the server.
        cohort: the site's cases; empty until somebody has said it.
        runs: where its runs go; None likewise.
        certificate: the file of its certificate; None if there is none.
    """

    path: Path
    name: str
    server: str
    cohort: str
    runs: Path | None
    certificate: Path | None = None


def read_kit(path: Path) -> Kit:
    """Read a site's kit.

    Raises:
        InputError: it is none.
    """
    site, client = path / "local" / SITE_FILE, path / "startup" / "fed_client.json"
    if not site.is_file() or not client.is_file():
        raise InputError(
            _("{path} is no start-up kit of a site; choose the folder that holds “startup” and “local”.").format(
                path=path
            )
        )
    own, told = read_json(site), read_json(client)
    try:
        name, cohort, runs = str(own["name"]), str(own["cohort"]), str(own["runs"])
        server = str(told["servers"][0]["service"]["target"])
    except (KeyError, IndexError, TypeError):
        raise InputError(_("The start-up kit {path} is damaged; unpack it again.").format(path=path)) from None
    certificate = path / "startup" / str(told.get("client", {}).get("ssl_cert", "client.crt"))
    return Kit(
        path,
        name,
        server,
        "" if cohort == _UNKNOWN else cohort,
        None if runs == _UNKNOWN else Path(runs),
        certificate if certificate.is_file() else None,
    )


class FederationRuns(TrainingRuns):
    """Begins and ends studies. A study is known by its folder, a site that takes part by the folder of its runs.

    The run that a start waits for is the server's: ``FOLDER/server``.
    """

    def begin_study(self, study: Study, folder: Path, keep: bool) -> None:
        """Start a study on this machine, as ``fedsim federate run --background`` does.

        Raises:
            FedSimError: there is a study already, or the process can't be started.
        """
        kept = folder / STUDY_NAME
        if kept.exists():
            raise InputError(_("{folder} holds a study already; choose another name.").format(folder=folder))
        write_json(kept, {"schema": STUDY_SCHEMA, **study.model_dump(mode="json")})
        self.resume_study(folder, keep)

    def resume_study(self, folder: Path, keep: bool) -> None:
        """Go on with a study on this machine.

        Raises:
            FedSimError: there is none, or the process can't be started.
        """
        read_study(folder / STUDY_NAME)
        # NVFlare starts sites by os.setsid, which Windows has not; there they take turns in one process.
        alone = ["--in-process"] if os.name == "nt" else []
        self._start(RunFolder(folder / SERVER), ["federate", "resume", str(folder), *alone], keep)

    def take_part(self, kit: Kit, cohort: str, runs: Path, keep: bool) -> None:
        """Connect this computer as a site; it is ready when its process holds the folder of its runs.

        Args:
            kit: of the site.
            cohort: folder or table of its cases.
            runs: folder for its runs.
            keep: stay connected when Slicer ends.

        Raises:
            FedSimError: it is connected already, or the process can't be started.
        """
        run = RunFolder(runs)
        if is_locked(run) or runs in self.starting:
            raise InputError(_("{site} is connected already.").format(site=kit.name))
        with disk_errors(runs):
            runs.mkdir(parents=True, exist_ok=True)
        self.set_keep(runs, keep)
        arguments = ["federate", "site", str(kit.path), "--cohort", cohort, "--runs", str(runs)]
        process = start_in_background(run, arguments, Path(python_interpreter()), [Path(find_fedsim_core())])
        self._processes.append(process)
        self.starting[runs] = Start(run, process, 0)

    def stop_study(self, folder: Path) -> None:
        """Let server and sites save a checkpoint and end.

        Raises:
            FedSimError: it does not run, or the folder can't be written.
        """
        self.stop(folder / SERVER)

    def leave(self, runs: Path) -> None:
        """Let a site that takes part end; the study goes on or waits, as it says.

        Raises:
            DiskError: the folder can't be written.
        """
        if runs in self.starting and not is_locked(RunFolder(runs)):
            self.stop(runs)
            return
        with disk_errors(runs):
            RunFolder(runs).stop_file.touch()

    def stop_with_slicer(self, folders: Sequence[Path]) -> None:
        """Let those end that are not to go on; returns at once, as Slicer is ending.

        Args:
            folders: servers' runs, and folders of the runs of sites that take part.
        """
        for folder in {*folders, *self.starting}:
            if self.keeps(folder):
                continue
            try:
                if RunFolder(folder).exists or folder.name == SERVER:
                    self.stop(folder)
                else:
                    self.leave(folder)
            except FedSimError:
                continue  # It has ended by itself.
