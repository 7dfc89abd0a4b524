"""The statistical shape model: 14 + 7 numbers to a heart's surfaces, with a gradient.

Li et al. 2020, section 2.1: a heart is the mean plus weighted principal modes, moved by a rotation, a
translation and a scale. Each weight b_k stays within plus and minus 1.5 sqrt(eigenvalue_k).
"""

from __future__ import annotations

from functools import lru_cache
from pathlib import Path
from typing import Literal

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from FedSimCore.anatomy import labels as region_labels
from FedSimCore.errors import InputError
from FedSimCore.resources import resource_path
from FedSimCore.shape.mesh import HeartMesh, Topology
from FedSimCore.shape.model_file import Arrays, ModelHeader, read_model, write_model
from FedSimCore.shape.parameters import HeartParameters
from FedSimCore.shape.pose import POSE_SIZE, apply_pose
from FedSimCore.shape.procrustes import align

BUILTIN = "shape/heart.safetensors"
PAPER_MODES = 14


class ShapeModel(nn.Module):
    """Mean, modes and pose of the heart's surfaces.

    A parameter vector is ``[weights (K, in sigma), rotation vector (3, rad), translation (3, mm), scale]``,
    as :class:`HeartParameters` orders it. Everything is a buffer, nothing a trainable parameter: a model moves
    between devices with ``.to()``.

    Attributes:
        mean: (V, 3) float32, mm, about the model's origin, RAS axes.
        modes: (K, V, 3) float32, orthonormal over all 3V coordinates.
        sigma: (K,) float32, mm: square roots of the eigenvalues.
        topology: faces and regions.
        header: limits, pose statistics, provenance, quality.
        checksum: SHA-256 of the content, empty for a model that no file holds yet.
    """

    mean: Tensor
    modes: Tensor
    sigma: Tensor
    limits: Tensor
    middle: Tensor

    def __init__(self, arrays: Arrays, header: ModelHeader, checksum: str = "", source: str = "the model") -> None:
        """Make a model of checked arrays; use :meth:`load` for files.

        Raises:
            InputError: a region's surface is missing.
        """
        super().__init__()
        self.topology = Topology(arrays["faces"].astype(np.int64), arrays["face_region"].astype(np.uint8))
        if self.topology.labels != region_labels():
            raise InputError(f"{source} has surfaces for the labels {self.topology.labels}, not {region_labels()}.")
        if self.topology.open_edges:
            raise InputError(f"{source} has surfaces that are not closed; build it again.")
        self.header = header
        self.checksum = checksum
        self.eigenvalues: NDArray[np.float64] = np.asarray(arrays["eigenvalues"], dtype=np.float64)
        self.register_buffer("mean", torch.tensor(arrays["mean"], dtype=torch.float32))
        self.register_buffer("modes", torch.tensor(arrays["modes"], dtype=torch.float32))
        self.register_buffer("sigma", torch.tensor(np.sqrt(self.eigenvalues), dtype=torch.float32))
        weights = np.full(len(self.eigenvalues), header.limit_sigma)
        limits = np.concatenate([weights, header.pose_limit_sigma * header.pose.sd()])
        middle = np.concatenate([0 * weights, header.pose.mean()])
        self.register_buffer("limits", torch.tensor(limits, dtype=torch.float32))
        self.register_buffer("middle", torch.tensor(middle, dtype=torch.float32))

    @classmethod
    def load(cls, path: Path | str) -> ShapeModel:
        """Read a model file.

        Raises:
            InputError: the file is missing, damaged, of another version, or makes no model.
        """
        arrays, header, checksum = read_model(Path(path))
        try:
            return cls(arrays, header, checksum, str(path))
        except InputError:
            raise
        except (ValueError, OverflowError, RuntimeError) as error:
            raise InputError(f"{path} makes no model ({error}); build it again.") from error

    def save(self, path: Path | str) -> str:
        """Write the model to one file and return its checksum.

        Raises:
            DiskError: the file cannot be written.
        """
        arrays: Arrays = {
            "mean": self.mean.cpu().numpy(),
            "modes": self.modes.cpu().numpy(),
            "eigenvalues": self.eigenvalues,
            "faces": self.topology.faces.astype(np.int32),
            "face_region": self.topology.face_region,
        }
        self.checksum = write_model(Path(path), arrays, self.header)
        return self.checksum

    def with_modes(self, count: int) -> ShapeModel:
        """Return the model of the first ``count`` modes; it keeps the header and the file's checksum.

        Raises:
            InputError: the model has fewer modes.
        """
        if not 1 <= count <= self.mode_count:
            raise InputError(f"The model has {self.mode_count} modes; ask for 1 to {self.mode_count}, not {count}.")
        arrays: Arrays = {
            "mean": self.mean.cpu().numpy(),
            "modes": self.modes[:count].cpu().numpy(),
            "eigenvalues": self.eigenvalues[:count],
            "faces": self.topology.faces,
            "face_region": self.topology.face_region,
        }
        return ShapeModel(arrays, self.header, self.checksum).to(self.mean.device)

    @property
    def mode_count(self) -> int:
        """Number K of modes."""
        return len(self.modes)

    @property
    def parameter_count(self) -> int:
        """Length of a parameter vector, K + 7."""
        return self.mode_count + POSE_SIZE

    def shape(self, weights: Tensor) -> Tensor:
        """Return unposed vertices (B, V, 3), mm, of mode weights (B, K) in sigma."""
        mean, modes, sigma = (t.to(weights) for t in (self.mean, self.modes, self.sigma))
        flat = torch.addmm(mean.reshape(1, -1), weights * sigma, modes.flatten(1))
        return flat.unflatten(1, (-1, 3))

    def vertices(self, parameters: Tensor) -> Tensor:
        """Return vertices of hearts, differentiable in the parameters.

        Args:
            parameters: (B, K + 7) on any device, in any floating dtype; taken as they are, see :meth:`clamp`.

        Returns:
            (B, V, 3) RAS mm, on the device and in the dtype of ``parameters``.

        Raises:
            InputError: the parameters are not (B, K + 7).
        """
        if parameters.ndim != 2 or parameters.shape[1] != self.parameter_count:
            raise InputError(
                f"The model takes parameters (batch, {self.parameter_count}), not {tuple(parameters.shape)}."
            )
        return apply_pose(self.shape(parameters[:, : self.mode_count]), parameters[:, self.mode_count :])

    forward = vertices

    def mesh(self, parameters: HeartParameters | None = None) -> HeartMesh:
        """Return one heart; the mean one by default.

        Raises:
            InputError: the number of weights is not the model's.
        """
        if parameters is None:
            return HeartMesh(self.mean.cpu().numpy(), self.topology)
        vector = torch.tensor(parameters.vector(), dtype=torch.float32, device=self.mean.device)
        with torch.no_grad():
            return HeartMesh(self.vertices(vector[None])[0].cpu().numpy(), self.topology)

    def from_unit(self, unit: Tensor) -> Tensor:
        """Map a generator's output (B, K + 7) in [-1, 1] to parameters within the model's limits.

        Weights go to plus and minus ``limit_sigma``; poses to the cohort's mean plus and minus
        ``pose_limit_sigma`` standard deviations, the scale on a logarithmic axis.
        """
        values = self.middle.to(unit) + unit * self.limits.to(unit)
        return torch.cat([values[:, :-1], values[:, -1:].exp()], 1)

    def to_unit(self, parameters: Tensor) -> Tensor:
        """Return the inverse of :meth:`from_unit`; parameters at the limits give -1 or 1."""
        values = torch.cat([parameters[:, :-1], parameters[:, -1:].log()], 1)
        limits = self.limits.to(parameters)
        return (values - self.middle.to(parameters)) / limits.clamp_min(torch.finfo(limits.dtype).tiny)

    def clamp(self, parameters: Tensor) -> Tensor:
        """Return parameters (B, K + 7) with the mode weights within the limit; the pose is left as it is."""
        limit, count = self.header.limit_sigma, self.mode_count
        return torch.cat([parameters[:, :count].clamp(-limit, limit), parameters[:, count:]], 1)

    def sample(
        self,
        count: int,
        generator: torch.Generator,
        distribution: Literal["normal", "uniform"] = "normal",
        pose: bool = False,
    ) -> Tensor:
        """Draw parameters (count, K + 7) on the CPU.

        Args:
            count: number of hearts.
            generator: of random numbers; the same state gives the same hearts.
            distribution: of the weights within the limit: standard normal truncated there, or uniform.
            pose: draw poses too (normal, truncated); otherwise all have the cohort's mean pose.
        """
        unit = torch.zeros(count, self.parameter_count)
        drawn = self.parameter_count if pose else self.mode_count
        if distribution == "uniform":
            unit[:, : self.mode_count].uniform_(-1, 1, generator=generator)
        else:
            bound = [self.header.limit_sigma] * self.mode_count
            for column, limit in enumerate(bound):
                nn.init.trunc_normal_(unit[:, column], 0, 1, -limit, limit, generator=generator).div_(limit)
        if pose:
            limit = self.header.pose_limit_sigma
            nn.init.trunc_normal_(unit[:, self.mode_count : drawn], 0, 1, -limit, limit, generator=generator).div_(
                limit
            )
        return self.from_unit(unit)

    def project(self, vertices: NDArray[np.float64], limited: bool = True) -> HeartParameters:
        """Return the parameters whose heart is nearest to a mesh in correspondence.

        Pose and weights are improved in turn until they agree: the weights are the least-squares ones for the
        pose, the pose the Procrustes one for the weights.

        Args:
            vertices: (V, 3) RAS mm, in the order of the model's topology.
            limited: clip the weights to the model's limit.

        Raises:
            InputError: the mesh has another number of vertices, or NaN.
        """
        mean = self.mean.cpu().numpy().astype(np.float64)
        if vertices.shape != mean.shape or not np.isfinite(vertices).all():
            raise InputError(
                f"The mesh has vertices {vertices.shape} but the model needs {mean.shape} finite ones in its own order."
            )
        modes = self.modes.cpu().numpy().astype(np.float64).reshape(self.mode_count, -1)
        sigma = np.maximum(np.sqrt(self.eigenvalues), 1e-12)
        limit = self.header.limit_sigma if limited else np.inf
        weights = np.zeros(self.mode_count)
        for _ in range(50):
            shape = mean + ((weights * sigma) @ modes).reshape(mean.shape)
            pose = align(shape, vertices)
            new = np.clip(modes @ (pose.inverse()(vertices) - mean).ravel() / sigma, -limit, limit)
            change = float(np.abs(new - weights).max())
            weights = new
            if change < 1e-6:
                break
        return HeartParameters(weights=tuple(weights.tolist()), pose=pose.pose())


@lru_cache(maxsize=4)
def builtin_model(modes: int | None = PAPER_MODES) -> ShapeModel:
    """Return the model that ships with FedSim (Resources/shape/README.md tells how it was made).

    Args:
        modes: the paper's 14 by default; its file has more, for fits that need them; None for all.

    Raises:
        InputError: the file has fewer modes.
    """
    model = ShapeModel.load(resource_path(BUILTIN))
    return model if modes is None else model.with_modes(modes)
