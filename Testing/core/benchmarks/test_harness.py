import json
import time

import pytest

from FedSimCore.benchmarks.harness import Contender, Goal, Report, peer, race, write_report
from FedSimCore.benchmarks.machine import machine, main_memory_peak_mib
from FedSimCore.errors import MissingDependencyError


def sleeper(seconds: float, calls: list[str], name: str):
    def call():
        calls.append(name)
        time.sleep(seconds)

    return lambda: call


def test_contenders_take_turns_after_their_first_calls_and_slow_peers_drop_out():
    calls: list[str] = []
    timings = race(
        [
            Contender("a", sleeper(0.001, calls, "a"), rounds=3),
            Contender("b", sleeper(0.002, calls, "b"), rounds=1),
        ]
    )
    assert calls == ["a", "b", "a", "b", "a", "a"]
    assert [timings["a"].calls, timings["b"].calls] == [3, 1]
    assert timings["b"].min_s >= 0.002


def test_set_up_counts_into_the_first_call_alone():
    def prepare():
        time.sleep(0.05)
        return lambda: None

    timing = race([Contender("a", prepare, rounds=2)])["a"]
    assert timing.first_s >= 0.05
    assert timing.median_s < 0.05


@pytest.mark.skipif(main_memory_peak_mib() is None, reason="this system does not tell a process's peak memory")
def test_peak_memory_is_what_the_first_call_needed_above_what_was_held():
    held = bytearray(50 << 20)
    timing = race([Contender("a", lambda: lambda: len(bytearray(b"x") * (200 << 20)), rounds=1)])["a"]
    assert len(held)
    assert 190 <= timing.peak_extra_mib <= 230


def test_a_report_tells_command_machine_goals_and_times(tmp_path):
    timings = race([Contender("ours", lambda: lambda: None, rounds=1)])
    report = Report("Things", {"size": 3}, {"race": timings}, [Goal("ratio", 2.0, 3.0), Goal("error", 0.1, 0.5, False)])
    paths = write_report(report, machine(("numpy", "no-such-package")), tmp_path, "things")
    content = json.loads(paths[0].read_text())
    assert [goal["met"] for goal in content["goals"]] == [False, True]
    assert content["command"].startswith("fedsim")
    assert "numpy" in content["machine"]
    assert "no-such-package" not in content["machine"]
    assert content["timings"]["race"]["ours"]["calls"] == 1
    text = paths[1].read_text()
    assert "| ratio | 2 | ≥ 3 | NO |" in text
    assert "| ours |" in text


def test_a_missing_peer_tells_how_to_install_it():
    with pytest.raises(MissingDependencyError, match=r'no_such_peer.*pip install "fedsim\[bench\]"'):
        peer("no_such_peer")
