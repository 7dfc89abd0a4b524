"""CT of a learned material map: the first of the paper's two ways (Li et al. 2020, section 2.1).

A generator gives each voxel of a coarse grid, 16^3 in the paper, its share of basis materials; the map is projected and
reconstructed on that same grid, and the gradient flows back to the generator. The second way, a fixed atlas of
attenuation at full resolution ("Fix-Mat"), is :meth:`FedSimCore.ct.simulator.CTSimulator.simulate` of a label map.
"""

from __future__ import annotations

import torch
from torch import Tensor

from FedSimCore.ct.basis import basis_tissues
from FedSimCore.ct.scanners import Scanner, scanner
from FedSimCore.ct.simulator import CTSimulator
from FedSimCore.errors import InputError
from FedSimCore.volumes import Grid

PAPER_SIZE = 16
FIELD_OF_VIEW_MM = 160.0


class MaterialMapRenderer:
    """Scans batches of material maps, differentiably.

    Args:
        protocol: the scanner; by default an adult's with as many views as so coarse a grid can use.
        size: voxels along each side.
        field_of_view_mm: length of a side.
        device: where tensors live.
        dtype: float32 or float64.
    """

    def __init__(
        self,
        protocol: Scanner | None = None,
        size: int = PAPER_SIZE,
        field_of_view_mm: float = FIELD_OF_VIEW_MM,
        device: torch.device | str = "cpu",
        dtype: torch.dtype = torch.float32,
    ) -> None:
        if protocol is None:
            # A view for each voxel on the circumference.
            protocol = scanner("adult").with_changes(views=max(8, round(3.15 * size)))
        grid = Grid.centered(size, field_of_view_mm / size)
        self.simulator = CTSimulator(protocol, grid, device=device, dtype=dtype)
        self._attenuation = self.simulator.beam().groups.tissue_attenuation(basis_tissues())

    def __call__(self, material: Tensor, seed: int | None = None) -> Tensor:
        """Render material maps.

        Args:
            material: (B, M, X, Y, Z) of one to three basis materials: density of water in units of water's own (1 is
                water, 0 air), of cortical bone in units of its own, and iodine in mg/ml.
            seed: of the noise; None for noiseless images.

        Returns:
            (B, 1, X, Y, Z) HU.

        Raises:
            InputError: the maps have another shape.
        """
        shape = self.simulator.grid.shape
        if material.ndim != 5 or not 1 <= material.shape[1] <= 3 or tuple(material.shape[2:]) != shape:
            raise InputError(
                f"The material maps are {tuple(material.shape)}, but (batch, 1 to 3, {shape[0]}, {shape[1]}, "
                f"{shape[2]}) is needed."
            )
        channels = material.shape[1]
        scene = self.simulator.prepare_occupancy(material, range(channels))
        return scene.render_attenuation(self._attenuation[:channels], seed=seed)
