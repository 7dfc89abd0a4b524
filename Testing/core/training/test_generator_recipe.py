"""Shape and material generator learn hearts and their coarse CT from one set of latents, and leave a model to open."""

from __future__ import annotations

import shutil

import numpy as np
import pytest
import torch

from FedSimCore.errors import CancelledError, FedSimError, InputError
from FedSimCore.files import sha256_of
from FedSimCore.generation.latent_normal import LatentNormal
from FedSimCore.generation.model_folder import GenerativeModel
from FedSimCore.progress import silent
from FedSimCore.runs.folder import RunFolder
from FedSimCore.runs.history import RunHistory, status
from FedSimCore.training.field_of_view import where_seen
from FedSimCore.training.generator import build
from FedSimCore.training.generator_config import GeneratorConfig
from FedSimCore.training.recipes import ConfigError, checked_config, read_recipe, with_settings
from FedSimCore.training.session import begin, resume
from FedSimCore.training.task import TrainingError
from FedSimCore.volumes import Grid, Volume
from FedSimCore.volumes.io import read_label_map, read_volume, write_label_map
from Testing.core.training.small_runs import assert_same_bits, events_of, generator_config, stop_after, weights_of


@pytest.fixture(scope="module")
def learnt(ct_cohort, tmp_path_factory):
    run = tmp_path_factory.mktemp("learnt") / "run"
    config = generator_config(
        ct_cohort,
        steps=45,
        batch_size=6,
        learning_rate=0.02,
        latent_learning_rate=0.05,
        material_learning_rate=5e-4,
        evaluate_every=100,
        checkpoint_every=100,
        picture_every=100,
    )
    begin(config, RunFolder(run))
    return run


def test_shapes_and_coarse_ct_are_learnt_together(learnt):
    history = RunHistory(RunFolder(learnt))
    for name, share in (("iou", 0.7), ("mse", 0.7), ("perceptual", 1.0)):
        curve = history.curve(name)[1]
        assert curve[-1] < share * curve[0], name
    assert history.curve("train/iou")[1][-1] > 0.7
    assert history.curve("train/coarse_hu")[1][-1] < 330  # about 550 at first
    shown = {event.name for event in events_of(learnt) if hasattr(event, "name")}
    assert shown == {"hearts", "coarse-ct"}


def test_the_model_folder_makes_the_hearts_again_and_tells_what_it_was_made_of(learnt, ct_cohort):
    generator = GenerativeModel.load(learnt).generator
    header = generator.header
    assert [case.id for case in header.cases] == [f"heart{number}" for number in (0, 2, 4, 1, 3, 5)]
    assert [case.site for case in header.cases] == ["a"] * 3 + ["b"] * 3
    assert header.coarse == "read"
    assert "random weights" in header.features
    assert header.data_sha256["heart2 image"] == sha256_of(ct_cohort / "heart2_image.nii.gz")
    metrics = RunHistory(RunFolder(learnt)).curve("train/iou")[1]
    assert header.metrics["train/iou"] == pytest.approx(metrics[-1])
    assert generator.normal.covariance.shape == (6, 6)
    assert torch.allclose(generator.normal.mean, generator.latents.mean(0), atol=1e-6)
    assert torch.allclose(generator.normal.covariance, LatentNormal.fitted(generator.latents).covariance)
    made = generator.labels(generator.latent_of("heart1"))[0].numpy()
    wanted = read_label_map(ct_cohort / "heart1_label.nii.gz").array
    assert (made > 0).sum() * 6.25**3 == pytest.approx((wanted > 0).sum() * 7.0**3, rel=0.15)
    assert "not for clinical use" in (learnt / "model" / "card.md").read_text().lower()


def test_the_coarse_ct_it_learns_is_the_papers_trilinear_sampling_of_the_cropped_image(ct_cohort):
    task = build(generator_config(ct_cohort), silent)
    target = task._targets[0, 0].numpy() * 1000
    image, label = (read(ct_cohort / f"heart0_{kind}.nii.gz") for read, kind in PARTS)
    marked = np.argwhere(label.array > 0)
    middle = image.grid.to_world((marked.min(0) + marked.max(0)) / 2)
    # At 32 voxels a coarse voxel of 16 is the mean of the eight it covers: twice the spacing, sampled independently.
    fine = Grid.centered(32, 6.25, middle)
    points = np.stack(np.meshgrid(*[np.arange(32)] * 3, indexing="ij"), -1)
    from scipy.ndimage import map_coordinates

    index = np.moveaxis(image.grid.to_index(fine.to_world(points)), -1, 0)
    sampled = map_coordinates(image.array, index, order=1, mode="nearest")
    inside = ((index > 0) & (index < 27)).all(0)
    expected = sampled.reshape(16, 2, 16, 2, 16, 2).mean((1, 3, 5))
    sure = inside.reshape(16, 2, 16, 2, 16, 2).all((1, 3, 5))
    assert sure.sum() > 500
    assert target[sure] == pytest.approx(expected[sure], abs=1.0)  # HU are rounded to whole numbers before


PARTS = ((read_volume, "image"), (read_label_map, "label"))


def test_without_material_only_shapes_are_learnt_and_images_are_not_even_read(cohort, tmp_path):
    run = tmp_path / "run"
    begin(generator_config(cohort, material="none", steps=3), RunFolder(run))
    generator = GenerativeModel.load(run).generator
    assert generator.material is None
    assert generator.header.coarse == "fixed-materials"
    assert set(RunHistory(RunFolder(run)).metric_names()) >= {"loss", "iou", "train/iou"}


def test_rendered_maps_bring_the_gradient_of_their_scan_to_the_latents(ct_cohort):
    task = build(generator_config(ct_cohort, coarse="rendered"), silent)
    task.modules["material"].eval()
    latent = task.modules["latents"].vectors.weight
    target = task._targets[[0]]

    def loss():
        coarse = task.learning.coarse(task.modules, task.modules["latents"](torch.tensor([0])))
        made, wanted = where_seen(coarse, target)
        return (made - wanted).square().mean()

    loss().backward()
    found, step = float(latent.grad[0, 2]), 0.02
    with torch.no_grad():
        latent[0, 2] += step
        above = loss()
        latent[0, 2] -= 2 * step
        below = loss()
    assert found == pytest.approx(float(above - below) / (2 * step), rel=0.02)


@pytest.mark.parametrize(("labelled", "expected"), [(1, [1, 1]), ([2, 1], [2, 1]), (None, [3, 3])])
def test_labels_are_shown_of_as_many_cases_of_each_site_as_the_config_says(ct_cohort, labelled, expected):
    task = build(generator_config(ct_cohort, labelled=labelled, material="none"), silent)
    sites = [case.site for case in task.learning.header.cases]
    assert [sites.count("a"), sites.count("b")] == expected
    more = build(generator_config(ct_cohort, labelled=3, material="none"), silent)
    assert set(task.names) <= set(more.names)


@pytest.mark.parametrize(
    ("changes", "sentence"),
    [
        ({"labelled": 4}, r"4 labelled cases were asked of the site a, which trains on 3"),
        ({"labelled": [1, 1, 1]}, r"labelled has 3 numbers, but there are 2 sites: a, b"),
        ({"labelled": 1, "sites": ["a"]}, "has 1 training case with a label map"),
        ({"modes": 7}, "has 3 modes"),
        ({"vgg19": "nowhere.pth"}, r"no file .*nowhere\.pth"),
        ({"splits": "nowhere.json"}, r"nowhere\.json does not exist"),
    ],
)
def test_settings_that_cannot_be_are_told_in_one_sentence(ct_cohort, changes, sentence):
    with pytest.raises(InputError, match=sentence) as told:
        build(generator_config(ct_cohort, **changes), silent)
    assert "\n" not in str(told.value)


@pytest.mark.parametrize(
    ("table", "sentence"),
    [
        ("case,image,label\n", "lists no case"),
        ("case,image,label\na,heart0_image.nii.gz,heart0_label.nii.gz\n", "1 training case"),
        ("case,image,label\na,heart0_image.nii.gz,empty.nii.gz\nb,heart1_image.nii.gz,empty.nii.gz\n", "a: .*backgr"),
        ("case,image,label\na,,heart0_label.nii.gz\nb,,heart1_label.nii.gz\n", "a: it has no image"),
        ("case,image,label,modality\na,heart0_image.nii.gz,heart0_label.nii.gz,MR\n" * 2, "more than once|MR"),
    ],
)
def test_cohorts_that_nothing_can_be_learnt_from_leave_the_folder_free(ct_cohort, tmp_path, table, sentence):
    bad = tmp_path / "cohort"
    shutil.copytree(ct_cohort, bad)
    shutil.copy(ct_cohort.parent / "model.safetensors", tmp_path)
    write_label_map(
        Volume(np.zeros((28, 28, 28), np.uint8), Grid.centered(28, 7.0, (20, -30, 40))), bad / "empty.nii.gz"
    )
    (bad / "cohort.csv").write_text(table)
    with pytest.raises(FedSimError, match=sentence):
        begin(generator_config(bad), RunFolder(tmp_path / "run"))
    assert not RunFolder(tmp_path / "run").exists


def test_data_that_vanishes_on_the_way_does_no_harm_until_the_run_is_resumed(ct_cohort, tmp_path):
    moving, run = tmp_path / "cohort", RunFolder(tmp_path / "run")
    shutil.copytree(ct_cohort, moving)
    shutil.copy(ct_cohort.parent / "model.safetensors", tmp_path)

    def vanish(event):
        if getattr(event, "step", 0) >= 1:
            shutil.rmtree(moving, ignore_errors=True)

    begin(generator_config(moving, steps=3, material="none"), run, vanish)
    assert status(run).state == "finished"
    with pytest.raises(InputError, match="does not exist"):
        resume(run, ["steps=5"])
    resume(run, ["steps=5", f"cohort={ct_cohort}"])
    assert status(run).state == "finished"


def test_a_loss_that_is_no_number_stops_the_run_names_the_step_and_keeps_the_checkpoint(
    ct_cohort, tmp_path, monkeypatch
):
    from FedSimCore.training import heart_learning

    real, calls = heart_learning.material_loss, []

    def broken(*arguments):
        calls.append(0)
        losses = real(*arguments)
        return {**losses, "mse": losses["mse"] * float("nan")} if len(calls) == 3 else losses

    monkeypatch.setattr(heart_learning, "material_loss", broken)
    run = RunFolder(tmp_path / "run")
    with pytest.raises(TrainingError, match=r"In step 3 loss became nan.*checkpoint of step 2 is kept"):
        begin(generator_config(ct_cohort, checkpoint_every=1, batch_size=2), run)
    resume(run)
    assert status(run).state == "finished"


def test_a_run_that_was_cut_short_ends_with_the_bits_of_an_unbroken_one(ct_cohort, tmp_path):
    begin(generator_config(ct_cohort, coarse="rendered", steps=4), RunFolder(tmp_path / "whole"))
    half = RunFolder(tmp_path / "half")
    with pytest.raises(CancelledError):
        begin(generator_config(ct_cohort, coarse="rendered", steps=4, report_every=1), half, stop_after(half, 2))
    resume(half)
    assert_same_bits(weights_of(tmp_path / "half"), weights_of(tmp_path / "whole"))


def test_the_shipped_recipe_is_the_papers(tmp_path):
    fields, origin = read_recipe("generator")
    config = checked_config(with_settings(fields, [f"cohort={tmp_path}"]), origin)
    assert isinstance(config, GeneratorConfig)
    assert (config.latent_size, config.hidden, config.modes, config.size) == (32, (256, 128), 14, 128)
    assert (config.material, config.coarse, config.gradient) == ("learnt", "rendered", "boundary")
    with pytest.raises(ConfigError, match="material = 'steel'"):
        checked_config(with_settings(fields, [f"cohort={tmp_path}", "material=steel"]), origin)
