"""What a site does, told from the files of server and site."""

from __future__ import annotations

import pytest

pytest.importorskip("slicer")
pytest.importorskip("PySide6")

from FedSimCore.federated.ledger import LedgerEntry
from FedSimCore.federated.status import RoundRecord
from FedSimCore.runs.history import RunStatus


@pytest.fixture
def here(application):
    """A function that tells the state of the site a: `here(server="running", step=3, message=("update", 3))`."""
    from FedSimSlicerLib.federation_states import state_here

    def tell(server="running", step=0, run="running", message=None, record=None):
        site = None if run is None else status(run, session=1)
        return state_here("a", status(server, step), site, said(*message) if message else None, record)

    return tell


def status(state, step=0, **more):
    return RunStatus(name="x", path="/x", recipe="federated generator", state=state, step=step, total=9, **more)


def said(message, round_=0, time=100.0, **values):
    fields = {"number": 1, "study": "s", "study_sha256": "", "before": ""}
    return LedgerEntry(**fields, time=time, message=message, round=round_, values=values)


def closed(round_, absent, time=100.0):
    return RoundRecord(round=round_, time=time, seconds=1.0, sites={"b": 2}, absent=absent)


def test_a_site_waits_until_it_has_agreed(here):
    assert here(run=None).doing == "waiting"
    assert here(message=None).doing == "waiting"
    assert here(message=("agreement",)).doing == "computing"


def test_a_site_that_has_sent_its_part_of_this_round_waits_for_the_others(here):
    assert here(step=3, message=("update", 3)).doing == "sent"
    assert here(step=4, message=("update", 3)).doing == "computing"


def test_a_site_whose_process_has_died_is_away(here):
    assert here(step=3, run="interrupted", message=("update", 2)).doing == "away"
    assert "without a word" in here(step=3, run="interrupted", message=("update", 2)).reason


def test_a_site_that_was_not_in_the_newest_round_is_away_with_the_reason_until_it_speaks_again(here):
    record = closed(4, {"a": "it has not answered"}, time=200.0)
    away = here(step=4, message=("update", 2), record=record)
    assert (away.doing, away.reason) == ("away", "it has not answered")
    assert here(step=4, message=("agreement", 4, 300.0), record=record).doing == "computing"


def test_a_refusal_is_told_with_its_reason(application):
    from FedSimSlicerLib.federation_states import state_alone, state_here

    no = said("refusal", reason="This site allows 10 rounds.")
    for state in (state_here("a", status("running"), None, no, None), state_alone(True, None, no)):
        assert (state.doing, state.reason) == ("refused", "This site allows 10 rounds.")


@pytest.mark.parametrize("state", ["stopped", "failed", "interrupted"])
def test_no_site_computes_where_no_server_runs(here, state):
    assert here(server=state, step=3, run="stopped", message=("update", 2)).doing == "stopped"


def test_a_finished_study_is_told_of_every_site(here):
    assert here(server="finished", step=9, run="finished", message=("done", 9)).doing == "finished"
    assert here(server="finished", step=9, run="interrupted", message=("update", 5)).doing == "away"


def test_a_site_alone_knows_what_it_has_sent(application):
    from FedSimSlicerLib.federation_states import state_alone

    run = status("running", session=1)
    assert state_alone(True, None, None).doing == "waiting"
    assert state_alone(True, run, said("agreement")).doing == "computing"
    assert state_alone(True, run, said("update", 3)).doing == "sent"
    assert state_alone(False, status("stopped", session=1), said("update", 3)).doing == "stopped"
    assert state_alone(False, status("finished", session=1), said("done", 9)).doing == "finished"


def test_a_server_knows_of_sites_elsewhere_who_was_in_its_rounds(application):
    from FedSimSlicerLib.federation_states import state_elsewhere

    running = status("running", 4)
    assert state_elsewhere("a", running, None).doing == "waiting"
    assert state_elsewhere("b", running, closed(4, {})).doing == "computing"
    assert state_elsewhere("a", running, closed(4, {"a": "it is gone"})).reason == "it is gone"


def test_every_state_has_words(application):
    from FedSimSlicerLib.federation_states import DOING_TIPS, doing_text

    assert all(doing_text(doing) for doing in DOING_TIPS)
