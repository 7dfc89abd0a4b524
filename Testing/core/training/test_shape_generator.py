"""The shape generator learns hearts that its model can make, by a loss that is the intersection over union."""

from __future__ import annotations

import shutil

import numpy as np
import pytest
import torch

from FedSimCore.errors import FedSimError, InputError
from FedSimCore.networks.generators import Latents, ShapeGenerator
from FedSimCore.progress import silent
from FedSimCore.runs.folder import RunFolder
from FedSimCore.runs.history import RunHistory
from FedSimCore.shape.model import ShapeModel
from FedSimCore.tensor_files import read_weights
from FedSimCore.training.recipes import checked_config, read_recipe, with_settings
from FedSimCore.training.session import begin
from FedSimCore.training.shape_generator import KIND, build, mean_iou
from FedSimCore.training.shape_generator_config import ShapeGeneratorConfig
from FedSimCore.volumes import Grid, Volume
from FedSimCore.volumes.io import write_label_map
from Testing.core.training.small_runs import small_config


def test_the_generator_has_the_papers_layers():
    generator = ShapeGenerator()
    sizes = [tuple(p.shape) for p in generator.parameters()]
    assert sizes == [(256, 32), (256,), (128, 256), (128,), (21, 128), (21,)]
    made = generator(100 * torch.randn(50, 32, generator=torch.Generator().manual_seed(0)))
    assert made.shape == (50, 21)
    assert float(made.detach().abs().max()) <= 1


def test_latents_begin_with_the_unit_normal_distribution_and_are_learnt():
    latents = Latents(500, 32, seed=0)
    assert abs(float(latents.vectors.weight.detach().mean())) < 0.02
    assert float(latents.vectors.weight.detach().std()) == pytest.approx(1, abs=0.02)
    latents(torch.tensor([3])).sum().backward()
    assert latents.vectors.weight.grad is not None
    assert latents.vectors.weight.grad.abs().sum(1).nonzero().flatten().tolist() == [3]


def test_the_iou_is_that_of_overlapping_boxes_and_skips_absent_regions():
    made, wanted = torch.zeros(2, 3, 8, 8, 8), torch.zeros(2, 3, 8, 8, 8)
    wanted[:, 0, :4], made[:, 0, 2:6] = 1, 1  # 2 of 6 slabs in common
    wanted[0, 1, :, :2], made[0, 1, :, :2] = 1, 1  # the same
    made[:, 2, :1] = 1  # a region that the patient lacks
    assert mean_iou(made, wanted).tolist() == pytest.approx([(1 / 3 + 1) / 2, 1 / 3])


@pytest.fixture(scope="module")
def learnt(cohort, tmp_path_factory):
    run = tmp_path_factory.mktemp("learnt") / "run"
    config = small_config(
        cohort, steps=120, batch_size=5, latent_size=8, hidden=[32], learning_rate=0.01, latent_learning_rate=0.05
    )
    begin(config, RunFolder(run))
    return run


def test_hearts_that_the_model_can_make_are_reconstructed(learnt):
    steps, iou = RunHistory(RunFolder(learnt)).curve("train/iou")
    assert steps[-1] == 120
    assert iou[-1] > 0.85
    losses = RunHistory(RunFolder(learnt)).curve("loss")[1]
    assert 1 - losses[0] < 0.6
    assert 1 - losses[-1] == pytest.approx(iou[-1], abs=0.02)


def test_the_trained_file_has_all_that_is_needed_to_make_the_hearts_again(learnt, cohort):
    tensors, header = read_weights(learnt / "shape_generator.safetensors", KIND)
    model = ShapeModel.load(cohort.parent / "model.safetensors")
    assert header["shape_model_sha256"] == model.checksum
    generator = ShapeGenerator(header["modes"] + 7, header["latent_size"], header["hidden"])
    generator.load_state_dict({k.removeprefix("generator."): v for k, v in tensors.items() if "generator." in k})
    parameters = model.from_unit(generator(tensors["latents.vectors.weight"]))
    assert len(header["cases"]) == len(parameters) == 5
    # Poses were drawn within the model's limits; the scale is the easiest to get right.
    assert float((parameters[:, -1].detach().log() - model.middle[-1]).abs().max()) < float(model.limits[-1]) + 1e-6
    assert header["metrics"]["train/iou"] > 0.85


def test_pictures_show_three_planes_of_hearts_in_the_regions_colours(learnt):
    from PIL import Image

    pictures = RunHistory(RunFolder(learnt)).pictures()
    with Image.open(learnt / pictures[-1].file) as image:
        pixels = np.asarray(image)
    rows, columns = 2, 4 * 3
    assert pixels.shape[1] / columns == pixels.shape[0] / rows >= 128
    upper, lower = np.split(pixels, 2)
    assert (upper == lower).all(-1).mean() > 0.9
    assert (upper != 0).any(-1).mean() > 0.1


def test_finite_differences_point_the_same_way_as_the_boundary_gradient(cohort):
    gradients = []
    for kind in ("boundary", "finite-differences"):
        torch.manual_seed(0)
        task = build(small_config(cohort, gradient=kind, size=40, spacing_mm=5.0), silent)
        task.losses = task._losses(task._load([0, 1]))["loss"]
        task.losses.backward()
        gradients.append(torch.cat([p.grad.flatten() for p in task.modules["latents"].parameters()]))
    assert float(torch.cosine_similarity(*gradients, dim=0)) > 0.9


def test_the_shipped_recipe_has_the_papers_sizes(tmp_path):
    fields, origin = read_recipe("shape-generator")
    config = checked_config(with_settings(fields, [f"cohort={tmp_path}"]), origin)
    assert isinstance(config, ShapeGeneratorConfig)
    assert (config.latent_size, config.hidden, config.modes, config.size) == (32, (256, 128), 14, 128)
    assert config.gradient == "boundary"


def labels_file(folder, array):
    write_label_map(Volume(array, Grid.centered(20, 8.0)), folder)


@pytest.mark.parametrize(
    ("table", "sentence"),
    [
        ("case,label\n", "lists no case"),
        ("case,label\nheart0,heart0_label.nii.gz\n", "has 1 training case with a label map.*needs two"),
        ("case,label,image\nx,,heart0_label.nii.gz\ny,,heart1_label.nii.gz\n", "has 0 training cases with a label map"),
        ("case,label\nheart0,heart0_label.nii.gz\nnobody,empty_label.nii.gz\n", "nobody: .*only background"),
        ("case,label\nheart0,heart0_label.nii.gz\ngone,gone.nii.gz\n", "gone"),
    ],
)
def test_a_cohort_that_nothing_can_be_learnt_from_is_told_and_leaves_the_folder_free(cohort, tmp_path, table, sentence):
    bad = tmp_path / "cohort"
    shutil.copytree(cohort, bad)
    labels_file(bad / "empty_label.nii.gz", np.zeros((20, 20, 20), np.uint8))
    (bad / "cohort.csv").write_text(table)
    shutil.copy(cohort.parent / "model.safetensors", tmp_path)
    run = RunFolder(tmp_path / "run")
    with pytest.raises(FedSimError, match=sentence):
        begin(small_config(bad), run)
    assert not run.exists
    # The same folder serves when the cohort is right.
    begin(small_config(cohort, steps=1), run)


def test_a_heart_larger_than_the_grid_and_a_site_that_is_not_there_are_told(cohort):
    with pytest.raises(InputError, match=r"heart0: The heart reaches .* use a spacing of"):
        build(small_config(cohort, spacing_mm=2.0), silent)
    with pytest.raises(InputError, match="no site 'c'; its sites are a, b"):
        build(small_config(cohort, sites=["c"]), silent)
    assert len(build(small_config(cohort, sites=["a"]), silent).hearts.names) == 3
