"""What the worker computes, asked through a real process."""

from __future__ import annotations

import json
from itertools import pairwise
from pathlib import Path

import numpy as np
import pytest
import torch

from FedSimCore import anatomy
from FedSimCore.ct.recipe import Recipe, read_recipe, simulate
from FedSimCore.ct.scanners import scanner
from FedSimCore.shape.measurements import measure_mesh
from FedSimCore.shape.model import builtin_model
from FedSimCore.shape.voxelizer import label_map
from FedSimCore.volumes import Grid
from FedSimCore.worker import protocol as p
from FedSimSlicerLib.worker_events import RequestCancelled, RequestFailed, RequestPart, RequestProgress
from Testing.core.worker.conversation import Conversation, heart

COARSE = p.GridSpec.centered(40, 4.0)
QUICK = {"grid": COARSE, "surroundings": "fat"}


def test_labels_are_those_of_the_voxelizer(conversation: Conversation) -> None:
    parameters = heart(1.0, -0.5, rotation_rad=(0.1, 0, 0), translation_mm=(3, 0, -2), scale=1.05)
    grid = p.GridSpec.of(
        Grid((40, 44, 36), np.array([[0, -4.0, 0, 80], [4, 0.5, 0, -80], [0, 0, 4, -70], [0, 0, 0, 1]]))
    )
    done = conversation.ask(p.LabelsTask(parameters=parameters, grid=grid))
    mesh = builtin_model().mesh(parameters)
    expected = label_map(torch.from_numpy(mesh.vertices).float(), mesh.topology, grid.grid())[0].numpy()
    assert done.arrays["labels"].dtype == np.uint8
    assert np.unique(expected).size == 8
    np.testing.assert_array_equal(done.arrays["labels"], expected)
    assert done.result.grid.grid().same_as(grid.grid())


def test_measurements_stand_beside_their_norms(conversation: Conversation) -> None:
    done = conversation.ask(p.MeasureTask(parameters=heart(1.5), sex="female"))
    rows = {row.key: row for row in done.result.rows}
    measured = measure_mesh(builtin_model().mesh(heart(1.5)))
    assert rows["rv_volume_ml"].value == pytest.approx(measured["rv_volume_ml"].value)
    row = rows["rv_volume_ml"]
    assert row.low is not None
    assert row.high is not None
    assert row.verdict == ("low" if row.value < row.low else "high" if row.value > row.high else "normal")


def test_a_rendering_is_what_fedsim_simulate_gives(conversation: Conversation) -> None:
    model, parameters = builtin_model(), heart(0.7)
    chosen = scanner("congenital-mild").with_changes(views=24)
    recipe = Recipe(parameters=parameters, scanner=chosen, size=40, spacing_mm=4.0, surroundings="fat", noise_seed=3)
    expected = simulate(recipe, model)
    task = p.RenderTask(
        parameters=parameters,
        grid=p.GridSpec.of(expected.image.grid),
        surroundings="fat",
        noise_seed=3,
        scanners=(
            p.ScannerChoice(key="congenital-mild", changes={"views": 24}),
            p.ScannerChoice(changes={"views": 16}),
        ),
    )
    done = conversation.ask(task)
    np.testing.assert_allclose(done.arrays["hu_0"], expected.image.array, atol=0.01)
    np.testing.assert_array_equal(done.arrays["labels"], expected.labels.array)
    assert [scan.scanner for scan in done.result.scans] == ["congenital-mild", "adult"]
    assert np.abs(done.arrays["hu_1"] - done.arrays["hu_0"]).max() > 50


def test_each_scan_of_a_rendering_comes_when_it_is_done(conversation: Conversation) -> None:
    choices = tuple(p.ScannerChoice(key=key, changes={"views": 16}) for key in ("adult", "congenital-mild", "adult"))
    request = conversation.client.submit("render", p.RenderTask(parameters=heart(0.1), scanners=choices, **QUICK))
    done = conversation.end_of(request)
    parts = [event for event in conversation.told(RequestPart) if event.request == request]
    assert [(part.result.number, part.result.count) for part in parts] == [(0, 3), (1, 3), (2, 3)]
    assert [set(part.arrays) for part in parts] == [{"hu_0", "labels"}, {"hu_1"}, {"hu_2"}]
    assert tuple(part.result.scan for part in parts) == done.result.scans
    assert set(done.arrays) == {"labels", "hu_0", "hu_1", "hu_2"}
    for part in parts:
        assert all(done.arrays[name] is array for name, array in part.arrays.items())
    # Between two parts the next scan was worked on.
    order = [e for e in conversation.events if isinstance(e, RequestPart | RequestProgress) and e.request == request]
    where = [order.index(part) for part in parts]
    assert all(
        any(e.stage == "reconstructing" for e in order[a:b] if isinstance(e, RequestProgress))
        for a, b in pairwise(where)
    )


def test_the_recipe_of_a_scan_repeats_it(conversation: Conversation, tmp_path: Path) -> None:
    turned = Grid((36, 40, 30), np.array([[0, -4.0, 0, 84], [4, 0, 0, -70], [0, 0, -5, 70], [0, 0, 0, 1]]))
    task = p.RenderTask(
        parameters=heart(0.7, *[0.1] * 19, modes=20, translation_mm=(4, 0, 0)),
        grid=p.GridSpec.of(turned),
        materials={3: p.Material(base="blood_right", iodine_mg_ml=11.0), 30: p.Material(base="adipose")},
        phase="venous",
        surroundings="thorax",
        body_seed=5,
        noise_seed=9,
        scanners=(p.ScannerChoice(key="congenital-mild", changes={"views": 24, "kvp": 100}),),
    )
    done = conversation.ask(task)
    path = tmp_path / "scan.json"
    path.write_text(json.dumps(done.result.scans[0].recipe))
    recipe = read_recipe(path)
    assert (recipe.scanner.kvp, recipe.scanner.phase, recipe.person_seed, recipe.noise_seed) == (100, "venous", 5, 9)
    assert recipe.model_sha256 == builtin_model().checksum
    repeated = simulate(recipe, builtin_model(None))
    assert repeated.image.grid.same_as(turned)
    np.testing.assert_array_equal(repeated.labels.array, done.arrays["labels"])
    np.testing.assert_allclose(repeated.image.array, done.arrays["hu_0"], atol=0.01)


def test_progress_of_a_rendering_only_grows(conversation: Conversation) -> None:
    choices = (p.ScannerChoice(changes={"views": 16}), p.ScannerChoice(key="congenital-mild", changes={"views": 16}))
    request = conversation.client.submit("render", p.RenderTask(parameters=heart(0.2), scanners=choices, **QUICK))
    conversation.end_of(request)
    told = [e for e in conversation.told(RequestProgress) if e.request == request]
    fractions = [event.fraction for event in told]
    assert fractions == sorted(fractions)
    for stage in ("projecting the heart", "reading the detector", "reconstructing"):
        assert stage in {event.stage for event in told}


def test_a_preview_remembers_the_shape_and_then_the_scene(conversation: Conversation) -> None:
    def preview(**changes: object) -> p.PreviewTask:
        return p.PreviewTask(parameters=heart(0.4), views=16, noise_seed=None, **{**QUICK, **changes})  # type: ignore[arg-type]

    first, second, third = (conversation.ask(preview()) for _ in range(3))
    assert [done.result.reused for done in (first, second, third)] == ["nothing", "body", "scene"]
    # Basis materials and the tissues themselves give the same image but for a few HU.
    assert np.abs(first.arrays["hu"] - second.arrays["hu"]).mean() < 5
    np.testing.assert_array_equal(second.arrays["hu"], third.arrays["hu"])
    softer = conversation.ask(preview(scanner=p.ScannerChoice(changes={"kvp": 80, "kernel": "soft"})))
    assert softer.result.reused == "scene"
    assert np.abs(softer.arrays["hu"] - third.arrays["hu"]).max() > 20


def test_material_of_one_region_changes_that_region_alone(conversation: Conversation) -> None:
    common = {"parameters": heart(), "noise_seed": None, "views": 60, "phase": "none", **QUICK}
    plain = conversation.ask(p.PreviewTask(**common))
    ventricle = anatomy.region("rv").label
    dyed = conversation.ask(
        p.PreviewTask(materials={ventricle: p.Material(base="blood_right", iodine_mg_ml=15)}, **common)
    )
    change = dyed.arrays["hu"] - plain.arrays["hu"]
    labels = plain.arrays["labels"]
    assert change[labels == ventricle].mean() > 150
    assert abs(change[labels == anatomy.region("la").label].mean()) < 40


def test_a_fit_finds_the_heart_it_was_given(conversation: Conversation) -> None:
    grid = p.GridSpec.centered(48, 3.5)
    truth = conversation.ask(p.LabelsTask(parameters=heart(1.0, -1.0), grid=grid)).arrays["labels"]
    labels = np.where(truth == anatomy.region("pa").label, 0, truth).astype(np.uint8)
    done = conversation.ask(p.FitTask(name="case 7", affine=grid.affine), arrays={"labels": labels})
    assert done.result.mean_dice > 0.85
    assert done.result.mean_dice > done.result.initial_dice
    assert done.result.missing_regions == ("pa",)
    residual, region = done.arrays["residual_mm"], builtin_model().topology.vertex_region
    assert np.isnan(residual[region == anatomy.region("pa").label]).all()
    assert np.abs(residual[region == anatomy.region("lv").label]).mean() < 3.5


@pytest.mark.parametrize("modes", [1, 5, 40])
def test_as_many_weights_as_given_move_the_heart(conversation: Conversation, modes: int) -> None:
    parameters = heart(*np.linspace(1.5, -1.5, modes), modes=modes)
    mesh = builtin_model(None).with_modes(modes).mesh(parameters)
    expected = label_map(torch.from_numpy(mesh.vertices), mesh.topology, COARSE.grid())[0].numpy()
    done = conversation.ask(p.LabelsTask(parameters=parameters, grid=COARSE))
    np.testing.assert_array_equal(done.arrays["labels"], expected)
    rows = {row.key: row.value for row in conversation.ask(p.MeasureTask(parameters=parameters)).result.rows}
    assert rows["lv_volume_ml"] == pytest.approx(measure_mesh(mesh)["lv_volume_ml"].value)


def test_a_heart_is_registered_without_changing_its_shape(conversation: Conversation) -> None:
    shape = (1.2, -0.8, 0.5, *np.linspace(-1, 1, 17))
    truth = heart(*shape, modes=20, rotation_rad=(0.3, -0.2, 0.9), translation_mm=(40, -25, 110), scale=0.8)
    start = heart(*shape, modes=20, translation_mm=(5, 5, 5))
    grid = p.GridSpec.centered(72, 2.0, (40, -25, 110))
    labels = conversation.ask(p.LabelsTask(parameters=truth, grid=grid)).arrays["labels"]
    task = p.FitTask(affine=grid.affine, pose_only=True, start=start)
    done = conversation.ask(task, arrays={"labels": labels})
    assert done.result.parameters.weights == start.weights
    model = builtin_model(20)
    apart = np.linalg.norm(model.mesh(done.result.parameters).vertices - model.mesh(truth).vertices, axis=1)
    assert apart.max() < 0.5
    assert done.result.mean_dice > 0.97


def test_two_regions_of_a_heart_are_registered_with_the_rotation_at_hand(conversation: Conversation) -> None:
    truth = heart(0.5, rotation_rad=(0, 0, 0.6), translation_mm=(10, 0, 0))
    grid = p.GridSpec.centered(72, 2.0, (10, 0, 0))
    labels = conversation.ask(p.LabelsTask(parameters=truth, grid=grid)).arrays["labels"]
    ventricle = np.where(np.isin(labels, [anatomy.region("lv").label, anatomy.region("myo").label]), labels, 0)
    start = heart(0.5, rotation_rad=(0, 0, 0.5))
    task = p.FitTask(affine=grid.affine, pose_only=True, start=start)
    done = conversation.ask(task, arrays={"labels": ventricle.astype(np.uint8)})
    assert done.result.missing_regions == ("rv", "la", "ra", "ao", "pa")
    assert done.result.mean_dice > 0.95
    assert done.result.parameters.pose.rotation_rad[2] == pytest.approx(0.6, abs=0.12)


@pytest.mark.parametrize("dtype", ["int16", "float32", "float64", "uint8"])
def test_a_scan_is_counted_by_region_on_its_own_grid(conversation: Conversation, dtype: str) -> None:
    labels = conversation.ask(p.LabelsTask(parameters=heart(), grid=COARSE)).arrays["labels"]
    # The scan: the same heart on a grid mirrored along its first axis, its HU ten times the label.
    scan = (10 * labels[::-1]).astype(dtype)
    flipped = np.array(COARSE.affine) @ np.diag([-1.0, 1, 1, 1])
    flipped[:3, 3] = COARSE.grid().to_world([39, 0, 0])
    task = p.RegionHistogramTask(
        scan_affine=flipped.tolist(), labels_affine=COARSE.affine, edges_hu=(0, 10, 20, 30, 40, 50, 60)
    )
    result = conversation.ask(task, arrays={"hu": scan, "labels": labels}).result
    assert [row.region for row in result.regions] == [region.key for region in anatomy.regions()]
    for row in result.regions:
        assert (row.mean_hu, row.sd_hu) == (10 * row.label, 0)
        assert row.voxels == (labels == row.label).sum()
        assert sum(row.counts) == (row.voxels if row.label <= 6 else 0)
        assert row.above == (row.voxels if row.label == 7 else 0)


def test_the_mode_table_has_as_many_rows_as_asked_for(conversation: Conversation) -> None:
    table = conversation.ask(p.ModeTableTask(modes=3)).result
    assert [row.mode for row in table.modes] == [1, 2, 3]
    assert table.modes[2].cumulative == pytest.approx(sum(row.explained for row in table.modes))


def test_a_fit_can_be_cancelled(conversation: Conversation) -> None:
    labels = conversation.ask(p.LabelsTask(parameters=heart(), grid=COARSE)).arrays["labels"]
    request = conversation.client.submit("fit", p.FitTask(affine=COARSE.affine), {"labels": labels})
    conversation.until(lambda: any(e.request == request for e in conversation.told(RequestProgress)))
    conversation.client.cancel("fit")
    assert isinstance(conversation.end_of(request), RequestCancelled)
    assert not conversation.client.busy("fit")


def test_the_worker_describes_itself_and_the_model(conversation: Conversation) -> None:
    described = conversation.ask(p.DescribeTask()).result
    assert described.model["sha256"] == builtin_model().checksum
    assert (described.model["modes"], described.model["modes_in_file"]) == (14, 40)
    assert described.versions["torch"] == torch.__version__
    assert described.device.device == "cpu"
    assert "as chosen" in described.device.reason


@pytest.mark.parametrize(
    ("task", "words"),
    [
        ({"kind": "labels", "parameters": {"weights": [float("nan")]}}, "weights.0 = nan"),
        ({"kind": "polish"}, "polish"),
        ({"kind": "labels"}, "parameters"),
        ({"kind": "labels", "parameters": {"weights": []}}, "ask for 1 to 40, not 0"),
        ({"kind": "measure", "parameters": {"weights": [0.0] * 41}}, "ask for 1 to 40, not 41"),
        (p.ModeTableTask(modes=41), "ask for 1 to 40, not 41"),
        ({"kind": "labels", "parameters": heart(30).model_dump()}, "Mode 1 is at 30 sigma"),
        (p.PreviewTask(parameters=heart(), scanner=p.ScannerChoice(key="toaster")), "no scanner 'toaster'"),
        (p.PreviewTask(parameters=heart(), scanner=p.ScannerChoice(changes={"kvp": 93})), "kvp 93 is none of"),
        (p.PreviewTask(parameters=heart(), materials={1: p.Material(base="gold")}), "no tissue 'gold'"),
        ({"kind": "preview", "parameters": {"weights": [0]}, "materials": {0: {"base": "air"}}}, "materials.0"),
        (p.PreviewTask(parameters=heart(), materials={1: p.Material(base="adipose", density_g_cm3=-1)}), "label 1"),
        (p.FitTask(affine=COARSE.affine), "three dimensions, not none"),
        (p.FitTask(affine=COARSE.affine, pose_only=True), "give 'start'"),
        (
            p.RegionHistogramTask(scan_affine=COARSE.affine, labels_affine=COARSE.affine),
            "A histogram needs a scan of three dimensions, not none",
        ),
        (
            {
                "kind": "region_histogram",
                "scan_affine": COARSE.affine,
                "labels_affine": COARSE.affine,
                "edges_hu": [1, 1],
            },
            "do not rise",
        ),
        (p.FitTask(affine=COARSE.affine, start=heart(modes=9), modes=5), "use at least 9"),
    ],
)
def test_nonsense_gets_one_sentence_and_the_worker_goes_on(
    conversation: Conversation, task: object, words: str
) -> None:
    failed = conversation.ask(task)
    assert isinstance(failed, RequestFailed)
    assert failed.cause == "input"
    assert words in failed.sentence
    assert failed.sentence.endswith(".")
    assert conversation.ask(p.LabelsTask(parameters=heart(), grid=COARSE)).arrays["labels"].any()


def test_a_scan_beside_the_heart_is_told_by_its_name(conversation: Conversation) -> None:
    labels = conversation.ask(p.LabelsTask(parameters=heart(), grid=COARSE)).arrays["labels"]
    away = p.GridSpec.centered(20, 2.0, (0, 0, 900))
    task = p.RegionHistogramTask(name="CT chest", scan_affine=away.affine, labels_affine=COARSE.affine)
    failed = conversation.ask(task, arrays={"hu": np.zeros((20, 20, 20), np.int16), "labels": labels})
    assert failed.sentence.startswith("CT chest: Scan and label map do not overlap")


def test_a_label_map_without_a_heart_is_told(conversation: Conversation) -> None:
    empty = np.zeros((20, 20, 20), dtype=np.uint8)
    failed = conversation.ask(p.FitTask(name="Segmentation_2", affine=COARSE.affine), arrays={"labels": empty})
    assert failed.sentence.startswith("Segmentation_2 has no voxels")


def test_a_preview_has_no_shadow_along_the_rotation_axis(conversation: Conversation) -> None:
    # A heart so small that fat is all there is along the axis.
    parameters = heart(translation_mm=(30, 30, 0), scale=0.3)
    hu = conversation.ask(p.PreviewTask(parameters=parameters, noise_seed=None)).arrays["hu"]
    axis, about = hu[31:33, 31:33, 12:52].mean(), hu[26:38, 26:38, 12:52].mean()
    assert abs(axis - about) < 6
