"""What a look at studies gives: real studies of one process, and files that grow."""

from __future__ import annotations

import json
import shutil

import pytest

pytest.importorskip("slicer")
pytest.importorskip("PySide6")

from FedSimCore.federated.ledger import Ledger, read_ledger
from FedSimCore.runs.folder import RunFolder
from FedSimCore.runs.lock import locked
from Testing.slicer.module.small_federations import *  # noqa: F403


class KnownEpsilon:
    """Epsilons that need no process."""

    def __init__(self):
        self.asked = []

    def planned(self, expense):
        self.asked.append(expense)
        return 5.0


@pytest.fixture
def eyes(application):
    """A function that looks with fresh eyes: `eyes(kits=[...])`."""
    from FedSimSlicerLib.federation_eyes import FederationEyes

    def make(kits=()):
        return FederationEyes(KnownEpsilon(), lambda: list(kits))

    return make


@pytest.fixture
def study(finished_study, tmp_path):
    """A copy of the finished study in a folder of its own."""
    return shutil.copytree(finished_study, tmp_path / "studies" / "ended")


def test_a_finished_study_is_seen_with_all_its_sites(eyes, study):
    seen = eyes().look(study.parent, (study,), ())
    (row,) = seen.rows
    assert (row.name, row.state, row.step, row.total) == ("ended", "finished", 5, 5)
    details = seen.details
    assert details.model == study / "server"
    assert [site.name for site in details.sites] == ["a", "b"]
    for site in details.sites:
        ledger = read_ledger(study / "sites" / site.name / "ledger.jsonl")
        assert list(site.entries) == ledger
        assert site.bytes == sum(entry.bytes for entry in ledger)
        assert (site.state.doing, site.last_round, site.cases) == ("finished", 5, "3")
        assert site.last_contact == ledger[-1].time
        assert site.model == study / "sites" / site.name / "ended"


def test_the_budget_is_what_the_ledger_has_spent_of_what_is_planned(eyes, study):
    look = eyes()
    details = look.look(study.parent, (study,), ()).details
    ledger = read_ledger(study / "sites" / "a" / "ledger.jsonl")
    budget = details.sites[0].budget
    assert budget.spent == [entry.epsilon for entry in ledger if entry.epsilon is not None][-1] > 0
    assert budget.share == pytest.approx(min(1.0, budget.spent / 5.0))
    (expense,) = set(look._plans.asked)
    assert (expense.noise, expense.rounds, expense.batch_size, expense.cases) == (2.0, 5, 2, 3)


def test_what_is_planned_is_what_the_site_has_spent_at_the_end(application, study):
    """The real accountant, in its process, beside what the site's own gate wrote into its ledger."""
    from FedSimSlicerLib.federation_privacy import Expense, worked_out

    ledger = read_ledger(study / "sites" / "a" / "ledger.jsonl")
    spent = [entry.epsilon for entry in ledger if entry.epsilon is not None][-1]
    assert worked_out(Expense(noise=2.0, delta=1e-5, rounds=5, batch_size=2, cases=3)) == pytest.approx(spent)


def test_curves_run_over_rounds_for_the_server_and_each_site(eyes, study):
    details = eyes().look(study.parent, (study,), ()).details
    norms = {curve.run: curve for curve in details.curves if curve.metric == "norm"}
    assert set(norms) == {"a", "b"}
    rounds = [json.loads(line) for line in (study / "server" / "rounds.jsonl").read_text().splitlines()]
    assert list(norms["a"].steps) == [1, 2, 3, 4, 5]
    assert list(norms["a"].values) == pytest.approx([each["norms"]["a"] for each in rounds])
    # With noise no site tells its losses; on this machine they are seen at home.
    losses = {curve.run for curve in details.curves if curve.metric == "loss"}
    assert losses == {"a", "b"}


def test_local_steps_are_drawn_at_their_rounds(application):
    from FedSimCore.runs.events import EventLog, Progressed, Started
    from FedSimCore.runs.history import RunHistory
    from FedSimSlicerLib.federation_curves import StudyCurves

    def history(path):
        run = RunFolder(path)
        run.make({"recipe": "federated generator", "steps": 10})
        log = EventLog(run.events_file)
        log.append(Started(session=1, step=0, total=10, recipe="x", pid=1, host="x", device="cpu"))
        for step in (5, 10):
            log.append(Progressed(stage="training", step=step, total=10, metrics={"loss": 1 / step}))
        log.close()
        return RunHistory(run)

    import tempfile
    from pathlib import Path

    with tempfile.TemporaryDirectory() as folder:
        (curve,) = StudyCurves().look(None, {"a": history(Path(folder) / "a")}, local_steps=5)
    assert list(curve.steps) == [1, 2]


def test_a_ledger_that_grows_is_read_on_and_one_that_was_changed_is_told(eyes, study):
    look = eyes()
    before = look.look(study.parent, (study,), ()).details.sites[0]
    path = study / "sites" / "a" / "ledger.jsonl"
    Ledger(path).record(study="ended", study_sha256="", message="done", round=5)
    after = look.look(study.parent, (study,), ()).details.sites[0]
    assert len(after.entries) == len(before.entries) + 1
    path.write_bytes(path.read_bytes().replace(b'"cases":3', b'"cases":4', 1))
    assert "the ledger was changed" in eyes().look(study.parent, (study,), ()).details.sites[0].problem


def test_a_server_alone_knows_its_sites_by_its_rounds(eyes, study):
    shutil.rmtree(study / "sites")
    (study / "study.json").unlink()
    details = eyes().look(study.parent, (study,), ()).details
    assert [(site.name, site.cases, site.last_round) for site in details.sites] == [
        ("a", "2 a round", 5),
        ("b", "2 a round", 5),
    ]
    assert all(site.ledger is None for site in details.sites)


def test_a_site_with_a_kit_is_seen_by_itself(eyes, study, tmp_path):
    kit, runs = tmp_path / "kit", study / "sites" / "a"
    (kit / "local").mkdir(parents=True)
    (kit / "startup").mkdir()
    own = {"name": "a", "cohort": str(tmp_path), "runs": str(runs), "policy": {"most_epsilon": 9.0}}
    (kit / "local" / "site.json").write_text(json.dumps(own))
    (kit / "startup" / "fed_client.json").write_text(
        json.dumps({"servers": [{"service": {"target": "server.hospital.org:8002"}}]})
    )
    empty = tmp_path / "empty"
    empty.mkdir()
    look = eyes([kit, tmp_path / "gone"])
    seen = look.look(empty, (runs,), ())
    (row,) = seen.rows
    assert (row.kind, row.name, row.state, row.step, row.total) == ("site", "a", "finished", 5, 5)
    (site,) = seen.details.sites
    assert (site.state.doing, site.cases, site.last_round) == ("finished", "3", 5)
    assert site.budget.limit == 9.0
    assert seen.details.method == "exact"
    with locked(RunFolder(runs)):
        assert look.look(empty, (), ()).rows[0].state == "waiting"


def test_a_folder_without_studies_and_one_that_is_not_there(eyes, tmp_path):
    assert eyes().look(tmp_path, (), ()).rows == ()
    assert eyes().look(tmp_path / "nowhere", (), ()).rows == ()


def test_a_damaged_study_does_not_hide_the_others(eyes, study):
    other = study.parent / "bad"
    other.mkdir()
    (other / "study.json").write_text("no JSON")
    seen = eyes().look(study.parent, (other,), ())
    assert {row.name: row.state for row in seen.rows} == {"bad": "new", "ended": "finished"}
    assert seen.details.sites == ()
