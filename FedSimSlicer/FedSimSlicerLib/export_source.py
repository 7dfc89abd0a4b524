"""Where an export takes what it exports from: the module's session and the scene."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from datetime import datetime, timezone
from typing import TYPE_CHECKING, Any, Protocol

from FedSimCore import __version__
from FedSimCore.ct.recipe import Recipe
from FedSimCore.shape.mesh import HeartMesh
from FedSimCore.shape.parameters import HeartParameters
from FedSimCore.volumes import Volume
from FedSimCore.worker.protocol import GridSpec
from FedSimSlicerLib.export_files import ExportScan
from FedSimSlicerLib.scan_setup import read_scanner, scan_settings
from FedSimSlicerLib.scene_volumes import array_of, grid_of
from FedSimSlicerLib.simulation_output import PROVENANCE, SCANNER, simulations

if TYPE_CHECKING:
    from FedSimSlicerLib.session import Session


class ExportSource(Protocol):
    """What the exporter needs to know; asked in the GUI's thread."""

    @property
    def heart(self) -> HeartParameters:
        """The heart that is exported."""

    @property
    def model_sha256(self) -> str:
        """Checksum of its shape model."""

    def mesh(self) -> HeartMesh:
        """Return its surfaces, RAS mm."""

    def grid(self) -> GridSpec:
        """Return the grid of the labels that follow it."""

    def reference(self) -> Any:
        """Return the volume node of the patient's scan; None if there is none."""

    def simulated(self) -> Sequence[Any]:
        """Return the volume nodes of the last simulation."""

    def settings(self) -> Mapping[str, Any]:
        """Return tissues, scanner and seeds as JSON values."""


class SessionSource:
    """Exports what the module's session has.

    Args:
        session: what is behind the panels.
    """

    def __init__(self, session: Session) -> None:
        self._session = session

    @property
    def heart(self) -> HeartParameters:
        """The heart that is edited."""
        return self._session.editor.heart

    @property
    def model_sha256(self) -> str:
        """Checksum of the session's shape model."""
        return self._session.surface.checksum

    def mesh(self) -> HeartMesh:
        """Return the heart's surfaces, RAS mm."""
        surface = self._session.surface
        return HeartMesh(surface.vertices(self.heart), surface.topology)

    def grid(self) -> GridSpec:
        """Return the grid of the live labels."""
        return self._session.live.grid(128)

    def reference(self) -> Any:
        """Return the real scan, or else the volume that the patient's segmentation was drawn on."""
        state = self._session.state
        if state is None:
            return None
        if state.real_scan is not None:
            return state.real_scan
        patient = state.patient
        if patient is not None and patient.IsA("vtkMRMLSegmentationNode"):
            return patient.GetNodeReference(patient.GetReferenceImageGeometryReferenceRole())
        return patient

    def simulated(self) -> Sequence[Any]:
        """Return the volume nodes of the scene's last simulation."""
        known = simulations()
        return known[max(known)] if known else ()

    def settings(self) -> Mapping[str, Any]:
        """Return tissues, scanner and seeds as JSON values."""
        state = self._session.state
        if state is None:
            return {}
        settings = scan_settings(state)
        materials = {str(label): each.model_dump(mode="json") for label, each in settings.pop("materials").items()}
        scanner = read_scanner(state).model_dump(mode="json")
        return {"scanner": scanner, "materials": materials, "surroundings": state.surroundings, **settings}


def provenance_of(source: ExportSource) -> dict[str, Any]:
    """Return where an export comes from: FedSim's version, the date, the patient's scan and the settings."""
    reference = source.reference()
    return {
        "fedsim": __version__,
        "date": datetime.now(timezone.utc).isoformat(timespec="seconds"),
        "reference": None if reference is None else reference.GetName(),
        "settings": dict(source.settings()),
    }


def scan_name(node: Any) -> str:
    """Return what a simulated volume node's files are called after: its scanner."""
    return str(node.GetAttribute(SCANNER) or node.GetName())


def scan_of(node: Any, provenance: Mapping[str, Any]) -> ExportScan:
    """Return a simulated volume node as it is written; its voxels are the node's memory, not a copy.

    Raises:
        InputError: it is not a scalar volume any more, or hangs under a bending transform.
    """
    text = node.GetNodeReference(PROVENANCE)
    told = {key: str(value) for key, value in provenance.items() if key in ("date", "reference") and value is not None}
    recipe = None if text is None else recipe_in(text.GetText(), told)
    return ExportScan(scan_name(node), Volume(array_of(node), grid_of(node)), recipe)


def recipe_in(text: str, provenance: Mapping[str, str]) -> Recipe | None:
    """Return the recipe in the text beside a simulated volume; None if the text is something else by now."""
    try:
        fields = {key: value for key, value in json.loads(text).items() if key != "schema"}
        return Recipe.model_validate(fields).model_copy(update={"provenance": dict(provenance)})
    except (ValueError, AttributeError):  # no JSON, or other JSON
        return None
