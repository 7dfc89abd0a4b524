"""`fedsim desktop`: the module in a window without Slicer."""

from __future__ import annotations

import os
import subprocess
import sys

import nibabel
import numpy as np
import pytest

from FedSimCore.cli.desktop import CHECKOUT, existing_file, find_module
from FedSimCore.errors import InputError, MissingDependencyError
from Testing.host.pytest_plugin import skip_without_host

DESKTOP = [sys.executable, "-m", "FedSimCore.cli.main", "desktop"]


def run(*arguments, **environment):
    return subprocess.run(
        [*DESKTOP, *map(str, arguments)], capture_output=True, text=True, timeout=120, env={**os.environ, **environment}
    )


def test_the_module_is_found_in_a_checkout():
    assert find_module(CHECKOUT) == CHECKOUT / "FedSimSlicer" / "FedSimSlicer.py"


def test_outside_a_checkout_the_way_out_is_told(tmp_path):
    with pytest.raises(MissingDependencyError, match=r"`make desktop` in a checkout.*https://download\.slicer\.org"):
        find_module(tmp_path)


def test_a_file_that_is_not_there_is_told_before_anything_starts(tmp_path):
    with pytest.raises(InputError, match=r"nowhere\.nrrd is not a file"):
        existing_file(tmp_path / "nowhere.nrrd")


@pytest.mark.skipif(sys.platform != "linux", reason="elsewhere there is always a screen")
def test_without_a_screen_it_says_so_instead_of_waiting_unseen():
    skip_without_host()
    done = run(DISPLAY="", WAYLAND_DISPLAY="")
    assert done.returncode == 4
    assert done.stderr.startswith("fedsim: There is no screen")
    assert "Traceback" not in done.stderr


def test_the_window_opens_with_the_module_and_the_files_and_leaves_nothing_behind(tmp_path):
    skip_without_host()
    scan, picture = tmp_path / "scan.nii.gz", tmp_path / "window.png"
    voxels = np.random.default_rng(0).normal(0, 300, (40, 40, 40)).astype(np.int16)
    nibabel.save(nibabel.Nifti1Image(voxels, np.diag([4, 4, 4, 1])), scan)
    done = run(scan, "--picture", picture, HOME=str(tmp_path))
    assert done.returncode == 0, done.stderr
    assert "Traceback" not in done.stderr
    assert picture.read_bytes()[:8] == b"\x89PNG\r\n\x1a\n"
