"""Nothing leaves a site but what its policy allows, and all of it is in the ledger before it leaves."""

from __future__ import annotations

import json
import resource

import numpy as np
import pytest

from FedSimCore.errors import DiskError, InputError
from FedSimCore.federated.engine.kits import make_kits
from FedSimCore.federated.in_process import InProcessLink, run_in_process
from FedSimCore.federated.ledger import Ledger, read_ledger
from FedSimCore.federated.local_sites import local_sites
from FedSimCore.federated.messages import AllowList, RefusedUpdate, Reply, Request, checksum_of
from FedSimCore.federated.policy import SiteFile, SitePolicy
from FedSimCore.federated.server import Averaging, open_server
from FedSimCore.federated.site import Site
from FedSimCore.federated.study import checked_study
from FedSimCore.federated.workflow import conduct
from FedSimCore.files import read_json
from FedSimCore.runs.folder import RunFolder
from FedSimCore.training.recipes import ConfigError
from FedSimCore.training.task import TrainingError
from Testing.core.federated.small_studies import newest_state, shapes_study, small_study


class Tap(InProcessLink):
    """Keeps every message that leaves a site."""

    def __init__(self, sites):
        super().__init__(sites)
        self.seen = []

    def ask(self, request, sites, seconds):
        found = super().ask(request, sites, seconds)
        self.seen += found.values()
        return found


def tapped(study, folder):
    sites = {own.name: Site(own) for own in local_sites(study, folder)}
    link = Tap(sites)
    try:
        with open_server(study, RunFolder(folder / "server")) as server:
            conduct(server, link)
    finally:
        for site in sites.values():
            site.close()
    return link.seen


@pytest.fixture(scope="module")
def tapped_run(ct_cohort, tmp_path_factory):
    folder = tmp_path_factory.mktemp("tapped")
    return folder, tapped(shapes_study(ct_cohort, rounds=2), folder)


def test_the_ledgers_are_the_traffic_message_by_message(tapped_run):
    folder, seen = tapped_run
    for site in ("a", "b"):
        sent = [reply for reply in seen if reply.site == site]
        entries = read_ledger(folder / "sites" / site / "ledger.jsonl")
        assert [entry.message for entry in entries] == ["agreement", "update", "update", "moments", "done"]
        assert len(entries) == len(sent)
        for entry, reply in zip(entries, sent, strict=True):
            assert (entry.message, entry.round) == (reply.kind, reply.round)
            assert entry.shapes == {name: array.shape for name, array in reply.arrays.items()}
            assert entry.bytes == sum(array.nbytes for array in reply.arrays.values())
            assert entry.sha256 == checksum_of(reply.arrays)
            assert entry.values == json.loads(json.dumps(reply.values))
            for name, array in reply.arrays.items():
                assert entry.norms[name] == pytest.approx(np.linalg.norm(array.astype(float)), rel=1e-9)


def test_no_array_that_leaves_has_the_size_or_the_numbers_of_a_scan_a_label_map_or_a_latent(tapped_run):
    folder, seen = tapped_run
    latents = newest_state(folder / "sites" / "a" / "small")["modules.latents.vectors.weight"].numpy()
    rows = {row.tobytes() for row in latents}
    for reply in seen:
        for name, array in reply.arrays.items():
            assert array.size not in {28**3, 20**3, latents.size}, name
            assert latents.shape[1:] != array.shape or array.tobytes() not in rows, name
        text = json.dumps(dict(reply.values))
        assert "heart" not in text  # the names of cases and files


def test_changed_or_missing_lines_of_a_ledger_are_found(tmp_path):
    path = tmp_path / "ledger.jsonl"
    ledger = Ledger(path)
    for number in range(3):
        ledger.record(study="s", study_sha256="", message="update", round=number)
    lines = path.read_text().splitlines(keepends=True)
    path.write_text("".join(lines).replace('"round":1', '"round":7'))
    with pytest.raises(InputError, match="line 3 does not follow the line before"):
        read_ledger(path)
    path.write_text(lines[0] + lines[2])
    with pytest.raises(InputError, match="line 2 does not follow"):
        read_ledger(path)
    path.write_text("".join(lines))
    assert Ledger(path).record(study="s", study_sha256="", message="update", round=3).number == 4
    assert [entry.round for entry in read_ledger(path)] == [0, 1, 2, 3]


def test_a_disk_that_takes_half_a_line_leaves_the_ledger_as_it_was(tmp_path):
    path = tmp_path / "ledger.jsonl"
    ledger = Ledger(path)
    ledger.record(study="s", study_sha256="", message="update", round=1)
    before, soft, hard = path.read_bytes(), *resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (len(before) + 50, hard))  # Files can't grow further, as on a full disk.
    try:
        with pytest.raises(DiskError, match="File too large"):
            ledger.record(study="s", study_sha256="", message="update", round=2)
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))
    assert path.read_bytes() == before
    assert ledger.record(study="s", study_sha256="", message="update", round=2).number == 2
    assert [entry.round for entry in read_ledger(path)] == [1, 2]


def test_a_line_that_a_power_failure_cut_off_was_never_sent_and_is_taken_away(tmp_path):
    path = tmp_path / "ledger.jsonl"
    for number in (1, 2):
        Ledger(path).record(study="s", study_sha256="", message="update", round=number)
    path.write_bytes(path.read_bytes()[:-20])
    assert Ledger(path).record(study="s", study_sha256="", message="update", round=2).number == 2
    assert [entry.round for entry in read_ledger(path)] == [1, 2]


@pytest.mark.parametrize(
    ("policy", "reason"),
    [
        ({"recipes": ["segmenter"]}, "does not take part in the recipe 'generator', only in segmenter"),
        ({"methods": ["fedavg"]}, "does not allow the method 'exact', only fedavg"),
        ({"least_cases": 4}, "has 3 cases for this study, fewer than its policy's 4"),
        ({"least_in_round": 3}, "sends no update of 2 cases without noise, but of 3 at least"),
        ({"most_rounds": 3}, "allows 3 rounds of a study, not 4"),
        (
            {"most_epsilon": 5.0, "least_in_round": 2},
            "allows epsilon = 5 for a study, but this one has no bound at all",
        ),
    ],
)
def test_what_a_sites_policy_forbids_it_refuses_and_says_why(policy, reason, ct_cohort, tmp_path):
    study = shapes_study(ct_cohort)
    forbidding = study.sites[1].model_copy(update={"policy": SitePolicy.model_validate(policy)})
    study = study.model_copy(update={"sites": (study.sites[0], forbidding)})
    with pytest.raises(TrainingError, match=rf"The study cannot begin or go on: b: .*{reason}"):
        run_in_process(study, tmp_path)
    entries = read_ledger(tmp_path / "sites" / "b" / "ledger.jsonl")
    assert {entry.message for entry in entries} == {"refusal"}
    assert not any(entry.shapes for entry in entries)
    assert not list((tmp_path / "sites" / "b").glob("*/checkpoints/*"))


def test_a_sites_policy_hides_losses_and_latents_whatever_the_study_asks(ct_cohort, tmp_path):
    study = shapes_study(ct_cohort, rounds=1, latent_moments="full")
    policy = SitePolicy(least_in_round=2, send_metrics=False, send_moments="none")
    silent = tuple(site.model_copy(update={"policy": policy}) for site in study.sites)
    seen = tapped(study.model_copy(update={"sites": silent}), tmp_path)
    assert all("metrics" not in reply.values for reply in seen if reply.kind == "update")
    assert all(not reply.arrays for reply in seen if reply.kind == "moments")


def test_what_goes_wrong_at_a_site_is_told_to_the_server_without_names(ct_cohort, tmp_path):
    study = shapes_study(ct_cohort)
    own = local_sites(study, tmp_path)[0].model_copy(update={"cohort": tmp_path / "Mrs_Miller"})
    site = Site(own)
    reply = site.answer(Request("agree", 0, {}, {"study": study.for_sites().model_dump(mode="json")}))
    site.close()
    assert reply.kind == "refusal"
    assert reply.reason == "The site could not compute; its own log says why."


def test_sites_are_not_told_of_each_others_folders_or_rules(ct_cohort):
    told = shapes_study(ct_cohort).for_sites()
    assert [site.cohort for site in told.sites] == [None, None]
    assert str(ct_cohort) not in told.model_dump_json()


@pytest.mark.parametrize(
    ("spoil", "told"),
    [
        (lambda a: {**a, "shape.0.bias": a["shape.0.bias"][:-1]}, r"shape\.0\.bias is float32 \(15,\)"),
        (lambda a: {**a, "shape.0.bias": a["shape.0.bias"].astype(np.float64)}, "is float64"),
        (lambda a: {**a, "scan": np.zeros((32, 32, 32), np.float32)}, "'scan', which is not allowed"),
        (lambda a: {name: array for name, array in a.items() if name != "shape.0.bias"}, "is missing"),
        (lambda a: {**a, "shape.0.bias": np.full(16, np.inf, np.float32)}, "not finite"),
        (lambda a: {name: array * np.float32(1e6) for name, array in a.items()}, "Its norm is"),
        (lambda a: {**a, "shape.0.bias": [0.0] * 16}, "is list"),
    ],
)
def test_the_server_refuses_what_is_not_exactly_an_update(spoil, told, ct_cohort):
    averaging = Averaging(shapes_study(ct_cohort))
    good = {name: np.full(shape, 0.5, np.float32) for name, shape in averaging.allowed.shapes.items()}
    averaging.check(Reply("a", "update", 0, good, {"cases": 2}), 0)
    with pytest.raises(RefusedUpdate, match=told):
        averaging.check(Reply("a", "update", 0, spoil(good), {"cases": 2}), 0)
    for values in ({"cases": 0}, {"cases": True}, {"cases": "2"}, {}):
        with pytest.raises(RefusedUpdate, match="It is made of"):
            averaging.check(Reply("a", "update", 0, good, values), 0)
    with pytest.raises(RefusedUpdate, match="It is of round 1, but round 2 was asked for"):
        averaging.check(Reply("a", "update", 0, good, {"cases": 2}), 1)


def test_only_parameters_of_shared_modules_are_on_the_list(ct_cohort):
    names = AllowList.of(Averaging(small_study(ct_cohort)).part.modules).shapes
    assert {name.split(".")[0] for name in names} == {"shape", "material"}
    assert not any("running" in name or "num_batches" in name for name in names)


@pytest.mark.parametrize(
    ("changes", "told"),
    [
        ({"sites": [{"name": "a"}, {"name": "a"}]}, "sites cannot be used"),
        ({"rounds": 0}, "rounds cannot be used"),
        ({"recipe": {"recipe": "enhancer"}}, "recipe cannot be used"),
        ({"local_steps": 3}, "local_steps must be 1 with the method exact"),
        ({"min_sites": 3}, "min_sites = 3, but there are 2 sites"),
        ({"nonsense": 1}, "nonsense is no field of a study"),
        ({"sites": [{"name": "../a"}]}, "sites.0.name cannot be used"),
    ],
)
def test_a_study_that_cannot_be_is_told_field_by_field(changes, told, ct_cohort):
    fields = shapes_study(ct_cohort).model_dump(mode="json")
    with pytest.raises(ConfigError, match=told):
        checked_study({**fields, **changes}, "study.json")


def test_the_site_refuses_weights_that_are_not_the_studys(ct_cohort, tmp_path):
    study = shapes_study(ct_cohort)
    site = Site(local_sites(study, tmp_path)[0])
    site.answer(Request("agree", 0, {}, {"study": study.for_sites().model_dump(mode="json")}))
    weights = Averaging(study).weights()
    reply = site.answer(Request("round", 0, {**weights, "shape.0.bias": np.full(16, np.nan, np.float32)}))
    assert (reply.kind, reply.reason) == ("refusal", "shape.0.bias has numbers that are not finite.")
    again = site.answer(Request("round", 0, weights))
    twice = site.answer(Request("round", 0, weights))
    assert again is twice  # An answer that was lost is sent again: nothing new is told.
    site.close()


def test_between_hospitals_an_update_without_noise_is_of_four_cases_unless_a_site_says_otherwise(ct_cohort, tmp_path):
    """On one machine, where nothing leaves it, two do."""
    plain = [{"name": name, "cohort": str(ct_cohort), "cohort_site": name} for name in ("a", "b")]
    study = shapes_study(ct_cohort, rounds=1, sites=plain)
    run_in_process(study, tmp_path / "runs")
    make_kits(study, tmp_path / "kits", "localhost", 9000)
    own = SiteFile.model_validate(read_json(tmp_path / "kits" / "a" / "local" / "site.json"))
    site = Site(own.model_copy(update={"cohort": ct_cohort, "cohort_site": "a", "runs": tmp_path / "site"}))
    refused = site.answer(Request("agree", 0, {}, {"study": study.for_sites().model_dump(mode="json")}))
    assert "sends no update of 2 cases without noise, but of 4 at least" in refused.reason
