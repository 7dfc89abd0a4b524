"""The CT simulator against what is known: water, iodine, noise, spectra, gradients, and the time of a scan."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from functools import partial

import numpy as np
import torch
from numpy.typing import NDArray

from FedSimCore.anatomy import labels as region_labels
from FedSimCore.benchmarks.harness import Contender, Goal, Report, race
from FedSimCore.ct.attenuation_table import attenuation_table
from FedSimCore.ct.basis import basis_tissues, decompose
from FedSimCore.ct.body import Body
from FedSimCore.ct.energy_groups import gather
from FedSimCore.ct.materials import Tissue, tissue, tissues
from FedSimCore.ct.scanners import Scanner, scanner
from FedSimCore.ct.scene import Scene
from FedSimCore.ct.simulator import CTSimulator
from FedSimCore.ct.spectra import hounsfield, tube_spectrum, tube_voltages_kvp
from FedSimCore.ct.surroundings import surround
from FedSimCore.progress import Progress, silent
from FedSimCore.shape.model import builtin_model
from FedSimCore.shape.voxelizer import label_map
from FedSimCore.volumes import Grid, Volume

PACKAGES = ("torch", "numpy")

# data/FACTS.md of the project: spectra of the XCIST project behind 20 cm of water.
MU_WATER_PER_CM = {80: 0.2155, 100: 0.2011, 120: 0.1922, 140: 0.1850}
SOFT_TISSUE_HU = {"blood_left": 57, "myocardium": 44, "adipose": -108}
IODINE_HU = 28.3

Image = NDArray[np.floating]


def bench_physics(size: int = 128, views: int = 180, rounds: int = 3, progress: Progress = silent) -> Report:
    """Measure everything.

    Args:
        size: voxels along each side of the volumes.
        views: projections of the timed scans; the images are checked with twice as many.
        rounds: repetitions of the timings.
        progress: told about each part.
    """
    settings = {"voxels": f"{size}^3", "views": f"{2 * views} for checks, {views} for times"}
    report = Report("CT physics", {**settings, "threads": torch.get_num_threads()})
    protocol = scanner("adult").with_changes(views=2 * views, electronic_noise_kev=0.0)
    parts: list[Callable[[], Iterator[Goal]]] = [
        lambda: tables(report),
        lambda: water_and_noise(report, protocol, size),
        lambda: iodine(report, protocol, size),
        lambda: gradients(report),
        lambda: times(report, size, views, rounds),
    ]
    for number, part in enumerate(parts):
        progress(number, len(parts), "checking physics")
        report.goals.extend(part())
    progress(len(parts), len(parts), "checking physics")
    return report


def tables(report: Report) -> Iterator[Goal]:
    """Compare spectra, tissues, energy groups and basis materials with what is known."""
    water = tissue("water")
    for kvp, truth in MU_WATER_PER_CM.items():
        found = tube_spectrum(kvp).detected_attenuation(water)
        report.values[f"mu of water behind 20 cm at {kvp} kVp, 1/cm"] = found
        yield Goal(f"error of mu of water at {kvp} kVp, %", 100 * abs(found / truth - 1), 1.0, at_least=False)
    for key, hu in SOFT_TISSUE_HU.items():
        error = abs(hounsfield(tissue(key), tube_spectrum(120)) - hu)
        yield Goal(f"error of {key} at 120 kVp, HU", error, 1.0, at_least=False)
    grouped, mixed = [], []
    for kvp in tube_voltages_kvp():
        groups = gather(tube_spectrum(kvp))
        grouped.append(group_error(kvp))
        for phase in ("none", "arterial"):
            body = [t for key, t in tissues(phase).items() if key not in ("titanium", "steel")]
            ratio = decompose(body, groups) @ groups.tissue_attenuation(basis_tissues())
            ratio = ratio / groups.tissue_attenuation(body) - 1
            share = torch.from_numpy(groups.signal_kev / groups.signal_kev.sum())
            mixed.append(float((ratio.square() @ share).sqrt().max()))
    yield Goal("error of 16 energy groups, water equivalent, worst ray, %", 100 * max(grouped), 0.2, at_least=False)
    yield Goal("error of 3 basis materials, worst tissue, %", 100 * max(mixed), 0.5, at_least=False)


def group_error(kvp: int) -> float:
    """Return the largest relative error of the water-equivalent thickness of rays through a thorax."""
    materials = [tissue("water"), tissue("bone_cortical"), tissue("adipose"), tissue("blood_left").with_iodine(16)]
    paths = np.array([(w, b, f, i) for w in (5, 15, 25, 35) for b in (0, 1, 3) for f in (0, 2, 6) for i in (0, 3, 8)])
    spectrum, groups = tube_spectrum(kvp), gather(tube_spectrum(kvp))
    thickness = np.linspace(0, 100, 20001)

    def water_equivalent(attenuation: Image, signal: Image) -> Image:
        of_paths = -np.log(np.exp(-paths @ attenuation) @ signal / signal.sum())
        of_water = -np.log(np.exp(-np.outer(thickness, attenuation[0])) @ signal / signal.sum())
        return np.interp(of_paths, of_water, thickness)

    full = np.stack([t.attenuation(spectrum.energies_kev) for t in materials])
    truth = water_equivalent(full, spectrum.photons * spectrum.energies_kev)
    found = water_equivalent(groups.tissue_attenuation(materials).numpy(), groups.signal_kev)
    return float(np.abs(found / truth - 1).max())


def water_and_noise(report: Report, protocol: Scanner, size: int) -> Iterator[Goal]:
    """Scan a water cylinder of 140 mm at four voltages and four doses."""
    grid = Grid.centered(size, 160.0 / size)
    occupancy = soft_cylinder(grid, 70.0, 80.0)
    scene = CTSimulator(protocol, grid).prepare_occupancy(occupancy[None, None], [1])
    x, y, z = positions(grid)
    inner = (np.hypot(x, y) < 0.8 * 70) & (np.abs(z) < 0.8 * 80)
    water = {1: tissue("water")}
    for kvp in MU_WATER_PER_CM:
        hu = image(scene, water, protocol.with_changes(kvp=kvp))[inner]
        report.values[f"mean of water at {kvp} kVp, HU"] = float(hu.mean())
        yield Goal(f"water at {kvp} kVp, largest |HU| in the inner 80 %", float(np.abs(hu).max()), 5.0, at_least=False)
    clean = image(scene, water, protocol)
    doses = np.array([50.0, 100.0, 200.0, 400.0])
    spread = np.array(
        [(image(scene, water, protocol.with_changes(mas=mas), seed=int(mas)) - clean)[inner].std() for mas in doses]
    )
    for mas, deviation in zip(doses, spread, strict=True):
        report.values[f"noise in 140 mm of water at {mas:g} mAs, HU"] = float(deviation)
    exponent = float(np.polyfit(np.log(doses), 2 * np.log(spread), 1)[0])
    report.values["exponent of the noise variance against the dose"] = exponent
    yield Goal("deviation of that exponent from -1", abs(exponent + 1), 0.03, at_least=False)


def iodine(report: Report, protocol: Scanner, size: int) -> Iterator[Goal]:
    """Scan a rod of blood with and without iodine in a water cylinder of 20 cm."""
    grid = Grid.centered(size, 216.0 / size)
    cylinder, rod = soft_cylinder(grid, 100.0, 200.0), soft_cylinder(grid, 15.0, 200.0, center=(30.0, 0.0))
    scene = CTSimulator(protocol, grid).prepare_occupancy(torch.stack([cylinder - rod, rod])[None], [1, 2])
    x, y, z = positions(grid)
    inside = (np.hypot(x - 30, y) < 9) & (np.abs(z) < 40)
    blood = tissue("blood_left")
    for kvp in MU_WATER_PER_CM:
        scans = [
            image(scene, {1: tissue("water"), 2: blood.with_iodine(mg)}, protocol.with_changes(kvp=kvp))[inside].mean()
            for mg in (0.0, 5.0)
        ]
        report.values[f"iodine at {kvp} kVp, HU per mg/ml"] = float(scans[1] - scans[0]) / 5
        if kvp == 120:
            report.values["blood at 120 kVp, HU in the image"] = float(scans[0])
            error = 100 * abs(float(scans[1] - scans[0]) / 5 / IODINE_HU - 1)
            yield Goal(f"iodine at 120 kVp, deviation from +{IODINE_HU} HU per mg/ml, %", error, 5.0, at_least=False)


def gradients(report: Report) -> Iterator[Goal]:
    """Compare the gradient of an image with central differences along random directions, in float64."""
    grid = Grid.centered(16, 10.0)
    simulator = CTSimulator(scanner("adult").with_changes(views=48), grid, dtype=torch.float64)
    generator = torch.Generator().manual_seed(0)
    occupancy = torch.rand(1, 2, 16, 16, 16, generator=generator, dtype=torch.float64) / 2
    weights = torch.randn(occupancy[:, :1].shape, generator=generator, dtype=torch.float64)
    materials = [tissue("blood_left"), tissue("myocardium")]
    groups = simulator.beam().groups

    def loss(occupied: torch.Tensor, density: torch.Tensor, mg_ml: torch.Tensor) -> torch.Tensor:
        per_energy = attenuation_table(materials, groups.energies_kev, density_g_cm3=density, iodine_mg_ml=mg_ml)
        hu = simulator.prepare_occupancy(occupied, [1, 2]).render_attenuation(groups.attenuation(per_energy))
        return (hu / 1000 * weights).square().sum()

    at = [occupancy, torch.tensor([1.06, 1.05], dtype=torch.float64), torch.tensor([15.0, 3.0], dtype=torch.float64)]
    for number, name in enumerate(("occupancy", "density", "iodine")):
        step = 1e-5 * at[number] * torch.randn(at[number].shape, generator=generator, dtype=torch.float64)
        moved = [[value + sign * step if i == number else value for i, value in enumerate(at)] for sign in (1, -1)]
        with torch.no_grad():
            difference = float(loss(*moved[0]) - loss(*moved[1])) / 2
        wanted = [value.clone().requires_grad_(i == number) for i, value in enumerate(at)]
        (gradient,) = torch.autograd.grad(loss(*wanted), wanted[number])
        error = abs(float((gradient * step).sum()) / difference - 1)
        report.values[f"gradient in {name} against central differences, relative error"] = error
        yield Goal(f"gradient in {name}, relative error", error, 1e-4, at_least=False)


def times(report: Report, size: int, views: int, rounds: int) -> Iterator[Goal]:
    """Time the scan of the mean heart in a thorax and the change of its tissues, in full and as a preview."""
    first_s, change_s = time_scan(report, size, views, rounds)
    yield Goal(f"{size}^3: first image, set-up included, s", first_s, 15.0, at_least=False)
    yield Goal(f"{size}^3: image after a change of tissue, s", change_s, 2.0, at_least=False)
    _, change_s = time_scan(report, size // 2, views // 3, rounds)
    yield Goal(f"{size // 2}^3: image after a change of tissue, s", change_s, 0.4, at_least=False)


def time_scan(report: Report, size: int, views: int, rounds: int) -> tuple[float, float]:
    """Return the seconds of the first image and of one after a change of tissue."""
    known = tissues("arterial")
    body = mean_heart_in_thorax(size)
    simulator = CTSimulator(scanner("adult").with_changes(views=views), body.inner.grid, whole_field=True)
    scenes: list[Scene] = []

    def prepare() -> object:
        scenes[:] = [simulator.prepare(body, apart=region_labels())]
        return render()

    def render() -> object:
        return scenes[0].render(body.tissues(known), seed=0)

    def once() -> object:
        return simulator.simulate(body, known, seed=0)

    names = (
        "project seven regions and every other tissue, and render",
        "render other tissues",
        "scan by 3 basis materials",
    )
    calls = (prepare, render, once)
    contenders = [
        Contender(name, partial(_ready, call), rounds=1 if call is prepare else rounds)
        for name, call in zip(names, calls, strict=True)
    ]
    timing = race(contenders, stage=f"scanning {size}^3")
    report.timings[f"A heart in its thorax, {size}^3, {views} views"] = timing
    lines = scenes[0].line_integrals_mm
    report.values[f"{size}^3: channels kept"] = float(lines.shape[1])
    report.values[f"{size}^3: memory of the line integrals, MiB"] = lines.numel() * lines.element_size() / 2**20
    difference = scenes[0].render(body.tissues(known)) - simulator.simulate(body, known)
    report.values[f"{size}^3: basis materials against tissues, mean |HU|"] = float(difference.abs().mean())
    return timing[names[0]].first_s, timing[names[1]].min_s


def _ready(call: Callable[[], object]) -> Callable[[], object]:
    return call


def mean_heart_in_thorax(size: int) -> Body:
    """Return the built-in model's mean heart in a thorax on a grid of 160 mm."""
    mesh = builtin_model().mesh()
    middle = (mesh.vertices.min(axis=0) + mesh.vertices.max(axis=0)) / 2
    grid = Grid.centered(size, 160.0 / size, middle)
    array = label_map(torch.from_numpy(mesh.vertices), mesh.topology, grid)[0].numpy()
    return surround(Volume(array, grid))


def soft_cylinder(
    grid: Grid, radius_mm: float, half_height_mm: float, center: tuple[float, float] = (0.0, 0.0)
) -> torch.Tensor:
    """Return the share of each voxel within a cylinder along S, by 4 x 4 samples in the plane."""
    offsets = (np.arange(4) - 1.5) / 4 * grid.spacing_mm[0]
    x, y, z = positions(grid)
    x, y = x[:, :, :1], y[:, :, :1]
    inside = [np.hypot(x + a - center[0], y + b - center[1]) < radius_mm for a in offsets for b in offsets]
    share = np.mean(inside, axis=0) * (np.abs(z) < half_height_mm)
    return torch.from_numpy(share.astype(np.float32))


def positions(grid: Grid) -> tuple[Image, Image, Image]:
    """Return R, A and S of every voxel, mm."""
    points = grid.to_world(np.stack(np.meshgrid(*map(np.arange, grid.shape), indexing="ij"), axis=-1))
    return points[..., 0], points[..., 1], points[..., 2]


def image(scene: Scene, materials: dict[int, Tissue], protocol: Scanner, seed: int | None = None) -> Image:
    """Render a scene of one sample: (X, Y, Z) HU."""
    with torch.no_grad():
        return scene.render(materials, protocol, seed)[0, 0].numpy()
