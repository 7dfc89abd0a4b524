"""A study on one machine: NVFlare's simulator with a process for each site, started by :mod:`.one_machine`.

``python -m FedSimCore.federated.engine.simulation JOB WORKSPACE SITE[,SITE...]``
"""

from __future__ import annotations

import sys


def main() -> int:
    """Run a job; returns the simulator's exit code."""
    from nvflare.private.fed.app.simulator.simulator_runner import SimulatorRunner

    job, workspace, sites = sys.argv[1:4]
    count = len(sites.split(","))
    runner = SimulatorRunner(job, workspace, clients=sites, n_clients=count, threads=count, log_config="concise")
    return int(runner.run() or 0)


if __name__ == "__main__":
    sys.exit(main())
