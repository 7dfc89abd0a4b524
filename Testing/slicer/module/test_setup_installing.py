"""Installing works with the real pip, keeps Slicer's own packages, and ends in a sentence when it does not work.

The real pip runs in a virtual environment that plays Slicer's Python, on tiny wheels. Without SLICER_SOURCE its calls
come through the stand-in of slicer.packaging, with it through Slicer's own (in a process of its own, by the last test).
"""

from __future__ import annotations

import gc
import importlib.metadata
import os
import shutil
import subprocess
import sys
import venv
import zipfile
from pathlib import Path

import pytest

from Testing.slicer.module.tiny_wheels import make_wheel

HERE = Path(__file__).parent
SOURCE = os.environ.get("SLICER_SOURCE")
INSIDE = bool(os.environ.get("FEDSIM_HOST_INNER"))
pytestmark = [
    pytest.mark.skipif(os.name == "nt", reason="plays PythonSlicer by a symbolic link"),
    # slicer.util.launchConsoleProcess leaves the pipes of its children to the garbage collector
    pytest.mark.filterwarnings("ignore:unclosed file:ResourceWarning"),
]
OK, CANCEL = 0x400, 0x400000  # QMessageBox's buttons
ANSWERS_TO_A_FAILURE = (OK,) if SOURCE else ()  # Slicer's own packaging tells the failure in a dialog too


@pytest.fixture(scope="module")
def empty_python(tmp_path_factory):
    """An environment with nothing but this one's pip."""
    folder = tmp_path_factory.mktemp("slicer") / "Python"
    venv.create(folder)
    (folder / "bin" / "PythonSlicer").symlink_to("python")
    for file in ("pip/__init__.py", "pip-{}.dist-info/METADATA"):
        there = importlib.metadata.distribution("pip").locate_file(file.format(version("pip"))).parent
        (_site_packages(folder) / there.name).symlink_to(there)
    return folder


@pytest.fixture
def site_packages(empty_python, tmp_path, monkeypatch):
    """Where the Python that plays Slicer's keeps its packages, numpy 1.99 among them."""
    folder = _site_packages(empty_python)
    before = set(folder.iterdir())
    with zipfile.ZipFile(make_wheel(tmp_path, "numpy", "1.99", package="slicers_numpy")) as wheel:
        wheel.extractall(folder)
    monkeypatch.setenv("PATH", f"{empty_python / 'bin'}{os.pathsep}{os.environ['PATH']}")
    monkeypatch.syspath_prepend(str(folder))
    yield folder
    for path in set(folder.iterdir()) - before:
        shutil.rmtree(path)


def _site_packages(python):
    (folder,) = python.glob("lib/python*/site-packages")
    return folder


@pytest.fixture
def asked(application, dialogs, monkeypatch):
    """The application asks as it does for a person, and the dialogs' answers are taken; pip really runs."""
    import slicer.packaging

    from Testing.host.pythonqt import private

    monkeypatch.setattr(private(slicer.app), "testing", False)
    if hasattr(slicer.packaging, "recorded_installs"):

        def run_pip(install):
            constraints = ["-c", install.constraints] if install.constraints else []
            slicer.util.executePythonModule("pip", ["install", *install.requirements, *constraints])

        monkeypatch.setattr(slicer.packaging, "installer", run_pip)
    yield dialogs
    gc.collect()  # the pipes, see above


@pytest.fixture
def shop(tmp_path, monkeypatch):
    """What plays the internet: pip takes from this folder when it is not told another one."""
    folder = tmp_path / "the internet"
    folder.mkdir()
    monkeypatch.setenv("PIP_FIND_LINKS", folder.as_uri())
    monkeypatch.setenv("PIP_NO_INDEX", "1")
    return folder


@pytest.fixture
def installer_for(tmp_path, application):
    from FedSimSlicerLib.installer import PackageInstaller

    def make(*lines, application=None):
        path = tmp_path / "requirements.txt"
        path.write_text("\n".join(lines))
        return PackageInstaller(path, application)

    return make


def version(name):
    return importlib.metadata.version(name)


def test_what_is_missing_is_installed_after_consent(site_packages, asked, shop, installer_for):
    make_wheel(shop, "fedsim_a", "1.2", ["fedsim-b"])
    make_wheel(shop, "fedsim_b", "2.1")
    installer = installer_for("fedsim-a>=1", "fedsim-b>=2")
    asked.answer(OK)
    assert installer.install() == ""
    assert installer.missing() == []
    assert (version("fedsim-a"), version("fedsim-b")) == ("1.2", "2.1")
    assert len(asked.asked) == 1
    assert "FedSim" in asked.asked[0]


def test_who_declines_gets_nothing_installed(site_packages, asked, shop, installer_for):
    make_wheel(shop, "fedsim_a", "1.2")
    installer = installer_for("fedsim-a>=1")
    asked.answer(CANCEL)
    assert installer.install() == "Nothing was installed: User declined package installation."
    assert [m.name for m in installer.missing()] == ["fedsim-a"]


def test_a_package_that_would_replace_slicers_numpy_is_refused_and_numpy_stays(
    site_packages, asked, shop, installer_for
):
    make_wheel(shop, "fedsim_a", "1.2", ["numpy>=2"])
    make_wheel(shop, "numpy", "2.0", package="another_numpy")
    asked.answer(OK, *ANSWERS_TO_A_FAILURE)
    sentence = installer_for("fedsim-a>=1").install()
    assert sentence.startswith("A package would have to replace one that belongs to Slicer, so nothing was installed")
    assert version("numpy") == "1.99"
    assert not (site_packages / "another_numpy").exists()
    assert not (site_packages / "fedsim_a").exists()


def test_an_older_version_is_taken_if_the_newest_does_not_go_with_slicers_numpy(
    site_packages, asked, shop, installer_for
):
    make_wheel(shop, "fedsim_a", "1.2", ["numpy>=2"])
    make_wheel(shop, "fedsim_a", "1.1", ["numpy>=1"])
    make_wheel(shop, "numpy", "2.0", package="another_numpy")
    asked.answer(OK)
    assert installer_for("fedsim-a>=1").install() == ""
    assert (version("fedsim-a"), version("numpy")) == ("1.1", "1.99")


def test_what_cannot_be_found_becomes_a_sentence(site_packages, asked, shop, installer_for):
    asked.answer(OK, *ANSWERS_TO_A_FAILURE)
    sentence = installer_for("fedsim-a>=1").install()
    assert sentence.startswith("A package was not found for this Python and system")


def test_a_network_that_is_not_there_becomes_a_sentence(site_packages, asked, installer_for, monkeypatch):
    monkeypatch.setenv("PIP_CONFIG_FILE", os.devnull)
    monkeypatch.setenv("PIP_INDEX_URL", "http://127.0.0.1:9/nothing-listens-here")
    monkeypatch.setenv("PIP_RETRIES", "1")
    asked.answer(OK, *ANSWERS_TO_A_FAILURE)
    assert installer_for("fedsim-a>=1").install().startswith("The internet could not be reached")


@pytest.mark.parametrize(
    ("printed", "told"),
    [
        (
            "ERROR: Could not install packages due to an OSError: [Errno 13] Permission denied: '/opt/Slicer/lib'",
            "Slicer's folder may not be written",
        ),
        (
            "ERROR: Could not install packages due to an OSError: [WinError 5] Access is denied: 'C:\\Slicer'",
            "Slicer's folder may not be written",
        ),
        (
            "ERROR: Could not install packages due to an OSError: [Errno 28] No space left on device",
            "The disk is full",
        ),
        (
            "ERROR: Could not install packages due to an OSError: [Errno 2] No such file or directory: "
            "'C:\\Slicer\\lib\\Python\\Lib\\site-packages\\torch-2.13.0.dist-info\\licenses'",
            "A path is longer than Windows allows",
        ),
        ("ERROR: The wheel is odd.", "The installation failed (ERROR: The wheel is odd.); see the Python console"),
        ("", "The installation failed (pip does not say why)"),
    ],
)
def test_what_pip_prints_is_told_in_plain_words(application, printed, told):
    from FedSimSlicerLib.pip_output import explain_failure

    assert explain_failure(["Collecting torch", printed, ""]).startswith(told)


def test_a_folder_of_wheels_serves_without_internet(site_packages, asked, installer_for, tmp_path, monkeypatch):
    monkeypatch.setenv("PIP_INDEX_URL", "http://127.0.0.1:9/nothing-listens-here")
    folder = tmp_path / "wheels with a blank"
    make_wheel(folder, "fedsim_a", "1.2", ["fedsim-b"])
    make_wheel(folder, "fedsim_b", "2.1")
    asked.answer(OK)
    assert installer_for("fedsim-a>=1").install_from(folder) == ""
    assert version("fedsim-b") == "2.1"
    assert "PIP_NO_INDEX" not in os.environ


def test_pytorch_comes_from_the_folder_too_if_it_is_there(site_packages, asked, installer_for, tmp_path, monkeypatch):
    monkeypatch.delitem(sys.modules, "torch", raising=False)
    folder = tmp_path / "wheels"
    make_wheel(folder, "torch", "99.0", package="torch_of_the_folder")
    asked.answer(OK)
    assert installer_for("torch>=99").install_from(folder) == ""
    assert version("torch") == "99.0"


def test_without_pytorch_in_the_folder_the_rest_is_installed_and_pytorch_told(
    site_packages, asked, installer_for, tmp_path
):
    folder = tmp_path / "wheels"
    make_wheel(folder, "fedsim_a", "1.2")
    asked.answer(OK)
    sentence = installer_for("fedsim-a>=1", "torch>=99").install_from(folder)
    assert sentence.startswith("Still missing: torch 99 or later (version ")
    assert version("fedsim-a") == "1.2"


def test_missing_wheels_are_told_before_anything_is_installed(site_packages, asked, installer_for, tmp_path):
    folder = tmp_path / "wheels"
    make_wheel(folder, "fedsim_a", "1.2", ["fedsim-b>=2"])
    sentence = installer_for("fedsim-a>=1", "fedsim-c").install_from(folder)
    assert sentence == (
        f"Nothing was installed, because these wheels are missing in {folder}:\n"
        "• fedsim-c\n• fedsim-b>=2, needed by fedsim_a-1.2-py3-none-any.whl"
    )
    assert not (site_packages / "fedsim_a").exists()
    assert asked.asked == []


def test_a_folder_that_is_not_there_becomes_a_sentence(asked, installer_for, tmp_path):
    sentence = installer_for("fedsim-a>=1").install_from(tmp_path / "gone")
    assert sentence == f"The folder {tmp_path / 'gone'} cannot be read (No such file or directory); choose another one."


def test_while_another_module_installs_nothing_is_begun(asked, shop, installer_for, monkeypatch):
    import slicer.packaging

    monkeypatch.setattr(slicer.packaging, "isPipInstallInProgress", lambda: True)
    sentence = installer_for("fedsim-a>=1").install()
    assert sentence.startswith("Another module is installing packages; wait")


def test_without_pythonslicer_the_sentence_says_so(asked, shop, installer_for, monkeypatch):
    monkeypatch.setenv("PATH", "/nowhere")
    asked.answer(OK)
    assert "PythonSlicer executable not found" in installer_for("fedsim-a>=1").install()


@pytest.mark.skipif(not SOURCE or INSIDE, reason="set SLICER_SOURCE to a checkout of Slicer's source")
def test_these_tests_pass_with_slicers_own_packaging_too():
    command = [sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider", str(HERE / Path(__file__).name)]
    done = subprocess.run(
        [*command, str(HERE / "test_setup_torch.py"), str(HERE / "test_setup_panel.py")],
        env={**os.environ, "FEDSIM_HOST_INNER": "1"},
        capture_output=True,
        text=True,
        cwd=HERE.parents[2],
        timeout=300,
        check=False,
    )
    assert done.returncode == 0, done.stdout[-3000:]
