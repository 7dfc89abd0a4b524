import json
import subprocess
import sys

import pytest

FEDSIM = [sys.executable, "-m", "FedSimCore.cli.main"]


def run(*arguments):
    return subprocess.run([*FEDSIM, *arguments], capture_output=True, text=True, timeout=120)


def test_help_imports_no_heavy_library():
    program = (
        "import sys; sys.argv = ['fedsim', '--help']\n"
        "from FedSimCore.cli import main\n"
        "try: main.main()\n"
        "except SystemExit: pass\n"
        "heavy = {'torch', 'vtk', 'numpy', 'scipy', 'SimpleITK', 'nibabel', 'matplotlib', 'trimesh', 'monai'}\n"
        "print('HEAVY', sorted(heavy & set(sys.modules)))"
    )
    result = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, timeout=60)
    assert result.stdout.splitlines()[-1] == "HEAVY []"


def test_version_is_the_packages_own():
    from FedSimCore import __version__

    assert run("--version").stdout.strip() == f"fedsim {__version__}"


def test_an_unknown_verb_is_a_usage_error():
    result = run("heart")
    assert result.returncode == 2
    assert "No such command" in result.stderr


def test_an_error_of_the_users_is_one_sentence_without_a_traceback(monkeypatch, capsys):
    from FedSimCore.cli import main
    from FedSimCore.errors import DiskError

    def fail():
        raise DiskError("The disk is full.")

    monkeypatch.setattr(main, "app", fail)
    with pytest.raises(SystemExit) as stop:
        main.main()
    assert stop.value.code == 5
    assert capsys.readouterr().err == "fedsim: The disk is full.\n"


def test_ctrl_c_is_told_and_has_its_own_exit_code(monkeypatch, capsys):
    from FedSimCore.cli import main

    def interrupt():
        raise KeyboardInterrupt

    monkeypatch.setattr(main, "app", interrupt)
    with pytest.raises(SystemExit) as stop:
        main.main()
    assert stop.value.code == 130
    assert "cancelled" in capsys.readouterr().err


def test_json_for_machines_is_one_object_and_refuses_nan(capsys):
    from FedSimCore.cli.common import print_json

    print_json({"a": 1.5, "b": ["ü"]})
    assert json.loads(capsys.readouterr().out) == {"a": 1.5, "b": ["ü"]}
    with pytest.raises(ValueError, match="not JSON compliant"):
        print_json({"a": float("nan")})
