"""The paper's Fix-Mat: hearts scanned at full resolution with tissues from tables instead of a learnt material map.

"Instead of predicting material map, using a fixed atlas of attenuation coefficients; in this setting, the material map
and the rendering is already high-resolution" (Li et al. 2020, section 3). The scan is the enhancer's condition, so it
has no noise; what lies round the heart is not told by the paper. A cylinder of fat by default: without it the heart
would lie in vacuum, and a thorax of somebody else would tell the enhancer what is not so.
"""

from __future__ import annotations

from typing import Literal

import torch
from pydantic import BaseModel, ConfigDict

from FedSimCore.ct.materials import tissues
from FedSimCore.ct.scanners import Scanner
from FedSimCore.ct.simulator import CTSimulator
from FedSimCore.ct.surroundings import surround
from FedSimCore.progress import Progress, silent
from FedSimCore.volumes import Volume


class FixedMaterials(BaseModel):
    """How hearts with fixed materials are scanned.

    Attributes:
        scanner: with its protocol, in full.
        surroundings: what lies round the heart.
        person_seed: of the person, for a thorax.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")
    scanner: Scanner
    surroundings: Literal["thorax", "fat", "none"] = "fat"
    person_seed: int = 0

    @torch.no_grad()
    def scan(self, label: Volume, device: torch.device | str = "cpu", progress: Progress = silent) -> Volume:
        """Scan a heart, without noise.

        Args:
            label: label map on the working grid.
            device: where to compute.
            progress: told of every stage.

        Returns:
            HU, float32, on the same grid.

        Raises:
            InputError: the label map holds no heart, or the grid does not fit the scanner.
        """
        body = surround(label, self.surroundings, self.person_seed)
        simulator = CTSimulator(self.scanner, label.grid, whole_field=body.outer is not None, device=device)
        hounsfield = simulator.simulate(body, tissues(self.scanner.phase), progress=progress)
        return Volume(hounsfield[0, 0].float().cpu().numpy(), label.grid)
