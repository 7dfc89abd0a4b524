"""What a site may do wrong: the weights are never poisoned, and people learn why."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor

import numpy as np
import pytest

from FedSimCore.errors import CancelledError, DiskError
from FedSimCore.federated.in_process import InProcessLink, run_in_process
from FedSimCore.federated.ledger import Ledger, read_ledger
from FedSimCore.federated.local_sites import local_sites
from FedSimCore.federated.messages import Reply, Request
from FedSimCore.federated.run import open_run
from FedSimCore.federated.server import Averaging, open_server
from FedSimCore.federated.site import Site
from FedSimCore.federated.status import read_rounds, study_status
from FedSimCore.federated.workflow import conduct
from FedSimCore.runs.events import Progressed
from FedSimCore.runs.folder import RunFolder
from FedSimCore.runs.history import status
from FedSimCore.training.reporter import ignore
from FedSimCore.training.task import TrainingError
from Testing.core.federated.small_studies import assert_same, newest_state, shapes_study


class SpoiltLink(InProcessLink):
    """Carries messages, but lets ``spoil`` change or lose those of one round.

    ``spoil`` gets the site, the round and the reply, and returns a reply or None.
    """

    def __init__(self, sites, spoil, kinds=("round",)):
        super().__init__(sites)
        self.spoil, self.kinds, self.asked = spoil, kinds, []

    def ask(self, request, sites, seconds):
        self.asked.append((request.kind, request.round, tuple(sites)))
        found = super().ask(request, sites, seconds)
        if request.kind not in self.kinds:
            return found
        spoilt = {name: self.spoil(name, request.round, reply) for name, reply in found.items()}
        return {name: reply for name, reply in spoilt.items() if reply is not None}


def run_spoilt(study, folder, spoil, kinds=("round",)):
    sites = {own.name: Site(own) for own in local_sites(study, folder)}
    link = SpoiltLink(sites, spoil, kinds)
    try:
        with open_server(study, RunFolder(folder / "server")) as server:
            conduct(server, link)
    finally:
        for site in sites.values():
            site.close()
    return link


def changed(reply, **changes):
    fields = {"site": reply.site, "kind": reply.kind, "round": reply.round, "arrays": reply.arrays}
    return Reply(**{**fields, "values": reply.values, **changes})


def with_nan(reply):
    arrays = {name: array.copy() for name, array in reply.arrays.items()}
    arrays["shape.0.bias"][3] = np.nan
    return changed(reply, arrays=arrays)


def of_an_old_round(reply):
    return changed(reply, round=reply.round - 1)


@pytest.fixture(scope="module")
def good(ct_cohort, tmp_path_factory):
    """The state after two rounds in which nothing was wrong."""
    folder = tmp_path_factory.mktemp("good")
    run_in_process(shapes_study(ct_cohort, rounds=2), folder)
    return newest_state(folder / "server")


@pytest.mark.parametrize(
    ("spoil", "told"),
    [
        (with_nan, "shape.0.bias has numbers that are not finite"),
        (of_an_old_round, "It is of round 1, but round 2 was asked for"),
    ],
)
def test_a_wrong_update_is_refused_and_the_weights_are_as_if_it_had_never_come(spoil, told, ct_cohort, tmp_path, good):
    """The second site sends it once in round 2; asked again, it sends what is right."""
    wrong = []

    def once(site, number, reply):
        if site == "b" and number == 1 and not wrong:
            wrong.append(spoil(reply))
            return wrong[0]
        return reply

    run_spoilt(shapes_study(ct_cohort, rounds=2), tmp_path, once)
    assert told in " ".join(status(RunFolder(tmp_path / "server")).warnings)
    assert_same(newest_state(tmp_path / "server"), good)


def test_a_site_that_always_sends_what_cannot_be_used_ends_the_study_at_the_last_good_round(ct_cohort, tmp_path):
    def spoil(site, number, reply):
        return with_nan(reply) if site == "b" and number >= 2 else reply

    with pytest.raises(TrainingError, match=r"Round 3 cannot be closed: b: shape\.0\.bias has numbers"):
        run_spoilt(shapes_study(ct_cohort, checkpoint_every=1), tmp_path, spoil)
    server = status(RunFolder(tmp_path / "server"))
    assert (server.state, server.checkpoint_step) == ("failed", 2)
    assert all(np.isfinite(tensor.numpy()).all() for tensor in newest_state(tmp_path / "server").values())
    assert status(RunFolder(tmp_path / "sites" / "a" / "small")).state == "stopped"


def test_with_fewer_sites_than_all_the_study_goes_on_without_a_site_and_takes_it_back(ct_cohort, tmp_path, monkeypatch):
    monkeypatch.setattr("FedSimCore.federated.workflow._LOOK_AFTER_S", 0.0)
    gone = {1, 2}

    def spoil(site, number, reply):
        return None if site == "b" and number in gone else reply

    study = shapes_study(ct_cohort, min_sites=1, when_late="go-on", deadline_s=0.01)
    link = run_spoilt(study, tmp_path, spoil, kinds=("round", "agree"))
    rounds = read_rounds(tmp_path / "server" / "rounds.jsonl")
    assert [sorted(record.sites) for record in rounds] == [["a", "b"], ["a"], ["a"], ["a", "b"]]
    assert [record.absent for record in rounds] == [{}, {"b": "it has not answered"}, {"b": "it is gone"}, {}]
    assert ("agree", 2, ("b",)) in link.asked  # It was asked whether it is back.
    found = study_status(tmp_path)
    assert {part.name: part.last_round for part in found.parts} == {"server": 4, "a": 4, "b": 4}


def test_a_site_that_was_started_again_agrees_anew_and_is_at_the_servers_step(ct_cohort, tmp_path, good):
    """Its checkpoint is of step 1, which the server is at too, so that not a bit is different."""
    study = shapes_study(ct_cohort, rounds=2, checkpoint_every=1)
    owns = local_sites(study, tmp_path)
    sites = {own.name: Site(own) for own in owns}

    restarted = []
    link = InProcessLink(sites)
    ask = link.ask

    def ask_and_restart(request, names, seconds):
        if request.kind == "round" and request.round == 1 and not restarted:
            restarted.append(True)
            sites["b"].close()
            sites["b"] = Site(owns[1])
        return ask(request, names, seconds)

    link.ask = ask_and_restart
    with open_server(study, RunFolder(tmp_path / "server")) as server:
        conduct(server, link)
    assert_same(newest_state(tmp_path / "server"), good)
    assert status(RunFolder(tmp_path / "sites" / "b" / "small")).session == 2


def test_a_study_that_is_stopped_and_resumed_ends_with_the_weights_of_an_unbroken_one(ct_cohort, tmp_path, monkeypatch):
    monkeypatch.setattr("FedSimCore.training.stopping._LOOK_EVERY_S", 0.0)
    whole, broken = tmp_path / "whole", tmp_path / "broken"
    study = shapes_study(ct_cohort)
    run_in_process(study, whole)

    def stop(event):
        if isinstance(event, Progressed) and event.step == 3:
            RunFolder(broken / "server").stop_file.touch()

    with pytest.raises(CancelledError, match="Stopped after round 3 of 4"):
        run_in_process(study, broken, stop)
    assert status(RunFolder(broken / "sites" / "a" / "small")).state == "stopped"
    assert status(RunFolder(broken / "server")).checkpoint_step == 3
    run_in_process(study, broken)
    assert_same(newest_state(broken / "server"), newest_state(whole / "server"))
    for site in ("a", "b"):
        assert_same(newest_state(broken / "sites" / site / "small"), newest_state(whole / "sites" / site / "small"))


def test_a_server_that_lost_its_last_rounds_goes_on_from_its_checkpoint_and_the_sites_go_back_with_it(
    ct_cohort, tmp_path
):
    """As after kill -9: the sites are a round further than the server's checkpoint."""
    whole, broken = tmp_path / "whole", tmp_path / "broken"
    study = shapes_study(ct_cohort)
    run_in_process(study, whole)

    class PowerFailure(BaseException):
        pass

    def fail(event):
        if isinstance(event, Progressed) and event.step == 3:
            raise PowerFailure

    with pytest.raises(PowerFailure):
        run_in_process(study, broken, fail)
    assert status(RunFolder(broken / "server")).checkpoint_step == 2
    run_in_process(study, broken)
    assert_same(newest_state(broken / "server"), newest_state(whole / "server"))
    assert [record.round for record in read_rounds(broken / "server" / "rounds.jsonl")] == [1, 2, 3, 4]


def test_what_the_ledger_cannot_write_down_is_not_sent(ct_cohort, tmp_path, monkeypatch):
    study = shapes_study(ct_cohort)
    own = local_sites(study, tmp_path)[0]
    site = Site(own)

    def full(_handle):
        raise OSError(28, "No space left on device")

    request = Request("agree", 0, {}, {"study": study.for_sites().model_dump(mode="json")})
    assert site.answer(request).kind == "agreement"
    ledger = own.runs / "ledger.jsonl"
    before = ledger.read_bytes()
    monkeypatch.setattr("FedSimCore.federated.ledger.os.fsync", full)
    with pytest.raises(DiskError, match=r"The disk is full: .*ledger\.jsonl"):
        site.answer(request)
    assert ledger.read_bytes() == before
    monkeypatch.undo()
    assert site.answer(request).kind == "agreement"
    site.close()


def test_an_update_that_the_ledger_could_not_hold_is_sent_once_there_is_room_and_nothing_is_computed_twice(
    ct_cohort, tmp_path, monkeypatch
):
    """The ledger's disk is full in round 2 of site b, and has room when the server asks again."""
    study = shapes_study(ct_cohort, rounds=2)
    record, refused = Ledger.record, []

    def full_once(ledger, **fields):
        if (ledger.path.parent.name, fields["message"], fields["round"]) == ("b", "update", 1) and not refused:
            refused.append(True)
            raise DiskError("The disk is full.")
        return record(ledger, **fields)

    class ErrorLink(InProcessLink):
        """An engine's: an error at a site is told as its refusal."""

        def ask(self, request, sites, seconds):  # noqa: ARG002
            return {name: self._answer(name, request) for name in sites}

        def _answer(self, name, request):
            try:
                return self.sites[name].answer(request)
            except DiskError:
                return Reply(name, "refusal", request.round, values={"reason": "Its disk may be full."})

    monkeypatch.setattr(Ledger, "record", full_once)
    sites = {own.name: Site(own) for own in local_sites(study, tmp_path / "full")}
    with open_server(study, RunFolder(tmp_path / "full" / "server")) as server:
        conduct(server, ErrorLink(sites))
    assert len(refused) == 1
    assert "Its disk may be full" in " ".join(status(RunFolder(tmp_path / "full" / "server")).warnings)
    run_in_process(study, tmp_path / "roomy")
    for run in ("server", "sites/a/small", "sites/b/small"):
        assert_same(newest_state(tmp_path / "full" / run), newest_state(tmp_path / "roomy" / run))


def test_a_site_that_is_asked_again_while_it_still_answers_gives_the_same_answer_twice(ct_cohort, tmp_path):
    """As after a slow start: the server has waited long enough and asks anew, while the first still opens the data."""
    study = shapes_study(ct_cohort)
    site = Site(local_sites(study, tmp_path)[0])
    agree = Request("agree", 0, {}, {"study": study.for_sites().model_dump(mode="json")})
    with ThreadPoolExecutor(2) as threads:
        first, second = threads.map(site.answer, [agree, agree])
        assert (first.kind, second.kind) == ("agreement", "agreement")
        ask = Request("round", 0, Averaging(study).weights())
        first, second = threads.map(site.answer, [ask, ask])
    assert first is second
    site.close()
    messages = [entry.message for entry in read_ledger(tmp_path / "sites" / "a" / "ledger.jsonl")]
    assert messages == ["agreement", "agreement", "update"]
    assert status(RunFolder(tmp_path / "sites" / "a" / "small")).session == 1


def test_a_full_disk_at_the_server_ends_the_study_with_one_sentence_and_the_last_checkpoint_stays(
    ct_cohort, tmp_path, monkeypatch
):
    """The checkpoint of round 4 does not fit; when there is room, the study goes on from that of round 2."""
    from FedSimCore.federated import server as module

    write, written = module.write_tensors, []

    def full(path, tensors):
        written.append(path)
        if len(written) == 2:
            raise OSError(28, "No space left on device")
        write(path, tensors)

    study = shapes_study(ct_cohort)
    monkeypatch.setattr(module, "write_tensors", full)
    with pytest.raises(DiskError, match="The disk is full"):
        run_in_process(study, tmp_path / "full")
    monkeypatch.undo()
    found = status(RunFolder(tmp_path / "full" / "server"))
    assert (found.state, found.checkpoint_step) == ("failed", 2)
    assert "disk is full" in found.reason
    run_in_process(study, tmp_path / "full")
    run_in_process(study, tmp_path / "roomy")
    assert_same(newest_state(tmp_path / "full" / "server"), newest_state(tmp_path / "roomy" / "server"))


def test_a_study_that_is_stopped_while_it_waits_goes_back_to_the_checkpoint_that_all_have(
    ct_cohort, tmp_path, monkeypatch
):
    """Site a has made round 4's step and b has not: neither's state of that moment fits the other's."""
    monkeypatch.setattr("FedSimCore.training.stopping._LOOK_EVERY_S", 0.0)
    study, broken = shapes_study(ct_cohort, rounds=6), tmp_path / "broken"

    def lost(site, number, reply):
        if site == "b" and number == 3:
            RunFolder(broken / "server").stop_file.touch()
            return None
        return reply

    with pytest.raises(CancelledError, match="Stopped after round 3"):
        run_spoilt(study, broken, lost)
    assert status(RunFolder(broken / "server")).checkpoint_step == 2
    run_in_process(study, broken)
    run_in_process(study, tmp_path / "whole")
    assert_same(newest_state(broken / "server"), newest_state(tmp_path / "whole" / "server"))
    for site in ("a", "b"):
        whole = newest_state(tmp_path / "whole" / "sites" / site / "small")
        assert_same(newest_state(broken / "sites" / site / "small"), whole)


def test_a_process_that_ends_without_closing_its_runs_says_nothing_of_closed_files(ct_cohort, tmp_path):
    """The interpreter closes files before it ends what was left open; the runs are found as those of a killed one."""
    study = shapes_study(ct_cohort)
    config = study.config("a", cohort=str(ct_cohort), sites=["a"])
    for left in (
        open_run(config, RunFolder(tmp_path / "a"), study, ignore),
        open_server(study, RunFolder(tmp_path / "server")),
    ):
        opened = left.__enter__()
        opened.reporter.close()
        left.gen.close()
    for name in ("a", "server"):
        assert status(RunFolder(tmp_path / name)).state == "interrupted"
