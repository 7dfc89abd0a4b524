"""What FedSim needs in Slicer is known, looked for without loading it, and never replaces Slicer's own packages."""

from __future__ import annotations

import ast
import importlib.metadata
import os
import re
import shlex
import subprocess
import sys
from pathlib import Path

import pytest
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

from FedSimSlicerLib import dependencies
from FedSimSlicerLib.wheel_folder import WheelFolder, download_command
from Testing.slicer.module.tiny_wheels import make_wheel

if sys.version_info >= (3, 11):
    import tomllib
else:
    tomllib = pytest.importorskip("tomli")

ROOT = Path(__file__).resolve().parents[3]
SOURCE = os.environ.get("SLICER_SOURCE")
OF_THE_COMMAND_LINE = ("cli", "benchmarks", "pictures")  # rooms that the module does not enter
ONLY_ON_THE_COMMAND_LINE = {"openpyxl", "onnx"}
"""For reading ImageCHD, and for exporting a segmenter; the module does neither."""
ALL_REQUIREMENTS = [
    *dependencies.requirements(),
    *dependencies.requirements(dependencies.TRAINING_REQUIREMENTS),  # asked for when a training is started
    *dependencies.requirements(dependencies.SEGMENTING_REQUIREMENTS),  # and when scans are to be segmented
    *dependencies.requirements(dependencies.FEDERATED_REQUIREMENTS),  # and when a study of several sites is
]
HELD_BACK = {"nvflare"}
"""Whose next minor version may change what we use of its inside."""


@pytest.fixture
def requirements_file(tmp_path):
    def write(text):
        path = tmp_path / "requirements.txt"
        path.write_text(text)
        return path

    return write


def named(lines):
    return [Requirement(line) for line in lines]


def test_the_bounds_are_those_of_the_core():
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
    of_the_core = {r.name: r for r in named(project["dependencies"])}
    for_training = {r.name: r for r in named(project["optional-dependencies"]["train"])}
    for requirement in dependencies.requirements():
        assert requirement == of_the_core[requirement.name]
    for_studies = {r.name: r for r in named(project["optional-dependencies"]["federated"])}
    for requirement in ALL_REQUIREMENTS:
        assert requirement == {**of_the_core, **for_training, **for_studies}[requirement.name]


def test_the_requirements_are_lower_bounds_only():
    for requirement in ALL_REQUIREMENTS:
        operators = {bound.operator for bound in requirement.specifier}
        assert operators == ({">=", "<"} if requirement.name in HELD_BACK else {">="})


def test_every_package_that_the_core_imports_is_required_or_slicers_own():
    files = [
        path
        for path in (ROOT / "FedSimCore").rglob("*.py")
        if path.relative_to(ROOT / "FedSimCore").parts[0] not in (*OF_THE_COMMAND_LINE, "demo.py")
    ]
    distributions = importlib.metadata.packages_distributions()
    imported = {
        canonicalize_name(distribution)
        for path in files
        for module in _imports(ast.parse(path.read_text()))
        if module not in sys.stdlib_module_names and module != "FedSimCore"
        for distribution in distributions.get(module, [module])
    }
    known = {r.name for r in ALL_REQUIREMENTS} | dependencies.slicers_own().keys()
    assert {"torch", "pydantic", "numpy", "scipy"} <= imported
    assert imported - ONLY_ON_THE_COMMAND_LINE <= known


def _imports(tree):
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            yield from (name.name.split(".")[0] for name in node.names)
        elif isinstance(node, ast.ImportFrom) and node.level == 0:
            yield node.module.split(".")[0]


def test_a_training_in_slicer_has_the_command_line_and_what_it_trains_with():
    """What `fedsim train` and `fedsim runs resume` import, beside what Slicer brings."""
    files = [ROOT / "FedSimCore" / "cli" / f"{name}.py" for name in ("main", "train", "runs", "common")]
    imported = {
        module
        for path in files
        for module in _imports(ast.parse(path.read_text()))
        if module not in sys.stdlib_module_names and module != "FedSimCore"
    }
    assert {"typer", "rich"} <= imported
    assert {canonicalize_name(module) for module in imported} <= {r.name for r in ALL_REQUIREMENTS}


def test_where_the_core_runs_nothing_is_missing():
    assert dependencies.missing() == []


def test_a_package_that_is_not_there_is_missing(requirements_file):
    (found,) = dependencies.missing(requirements_file("# needed\nfedsim-no-such-package>=1.5\nnumpy>=1\n"))
    assert (found.name, found.installed, str(found)) == (
        "fedsim-no-such-package",
        None,
        "fedsim-no-such-package 1.5 or later",
    )


def test_a_version_that_is_too_low_is_named(requirements_file):
    (found,) = dependencies.missing(requirements_file("numpy>=99\n"))
    version = importlib.metadata.version("numpy")
    assert str(found) == f"numpy 99 or later (version {version} is installed)"


def test_metadata_without_its_package_counts_as_missing(requirements_file, tmp_path, monkeypatch):
    info = tmp_path / "fedsim_torn-2.0.dist-info"
    info.mkdir()
    (info / "METADATA").write_text("Metadata-Version: 2.1\nName: fedsim_torn\nVersion: 2.0\n")
    monkeypatch.syspath_prepend(str(tmp_path))
    path = requirements_file("fedsim_torn>=1\n")
    assert [m.name for m in dependencies.missing(path)] == ["fedsim_torn"]
    (tmp_path / "fedsim_torn.py").touch()
    assert dependencies.missing(path) == []


def test_what_does_not_apply_to_this_system_is_not_missing(requirements_file):
    assert dependencies.missing(requirements_file("fedsim-no-such-package; sys_platform == 'amiga'\n")) == []


def test_looking_loads_nothing_heavy():
    code = (
        "import sys; from FedSimSlicerLib import dependencies, interpreter; dependencies.missing();"
        "heavy = {'torch', 'pydantic', 'numpy', 'scipy', 'nibabel', 'trimesh', 'safetensors', 'FedSimCore'};"
        "print(sorted(heavy & set(sys.modules)))"
    )
    done = subprocess.run(
        [sys.executable, "-c", code], cwd=ROOT / "FedSimSlicer", capture_output=True, text=True, check=True
    )
    assert done.stdout.strip() == "[]"


def test_the_constraints_keep_slicers_own_packages_at_the_versions_that_are_there():
    with dependencies.constraints_file() as path:
        lines = path.read_text().splitlines()
    assert f"numpy=={importlib.metadata.version('numpy')}" in lines
    assert f"vtk=={importlib.metadata.version('vtk')}" in lines
    assert not [line for line in lines if line.startswith(("torch", "pydantic"))]
    assert not path.exists()


@pytest.mark.skipif(not SOURCE, reason="set SLICER_SOURCE to a checkout of Slicer's source")
def test_all_that_slicers_build_installs_is_listed_as_its_own():
    files = Path(SOURCE, "SuperBuild").glob("External_python-*.cmake")
    built = {
        canonicalize_name(name)
        for file in files
        for name in re.findall(r"^\s*([A-Za-z0-9_.-]+)==[0-9]", file.read_text(), re.MULTILINE)
    }
    listed = set(dependencies._lines(dependencies.RESOURCES / "slicers_packages.txt"))
    assert listed == built | {"vtk"}


def test_a_folder_that_has_everything_lacks_nothing(tmp_path):
    make_wheel(tmp_path, "fedsim_a", "1.2", ["fedsim-b>=2", "numpy>=1", "fedsim-z; extra == 'more'"])
    make_wheel(tmp_path, "fedsim_b", "2.1")
    assert WheelFolder.read(tmp_path).lacks(named(["fedsim-a>=1"]), dependencies.slicers_own()) == []


def test_missing_wheels_are_named_one_by_one_with_who_needs_them(tmp_path):
    make_wheel(tmp_path, "fedsim_a", "1.2", ["fedsim-b[more]>=2"])
    make_wheel(tmp_path, "fedsim_b", "2.1", ["fedsim-c>=3; extra == 'more'", "fedsim-d"])
    (tmp_path / "notes.txt").write_text("not a wheel")
    lines = WheelFolder.read(tmp_path).lacks(named(["fedsim-a>=1", "fedsim-e"]), {})
    assert lines == [
        "fedsim-e",
        'fedsim-c>=3; extra == "more", needed by fedsim_b-2.1-py3-none-any.whl',
        "fedsim-d, needed by fedsim_b-2.1-py3-none-any.whl",
    ]


def test_a_wheel_for_another_system_and_one_that_is_too_old_are_told_as_such(tmp_path):
    other = make_wheel(tmp_path, "fedsim_a", "1.2", tag="cp27-cp27m-win32")
    old = make_wheel(tmp_path, "fedsim_b", "1.0")
    first, second = WheelFolder.read(tmp_path).lacks(named(["fedsim-a", "fedsim-b>=2"]), {})
    assert f"{other.name} is for another Python or system than Python {sys.version_info.major}." in first
    assert second == f"fedsim-b>=2: the folder has only {old.name}"


def test_a_wheel_that_wants_another_version_of_slicers_own_package_is_refused(tmp_path):
    make_wheel(tmp_path, "fedsim_a", "1.2", ["numpy>=99"])
    make_wheel(tmp_path, "numpy", "99.0")
    own = dependencies.slicers_own()
    (line,) = WheelFolder.read(tmp_path).lacks(named(["fedsim-a"]), own)
    assert line == (
        f"numpy>=99, needed by fedsim_a-1.2-py3-none-any.whl: Slicer's own numpy {own['numpy']} has to stay"
    )


def test_a_wheel_that_was_copied_in_part_is_told(tmp_path):
    path = make_wheel(tmp_path, "fedsim_a", "1.2")
    path.write_bytes(path.read_bytes()[:50])
    (line,) = WheelFolder.read(tmp_path).lacks(named(["fedsim-a"]), {})
    assert re.match(r"fedsim_a-1.2-py3-none-any.whl cannot be read \(.+\); copy it again", line)


def test_the_command_fills_a_folder_that_lacks_nothing(tmp_path, monkeypatch):
    shop = tmp_path / "shop with a blank"
    tag = f"cp{sys.version_info.major}{sys.version_info.minor}-none-{_a_platform_of_this_system()}"
    make_wheel(shop, "fedsim_a", "1.2", ["fedsim-b"], tag=tag)
    make_wheel(shop, "fedsim_b", "2.1")
    for name in ("numpy", "packaging", "setuptools", "typing_extensions"):
        make_wheel(shop, name, importlib.metadata.version(name))
    wanted = named(["fedsim-a>=1"])
    words = shlex.split(download_command(wanted))
    monkeypatch.setenv("PIP_NO_INDEX", "1")
    monkeypatch.setenv("PIP_FIND_LINKS", shop.as_uri())
    subprocess.run([sys.executable, *words[1:]], cwd=tmp_path, check=True, capture_output=True)
    filled = WheelFolder.read(tmp_path / "fedsim-wheels")
    assert filled.lacks(wanted, dependencies.slicers_own()) == []
    assert {"fedsim-a", "fedsim-b", "numpy"} <= filled.wheels.keys()


def _a_platform_of_this_system():
    from packaging.tags import platform_tags

    return "manylinux_2_17_x86_64" if sys.platform.startswith("linux") else next(platform_tags())


def test_the_command_asks_for_the_kind_of_pytorch_that_was_chosen():
    wanted = named(["torch>=2.8"])
    assert "https://download.pytorch.org/whl/cpu " in download_command(wanted)
    assert "https://download.pytorch.org/whl/cu130 " in download_command(wanted, cuda=True)
    assert f'"numpy=={importlib.metadata.version("numpy")}"' in download_command(wanted)
