"""The whole way of a scan, against what must come out."""

import numpy as np
import pytest
import torch

from FedSimCore.ct.attenuation_table import attenuation_table
from FedSimCore.ct.body import Body
from FedSimCore.ct.materials import tissue, tissues
from FedSimCore.ct.scanners import scanner
from FedSimCore.ct.simulator import CTSimulator
from FedSimCore.errors import InputError
from FedSimCore.volumes import Grid, Volume

FIELD_MM = 160.0
ADULT = scanner("adult").with_changes(views=120)


def soft_mask(inside, grid, supersampling=3):
    """Share of each voxel for which ``inside(x, y, z)``, mm, is true: (X, Y, Z)."""
    n, h = grid.shape[0], grid.spacing_mm[0]
    c = (np.arange(n * supersampling) - (n * supersampling - 1) / 2) * h / supersampling
    mask = inside(*np.meshgrid(c, c, c, indexing="ij", sparse=True))
    mask = np.broadcast_to(mask, (n * supersampling,) * 3).astype(np.float32)
    return torch.from_numpy(mask.reshape((n, supersampling) * 3).mean((1, 3, 5)))


def centers(grid):
    return np.moveaxis(grid.to_world(np.stack(np.meshgrid(*map(np.arange, grid.shape), indexing="ij"), -1)), -1, 0)


@pytest.fixture(scope="module")
def grid():
    return Grid.centered(48, FIELD_MM / 48)


@pytest.fixture(scope="module")
def simulator(grid):
    return CTSimulator(ADULT, grid)


@pytest.fixture(scope="module")
def water_scene(simulator, grid):
    cylinder = soft_mask(lambda x, y, z: (np.hypot(x, y) < 70) & (np.abs(z) < 80), grid)
    return simulator.prepare_occupancy(cylinder[None, None], [1])


@pytest.fixture(scope="module")
def fine_water_scene():
    grid = Grid.centered(64, FIELD_MM / 64)
    cylinder = soft_mask(lambda x, y, z: (np.hypot(x, y) < 70) & (np.abs(z) < 80), grid)
    return CTSimulator(ADULT.with_changes(views=180), grid).prepare_occupancy(cylinder[None, None], [1])


@pytest.fixture(scope="module")
def wide_grid():
    return Grid.centered(48, 4.5)


@pytest.fixture(scope="module")
def insert_scene(wide_grid):
    """A rod of tissue 2, 15 mm in radius, in a cylinder of tissue 1 20 cm across."""
    cylinder = soft_mask(lambda x, y, z: (np.hypot(x, y) < 100) & (np.abs(z) < 200), wide_grid)
    rod = soft_mask(lambda x, y, z: (np.hypot(x - 30, y) < 15) & (np.abs(z) < 200), wide_grid)
    simulator = CTSimulator(ADULT.with_changes(views=180), wide_grid)
    return simulator.prepare_occupancy(torch.stack([cylinder - rod, rod])[None], [1, 2])


def in_rod(hu, grid, reach=8.0):
    x, y, z = centers(grid)
    return hu[0, 0].numpy()[(np.hypot(x - 30, y) < reach) & (np.abs(z) < 30)]


@pytest.mark.parametrize("kvp", [80, 100, 120, 140])
def test_water_is_0_hu_within_5_everywhere_in_the_inner_four_fifths(fine_water_scene, kvp):
    simulator = fine_water_scene.simulator
    hu = fine_water_scene.render({1: tissue("water")}, simulator.scanner.with_changes(kvp=kvp))[0, 0].numpy()
    x, y, z = centers(simulator.grid)
    inner = (np.hypot(x, y) < 0.8 * 70) & (np.abs(z) < 0.8 * 80)
    assert np.abs(hu[inner]).max() < 5
    assert abs(hu[inner].mean()) < 1
    assert hu[(np.hypot(x, y) > 76) & (np.abs(z) < 40)].mean() == pytest.approx(-1000, abs=10)


def test_monochromatic_water_is_0_hu_too(fine_water_scene):
    simulator = fine_water_scene.simulator
    protocol = simulator.scanner.with_changes(monochromatic_kev=70)
    hu = fine_water_scene.render({1: tissue("water")}, protocol)[0, 0].numpy()
    x, y, z = centers(simulator.grid)
    assert np.abs(hu[(np.hypot(x, y) < 56) & (np.abs(z) < 64)]).max() < 5


def test_a_milligram_of_iodine_adds_28_hu_at_120_kvp(insert_scene, wide_grid):
    blood = tissue("blood_left")
    images = [insert_scene.render({1: tissue("water"), 2: blood.with_iodine(mg)}) for mg in (0.0, 5.0)]
    plain, enhanced = (in_rod(image, wide_grid) for image in images)
    assert (enhanced - plain).mean() / 5 == pytest.approx(28.3, rel=0.05)
    assert plain.mean() == pytest.approx(57, abs=5)


def test_in_a_beam_of_one_energy_hu_follow_attenuation(insert_scene, wide_grid):
    beam = insert_scene.simulator.scanner.with_changes(monochromatic_kev=60)
    materials = {1: tissue("water"), 2: tissue("bone_spongiosa")}
    hu = insert_scene.render(materials, beam)
    truth = 1000 * (materials[2].attenuation(60.0)[0] / materials[1].attenuation(60.0)[0] - 1)
    assert in_rod(hu, wide_grid).mean() == pytest.approx(truth, rel=0.02)


def test_noise_variance_goes_with_the_inverse_of_the_dose(water_scene, grid):
    protocol = ADULT.with_changes(electronic_noise_kev=0)
    clean = water_scene.render({1: tissue("water")}, protocol)
    x, y, z = centers(grid)
    inner = (np.hypot(x, y) < 50) & (np.abs(z) < 60)
    doses = np.array([50.0, 100.0, 200.0, 400.0])
    variance = [
        (water_scene.render({1: tissue("water")}, protocol.with_changes(mas=mas), seed=int(mas)) - clean)[0, 0]
        .numpy()[inner]
        .var()
        for mas in doses
    ]
    products = variance * doses
    np.testing.assert_allclose(products / products.mean(), 1, atol=0.06)
    slope = np.polyfit(np.log(doses), np.log(variance), 1)[0]
    assert slope == pytest.approx(-1, abs=0.03)


def test_a_starving_dose_through_steel_gives_numbers(insert_scene):
    materials = {1: tissue("water"), 2: tissue("steel")}
    hu = insert_scene.render(materials, insert_scene.simulator.scanner.with_changes(kvp=80, mas=1), seed=0)
    assert torch.isfinite(hu).all()


def test_the_same_seed_gives_the_same_voxels(water_scene):
    first, again, other = (water_scene.render({1: tissue("water")}, seed=seed) for seed in (5, 5, 6))
    assert torch.equal(first, again)
    assert not torch.equal(first, other)


def labelled_blocks(grid):
    x, y, z = centers(grid)
    labels = np.zeros(grid.shape, dtype=np.uint8)
    labels[np.hypot(x, y) < 72] = 1
    labels[(np.hypot(x + 25, y) < 20) & (np.abs(z) < 40)] = 2
    labels[(np.hypot(x - 25, y - 10) < 15) & (np.abs(z) < 50)] = 3
    labels[(np.hypot(x, y + 45) < 12)] = 4
    tissue_of = {1: "muscle", 2: "blood_left", 3: "adipose", 4: "bone_spongiosa"}
    return Body(Volume(labels, grid), tissue_of)


def test_basis_materials_give_the_image_of_the_tissues_within_2_hu(simulator, grid):
    body = labelled_blocks(grid)
    known = tissues("arterial")
    by_basis = simulator.simulate(body, known)
    by_tissue = simulator.prepare(body).render(body.tissues(known))
    assert (by_basis - by_tissue).abs().max() < 2


def test_a_change_of_tissue_does_not_project_again(simulator, grid, monkeypatch):
    body = labelled_blocks(grid)
    scene = simulator.prepare(body)

    def refuse(*_):
        raise AssertionError("the geometry's work was repeated")

    monkeypatch.setattr(type(simulator.projector), "_apply", refuse)
    before = scene.render(body.tissues(tissues("arterial")))
    after = scene.render(body.tissues(tissues("none")), ADULT.with_changes(kvp=80, kernel="soft"), seed=1)
    assert not torch.allclose(before, after)


def test_labels_of_one_tissue_share_a_projection_unless_they_are_to_be_changed_apart(simulator, grid):
    labels = np.zeros(grid.shape, dtype=np.uint8)
    labels[10:20, 10:30, 10:30], labels[20:30, 10:30, 10:30], labels[30:40, 10:30, 10:30] = 1, 8, 25
    body = Body(Volume(labels, grid), {1: "adipose", 8: "adipose", 25: "adipose"})
    known = body.tissues(tissues())
    together, apart = simulator.prepare(body, apart=[1]), simulator.prepare(body)
    assert together.channels == ((1,), (8, 25))
    assert apart.channels == ((1,), (8,), (25,))
    torch.testing.assert_close(together.render(known), apart.render(known), atol=0.05, rtol=0)
    with pytest.raises(InputError, match="Labels 8 and 25 were prepared as one tissue but are given adipose and water"):
        together.render({**known, 25: tissue("water")})


def test_a_body_that_reaches_beyond_the_grid_leaves_no_seam(grid):
    outer_grid = Grid.centered((60, 50, 56), 5.0)
    inner = np.ones(grid.shape, dtype=np.uint8)
    x, y, _ = centers(outer_grid)
    outer = (np.hypot(x / 140, y / 115) < 1).astype(np.uint8)
    body = Body(Volume(inner, grid), {1: "water"}, Volume(outer, outer_grid))
    scan = ADULT.with_changes(views=90)
    hu = CTSimulator(scan, grid, whole_field=True).simulate(body, tissues())[0, 0].numpy()
    x, y, z = centers(grid)
    shells = [(np.hypot(x, y) > r) & (np.hypot(x, y) < r + 4) & (np.abs(z) < 60) for r in range(0, 76, 4)]
    np.testing.assert_allclose([hu[shell].mean() for shell in shells], 0, atol=5)
    assert np.abs(hu[np.maximum(np.abs(x), np.abs(y)) > 78][:, None]).mean() < 25


def test_thick_slices_average_along_the_axis_only(simulator, grid):
    slab = soft_mask(lambda x, y, z: (np.hypot(x, y) < 60) & (z > 0), grid)
    scene = simulator.prepare_occupancy(slab[None, None], [1])
    thickness = 5 * float(grid.spacing_mm[2])
    thin = scene.render({1: tissue("water")})[0, 0].numpy()
    thick = scene.render({1: tissue("water")}, ADULT.with_changes(slice_thickness_mm=thickness))[0, 0].numpy()
    kernel = np.ones(5) / 5
    profile = np.convolve(thin[24, 24], kernel, mode="valid")
    np.testing.assert_allclose(thick[24, 24, 2:-2], profile, atol=0.05)


@pytest.fixture(scope="module")
def small():
    grid = Grid.centered(16, FIELD_MM / 16)
    simulator = CTSimulator(scanner("adult").with_changes(views=48), grid, dtype=torch.float64)
    generator = torch.Generator().manual_seed(0)
    occupancy = torch.rand(2, 3, 16, 16, 16, generator=generator, dtype=torch.float64) / 3
    return simulator, occupancy


def scalar_of(hu):
    """A smooth function of all voxels, so that every gradient counts."""
    weights = torch.linspace(-1, 2, hu[0].numel(), dtype=hu.dtype).view(hu.shape[1:])
    return (hu / 1000 * weights).square().sum()


def directional_check(function, at, rtol=1e-5, step=1e-5):
    """Compare autograd with central differences along a random direction."""
    at = at.clone().requires_grad_(True)
    (gradient,) = torch.autograd.grad(function(at), at)
    direction = torch.randn(at.shape, generator=torch.Generator().manual_seed(1), dtype=at.dtype) * at.detach().abs()
    with torch.no_grad():
        difference = (function(at + step * direction) - function(at - step * direction)) / (2 * step)
    assert float((gradient * direction).sum()) == pytest.approx(float(difference), rel=rtol)
    assert torch.isfinite(gradient).all()


@pytest.mark.parametrize("parameter", ["density_g_cm3", "iodine_mg_ml"])
def test_hu_are_differentiable_in_density_and_iodine(small, parameter):
    simulator, occupancy = small
    materials = [tissue("blood_left", "arterial"), tissue("myocardium", "arterial"), tissue("liver", "venous")]
    scene = simulator.prepare_occupancy(occupancy, [1, 2, 3])
    groups = simulator.beam().groups

    def image(value):
        table = attenuation_table(materials, groups.energies_kev, **{parameter: value})
        return scalar_of(scene.render_attenuation(groups.attenuation(table)))

    directional_check(image, torch.tensor([getattr(t, parameter) for t in materials], dtype=torch.float64))


def test_hu_are_differentiable_in_occupancy_with_noise_and_per_sample_tissues(small):
    simulator, occupancy = small
    groups = simulator.beam().groups
    materials = [tissue("blood_left", "arterial"), tissue("myocardium"), tissue("adipose")]
    iodine = torch.tensor([[12.0, 3.0, 0.0], [5.0, 1.0, 0.0]], dtype=torch.float64)
    table = groups.attenuation(attenuation_table(materials, groups.energies_kev, iodine_mg_ml=iodine))

    def image(value):
        return scalar_of(simulator.prepare_occupancy(value, [1, 2, 3]).render_attenuation(table))

    directional_check(image, occupancy)
    noisy = simulator.prepare_occupancy(occupancy.clone().requires_grad_(True), [1, 2, 3])
    hu = noisy.render_attenuation(table, seed=0)
    hu.sum().backward()
    assert hu.shape == (2, 1, 16, 16, 16)


def test_the_gradient_is_right_within_a_body_too():
    grid, outer_grid = Grid.centered(16, 10.0), Grid.centered((24, 24, 24), 10.0)
    simulator = CTSimulator(scanner("adult").with_changes(views=32), grid, whole_field=True, dtype=torch.float64)
    ones = Volume(np.ones(grid.shape, dtype=np.uint8), grid)
    body = Body(ones, {1: "muscle"}, Volume(np.ones(outer_grid.shape, dtype=np.uint8), outer_grid))
    occupancy = torch.rand(1, 1, 16, 16, 16, generator=torch.Generator().manual_seed(2), dtype=torch.float64)
    attenuation = simulator.beam().groups.tissue_attenuation([tissue("muscle")])

    def image(value):
        scene = simulator.prepare_occupancy(value, [1], body)
        return scalar_of(scene.render_attenuation(attenuation, attenuation))

    directional_check(image, occupancy)


def test_a_protocol_on_another_geometry_is_refused(water_scene):
    with pytest.raises(InputError, match="has another geometry"):
        water_scene.render({1: tissue("water")}, ADULT.with_changes(views=60))


def test_a_label_without_tissue_is_named(simulator, grid):
    body = labelled_blocks(grid)
    with pytest.raises(InputError, match="Label 4 has no tissue"):
        simulator.prepare(body).render({1: tissue("water"), 2: tissue("water"), 3: tissue("water")})
    with pytest.raises(InputError, match=r"Label 4 \(\d+ voxels\) has no tissue"):
        Body(body.inner, {1: "muscle", 2: "blood_left", 3: "adipose"})


def test_a_label_map_on_another_grid_is_refused(simulator):
    other = Grid.centered(48, 3.0)
    body = Body(Volume(np.ones(other.shape, dtype=np.uint8), other), {1: "water"})
    with pytest.raises(InputError, match="not the one the simulator was made for"):
        simulator.prepare(body)


def test_progress_of_a_scan_grows_within_every_stage():
    grid, outer_grid = Grid.centered(64, 2.5), Grid.centered(80, 5.0)
    ones = Volume(np.ones(grid.shape, dtype=np.uint8), grid)
    body = Body(ones, {1: "muscle"}, Volume(np.ones(outer_grid.shape, dtype=np.uint8), outer_grid))
    simulator = CTSimulator(ADULT, grid, whole_field=True)
    told = []
    simulator.simulate(body, tissues("none"), seed=0, progress=lambda *report: told.append(report))
    done = [report[0] / report[1] for report in told]
    assert done == sorted(done)
    assert (done[0], done[-1]) == (0, 1)
    for stage in ("projecting the heart", "projecting the body", "reading the detector", "reconstructing"):
        assert len({report[0] for report in told if report[2] == stage}) >= 4, stage
