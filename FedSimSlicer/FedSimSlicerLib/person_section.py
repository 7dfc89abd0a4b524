"""What lies round the heart, and the noise of the image."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from slicer.i18n import tr as _

from FedSimCore.errors import InputError
from FedSimSlicerLib.checked_edit import CheckedEdit, choose, fill_combo_box

LARGEST_SEED = 2**31 - 1


@dataclass(frozen=True)
class Person:
    """The part of the module's state that this section shows; fields and defaults as in :class:`ModuleState`."""

    surroundings: str = "thorax"
    body_seed: int = 0
    noise: bool = True
    noise_seed: int = 0


def seed_of(text: str) -> int:
    """Return the seed that was typed.

    Raises:
        InputError: it is no whole number, negative or too large.
    """
    try:
        seed = int(text)
    except ValueError:
        raise InputError(f"A seed cannot be {text!r}; give a whole number from 0 to {LARGEST_SEED}.") from None
    if not 0 <= seed <= LARGEST_SEED:
        raise InputError(f"A seed cannot be {seed}; give a whole number from 0 to {LARGEST_SEED}.")
    return seed


class PersonSection:
    """The widgets of the person and the noise.

    Attributes:
        body_seed, noise_seed: fields.

    Args:
        surroundings: qt combo box to fill.
        noise: qt.QCheckBox.
        form: qt.QGridLayout; rows 1 and 4 take the seeds, 2 and 5 why one was refused.
        on_changed: called with the name of a field of :class:`Person` and its value.
    """

    def __init__(self, surroundings: Any, noise: Any, form: Any, on_changed: Callable[[str, Any], None]) -> None:
        self._surroundings, self._noise = surroundings, noise
        fill_combo_box(
            surroundings,
            [
                (_("Chest: lungs, ribs, spine, great vessels"), "thorax"),
                (_("Fat only"), "fat"),
                (_("Nothing: the heart in air"), "none"),
            ],
        )
        self.body_seed = CheckedEdit(
            lambda text: on_changed("body_seed", seed_of(text)), _("Which person: the same seed gives the same chest.")
        )
        self.noise_seed = CheckedEdit(
            lambda text: on_changed("noise_seed", seed_of(text)), _("Which noise: the same seed gives the same grains.")
        )
        for seed, row, name in ((self.body_seed, 1, "bodySeedEdit"), (self.noise_seed, 4, "noiseSeedEdit")):
            seed.edit.objectName = name
            form.addWidget(seed.edit, row, 1)
            form.addWidget(seed.reason, row + 1, 0, 1, 2)
        surroundings.connect("activated(int)", lambda _i: on_changed("surroundings", surroundings.currentData))
        noise.connect("toggled(bool)", lambda on: on_changed("noise", on))

    def show(self, person: Person) -> None:
        """Show the person, marked where it is not the default."""
        default = Person()
        choose(self._surroundings, person.surroundings, person.surroundings != default.surroundings)
        blocked = self._noise.blockSignals(True)
        self._noise.checked = person.noise
        self._noise.blockSignals(blocked)
        self.body_seed.show(str(person.body_seed), person.body_seed != default.body_seed)
        self.noise_seed.show(str(person.noise_seed), person.noise_seed != default.noise_seed)
        self.noise_seed.edit.enabled = person.noise

    def revert(self) -> None:
        """Forget what was typed and refused."""
        self.body_seed.revert()
        self.noise_seed.revert()
