"""Which cases a step sees, at which rate, and how long the rest takes."""

from __future__ import annotations

import pytest

from FedSimCore.training.data_order import DataOrder, linear_decay
from FedSimCore.training.pace import Pace


def test_every_epoch_sees_every_case_once_in_an_order_of_its_own():
    order = DataOrder(cases=7, batch_size=3, seed=0)
    seen = [case for step in range(7) for case in order.batch(step)]
    epochs = [seen[:7], seen[7:14], seen[14:]]
    assert all(sorted(epoch) == list(range(7)) for epoch in epochs)
    assert epochs[0] != epochs[1]


def test_a_steps_cases_depend_on_seed_stream_and_step_alone():
    order = DataOrder(20, 4, seed=1)
    assert order.batch(31) == DataOrder(20, 4, seed=1).batch(31)
    assert order.batch(31) != DataOrder(20, 4, seed=2).batch(31)
    assert order.batch(31) != DataOrder(20, 4, seed=1, stream=1).batch(31)


def test_a_batch_larger_than_the_cohort_is_the_cohort():
    assert sorted(DataOrder(3, 8, seed=0).batch(5)) == [0, 1, 2]


def test_rates_are_constant_and_then_fall_linearly_to_nothing():
    factors = [linear_decay(step, 60, 0.5) for step in (0, 29, 30, 45, 59, 60)]
    assert factors == pytest.approx([1, 1, 1, 0.5, 1 / 30, 0])
    assert linear_decay(9, 10, 1.0) == 1


def test_the_time_left_counts_everything_between_steps_but_not_the_warming_up():
    now = [0.0]
    pace = Pace(lambda: now[0])
    now[0] = 50.0  # the first step warms up
    pace.step_done()
    assert pace.seconds_left(10) is None
    for seconds in (1, 1, 4, 2):  # the third with a checkpoint
        now[0] += seconds
        pace.step_done()
    assert pace.seconds_left(10) == pytest.approx(20)
    assert pace.seconds_left(0) == 0
