"""Phantom patients of the Sample Data module: made once, kept, and never at the cost of a sleeping application."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from FedSimCore import anatomy
from FedSimCore.cohorts.phantom.__main__ import main
from FedSimCore.volumes import Grid, Volume
from FedSimCore.volumes.io import read_label_map, read_volume, write_label_map, write_volume
from Testing.slicer.module.known_shapes import GRIDS, ball_on, boxes_on

FILES = ((read_volume, "image.nii.gz"), (read_label_map, "labels.nii.gz"))
ICONS = Path(__file__).resolve().parents[3] / "FedSimSlicer" / "Resources" / "Icons"


@pytest.fixture
def slicer(application: Any, scene: Any) -> Any:
    return application.slicer


@pytest.fixture
def cache(slicer: Any, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Path:
    """An empty cache."""
    from FedSimSlicerLib import sample_data

    monkeypatch.setattr(sample_data, "cache_folder", lambda: tmp_path / "cache")
    return tmp_path / "cache"


@pytest.fixture
def samples(cache: Path, slicer: Any) -> dict[str, Any]:
    """What the Sample Data module offers of FedSim, by name."""
    from FedSimSlicerLib.sample_data import CATEGORY, register_samples

    register_samples()
    return {source.sampleName: source for source in slicer.modules.sampleDataSources[CATEGORY]}


def put_in_cache(cache: Path, sample_name: str, grid: Grid) -> None:
    """A patient that is known, in the place of one that takes seconds to make."""
    from FedSimSlicerLib.sample_data import SAMPLES

    sample = next(sample for sample in SAMPLES if sample.name == sample_name)
    write_label_map(Volume(boxes_on(grid), grid), cache / sample.key / "labels.nii.gz")
    write_volume(Volume(ball_on(grid), grid), cache / sample.key / "image.nii.gz", "int16")


def test_four_patients_are_offered_with_pictures(samples: dict[str, Any]) -> None:
    assert list(samples) == ["FedSimAdult", "FedSimAdultSegmented", "FedSimSeptalDefect", "FedSimTransposition"]
    for source in samples.values():
        assert Path(source.thumbnailFileName).is_file()
        assert callable(source.customDownloader)
        assert source.uris == []


def test_after_a_reload_each_is_offered_once(samples: dict[str, Any], slicer: Any) -> None:
    from FedSimSlicerLib.sample_data import CATEGORY, register_samples

    register_samples()
    assert len(slicer.modules.sampleDataSources[CATEGORY]) == len(samples)


def test_a_patient_is_made_at_first_use_and_taken_from_the_cache_at_the_second(
    samples: dict[str, Any], cache: Path, slicer: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    import qt

    from FedSimSlicerLib import sample_making
    from FedSimSlicerLib.scene_segmentations import labels_of
    from FedSimSlicerLib.scene_volumes import array_of, grid_of

    ticks: list[int] = []
    timer = qt.QTimer()
    timer.connect("timeout()", lambda: ticks.append(1))
    timer.start(20)
    source = samples["FedSimAdultSegmented"]
    volume, segmentation = source.customDownloader(source)
    timer.stop()
    assert len(ticks) > 50  # the application went on meanwhile
    image, labels = (read(next(cache.glob(f"adult-1-normal/{name}"))) for read, name in FILES)
    np.testing.assert_array_equal(array_of(volume), image.array)
    assert grid_of(volume).same_as(image.grid, 1e-3)
    found = labels_of(segmentation)
    assert found.missing == ()
    for label in anatomy.labels():
        here = found.grid.to_world(np.argwhere(found.labels == label))
        there = labels.grid.to_world(np.argwhere(labels.array == label))
        assert len(here) == len(there)
        np.testing.assert_allclose(here.mean(axis=0), there.mean(axis=0), atol=1e-3)

    def never(*_: Any) -> None:
        raise AssertionError("it is in the cache")

    monkeypatch.setattr(sample_making, "WorkerProcess", never)
    again = source.customDownloader(source)
    assert [node.GetName() for node in again] == ["FedSimAdultSegmented_1", "FedSimAdultSegmented_1 segmentation"]
    other = samples["FedSimAdult"]
    assert len(other.customDownloader(other)) == 1  # the same patient, without its segmentation


def test_a_patient_is_shown_in_the_slice_views_in_a_folder(samples: dict[str, Any], cache: Path, slicer: Any) -> None:
    put_in_cache(cache, "FedSimAdultSegmented", GRIDS["LPS"])
    source = samples["FedSimAdultSegmented"]
    volume, segmentation = source.customDownloader(source)
    logic = slicer.app.layoutManager().sliceWidget("Red").sliceLogic()
    assert logic.GetSliceCompositeNode().GetBackgroundVolumeID() == volume.GetID()
    hierarchy = slicer.vtkMRMLSubjectHierarchyNode.GetSubjectHierarchyNode(slicer.mrmlScene)
    parents = {hierarchy.GetItemParent(hierarchy.GetItemByDataNode(node)) for node in (volume, segmentation)}
    assert [hierarchy.GetItemName(parent) for parent in parents] == ["FedSim phantoms"]
    assert segmentation.GetNodeReference(segmentation.GetReferenceImageGeometryReferenceRole()) is volume


def test_a_damaged_file_in_the_cache_is_made_anew(
    samples: dict[str, Any], cache: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from FedSimSlicerLib import sample_making

    put_in_cache(cache, "FedSimAdult", GRIDS["LPS"])
    image = next(cache.glob("*/image.nii.gz"))
    image.write_bytes(image.read_bytes()[:500])

    def make(_self: Any, _tell: Any) -> None:
        put_in_cache(cache, "FedSimAdult", GRIDS["LPS"])

    monkeypatch.setattr(sample_making.PhantomMaker, "_run", make)
    source = samples["FedSimAdult"]
    assert len(source.customDownloader(source)) == 1


def test_cancel_ends_the_process_and_leaves_nothing(
    samples: dict[str, Any], cache: Path, slicer: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    import qt

    from FedSimSlicerLib import sample_making

    started: list[Any] = []
    original = sample_making.WorkerProcess

    def start(launch: Any) -> Any:
        started.append(original(launch))
        return started[-1]

    def press() -> None:
        dialogs = [w for w in slicer.app.topLevelWidgets() if w.className() == "QProgressDialog" and w.visible]
        if started and dialogs:
            slicer.util.findChildren(dialogs[0], className="QPushButton")[0].click()
        else:
            qt.QTimer.singleShot(50, press)

    monkeypatch.setattr(sample_making, "WorkerProcess", start)
    qt.QTimer.singleShot(50, press)
    source = samples["FedSimSeptalDefect"]
    assert source.customDownloader(source) == []
    assert started[0]._process.returncode is not None
    assert list(cache.glob("**/*.nii.gz")) == []
    assert slicer.util.getNodesByClass("vtkMRMLScalarVolumeNode") == []


@pytest.fixture
def told(slicer: Any, monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """What message boxes say."""
    said: list[str] = []
    monkeypatch.setattr(slicer.util, "errorDisplay", lambda text, **_: said.append(text))
    return said


def test_a_cache_that_cannot_be_written_is_told(
    samples: dict[str, Any], monkeypatch: pytest.MonkeyPatch, tmp_path: Path, told: list[str]
) -> None:
    from FedSimSlicerLib import sample_data

    (tmp_path / "file").touch()
    monkeypatch.setattr(sample_data, "cache_folder", lambda: tmp_path / "file" / "cache")
    source = samples["FedSimSeptalDefect"]
    assert source.customDownloader(source) == []
    assert len(told) == 1
    assert "could not be made" in told[0]
    assert "cannot be written" in told[0]


def test_an_interpreter_that_is_missing_is_told(
    samples: dict[str, Any], monkeypatch: pytest.MonkeyPatch, told: list[str]
) -> None:
    from FedSimSlicerLib import sample_making
    from FedSimSlicerLib.worker_process import WorkerLaunch

    monkeypatch.setattr(sample_making, "worker_launch", lambda: WorkerLaunch(python="/nowhere/python"))
    source = samples["FedSimAdult"]
    assert source.customDownloader(source) == []
    assert "/nowhere/python cannot be started" in told[0]


def test_missing_packages_are_told_before_anything_is_tried(
    samples: dict[str, Any], monkeypatch: pytest.MonkeyPatch, told: list[str]
) -> None:
    from FedSimSlicerLib import dependencies

    lacking = [dependencies.Missing("nibabel>=5.2", "nibabel"), dependencies.Missing("torch>=2.8", "torch")]
    monkeypatch.setattr(dependencies, "missing", lambda: lacking)
    source = samples["FedSimAdult"]
    assert source.customDownloader(source) == []
    assert "nibabel 5.2 or later is missing" in told[0]
    assert "torch" not in told[0]


def test_registering_imports_nothing_of_fedsim(slicer: Any) -> None:
    program = (
        "import sys; sys.path[:0] = ['FedSimSlicer', '.']; import FedSimSlicerLib.sample_data; "
        "raise SystemExit(any(name.split('.')[0] in ('FedSimCore', 'numpy', 'torch') for name in sys.modules))"
    )
    stand_ins = "import types, sys; s = types.ModuleType('slicer'); i = types.ModuleType('slicer.i18n'); i.tr = str; "
    stand_ins += "sys.modules.update({'slicer': s, 'slicer.i18n': i}); "
    assert (
        subprocess.run([sys.executable, "-c", stand_ins + program], cwd=ICONS.parents[2], check=False).returncode == 0
    )


def test_the_process_tells_what_went_wrong(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["nowhere", "1", "--out", str(tmp_path)]) == 3
    assert "nowhere" in capsys.readouterr().err
    (tmp_path / "file").touch()
    assert main(["adult", "1", "--out", str(tmp_path / "file" / "out")]) == 5
    assert "cannot be written" in capsys.readouterr().err
