"""The newest request of a channel wins, and no stale answer is ever delivered."""

from __future__ import annotations

import time

import numpy as np
import pytest

from FedSimCore.worker import protocol as p
from FedSimSlicerLib.worker_events import RequestCancelled, RequestDone, RequestProgress, WorkerReady
from Testing.core.worker.conversation import ENDS, Conversation, heart

COARSE = p.GridSpec.centered(40, 4.0)
SETTINGS = {"grid": COARSE, "surroundings": "fat"}


def long_render(weight: float = 0.0) -> p.RenderTask:
    # So many views that it runs for many seconds unless it is ended.
    choice = p.ScannerChoice(changes={"views": 6000})
    return p.RenderTask(
        parameters=heart(weight), scanners=(choice,), grid=p.GridSpec.centered(64, 2.5), surroundings="fat"
    )


def begun(conversation: Conversation, request: int) -> bool:
    return any(event.request == request for event in conversation.told(RequestProgress))


def test_under_a_storm_of_requests_only_the_newest_of_each_channel_is_answered(conversation: Conversation) -> None:
    conversation.client.start()
    conversation.until_told(WorkerReady)
    rng = np.random.default_rng(0)
    newest: dict[str, int] = {}
    stale: list[object] = []

    def watch(event: object) -> None:
        if isinstance(event, (RequestProgress, *ENDS)) and event.request != newest[event.channel]:
            stale.append(event)

    stop = conversation.client.subscribe(watch)
    for number in range(400):
        weight = float(rng.uniform(-1.5, 1.5))
        channel = ("labels", "preview", "measure")[number % 3]
        task: object = {
            "labels": p.LabelsTask(parameters=heart(weight), grid=COARSE),
            "preview": p.PreviewTask(parameters=heart(weight), views=16, **SETTINGS),
            "measure": p.MeasureTask(parameters=heart(weight)),
        }[channel]
        newest[channel] = conversation.client.submit(channel, task)  # type: ignore[arg-type]
        if rng.random() < 0.3:
            time.sleep(0.01)
            conversation.client.poll()
    last = {channel: conversation.end_of(request) for channel, request in newest.items()}
    stop()
    assert stale == []
    assert all(isinstance(event, RequestDone) for event in last.values())
    again = conversation.ask(p.LabelsTask(parameters=heart(weight), grid=COARSE))
    assert again.arrays["labels"].shape == last["labels"].arrays["labels"].shape


def test_the_last_answer_belongs_to_the_last_parameters(conversation: Conversation) -> None:
    weights = np.linspace(-1.5, 1.5, 25)
    for weight in weights:
        request = conversation.client.submit("labels", p.LabelsTask(parameters=heart(weight), grid=COARSE))
    followed = conversation.end_of(request).arrays["labels"]
    alone = conversation.ask(p.LabelsTask(parameters=heart(weights[-1]), grid=COARSE)).arrays["labels"]
    first = conversation.ask(p.LabelsTask(parameters=heart(weights[0]), grid=COARSE)).arrays["labels"]
    np.testing.assert_array_equal(followed, alone)
    assert (followed != first).any()


def test_followed_requests_are_answered_in_order_while_they_run(conversation: Conversation) -> None:
    numbers = []
    for weight in np.linspace(-1.5, 1.5, 40):
        task = p.LabelsTask(parameters=heart(weight), grid=p.GridSpec.centered(96, 1.7))
        numbers.append(conversation.client.submit("follow", task, follow=True))
        for _ in range(3):
            conversation.client.poll()
    conversation.end_of(numbers[-1])
    answered = [event.request for event in conversation.told(RequestDone) if event.request in numbers]
    assert answered == sorted(answered)
    assert answered[-1] == numbers[-1]
    assert not conversation.client.busy("follow")


def test_a_new_rendering_ends_the_one_that_runs(conversation: Conversation) -> None:
    first = conversation.client.submit("full", long_render())
    conversation.until(lambda: begun(conversation, first))
    quick = p.RenderTask(parameters=heart(), scanners=(p.ScannerChoice(changes={"views": 16}),), **SETTINGS)
    second = conversation.client.submit("full", quick)
    assert isinstance(conversation.end_of(second), RequestDone)
    assert not [event for event in conversation.told(*ENDS) if event.request == first]


def test_a_rendering_can_be_cancelled_and_says_so(conversation: Conversation) -> None:
    request = conversation.client.submit("full", long_render(0.1))
    conversation.until(lambda: begun(conversation, request))
    assert conversation.client.busy("full")
    conversation.client.cancel("full")
    assert not conversation.client.busy("full")
    assert isinstance(conversation.end_of(request), RequestCancelled)


def test_a_request_that_was_not_sent_yet_can_be_cancelled() -> None:
    with Conversation() as conversation:  # the worker is not ready before seconds have passed
        request = conversation.client.submit("full", long_render())
        conversation.client.cancel("full")
        assert isinstance(conversation.end_of(request), RequestCancelled)


def test_labels_are_served_while_a_rendering_runs(conversation: Conversation) -> None:
    request = conversation.client.submit("full", long_render(0.2))
    conversation.until(lambda: begun(conversation, request))
    for weight in (0.1, 0.2, 0.3):
        done = conversation.ask(p.LabelsTask(parameters=heart(weight), grid=COARSE), channel="labels")
        assert isinstance(done, RequestDone)
        assert conversation.client.busy("full")
    conversation.client.cancel("full")
    conversation.end_of(request)


def test_a_listener_that_fails_loses_no_event(conversation: Conversation) -> None:
    def fail(event: object) -> None:
        stop()
        raise RuntimeError("a panel's own error")

    conversation.ask(p.MeasureTask(parameters=heart()))
    stop = conversation.client.subscribe(fail)
    first = conversation.client.submit("a", p.LabelsTask(parameters=heart(), grid=COARSE))
    second = conversation.client.submit("b", p.LabelsTask(parameters=heart(0.5), grid=COARSE))
    with pytest.raises(RuntimeError, match="own error"):
        conversation.end_of(second)
    assert isinstance(conversation.end_of(first), RequestDone)
    assert isinstance(conversation.end_of(second), RequestDone)


def test_what_is_closed_can_be_used_again() -> None:
    with Conversation() as conversation:
        old = conversation.client.submit("labels", p.LabelsTask(parameters=heart(), grid=COARSE))
        conversation.client.close()
        done = conversation.ask(p.LabelsTask(parameters=heart(), grid=COARSE))
        assert isinstance(done, RequestDone)
        assert not [event for event in conversation.told(*ENDS) if event.request == old]


def test_a_restart_loses_what_ran_and_serves_what_comes(conversation: Conversation) -> None:
    request = conversation.client.submit("full", long_render(0.3))
    conversation.until(lambda: begun(conversation, request))
    conversation.client.restart()
    new = conversation.client.submit("labels", p.LabelsTask(parameters=heart(), grid=COARSE))
    assert conversation.end_of(request).cause == "lost"
    assert isinstance(conversation.end_of(new), RequestDone)
