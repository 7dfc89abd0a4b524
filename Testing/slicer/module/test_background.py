"""What runs in a thread for the panels."""

from __future__ import annotations

import pytest

pytest.importorskip("slicer")
pytest.importorskip("PySide6")


def test_results_come_in_the_guis_thread_and_nothing_is_begun_once_closed(application, wait_for):
    from FedSimSlicerLib.background import Background

    background, told = Background(), []
    background.run(lambda: 2 + 2, told.append, told.append)
    wait_for(lambda: told == [4])
    background.close()
    background.run(lambda: told.append("begun"), told.append, told.append)
    for _ in range(20):
        application.process_events()
    assert told == [4]
    assert not background.busy
