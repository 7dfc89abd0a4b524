"""Reading studies in a thread: what there is, how far it is, and the details of the one that is chosen."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from FedSimCore.errors import FedSimError
from FedSimCore.federated.local_sites import SERVER, SITE_FILE, SITES
from FedSimCore.federated.study import Study, read_study
from FedSimCore.files import read_json
from FedSimCore.runs.folder import RunFolder, runs_below
from FedSimCore.runs.lock import is_locked
from FedSimSlicerLib.federation_curves import StudyCurves
from FedSimSlicerLib.federation_runs import STUDY_NAME, FederationRuns, Kit, read_kit
from FedSimSlicerLib.federation_seen import FederationSeen, SiteSeen, StudyDetails, StudyRow
from FedSimSlicerLib.federation_site_eyes import SiteEyes, site_elsewhere
from FedSimSlicerLib.federation_states import RUNNING
from FedSimSlicerLib.run_reader import RunReader, read_in_portions
from FedSimSlicerLib.training_runs import log_tail

if TYPE_CHECKING:
    from FedSimCore.runs.history import RunStatus
    from FedSimSlicerLib.federation_privacy import EpsilonPlans
    from FedSimSlicerLib.training_runs import Start

DEPTH = 2
"""Levels of subfolders in which studies are looked for."""


class FederationEyes:
    """What is known of studies; used by the thread alone.

    Args:
        plans: tells epsilons.
        kits: gives the kits that are known.
    """

    def __init__(self, plans: EpsilonPlans, kits: Callable[[], Sequence[Path]]) -> None:
        self._plans, self._kits = plans, kits
        self._reader = RunReader()
        self._of: Path | None = None
        self._site_eyes: dict[Path, SiteEyes] = {}
        self._curves = StudyCurves()
        self._studies: dict[Path, tuple[float, Study]] = {}

    def look(self, folder: Path, chosen: Sequence[Path], starting: Sequence[Start]) -> FederationSeen:
        """Look at all studies in a folder, and at the one that is chosen more closely."""
        begun, failed, waiting = self._follow(starting)
        try:
            rows = [self._study_row(path, waiting) for path in studies_below(folder, DEPTH)]
        except OSError as error:
            return FederationSeen(problem=str(error), begun=begun, failed=failed)
        rows += self._site_rows(waiting)
        rows.sort(key=lambda row: -row.updated if row.updated is not None else -float("inf"))
        row = next((row for row in rows if chosen and row.path == chosen[0]), None)
        return FederationSeen(tuple(rows), begun, failed, details=None if row is None else self._details(row))

    def _follow(self, starting: Sequence[Start]) -> tuple[tuple[Path, ...], dict[Path, str], dict[Path, str]]:
        """Return which starts have come to work, which have failed, and what the others prepare."""
        begun, failed, waiting = [], {}, {}
        for start in starting:
            path = start.run.path
            ready = is_locked(start.run) if path.name != SERVER else start.begun(self._reader.history(path))
            if ready:
                begun.append(path)
            elif reason := start.failure():
                failed[path] = reason
            else:
                waiting[path] = ""
        return tuple(begun), failed, waiting

    # ---- rows

    def _study_row(self, path: Path, waiting: dict[Path, str]) -> StudyRow:
        status = self._server(path)
        if path / SERVER in waiting:
            return StudyRow(path, path.name, "study", "starting", updated=None)
        if status is None:
            return StudyRow(path, path.name, "study", "new")
        return _row(path, path.name, "study", status, status.state)

    def _server(self, path: Path) -> RunStatus | None:
        return self._reader.status(path / SERVER) if RunFolder(path / SERVER).exists else None

    def _site_rows(self, waiting: dict[Path, str]) -> Iterator[StudyRow]:
        for kit in self._known_kits():
            assert kit.runs is not None
            status = self._newest_run(kit.runs)
            alive = is_locked(RunFolder(kit.runs))
            if kit.runs in waiting:
                state = "starting"
            elif alive:
                state = status.state if status is not None and status.state in RUNNING else "waiting"
            else:
                state = status.state if status is not None else "new"
            if status is None:
                yield StudyRow(kit.runs, kit.name, "site", state, kit=kit.path)
            else:
                yield _row(kit.runs, kit.name, "site", status, state, kit.path)

    def _known_kits(self) -> Iterator[Kit]:
        for path in self._kits():
            try:
                kit = read_kit(path)
            except FedSimError:
                continue  # It was removed, or its drive is not there.
            if kit.runs is not None:
                yield kit

    def _newest_run(self, runs: Path) -> RunStatus | None:
        try:
            found = [self._reader.status(run.path) for run in runs_below(runs, depth=1)] if runs.is_dir() else []
        except (FedSimError, OSError):
            return None
        there = [status for status in found if status is not None]
        return max(there, key=lambda status: status.updated or 0.0, default=None)

    # ---- details

    def _details(self, row: StudyRow) -> StudyDetails:
        if self._of != row.path:  # The ledgers of one study are enough to keep.
            self._of, self._site_eyes, self._curves = row.path, {}, StudyCurves()
        return self._study_details(row) if row.kind == "study" else self._site_details(row)

    def _study_details(self, row: StudyRow) -> StudyDetails:
        path, server = row.path, self._server(row.path)
        study = self._study(path)
        rounds = self._curves.rounds_of(path / SERVER)
        read_in_portions(rounds.update)
        sites: list[SiteSeen] = []
        for name in study.site_names if study is not None else ():
            home = path / SITES / name
            if not home.is_dir():
                sites.append(site_elsewhere(name, server, rounds))
                continue
            assert study is not None
            eyes = self._site_eyes.setdefault(home, SiteEyes(name, home, home / SITE_FILE, self._plans))
            sites.append(eyes.look(self._reader.status(home / study.name), study, server, rounds))
        runs = {name: path / SITES / name / study.name for name in study.site_names} if study is not None else {}
        histories = {name: self._reader.history(run) for name, run in runs.items() if RunFolder(run).exists}
        server_history = self._reader.history(path / SERVER) if server is not None else None
        curves = self._curves.look(server_history, histories, study.local_steps if study is not None else 1)
        return StudyDetails(
            row,
            study.name if study is not None else "",
            study.method if study is not None else "",
            tuple(sites),
            server,
            path / SERVER if _has_model(path / SERVER) else None,
            curves,
            tuple(dict.fromkeys(curve.metric for curve in curves)),
            log_tail(path / SERVER),
            FederationRuns.keeps(path / SERVER),
        )

    def _site_details(self, row: StudyRow) -> StudyDetails:
        assert row.kit is not None
        run = self._newest_run(row.path)
        study = _study_of_run(run)
        rule_file = row.kit / "local" / SITE_FILE
        eyes = self._site_eyes.setdefault(row.path, SiteEyes(row.name, row.path, rule_file, self._plans))
        site = eyes.look_alone(run, study, is_locked(RunFolder(row.path)))
        histories = {row.name: self._reader.history(Path(run.path))} if run is not None else {}
        curves = self._curves.look(None, histories, study.local_steps if study is not None else 1)
        return StudyDetails(
            row,
            study.name if study is not None else "",
            study.method if study is not None else "",
            (site,),
            None,
            site.model,
            curves,
            tuple(dict.fromkeys(curve.metric for curve in curves)),
            log_tail(row.path),
            FederationRuns.keeps(row.path),
        )

    def _study(self, path: Path) -> Study | None:
        """Return a study as its folder has it, or as its server's run was told; None if it can't be read."""
        file = path / STUDY_NAME if (path / STUDY_NAME).is_file() else RunFolder(path / SERVER).config_file
        try:
            changed = file.stat().st_mtime
            if file not in self._studies or self._studies[file][0] != changed:
                read = read_study(file) if file.name == STUDY_NAME else Study.model_validate(read_json(file)["study"])
                self._studies[file] = changed, read
        except (FedSimError, OSError, ValueError, KeyError, TypeError):
            return None
        return self._studies[file][1]


def studies_below(folder: Path, depth: int) -> Iterator[Path]:
    """Find the studies in a folder and its subfolders, by path.

    Raises:
        OSError: a folder can't be read.
    """
    if (folder / STUDY_NAME).is_file() or RunFolder(folder / SERVER).exists:
        yield folder
    elif depth > 0 and folder.is_dir():
        for path in sorted(path for path in folder.iterdir() if path.is_dir() and not path.name.startswith(".")):
            yield from studies_below(path, depth - 1)


def _row(path: Path, name: str, kind: str, status: RunStatus, state: str, kit: Path | None = None) -> StudyRow:
    return StudyRow(
        path,
        name,
        "site" if kind == "site" else "study",
        state,
        status.step,
        status.total,
        status.seconds_left,
        status.updated,
        status.reason,
        status.warnings,
        kit,
    )


def _study_of_run(run: RunStatus | None) -> Study | None:
    try:
        return Study.model_validate(RunFolder(Path(run.path)).config()["study"]) if run is not None else None
    except (FedSimError, ValueError, KeyError):
        return None


def _has_model(run: Path) -> bool:
    return (run / "model" / "generator.safetensors").is_file()
