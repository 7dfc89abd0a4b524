"""``python -m FedSimCore.worker --exchange FOLDER``: start a worker; docs/worker.md tells what it understands.

This file must be readable by any Python 3.7 or later and import nothing heavy at its top, so that whatever is wrong
with the installation comes out as one sentence on the protocol's channel.
"""

from __future__ import annotations

import argparse
import faulthandler
import json
import os
import platform
import shutil
import sys
import traceback
from pathlib import Path
from typing import BinaryIO

from FedSimCore import __version__
from FedSimCore.worker import PROTOCOL

OLDEST_PYTHON = (3, 10)
NICENESS = 5
"""How far behind the application's own threads ours stand, so that it paints first (POSIX; on Windows the client starts
us with less priority)."""


def main() -> None:
    """Serve one client on standard input and output, then remove the exchange folder."""
    options = _options()
    commands, replies = _take_pipes()
    faulthandler.enable()
    _share_the_cores()
    try:
        _serve(options, commands, replies)
    finally:
        # It is the working folder, which Windows does not remove.
        os.chdir(Path(options.exchange).parent)
        shutil.rmtree(options.exchange, ignore_errors=True)
    # Lanes may be deep in a computation that nobody waits for.
    os._exit(0)


def _options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m FedSimCore.worker", description="Compute for the Slicer module.")
    parser.add_argument("--exchange", required=True, help="folder for arrays; removed at the end")
    parser.add_argument("--device", choices=("auto", "cpu", "cuda"), default="auto")
    parser.add_argument("--model", help="shape model file; the built-in model if left out")
    return parser.parse_args()


def _share_the_cores() -> None:
    """Compute so that the application and our own lanes find a core when they need one; before any library loads."""
    # Threads of OpenBLAS wait for each other longer than the small matrices of NumPy and SciPy take to compute, most of
    # all beside PyTorch's own threads: with them the thorax is made 6 times slower on 2 cores.
    os.environ.setdefault("OPENBLAS_NUM_THREADS", "1")
    # Each lane has threads of PyTorch. By default those that are done burn their core until the last one is; where that
    # one has no core, because another lane or the application paints, a preview takes ten times as long. Those that
    # sleep at once lose a fifth of a rendering by waking up.
    os.environ.setdefault("GOMP_SPINCOUNT", "10000")
    if hasattr(os, "nice"):
        os.nice(NICENESS)


def _take_pipes() -> tuple[BinaryIO, BinaryIO]:
    """Take standard input and output for the protocol; what libraries print goes to standard error instead."""
    commands, replies = os.fdopen(os.dup(0), "rb"), os.fdopen(os.dup(1), "wb")
    nothing = os.open(os.devnull, os.O_RDONLY)
    os.dup2(nothing, 0)
    os.close(nothing)
    os.dup2(2, 1)
    return commands, replies


def _serve(options: argparse.Namespace, commands: BinaryIO, replies: BinaryIO) -> None:
    def say(**message: object) -> None:
        replies.write(json.dumps(message).encode() + b"\n")
        replies.flush()

    python = platform.python_version()
    say(type="hello", protocol=PROTOCOL, fedsim=__version__, python=python, pid=os.getpid())
    if sys.version_info < OLDEST_PYTHON:
        wanted = ".".join(map(str, OLDEST_PYTHON))
        say(
            type="unusable",
            sentence=f"FedSim needs Python {wanted} or later but {sys.executable} is Python {python}; use a newer one.",
        )
        return
    try:
        from FedSimCore.worker.server import make_server

        server = make_server(Path(options.exchange), replies, options.device, options.model)
    except Exception as error:
        traceback.print_exc()
        say(type="unusable", sentence=_why_unusable(error))
        return
    server.serve(commands)


def _why_unusable(error: Exception) -> str:
    if isinstance(error, ImportError) and error.name:
        return (
            f"FedSim cannot compute because the Python package {error.name!r} is missing or broken in "
            f"{sys.executable} ({error}); install FedSim's dependencies there and start the worker again."
        )
    # Only now: a class of FedSimCore, whose own imports may have been what failed.
    from FedSimCore.errors import FedSimError

    if isinstance(error, FedSimError):
        return str(error)
    return (
        f"FedSim cannot compute because a library does not load in {sys.executable} ({type(error).__name__}: {error}); "
        "repair or reinstall FedSim's dependencies there and start the worker again."
    )


if __name__ == "__main__":
    main()
