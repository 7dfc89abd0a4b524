"""Tasks of a few numbers, whose steps can be worked out by hand, and a loop to train them."""

from __future__ import annotations

import torch
from torch import nn

from FedSimCore.runs.checkpoints import CheckpointStore
from FedSimCore.training.config import TrainingConfig
from FedSimCore.training.devices import make_fabric
from FedSimCore.training.loop import Loop
from FedSimCore.training.task import Outcome, Phase, Task


class ToyConfig(TrainingConfig):
    """A config without fields of its own."""

    builder = "nowhere:nothing"
    summary = "a line through points"


class LineTask(Task):
    """Fits y = weight x by gradient descent on the mean squared error of six points.

    Attributes:
        sizes: of the batches that were computed, in order.
    """

    def __init__(self, rate: float = 0.01, most_at_once: int = 99, normalised: bool = False) -> None:
        super().__init__()
        self.x = torch.tensor([[1.0], [2.0], [3.0], [4.0], [5.0], [6.0]])
        self.y = 2 * self.x
        line = nn.Linear(1, 1, bias=False)
        nn.init.constant_(line.weight, 0.5)
        layers = [nn.BatchNorm1d(1, affine=False), line] if normalised else [line]
        self.modules = {"line": nn.Sequential(*layers)}
        self.optimizers = {"sgd": torch.optim.SGD(self.modules["line"].parameters(), lr=rate)}
        self.generators = {"noise": torch.Generator().manual_seed(0)}
        self.rate, self.most_at_once, self.sizes = rate, most_at_once, []

    @property
    def weight(self) -> float:
        """The line's slope."""
        return float(next(self.modules["line"].parameters()).detach())

    def phases(self, _step):
        return [Phase("", "sgd", range(6), lambda samples: [self.x[list(samples)], self.y[list(samples)]], self.losses)]

    def losses(self, batch):
        x, y = batch
        made = self.modules["line"](x)
        if len(x) > self.most_at_once:
            raise torch.OutOfMemoryError("CUDA out of memory. Tried to allocate 20.00 GiB.")
        self.sizes.append(len(x))
        error = (made - y).square().mean()
        return {"loss": error, "error": error.detach()}

    def learning_rates(self, _step):
        return {"sgd": [self.rate]}

    def finish(self, _folder):
        return Outcome()


class Told:
    """Remembers what a loop reports."""

    def __init__(self, run):
        self.run, self.events, self.notes = run, [], []

    def tell(self, event):
        self.events.append(event)

    def note(self, text, _level="info"):
        self.notes.append(text)

    def pictures(self, step, pictures):
        self.events.append((step, sorted(pictures)))


def loop_of(task, folder, wants_stop=lambda: False, keep=2, **settings):
    """Return a loop for a task and what it reports to."""
    from FedSimCore.runs.folder import RunFolder

    config = ToyConfig(**{"recipe": "toy", "steps": 5, "batch_size": 6, "device": "cpu", **settings})
    told = Told(RunFolder(folder))
    store = CheckpointStore(folder / "checkpoints", keep)
    fabric = make_fabric(config)
    fabric.launch()
    return Loop(fabric, task, config, store, 1, told, wants_stop), told
