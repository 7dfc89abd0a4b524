"""The federated rows: what all sites learn together, and what stays each site's own."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
import torch

from FedSimCore.errors import InputError
from FedSimCore.experiments.artifact import Bench
from FedSimCore.experiments.processes import run_processes
from FedSimCore.experiments.studies import Federated, SiteOfStudy
from FedSimCore.experiments.trained import Trained
from FedSimCore.experiments.workshop import state_of
from FedSimCore.federated.study import checked_study
from FedSimCore.generation.model_folder import GenerativeModel
from FedSimCore.progress import silent
from FedSimCore.segmentation.model_file import Segmenter, segmenter_file
from Testing.core.experiments.tiny import CASES, EXPERIMENT, FULL, LOWER, SITE

OTHER = "B"
SIM = {**FULL, "key": "sim-fl", "title": "Ours-Sim-FL", "kind": "sim-fl"}
DIRECT = {**LOWER, "key": "direct-fl", "title": "Direct-FL", "kind": "direct-fl", "paper": {}}


@pytest.fixture
def asked(tiny, changed, tmp_path):
    """Return a function that orders the tiny experiment with two sites and federated rows."""
    second = tmp_path / "other.csv"
    names = [f"heart{number}" for number in range(CASES)]
    files = [f"{name},{tiny.cohort}/{name}_image.nii.gz,{tiny.cohort}/{name}_label.nii.gz,{OTHER}" for name in names]
    second.write_text("\n".join(["case,image,label,site", *files]))

    def order(out: Path, methods=(SIM, DIRECT), labelled=(2,), **more):
        site = EXPERIMENT["sites"][0]
        sites = [site, {**site, "key": OTHER, "labelled": list(labelled)}]
        experiment = changed("experiment", methods=list(methods), sites=sites, comparisons=[])
        return tiny.order(out, experiment=experiment, cohorts=((SITE, tiny.cohort), (OTHER, second)), **more)

    return order


def artifacts_of(plan, pattern: str):
    return {one.key: one for cell in plan.chosen([pattern]) for one in cell.scores.with_needs()}


def test_sites_share_their_studies_and_nothing_that_is_learnt_at_home(asked):
    plan = asked(Path("unused")).plan()
    one, other = (artifacts_of(plan, f"{site}/2/0/sim-fl") for site in (SITE, OTHER))
    studies = [one[key] for key in one.keys() & other.keys() if isinstance(one[key], Federated)]
    assert sorted(study.recipe for study in studies) == ["generator", "semi-supervised"]
    for study in studies:
        assert [participant.name for participant in study.participants] == [f"site-{SITE}", f"site-{OTHER}"]
    own = [one[key] for key in one.keys() - other.keys() if isinstance(one[key], Trained)]
    assert sorted(run.recipe for run in own) == ["segmenter", "segmenter"]
    enhancers = [run for run in one.values() if isinstance(run, Trained) and run.recipe == "enhancer"]
    assert len(enhancers) == 2  # The other site's too: its gradients of the semi-supervised stage need it.


def test_no_study_sees_a_test_case_or_a_hidden_label(asked):
    plan = asked(Path("unused")).plan()
    for artifact in artifacts_of(plan, f"{SITE}/2/0/*").values():
        if not isinstance(artifact, Federated):
            continue
        for site in artifact.participants:
            fold = plan.sites[site.table.crops.source.site].split.folds[0]
            assert set(site.table.shown) == set(fold.labelled[2])
            assert not {*site.table.shown, *site.table.hidden, *site.table.val} & set(fold.test)


def test_direct_fl_divides_batch_and_steps_as_the_paper_does(asked, changed):
    plan = asked(Path("unused")).plan()
    (study,) = (one for one in artifacts_of(plan, f"{SITE}/2/0/direct-fl").values() if isinstance(one, Federated))
    (tuned,) = (one for one in artifacts_of(plan, f"{SITE}/2/0/direct-fl").values() if isinstance(one, Trained))
    assert study.fields["batch_size"] == 1
    assert study.fields["steps"] + tuned.fields["steps"] == 4


@pytest.mark.parametrize("wrong", [{**DIRECT, "pretrain": FULL["pretrain"]}, {**SIM, "pretrain": None}])
def test_a_federated_method_that_makes_no_sense_is_refused(asked, wrong):
    with pytest.raises(InputError, match=r"methods.0: (direct-fl learns|sim-fl learns)"):
        asked(Path("unused"), [wrong]).plan()


def test_sites_with_different_numbers_of_label_sizes_are_refused(asked):
    with pytest.raises(InputError, match="A has 1 label sizes and B more"):
        asked(Path("unused"), labelled=(2, 3)).plan()


@pytest.mark.slow
def test_both_rows_are_made_and_sites_share_weights_but_neither_latents_nor_enhancers(asked, tmp_path):
    order = asked(tmp_path)
    run_processes(order)
    plan = order.plan()
    assert {state_of(cell, order.root)[0] for cell in plan.cells} == {"done"}
    made = {
        (one.study.recipe, one.site): one for one in artifacts_of(plan, "*").values() if isinstance(one, SiteOfStudy)
    }
    names = [f"site-{SITE}", f"site-{OTHER}"]
    first, second = (GenerativeModel.load(made["semi-supervised", name].path(order.root)) for name in names)
    for key, weight in first.generator.shape.state_dict().items():
        assert torch.equal(weight, second.generator.shape.state_dict()[key])
    assert not torch.equal(first.generator.latents, second.generator.latents)
    assert (first.sites, second.sites) == ((SITE,), (OTHER,))
    one, other = (Segmenter.load(segmenter_file(made["segmenter", name].path(order.root))) for name in names)
    assert all(torch.equal(a, b) for a, b in zip(one.network.parameters(), other.network.parameters(), strict=True))


def test_a_study_that_was_interrupted_goes_on(asked, tmp_path):
    cell = asked(tmp_path, [DIRECT]).plan().cells[0]
    study = next(one for one in cell.scores.with_needs() if isinstance(one, Federated))
    bench = Bench(tmp_path, "cpu", 1, silent)
    for one in study.with_needs():
        one.finish(tmp_path, one.make(bench, one.folder(tmp_path)))

    def interrupt(done: int, total: int, what: str) -> None:
        if done == 1:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        study.make(Bench(tmp_path, "cpu", 1, interrupt), tmp_path / "again")
    study.make(bench, tmp_path / "again")
    made = (study.path(tmp_path), tmp_path / "again" / study.result)
    networks = [Segmenter.load(segmenter_file(folder / "server")).network for folder in made]
    assert all(torch.equal(a, b) for a, b in zip(*(network.parameters() for network in networks), strict=True))


def test_a_studys_fields_are_those_of_the_recipe_but_for_what_the_study_decides(asked, tmp_path):
    plan = asked(tmp_path).plan()
    for artifact in artifacts_of(plan, "*").values():
        if isinstance(artifact, Federated):
            asked_for = artifact.asked(Bench(tmp_path, "cpu", 1, silent))
            study = checked_study(json.loads(json.dumps(asked_for)), "a test")
            assert study.rounds == artifact.fields["steps"]
            assert study.evaluate_every == artifact.fields["evaluate_every"]
