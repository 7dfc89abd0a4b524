import numpy as np
import pytest
import torch

from FedSimCore.benchmarks.ct import BALL, OURS, Setting, bench_ct
from FedSimCore.benchmarks.ct_truth import Ellipsoid
from FedSimCore.ct.geometry import ConeBeamGeometry
from FedSimCore.ct.projector import ConeBeamProjector
from FedSimCore.volumes import Grid

SCAN = ConeBeamGeometry(
    source_isocenter_mm=750, source_detector_mm=1200, columns=48, rows=40, pixel_mm=(8.0, 8.0), views=12
)


def test_the_truth_of_a_ball_is_its_chord_and_its_volume():
    grid = Grid.centered(64, 4.0)
    chords = BALL.line_integrals(SCAN.model_copy(update={"columns": 1, "rows": 1}), np.zeros(3))
    np.testing.assert_allclose(chords, 2 * 80 * 0.02, rtol=1e-5)
    volume = BALL.voxels(grid).sum() * grid.voxel_volume_mm3 / 0.02
    assert volume == pytest.approx(4 / 3 * np.pi * 80**3, rel=1e-3)


def test_nanodrr_is_set_up_to_project_the_same_scan():
    pytest.importorskip("nanodrr")
    from FedSimCore.benchmarks.nanodrr_peer import nanodrr_projection

    grid = Grid.centered(48, 4.0)
    voxels = Ellipsoid((60.0, 40.0, 50.0), (15.0, -10.0, 20.0)).voxels(grid)
    peer = nanodrr_projection(SCAN, grid, voxels, [0, 5], samples=200)()[:, 0].permute(0, 2, 1)
    ours = ConeBeamProjector(SCAN, grid)(torch.from_numpy(voxels)[None, None])[0, 0, [0, 5]]
    assert torch.linalg.norm(peer - ours) / torch.linalg.norm(ours) < 0.02


def test_the_benchmark_reports_every_race_and_goal():
    pytest.importorskip("nanodrr")
    report = bench_ct(Setting(SCAN, voxels=48, spacing_mm=4.0, nanodrr_views=1), "cpu", rounds=1)
    assert list(report.timings) == ["Forward projection", "Adjoint", "FDK"]
    assert all(timings[OURS].first_s > 0 for timings in report.timings.values())
    assert len(report.goals) == 10
    mismatch = next(goal for goal in report.goals if goal.name.startswith("adjoint mismatch"))
    assert mismatch.met
