"""Other libraries that register a template's surfaces to a case; only the benchmark uses them."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from FedSimCore.anatomy import labels as region_labels
from FedSimCore.benchmarks.harness import peer
from FedSimCore.shape.correspondence import region_part
from FedSimCore.volumes import Grid

if TYPE_CHECKING:
    from FedSimCore.benchmarks.correspondence import Job

Array = NDArray[np.float64]
_POINTS_PER_REGION = 1500
"""Points of the case that point-set methods get for each region; their cost grows with the square."""


def sitk_bspline(job: Job) -> Array:
    """B-spline free-form deformation (mean squares, LBFGS-B, three levels) of SimpleITK."""
    import SimpleITK as sitk

    fixed, moving = _sitk(job.fixed, job.grid), _sitk(job.moving, job.grid)
    start = sitk.BSplineTransformInitializer(fixed, [6, 6, 6])
    method = sitk.ImageRegistrationMethod()
    method.SetMetricAsMeanSquares()
    method.SetInterpolator(sitk.sitkLinear)
    method.SetOptimizerAsLBFGS2(numberOfIterations=40)
    method.SetShrinkFactorsPerLevel([4, 2, 2])
    method.SetSmoothingSigmasPerLevel([2, 1, 0])
    method.SetInitialTransformAsBSpline(start, inPlace=True, scaleFactors=[1, 2, 4])
    transform = method.Execute(fixed, moving)
    return np.array([transform.TransformPoint(point) for point in job.template.vertices.tolist()])


def ants_syn(job: Job) -> Array:
    """Symmetric normalisation (SyN, mean squares) of ANTs."""
    ants = peer("ants")
    pandas = peer("pandas")  # comes with antspyx

    spacing = tuple(float(s) for s in job.grid.spacing_mm)
    origin = tuple(float(o) for o in job.grid.affine[:3, 3])
    fixed, moving = (ants.from_numpy(a, origin=origin, spacing=spacing) for a in (job.fixed, job.moving))
    found = ants.registration(
        fixed, moving, "SyNOnly", initial_transform="identity", syn_metric="meansquares", syn_sampling=1,
        reg_iterations=(60, 40, 20), verbose=False,
    )  # fmt: skip
    points = pandas.DataFrame(job.template.vertices, columns=["x", "y", "z"])
    # Points go the other way than images: the forward transform takes points of the fixed image to the moving one.
    moved = ants.apply_transforms_to_points(3, points, found["fwdtransforms"])
    return np.asarray(moved[["x", "y", "z"]], dtype=np.float64)


def trimesh_nricp(job: Job) -> Array:
    """Optimal-step non-rigid ICP (Amberg et al. 2007) of trimesh, region by region."""
    import trimesh

    peer("rtree")
    steps = [[0.02, 10, 0.5, 5], [0.02, 3, 0.5, 5], [0.02, 1, 0.5, 5]]

    def deform(vertices: Array, faces: NDArray[np.int64], target: tuple[Array, NDArray[np.int64]]) -> Array:
        source = trimesh.Trimesh(vertices, faces, process=False)
        goal = trimesh.Trimesh(*target, process=False)
        result: Array = trimesh.registration.nricp_amberg(source, goal, steps=steps, use_vertex_normals=True)
        return result

    return _by_region(job, deform)


def pycpd_cpd(job: Job) -> Array:
    """Coherent point drift, the deformable one of pycpd (the family of the paper's reference), region by region."""
    pycpd = peer("pycpd")

    def deform(vertices: Array, _: NDArray[np.int64], target: tuple[Array, NDArray[np.int64]]) -> Array:
        points = target[0]
        chosen = np.random.default_rng(0).choice(len(points), min(len(points), _POINTS_PER_REGION), replace=False)
        middle, size = vertices.mean(0), vertices.std()
        drift = pycpd.DeformableRegistration(
            X=(points[chosen] - middle) / size, Y=(vertices - middle) / size, beta=1.0, alpha=1.0, max_iterations=60
        )
        moved: Array = drift.register()[0] * size + middle
        return moved

    return _by_region(job, deform)


PEERS: Mapping[str, Callable[[Any], Array]] = {
    "SimpleITK B-spline": sitk_bspline,
    "ANTs SyN": ants_syn,
    "trimesh non-rigid ICP (Amberg)": trimesh_nricp,
    "pycpd coherent point drift": pycpd_cpd,
}


def _by_region(job: Job, deform: Callable[..., Array]) -> Array:
    """Deform every region's surface onto the case's surface of that region, in the template's frame."""
    to_frame = job.pose.inverse()
    result = job.template.vertices.copy()
    for label in region_labels():
        mine, faces = region_part(job.template.topology, label)
        points, target_faces = job.case.surface(label)
        result[mine] = deform(result[mine], faces, (to_frame(points), target_faces))
    return result


def _sitk(array: NDArray[np.float32], grid: Grid) -> Any:
    import SimpleITK as sitk

    image = sitk.GetImageFromArray(np.ascontiguousarray(array.T))
    image.SetSpacing([float(s) for s in grid.spacing_mm])
    image.SetOrigin([float(o) for o in grid.affine[:3, 3]])
    return image
