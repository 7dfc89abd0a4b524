"""What the tasks share: the model, the device, and a bounded memory of hearts, bodies and scenes."""

from __future__ import annotations

import threading
from collections.abc import Mapping
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

import torch
from numpy.typing import NDArray

from FedSimCore.ct.body import Body
from FedSimCore.ct.simulator import Scene
from FedSimCore.ct.surroundings import surround
from FedSimCore.ct.table_cache import projection_tables
from FedSimCore.errors import InputError
from FedSimCore.generation.enhancer_file import SiteEnhancer
from FedSimCore.generation.model_folder import GENERATOR_FILE, GenerativeModel, enhancer_file, model_folder
from FedSimCore.generation.trust_measures import TrustMeter
from FedSimCore.segmentation.model_file import Segmenter
from FedSimCore.shape.model import PAPER_MODES, ShapeModel, builtin_model
from FedSimCore.shape.parameters import HeartParameters
from FedSimCore.shape.voxelizer import label_map
from FedSimCore.volumes import Volume
from FedSimCore.worker.device import DevicePreference, choose_device
from FedSimCore.worker.least_recently_used import LeastRecentlyUsed
from FedSimCore.worker.protocol import GridSpec, Result, ScanSettings

MOST_SIGMA = 10.0
MOST_SCALE = 10.0
MOST_TRANSLATION_MM = 1e4


Arrays = Mapping[str, NDArray[Any]]


@dataclass(frozen=True, eq=False)
class Answer:
    """What a task gives: a result for the line, arrays for files."""

    result: Result
    arrays: Arrays


class Engine:
    """The worker's state between requests; every part can be lost and made again.

    Args:
        preference: which device is wanted.
        model: model file; None for the built-in model.

    Raises:
        InputError: the device is not there.
    """

    def __init__(self, preference: DevicePreference = "auto", model: Path | None = None) -> None:
        self.preference = preference
        self.device = choose_device(preference)
        self._model_path = model
        self._whole: ShapeModel | None = None
        self._models: LeastRecentlyUsed[ShapeModel] = LeastRecentlyUsed(4)
        self._loading = threading.Lock()
        self._labels: LeastRecentlyUsed[Volume] = LeastRecentlyUsed(8)
        self.bodies: LeastRecentlyUsed[Body] = LeastRecentlyUsed(4)
        # A scene of a preview takes some 20 to 60 MB.
        self.scenes: LeastRecentlyUsed[Scene] = LeastRecentlyUsed(3)
        self._generative: LeastRecentlyUsed[GenerativeModel] = LeastRecentlyUsed(2)
        self._enhancers: LeastRecentlyUsed[SiteEnhancer] = LeastRecentlyUsed(3)
        self._meters: LeastRecentlyUsed[TrustMeter] = LeastRecentlyUsed(2)
        self._segmenters: LeastRecentlyUsed[Segmenter] = LeastRecentlyUsed(2)

    def model(self, modes: int | None = None) -> ShapeModel:
        """Return the shape model with its first modes.

        Args:
            modes: how many; None for the paper's 14, or for all where the file has fewer.

        Raises:
            InputError: the model's file is missing or damaged, or has fewer modes.
        """
        whole = self._whole_model()
        wanted = min(PAPER_MODES, whole.mode_count) if modes is None else modes
        return self._models.get_or_make(wanted, partial(whole.with_modes, wanted))

    def modes_in_file(self) -> int:
        """Return how many modes the model's file has.

        Raises:
            InputError: the file is missing or damaged.
        """
        return self._whole_model().mode_count

    def _whole_model(self) -> ShapeModel:
        with self._loading:
            if self._whole is None:
                model = builtin_model(None) if self._model_path is None else ShapeModel.load(self._model_path)
                self._whole = model.to(self.device)
        return self._whole

    def labels(self, parameters: HeartParameters, grid: GridSpec) -> Volume:
        """Return a heart's label map, uint8.

        Raises:
            InputError: the parameters are not this model's, or out of all proportion.
        """
        return self._labels.get_or_make((parameters, grid), partial(self._voxelize, parameters, grid))

    def model_sha256(self) -> str:
        """Return the shape model's checksum.

        Raises:
            InputError: its file is missing or damaged.
        """
        return self._whole_model().checksum

    def generative(self, folder: str) -> GenerativeModel:
        """Return a trained model on the device; it is read again when its generator has changed.

        Raises:
            InputError: the folder holds none, it can't be used, or its hearts are of another shape model.
        """
        path = model_folder(Path(folder))
        return self._generative.get_or_make(_version(path / GENERATOR_FILE), partial(self._open, path))

    def enhancer(self, folder: str, site: str) -> SiteEnhancer:
        """Return a site's enhancer on the device, read again when it has changed.

        Raises:
            InputError: there is none, or it can't be used.
        """
        model = self.generative(folder)
        version = _version(model.folder / enhancer_file(site)), _version(model.folder / GENERATOR_FILE)
        return self._enhancers.get_or_make(version, lambda: model.enhancer(site).to(self.device))

    def trust_meter(self, folder: str) -> TrustMeter:
        """Return what measures a trained model's hearts.

        Raises:
            InputError: the model can't be used, or has learnt from a single case.
        """
        model = self.generative(folder)
        return self._meters.get_or_make(_version(model.folder / GENERATOR_FILE), lambda: TrustMeter(model.generator))

    def segmenter(self, path: Path) -> Segmenter:
        """Return a segmenter on the device, read again when its file has changed.

        Raises:
            InputError: the file can't be used.
        """
        return self._segmenters.get_or_make(_version(path), lambda: Segmenter.load(path).to(self.device))

    def _open(self, folder: Path) -> GenerativeModel:
        model = GenerativeModel.load(folder)
        theirs, ours = model.generator.header.shape_model_sha256, self.model_sha256()
        if theirs != ours:
            raise InputError(
                f"The hearts of {folder} are of shape model {theirs[:12]}, but {ours[:12]} is in use; choose that one "
                "in the settings, or another model folder."
            )
        model.generator.to(self.device)
        return model

    def body(self, settings: ScanSettings, grid: GridSpec) -> Body:
        """Return the heart in its surroundings, with default tissues.

        Raises:
            InputError: the heart does not lie on the grid.
        """
        heart = self.labels(settings.parameters, grid)
        make = partial(surround, heart, settings.surroundings, settings.body_seed)
        return self.bodies.get_or_make(body_key(settings, grid), make)

    def forget(self) -> None:
        """Give memory back."""
        generated = self._generative, self._enhancers, self._meters, self._segmenters
        for cache in (self._labels, self.bodies, self.scenes, *generated):
            cache.clear()
        tables = projection_tables()
        limit = tables.limit_bytes
        tables.set_limit(0)
        tables.set_limit(limit)
        if self.device.type == "cuda":
            torch.cuda.empty_cache()

    def _voxelize(self, parameters: HeartParameters, grid: GridSpec) -> Volume:
        check_proportions(parameters)
        vector = torch.tensor(parameters.vector(), dtype=torch.float32, device=self.device)
        with torch.no_grad():
            model = self.model(len(parameters.weights))
            labels = label_map(model.vertices(vector[None]), model.topology, grid.grid())[0]
        return Volume(labels.cpu().numpy(), grid.grid())


def _version(path: Path) -> tuple[str, int, int]:
    """Return what tells a file's content from an older one."""
    if not path.is_file():
        return str(path), 0, 0
    facts = path.stat()
    return str(path), facts.st_mtime_ns, facts.st_size


def body_key(settings: ScanSettings, grid: GridSpec) -> tuple[HeartParameters, GridSpec, str, int]:
    """Return what a body depends on."""
    return settings.parameters, grid, settings.surroundings, settings.body_seed


def check_proportions(parameters: HeartParameters) -> None:
    """Refuse hearts so large that voxelizing them would eat the memory.

    Raises:
        InputError: a number is out of all proportion.
    """
    pose = parameters.pose
    for number, weight in enumerate(parameters.weights, start=1):
        if abs(weight) > MOST_SIGMA:
            raise InputError(f"Mode {number} is at {weight:g} sigma; keep it within ±{MOST_SIGMA:g}.")
    if not 1 / MOST_SCALE <= pose.scale <= MOST_SCALE:
        raise InputError(f"The heart's scale is {pose.scale:g}; keep it between {1 / MOST_SCALE:g} and {MOST_SCALE:g}.")
    if max(map(abs, pose.translation_mm)) > MOST_TRANSLATION_MM:
        raise InputError(f"The heart lies at {pose.translation_mm} mm; keep it within {MOST_TRANSLATION_MM:g} mm.")
