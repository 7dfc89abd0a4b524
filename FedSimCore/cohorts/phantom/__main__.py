"""Make one phantom for another program: ``python -m FedSimCore.cohorts.phantom adult 1 --out FOLDER``.

Writes ``labels.nii.gz`` and then ``image.nii.gz``, so that where the image stands all is there. Every step is told as a
line of JSON on standard output; what went wrong is the last line of standard error. For people there is
``fedsim cohort phantom``.
"""

from __future__ import annotations

import argparse
import json
import sys
from collections.abc import Sequence
from pathlib import Path

from FedSimCore.cohorts.phantom.model import make_phantom
from FedSimCore.errors import FedSimError
from FedSimCore.files import disk_errors
from FedSimCore.volumes.io import write_label_map, write_volume

IMAGE, LABELS = "image.nii.gz", "labels.nii.gz"
_WRITING = 1


def main(arguments: Sequence[str] | None = None) -> int:
    """Make the phantom that the arguments name; returns the exit code."""
    parser = argparse.ArgumentParser(prog="python -m FedSimCore.cohorts.phantom", description=__doc__.splitlines()[0])
    parser.add_argument("site")
    parser.add_argument("seed", type=int)
    parser.add_argument("--variant", help="kind of heart; drawn from the site's shares if left out")
    parser.add_argument("--out", type=Path, required=True, help="folder, made if missing")
    given = parser.parse_args(arguments)
    try:
        with disk_errors(given.out):  # before the long work, not after
            given.out.mkdir(parents=True, exist_ok=True)
        phantom = make_phantom(given.site, given.seed, variant=given.variant, progress=_tell)
        _tell(10, 10, "writing")
        write_label_map(phantom.label, given.out / LABELS)
        write_volume(phantom.image, given.out / IMAGE, "int16")
    except FedSimError as error:
        print(error, file=sys.stderr)
        return int(error.exit_code)
    return 0


def _tell(done: int, total: int, stage: str, /) -> None:
    print(json.dumps({"done": done, "total": total + _WRITING, "stage": stage}), flush=True)


if __name__ == "__main__":
    sys.exit(main())
