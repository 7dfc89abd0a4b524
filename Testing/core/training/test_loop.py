"""The loop makes the steps that gradient descent by hand makes, in parts if memory is short, and stops at NaN."""

from __future__ import annotations

import random
import re

import numpy as np
import pytest
import torch
from torch import nn

from FedSimCore.errors import InputError
from FedSimCore.runs.checkpoints import CheckpointStore
from FedSimCore.runs.events import Evaluated, Progressed
from FedSimCore.tensor_files import read_tensors
from FedSimCore.training.loop import WAITING
from FedSimCore.training.random_state import seed_all
from FedSimCore.training.task import Phase, TrainingError
from Testing.core.training.toy_task import LineTask, loop_of

# d/dw mean (w x - 2 x)^2 = 2 (w - 2) mean x^2, and the mean of 1, 4, ... 36 is 91 / 6.
BY_HAND = [0.5]
for _ in range(5):
    BY_HAND.append(BY_HAND[-1] - 0.01 * 2 * (BY_HAND[-1] - 2) * 91 / 6)


@pytest.mark.parametrize("micro_batch", [None, 1, 2, 4, 6, 50])
def test_a_step_in_parts_is_the_same_step_as_gradient_descent_by_hand(tmp_path, micro_batch):
    task = LineTask()
    loop, told = loop_of(task, tmp_path, micro_batch=micro_batch)
    assert loop.run()
    assert task.weight == pytest.approx(BY_HAND[-1], rel=1e-5)
    last = told.events[-1]
    assert isinstance(last, Progressed)
    assert last.step == 5
    assert max(task.sizes) == min(micro_batch or 6, 6)


def test_reported_losses_are_means_over_cases_whatever_the_parts(tmp_path):
    told = loop_of_run(tmp_path, micro_batch=4)
    losses = [event.metrics["error"] for event in told.events if isinstance(event, Progressed)]
    assert losses == pytest.approx([(weight - 2) ** 2 * 91 / 6 for weight in BY_HAND[:-1]], rel=1e-4)


def loop_of_run(folder, **settings):
    loop, told = loop_of(LineTask(), folder, report_every=1, **settings)
    loop.run()
    return told


def test_out_of_memory_halves_the_parts_until_they_fit_and_changes_no_bit(tmp_path):
    short, ample = LineTask(most_at_once=2), LineTask()
    loop, told = loop_of(short, tmp_path / "short")
    loop.run()
    loop_of(ample, tmp_path / "ample", micro_batch=1)[0].run()
    assert loop.micro_batch == 1  # 6, 3, 1
    assert short.weight == ample.weight
    assert len(told.notes) == 2
    assert "with 6 cases at once" in told.notes[0]
    assert "still with 6 cases in a step" in told.notes[0]


def test_a_failed_attempt_leaves_neither_running_means_nor_random_numbers_behind(tmp_path):
    class Noisy(LineTask):
        def losses(self, batch):
            x, y = batch
            noise = torch.rand(1) + torch.rand(1, generator=self.generators["noise"])
            return super().losses([x + noise, y])

    short, ample = Noisy(most_at_once=3, normalised=True), Noisy(normalised=True)
    torch.manual_seed(5)
    loop_of(short, tmp_path / "short", steps=2)[0].run()
    torch.manual_seed(5)
    loop_of(ample, tmp_path / "ample", steps=2, micro_batch=3)[0].run()
    for one, other in zip(
        short.modules["line"].state_dict().values(), ample.modules["line"].state_dict().values(), strict=True
    ):
        assert torch.equal(one, other)


def test_if_not_even_one_case_fits_the_message_says_what_to_lower(tmp_path):
    task = LineTask(most_at_once=0)
    task.memory_advice = "lower size"
    with pytest.raises(TrainingError, match=r"Step 1 does not fit .* even one case at a time; lower size"):
        loop_of(task, tmp_path)[0].run()


def test_what_a_run_has_learnt_of_its_memory_is_in_the_checkpoint(tmp_path):
    loop_of(LineTask(most_at_once=3), tmp_path)[0].run()
    loop, _ = loop_of(LineTask(), tmp_path)
    loop.load_newest(lambda text: None)
    assert (loop.step, loop.micro_batch) == (5, 3)


class Diverging(LineTask):
    def losses(self, batch):
        losses = super().losses(batch)
        if len(self.sizes) == 4:
            return {**losses, "loss": losses["loss"] * float("nan")}
        return losses


def test_a_nan_loss_stops_with_the_step_named_and_keeps_the_last_good_checkpoint(tmp_path):
    loop, _ = loop_of(Diverging(), tmp_path, checkpoint_every=2)
    with pytest.raises(TrainingError, match=r"In step 4 loss became nan.*the checkpoint of step 2 is kept"):
        loop.run()
    newest = CheckpointStore(tmp_path / "checkpoints").stored()[0]
    assert newest.step == 2
    assert float(read_tensors(newest.tensors)[0]["modules.line.0.weight"]) == pytest.approx(BY_HAND[2], rel=1e-5)


def test_weights_so_wild_that_the_loss_cannot_be_computed_stop_with_the_step_named(tmp_path):
    class Wild(LineTask):
        def losses(self, batch):
            if len(self.sizes) == 3:
                raise InputError("The mesh has vertices that are not finite; they cannot be voxelized.")
            return super().losses(batch)

    loop, _ = loop_of(Wild(), tmp_path, checkpoint_every=2)
    sentence = r"In step 4 no loss can be computed .The mesh has vertices.*the checkpoint of step 2 is kept"
    with pytest.raises(TrainingError, match=sentence):
        loop.run()


def test_an_infinite_gradient_stops_before_it_reaches_a_weight(tmp_path):
    class Cliff(LineTask):
        def losses(self, batch):
            weight = next(self.modules["line"].parameters())
            return {"loss": (weight - weight.detach()).abs().sqrt().sum() + super().losses(batch)["loss"]}

    task = Cliff()
    with pytest.raises(TrainingError, match=r"In step 1 the gradient is not finite.*no checkpoint yet"):
        loop_of(task, tmp_path)[0].run()
    assert task.weight == 0.5


def test_a_state_that_is_not_finite_is_never_saved(tmp_path):
    task = LineTask()
    loop, _ = loop_of(task, tmp_path)
    loop.step = 1
    next(task.modules["line"].parameters()).data.fill_(float("inf"))
    with pytest.raises(TrainingError, match=r"After step 1 .*line\.0\.weight has numbers that are not finite"):
        loop.save()
    assert CheckpointStore(tmp_path / "checkpoints").stored() == []


class TwoPlayers(LineTask):
    """A GAN in small: in every step one player's phase, then the other's, that sees what the first has done."""

    def __init__(self, rate=0.01):
        super().__init__(rate)
        self.modules["critic"] = nn.Linear(1, 1)
        self.optimizers["adam"] = torch.optim.Adam(self.modules["critic"].parameters(), lr=rate)

    def phases(self, step):
        generator = super().phases(step)[0]
        if step % 2:
            return [generator]  # every second step leaves the critic alone
        critic = Phase("critic", "adam", range(4), generator.load, self.criticise)
        return [critic, Phase("generator", "sgd", range(6), generator.load, self.losses)]

    def criticise(self, batch):
        return {"loss": (self.modules["critic"](batch[0]) - 1).square().mean()}

    def learning_rates(self, step):
        return {"sgd": [self.rate], "adam": [0.1 / (1 + step)]}


def test_several_phases_alternate_with_their_own_optimizers_rates_and_metrics(tmp_path):
    task = TwoPlayers()
    before = [p.detach().clone() for p in task.modules["critic"].parameters()]
    loop, told = loop_of(task, tmp_path, steps=2, report_every=1, micro_batch=3)
    loop.run()
    first, second = (event.metrics for event in told.events if isinstance(event, Progressed))
    assert first.keys() == {"critic/loss", "generator/loss", "generator/error", WAITING}
    assert second.keys() == {"loss", "error", WAITING}
    # Adam's first step moves every parameter by its rate.
    for old, new in zip(before, task.modules["critic"].parameters(), strict=True):
        assert torch.allclose((old - new).abs(), torch.tensor(0.1), atol=1e-6)
    assert task.weight == pytest.approx(BY_HAND[2], rel=1e-5)


class NoisyPlayers(TwoPlayers):
    """Draws from every generator there is in every step."""

    def losses(self, batch):
        x, y = batch
        noise = torch.rand(1) + torch.rand(1, generator=self.generators["noise"])
        noise += np.random.random() + random.random()  # noqa: NPY002
        return super().losses([x + 0.1 * noise, y])


def test_a_loop_that_goes_on_from_any_checkpoint_ends_with_the_same_bits(tmp_path):
    whole = NoisyPlayers()
    seed_all(3)
    loop_of(whole, tmp_path / "whole", steps=7, checkpoint_every=1, keep=9)[0].run()
    for stored in CheckpointStore(tmp_path / "whole" / "checkpoints").stored():
        seed_all(999)
        task = NoisyPlayers()
        loop, _ = loop_of(task, tmp_path / f"from{stored.step}", steps=7)
        loop.load(stored.content(), read_tensors(stored.tensors)[0], "it")
        assert loop.step == stored.step
        loop.run()
        for name, module in whole.modules.items():
            for one, other in zip(module.parameters(), task.modules[name].parameters(), strict=True):
                assert torch.equal(one, other)


def test_measuring_and_pictures_draw_what_they_like_without_changing_the_training(tmp_path):
    class Curious(LineTask):
        def losses(self, batch):
            x, y = batch
            return super().losses([x + 0.1 * torch.rand(1) + np.random.random(), y])  # noqa: NPY002

        def evaluate(self):
            assert not torch.is_grad_enabled()
            assert not self.modules["line"].training
            return {"drawn": float(torch.rand(1)) + np.random.random()}  # noqa: NPY002

        def pictures(self):
            return {"noise": np.random.randint(0, 255, (2, 2, 3), np.uint8)}  # noqa: NPY002

    weights = []
    for every in (1, 5):
        torch.manual_seed(1)
        np.random.seed(1)  # noqa: NPY002
        task = Curious()
        loop, told = loop_of(task, tmp_path / str(every), evaluate_every=every, picture_every=every)
        loop.run()
        weights.append(task.weight)
        assert sum(isinstance(event, Evaluated) for event in told.events) == 5 // every
    assert weights[0] == weights[1]


def test_a_request_to_stop_is_met_after_the_step_with_a_checkpoint(tmp_path):
    asked = iter([False, False, True])
    loop, _ = loop_of(LineTask(), tmp_path, wants_stop=lambda: next(asked))
    assert not loop.run()
    assert CheckpointStore(tmp_path / "checkpoints").stored()[0].step == 2


def test_a_checkpoint_of_another_network_is_refused_in_one_sentence(tmp_path):
    loop_of(LineTask(), tmp_path)[0].run()
    loop, _ = loop_of(TwoPlayers(), tmp_path)
    with pytest.raises(Exception, match=re.escape("does not fit this run's config")) as caught:
        loop.load_newest(lambda text: None)
    assert type(caught.value).__name__ == "InputError"


def test_mixed_precision_comes_from_fabric(tmp_path):
    seen = []

    class Watching(LineTask):
        def losses(self, batch):
            handle = self.modules["line"].register_forward_hook(lambda m, i, o: None)
            handle.remove()
            seen.append(torch.is_autocast_enabled("cpu"))
            return super().losses(batch)

    task = Watching()
    hooked = task.modules["line"][0].register_forward_hook(lambda m, i, o: seen.append(o.dtype))
    loop_of(task, tmp_path, steps=1, precision="bf16-mixed")[0].run()
    hooked.remove()
    assert seen == [False, torch.bfloat16]
    assert task.weight == pytest.approx(BY_HAND[1], rel=0.02)
    assert next(task.modules["line"].parameters()).dtype == torch.float32


def test_fewer_cases_than_devices_are_told_instead_of_leaving_a_device_without_work(tmp_path):
    task = LineTask()
    task.phases = lambda step: [Phase("", "sgd", [], None, None)]
    loop, _ = loop_of(task, tmp_path)
    with pytest.raises(TrainingError, match="Step 1 has 0 cases for 1 devices, because there are no more"):
        loop.run()
