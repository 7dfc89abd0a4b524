"""PyTorch comes through the PyTorch extension: with consent, a bar, a Cancel, and Slicer's own packages untouched.

The extension is the host's stand-in; what its ``installTorch`` does is played by a child process that prints
as pip does.
"""

from __future__ import annotations

import gc
import importlib
import importlib.machinery
import os
import sys
from pathlib import Path
from types import SimpleNamespace

import psutil
import pytest

from Testing.host.application.start import STAND_INS

OK, CANCEL = 0x400, 0x400000  # QMessageBox's buttons

pytestmark = [
    pytest.mark.skipif(os.name == "nt", reason="plays PythonSlicer by a symbolic link"),
    # slicer.util.launchConsoleProcess leaves the pipes of its children to the garbage collector
    pytest.mark.filterwarnings("ignore:unclosed file:ResourceWarning"),
]

PIP = """
import sys, time
print("Looking in links: https://download.pytorch.org/whl/cpu")
print("Collecting torch>=99")
print("  Downloading https://download.pytorch.org/whl/cpu/torch-99.0%2Bcpu-cp312-cp312-linux_x86_64.whl (200.0 MB)")
for megabytes in range(0, 201, 20):
    print(f"Progress {megabytes * 10**6} of 200000000", flush=True)
    time.sleep(float(sys.argv[1]))
print("Installing collected packages: torch", flush=True)
open(sys.argv[2], "w").close()
"""


@pytest.fixture
def extension(application, monkeypatch, tmp_path):
    """The PyTorch extension; its pip is the script above, run as Slicer runs pip."""
    import slicer

    from Testing.host.pythonqt import private

    monkeypatch.setattr(private(slicer.app), "testing", False)
    monkeypatch.syspath_prepend(str(STAND_INS / "modules"))
    monkeypatch.delitem(sys.modules, "torch", raising=False)
    (tmp_path / "pip_of_the_test.py").write_text(PIP)
    (tmp_path / "PythonSlicer").symlink_to(sys.executable)
    monkeypatch.setenv("PATH", f"{tmp_path}{os.pathsep}{os.environ['PATH']}")
    monkeypatch.setenv("PYTHONPATH", str(tmp_path))
    module = importlib.import_module("PyTorchUtils")
    module.recorded_installs.clear()
    module.installed_file, module.seconds_a_step = tmp_path / "installed", "0"

    def run(_recorded):
        arguments = [module.seconds_a_step, str(module.installed_file)]
        slicer.util.executePythonModule("pip_of_the_test", arguments)
        return SimpleNamespace(__version__="99.0")

    monkeypatch.setattr(module, "installer", run)
    yield module
    gc.collect()  # the pipes, see above


@pytest.fixture
def bars(monkeypatch):
    """What progress dialogs showed, and a function that is called with each after every event."""
    import slicer

    shown = SimpleNamespace(dialogs=[], states=[], after=lambda _dialog: None)
    create = slicer.util.createProgressDialog

    def created(**options):
        dialog = create(**options)
        shown.dialogs.append(dialog)

        def look(_value=None):
            shown.states.append((dialog.labelText, dialog.value, dialog.maximum))
            shown.after(dialog)

        dialog.findChild("QProgressBar").connect("valueChanged(int)", look)
        return dialog

    monkeypatch.setattr(slicer.util, "createProgressDialog", created)
    return shown


@pytest.fixture
def installer(tmp_path, application):
    from FedSimSlicerLib.installer import PackageInstaller

    path = tmp_path / "requirements.txt"
    path.write_text("torch>=99\n")
    return PackageInstaller(path)


def test_the_extension_is_asked_for_the_version_with_consent_and_with_constraints(extension, dialogs, installer):
    dialogs.answer(OK)
    installer.install()
    (call,) = extension.recorded_installs
    assert (call.askConfirmation, call.torchVersionRequirement) == (True, ">=99")
    assert call.pip_options["PIP_CONSTRAINT"].startswith("file:///")
    assert len(dialogs.asked) == 1
    assert "PIP_CONSTRAINT" not in os.environ


def test_while_pip_downloads_a_bar_tells_how_far_it_is(extension, dialogs, bars, installer):
    dialogs.answer(OK)
    installer.install()
    labels = [label for label, _value, _maximum in bars.states]
    assert "Downloading: 100 of 200 MB" in labels
    assert [value for _label, value, maximum in bars.states if maximum == 100][-1] == 99
    assert extension.installed_file.exists()


def test_cancel_ends_pip_and_leaves_nothing(extension, dialogs, bars, installer):
    dialogs.answer(OK)
    extension.seconds_a_step = "0.2"
    bars.after = lambda dialog: dialog.cancel() if dialog.value >= 20 else None
    assert installer.install() == "The installation was cancelled; nothing was changed."
    psutil.wait_procs(psutil.Process().children(recursive=True))  # pip notices when it prints the next time
    assert not extension.installed_file.exists()
    assert [m.name for m in installer.missing()] == ["torch"]


def test_who_declines_gets_no_pytorch(extension, dialogs, installer):
    dialogs.answer(CANCEL)
    assert installer.install() == "PyTorch was not installed, because you declined."
    assert extension.recorded_installs == []


def test_a_pip_that_fails_becomes_a_sentence(extension, dialogs, installer, monkeypatch, tmp_path):
    (tmp_path / "pip_of_the_test.py").write_text(
        "raise SystemExit('ERROR: Could not install packages due to an OSError: [Errno 28] No space left on device')"
    )
    dialogs.answer(OK)
    assert installer.install() == "The disk is full; make some GB free and install again."


def test_what_the_extension_raises_becomes_a_sentence(extension, dialogs, installer, monkeypatch):
    monkeypatch.setattr(extension, "installer", lambda _recorded: [][0])
    dialogs.answer(OK)
    assert installer.install() == "Nothing was installed: list index out of range."


def test_a_pytorch_in_use_is_not_replaced(extension, dialogs, installer, monkeypatch):
    monkeypatch.setitem(sys.modules, "torch", SimpleNamespace(__spec__=importlib.machinery.ModuleSpec("torch", None)))
    sentence = installer.install()
    assert "is too old for FedSim (torch>=99) and in use by another module; restart Slicer" in sentence
    assert extension.recorded_installs == []


def test_without_the_extension_the_sentence_tells_how_to_get_it(dialogs, installer, monkeypatch, application):
    import FedSimSlicerLib.installer as module

    monkeypatch.setattr(module, "EXTENSION_MODULE", "NoSuchExtension")
    assert installer.needs_extension()
    assert "press 'Get the PyTorch extension'" in installer.install()


class Extensions:
    """Plays slicer.app with its extensions manager."""

    def __init__(self, installed, succeeds):
        self.installed, self.succeeds, self.asked = installed, succeeds, []

    def extensionsManagerModel(self):
        return self

    def isExtensionInstalled(self, name):
        return self.installed

    def installExtensionFromServer(self, name):
        self.asked.append(name)
        return self.succeeds


@pytest.mark.parametrize(
    ("installed", "succeeds", "asked", "sentence"),
    [
        (False, True, ["PyTorch"], "restart Slicer, then install again"),
        (True, False, [], "restart Slicer, then install again"),
        (False, False, ["PyTorch"], "was not installed. Install it in View > Extensions Manager"),
    ],
)
def test_slicers_extensions_manager_installs_the_extension(application, installed, succeeds, asked, sentence):
    from FedSimSlicerLib.installer import PackageInstaller

    manager = Extensions(installed, succeeds)
    assert sentence in PackageInstaller(application=manager).get_extension()
    assert manager.asked == asked


def test_where_there_is_no_extensions_manager_that_is_said(application):
    from FedSimSlicerLib.installer import PackageInstaller

    assert "has no Extensions Manager" in PackageInstaller(application=object()).get_extension()


@pytest.mark.skipif(not os.environ.get("SLICER_SOURCE"), reason="set SLICER_SOURCE to a checkout of Slicer's source")
def test_slicers_extensions_manager_has_these_methods():
    folder = Path(os.environ["SLICER_SOURCE"], "Base")
    header = (folder / "QTCore" / "qSlicerExtensionsManagerModel.h").read_text()
    slots = header[header.index("public slots:") :]
    assert "bool installExtensionFromServer(const QString& extensionName, bool restart = true," in slots
    assert "Q_INVOKABLE bool isExtensionInstalled(const QString& extensionName) const;" in header
    core = (folder / "QTCore" / "qSlicerCoreApplication.h").read_text()
    assert "Q_INVOKABLE qSlicerExtensionsManagerModel* extensionsManagerModel() const;" in core
