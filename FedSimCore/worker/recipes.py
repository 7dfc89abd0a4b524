"""What the worker was asked to scan, as recipes that ``fedsim simulate --from`` repeats. Needs no torch."""

from __future__ import annotations

from collections.abc import Mapping

from FedSimCore.ct.recipe import LabelTissue, Recipe
from FedSimCore.ct.scanners import scanner as named_scanner
from FedSimCore.worker.protocol import RenderTask


def recipe_of(task: RenderTask, number: int, model_sha256: str, provenance: Mapping[str, str] | None = None) -> Recipe:
    """Return the recipe of one scan of a rendering.

    Args:
        task: what the worker was asked for.
        number: of the scanner in the task, from 0.
        model_sha256: checksum of the shape model that the worker has loaded.
        provenance: for people, e.g. date and patient.

    Raises:
        InputError: there is no such scanner.
    """
    choice = task.scanners[number]
    scanner = named_scanner(choice.key).with_changes(**choice.changes)
    if task.phase is not None:
        scanner = scanner.with_changes(phase=task.phase)
    return Recipe(
        parameters=task.parameters,
        model_sha256=model_sha256,
        grid=task.grid,
        scanner=scanner,
        materials={label: LabelTissue(**material.model_dump()) for label, material in task.materials.items()},
        surroundings=task.surroundings,
        person_seed=task.body_seed,
        noise_seed=task.noise_seed,
        provenance=dict(provenance or {}),
    )
