"""Phantom patients in Slicer's Sample Data module: made on this computer at their first use, never downloaded.

A click on a sample calls its ``customDownloader`` and waits for it. The patient is made by a process of its own and
read by a thread; meanwhile a local event loop keeps the application awake behind a progress dialog with Cancel. The
second use takes the files from Slicer's cache. ``SampleData.downloadSample`` does not call custom downloaders (Slicer
5.12); scripts call :func:`load_sample`.

Imported at Slicer's start: nothing of FedSimCore is, before a patient is wanted.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import slicer
from slicer.i18n import tr as _

if TYPE_CHECKING:
    from FedSimSlicerLib.sample_making import MadePhantom

CATEGORY = "FedSim"
ICONS = Path(__file__).parents[1] / "Resources" / "Icons"
FOLDER = "FedSim phantoms"


@dataclass(frozen=True)
class Sample:
    """A phantom patient that is offered.

    Attributes:
        name: in the Sample Data module and of the nodes.
        site, seed, variant: what :func:`FedSimCore.cohorts.phantom.make_phantom` makes it from.
        segmented: whether its segmentation is loaded too.
        thumbnail: file in Resources/Icons.
    """

    name: str
    site: str
    seed: int
    variant: str
    segmented: bool
    thumbnail: str

    @property
    def key(self) -> str:
        """Name of its folder in the cache."""
        return f"{self.site}-{self.seed}-{self.variant}"


SAMPLES = (
    Sample("FedSimAdult", "adult", 1, "normal", False, "SampleAdult.png"),
    Sample("FedSimAdultSegmented", "adult", 1, "normal", True, "SampleAdultSegmented.png"),
    Sample("FedSimSeptalDefect", "congenital-mild", 3, "asd", False, "SampleSeptalDefect.png"),
    Sample("FedSimTransposition", "congenital-severe", 11, "tga", False, "SampleTransposition.png"),
)


def register_samples() -> None:
    """Offer the phantom patients in the Sample Data module; again after a reload of ours."""
    import SampleData

    logic = SampleData.SampleDataLogic
    logic.registerCustomSampleDataCategory(CATEGORY, title=_("FedSim: phantom patients"))
    sources = getattr(slicer.modules, "sampleDataSources", {})
    if CATEGORY in sources:  # of the code before the reload
        sources[CATEGORY] = [s for s in sources[CATEGORY] if s.sampleName not in {sample.name for sample in SAMPLES}]
    for sample in SAMPLES:
        logic.registerCustomSampleDataSource(
            category=CATEGORY,
            sampleName=sample.name,
            uris=[],
            fileNames=[],
            nodeNames=[],
            thumbnailFileName=str(ICONS / sample.thumbnail),
            customDownloader=lambda _source, chosen=sample: load_sample(chosen),
        )


def load_sample(sample: Sample) -> list[Any]:
    """Make a patient, if it is not in the cache, and load it.

    Events are processed meanwhile, and the user may cancel. What goes wrong is told in a message box.

    Returns:
        The volume node and, where the sample has one, the segmentation node; nothing if it failed or was cancelled.
    """
    from FedSimSlicerLib.dependencies import TORCH, missing

    lacking = [package for package in missing() if package.name != TORCH]  # phantoms are made without torch
    if lacking:
        names = ", ".join(map(str, lacking))
        told = _("The phantom patient cannot be made yet: {names} is missing. Open the module FedSim and install it.")
        slicer.util.errorDisplay(told.format(names=names))
        return []
    from FedSimSlicerLib.sample_dialog import make_with_dialog

    made = make_with_dialog(sample, cache_folder())
    return [] if made is None else _show(sample, made)


def cache_folder() -> Path:
    """Return where made patients are kept: a folder in Slicer's cache, which the Sample Data module uses too."""
    return Path(slicer.mrmlScene.GetCacheManager().GetRemoteCacheDirectory()) / "FedSim"


def _show(sample: Sample, made: MadePhantom) -> list[Any]:
    """Put a patient into the scene and show it in the slice views."""
    from FedSimSlicerLib.scene_segmentations import put_layer
    from FedSimSlicerLib.scene_volumes import put_image
    from FedSimSlicerLib.subject_hierarchy import put_into_folder

    name = slicer.mrmlScene.GenerateUniqueName(sample.name)
    nodes = [put_image(made.image, made.grid, name, window=(900.0, 200.0))]
    if made.layer is not None:
        nodes.append(put_layer(made.layer, f"{name} segmentation", reference=nodes[0]))
    for node in nodes:
        put_into_folder(node, FOLDER)
    slicer.util.setSliceViewerLayers(background=nodes[0], fit=True)
    return nodes
