"""Projector and reconstruction beside their peers: ``fedsim bench ct``.

Peers: RTK (Joseph's method, its transpose, FDK), the usual open reconstruction toolkit of CPUs, and nanodrr, a
differentiable renderer in PyTorch. The object is a ball whose line integrals are known exactly.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from FedSimCore.benchmarks.ct_truth import Ellipsoid
from FedSimCore.benchmarks.harness import Contender, Goal, Report, Timing, cuda_peak_mib, race
from FedSimCore.benchmarks.nanodrr_peer import nanodrr_projection
from FedSimCore.benchmarks.rtk_peer import RtkScan
from FedSimCore.ct.fdk import FDK
from FedSimCore.ct.geometry import ConeBeamGeometry
from FedSimCore.ct.projector import ConeBeamProjector
from FedSimCore.ct.ray_projector import RayProjector
from FedSimCore.ct.table_cache import projection_tables
from FedSimCore.progress import Progress, silent
from FedSimCore.volumes import Grid

PACKAGES = ("torch", "numpy", "scipy", "itk-rtk", "nanodrr")
OURS = "FedSim plane-stack"
RTK_SUBSETS = (2, 8, 16, 32)
BALL = Ellipsoid((80.0, 80.0, 80.0))


SCAN = ConeBeamGeometry(
    source_isocenter_mm=750, source_detector_mm=1200, columns=256, rows=192, pixel_mm=(2.0, 2.0), views=180
)


@dataclass(frozen=True)
class Setting:
    """What is measured.

    Attributes:
        geometry: the scan.
        voxels: edge of the volume.
        spacing_mm: of the volume.
        nanodrr_views: how many views nanodrr projects; all would take minutes.
    """

    geometry: ConeBeamGeometry = SCAN
    voxels: int = 128
    spacing_mm: float = 2.0
    nanodrr_views: int = 4

    @property
    def grid(self) -> Grid:
        """The volume's grid."""
        return Grid.centered(self.voxels, self.spacing_mm)


class _Case:
    """The setting's object, its truth and the peers' inputs."""

    def __init__(self, setting: Setting, device: str) -> None:
        self.setting, self.device = setting, device
        self.geometry, self.grid = setting.geometry, setting.grid
        self.voxels = BALL.voxels(self.grid)
        self.truth = BALL.line_integrals(self.geometry, self.grid.center_mm)
        self.volume = torch.from_numpy(self.voxels)[None, None].to(device)
        self.sinogram = torch.from_numpy(self.truth)[None, None].to(device)
        self.rtk = RtkScan(self.geometry, self.grid)

    def ours(self, name: str, prepare: Callable[[], Callable[[], object]], rounds: int) -> Contender:
        """Make a contender that starts without tables."""

        def fresh() -> Callable[[], object]:
            projection_tables().clear()
            return prepare()

        if self.device == "cpu":
            return Contender(name, fresh, rounds)
        return Contender(name, fresh, rounds, torch.cuda.synchronize, cuda_peak_mib)


def bench_ct(setting: Setting, device: str, rounds: int, progress: Progress = silent) -> Report:
    """Measure projection, adjoint and reconstruction, and how right they are.

    Args:
        setting: the scan and the volume.
        device: where ours runs; the peers run on the CPU.
        rounds: calls of each contender; slow peers get fewer.
        progress: told of steps.

    Raises:
        MissingDependencyError: a peer is not installed.
    """
    case = _Case(setting, device)
    report = Report(
        title="Cone-beam projector and FDK",
        setting={
            "scan": setting.geometry.model_dump_json(exclude_defaults=True),
            "volume": f"{setting.voxels}^3 at {setting.spacing_mm} mm",
            "object": "ball of 80 mm radius, 0.02/mm, line integrals exact",
            "device": device,
            "nanodrr": f"{setting.nanodrr_views} of {setting.geometry.views} views timed, scaled up for the goal",
            "memory": "peak resident memory of set-up and first call above what the process held before",
        },
    )
    _race_forward(case, report, rounds, progress)
    _race_adjoint(case, report, rounds, progress)
    _race_fdk(case, report, rounds, progress)
    _check_accuracy(case, report)
    if device != "cpu":
        _share_of_bandwidth(case, report)
    return report


def _race_forward(case: _Case, report: Report, rounds: int, progress: Progress) -> None:
    def stacked() -> Callable[[], object]:
        projector = ConeBeamProjector(case.geometry, case.grid, case.device)
        return lambda: projector(case.volume)

    def joseph() -> Callable[[], object]:
        volume = case.rtk.volume(case.voxels)
        return lambda: case.rtk.project(volume)

    def drr() -> Callable[[], object]:
        views = np.linspace(0, case.geometry.views, case.setting.nanodrr_views, endpoint=False).astype(int)
        return nanodrr_projection(case.geometry, case.grid, case.voxels, list(views), samples=182)

    contenders = [
        case.ours(OURS, stacked, rounds),
        Contender("RTK Joseph", joseph, rounds),
        Contender(f"nanodrr, {case.setting.nanodrr_views} views only", drr, min(3, rounds)),
    ]
    if case.device != "cpu":
        contenders.append(case.ours("FedSim along rays", lambda: _along_rays(case), rounds))
    timings = race(contenders, progress, "forward projection")
    report.timings["Forward projection"] = timings
    seconds = timings[contenders[2].name].min_s * case.geometry.views / case.setting.nanodrr_views
    report.goals.append(_faster("forward projection", "RTK Joseph", timings, 4.5))
    report.goals.append(Goal("forward projection, times faster than nanodrr", seconds / timings[OURS].min_s, 50.0))
    report.values["nanodrr, all views, s (scaled)"] = seconds


def _race_adjoint(case: _Case, report: Report, rounds: int, progress: Progress) -> None:
    def stacked() -> Callable[[], object]:
        projector = ConeBeamProjector(case.geometry, case.grid, case.device)
        return lambda: projector.adjoint(case.sinogram)

    def joseph() -> Callable[[], object]:
        projections = case.rtk.projections(case.truth)
        return lambda: case.rtk.backproject(projections)

    contenders = [case.ours(OURS, stacked, rounds), Contender("RTK Joseph back projection", joseph, rounds)]
    timings = race(contenders, progress, "adjoint")
    report.timings["Adjoint"] = timings
    report.goals.append(_faster("adjoint", "RTK Joseph back projection", timings, 4.0))


def _race_fdk(case: _Case, report: Report, rounds: int, progress: Progress) -> None:
    def stacked() -> Callable[[], object]:
        fdk = FDK(case.geometry, case.grid, device=case.device)
        return lambda: fdk(case.sinogram)

    def rtk(subset: int) -> Callable[[], Callable[[], object]]:
        def prepare() -> Callable[[], object]:
            projections = case.rtk.projections(case.truth)
            return lambda: case.rtk.reconstruct(projections, subset)

        return prepare

    peers = [Contender(f"RTK FDK, subsets of {subset}", rtk(subset), rounds) for subset in RTK_SUBSETS]
    timings = race([case.ours(OURS, stacked, rounds), *peers], progress, "FDK")
    report.timings["FDK"] = timings
    best = min((peer.name for peer in peers), key=lambda name: timings[name].min_s)
    report.goals.append(_faster("FDK", best, timings, 4.5))


def _check_accuracy(case: _Case, report: Report) -> None:
    projector = ConeBeamProjector(case.geometry, case.grid, case.device)
    found = projector(case.volume)
    ours = found[0, 0].cpu().numpy()
    peer = case.rtk.as_sinogram(case.rtk.project(case.rtk.volume(case.voxels)))
    inside = case.truth > 0.3 * case.truth.max()
    errors = {
        "all rays": (_error(ours, case.truth), _error(peer, case.truth)),
        "interior": (_error(ours[inside], case.truth[inside]), _error(peer[inside], case.truth[inside])),
    }
    for where, (our_error, peer_error) in errors.items():
        report.values[f"error of line integrals, {where}, %"] = 100 * our_error
        report.values[f"the same, RTK Joseph, {where}, %"] = 100 * peer_error
        report.goals.append(Goal(f"error over RTK Joseph's, {where}", our_error / peer_error, 1.05, at_least=False))
    report.goals.append(Goal("error of line integrals, interior, %", 100 * errors["interior"][0], 0.2, at_least=False))
    report.goals.append(Goal("adjoint mismatch, float32", _mismatch(projector, found), 1e-6, at_least=False))
    volume = FDK(case.geometry, case.grid, device=case.device)(case.sinogram)[0, 0].cpu().numpy() / BALL.mu_per_mm
    radius = BALL.radius(case.grid)
    for part, limit in (("centre", 0.15), ("core", 0.85)):
        deviation = 100 * abs(float(volume[radius < limit].mean()) - 1)
        report.goals.append(Goal(f"deviation of FDK's {part}, %", deviation, 0.3, at_least=False))


def _mismatch(projector: ConeBeamProjector, like: Tensor) -> float:
    generator = torch.Generator().manual_seed(0)
    x = torch.rand((1, 1, *projector.domain_shape), generator=generator).to(like.device)
    y = torch.rand(like.shape, generator=generator).to(like.device)
    there = (projector(x).double() * y).sum()
    back = (x.double() * projector.adjoint(y)).sum()
    return float(abs(there - back) / abs(there))


def _share_of_bandwidth(case: _Case, report: Report) -> None:
    block = torch.empty(1 << 28, device=case.device)
    copy = race([Contender("copy", lambda: lambda: block.clone(), 9, torch.cuda.synchronize, cuda_peak_mib)])["copy"]
    bandwidth = 2 * block.numel() * block.element_size() / copy.min_s
    gathered = ConeBeamProjector(case.geometry, case.grid, case.device).gathered_bytes()
    seconds = report.timings["Forward projection"][OURS].min_s
    report.values["forward projection, ms"] = 1e3 * seconds
    report.values["gathered bytes per second over the bandwidth of a copy, %"] = 100 * gathered / seconds / bandwidth


def _along_rays(case: _Case) -> Callable[[], object]:
    projector = RayProjector.circular(case.geometry, case.grid, case.device)
    return lambda: projector(case.volume)


def _faster(what: str, peer: str, timings: dict[str, Timing], bound: float) -> Goal:
    return Goal(f"{what}, times faster than {peer}", timings[peer].min_s / timings[OURS].min_s, bound)


def _error(found: NDArray[np.float32], truth: NDArray[np.float32]) -> float:
    return float(np.linalg.norm((found - truth).astype(np.float64)) / np.linalg.norm(truth.astype(np.float64)))
