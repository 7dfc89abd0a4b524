"""A segmenter's file gives back what was written, and nothing that could harm."""

from __future__ import annotations

import pickle
from pathlib import Path

import pytest
import torch

from FedSimCore.errors import DiskError, InputError
from FedSimCore.segmentation.model_file import Segmenter, SegmenterHeader, segmenter_file
from FedSimCore.tensor_files import read_tensors, write_tensors, write_weights
from Testing.core.segmentation.thresholds import SMALL, untrained


@pytest.fixture
def inputs() -> torch.Tensor:
    return torch.randn(1, 1, 32, 32, 32, generator=torch.Generator().manual_seed(0))


def test_a_segmenter_read_from_its_file_computes_the_same(tmp_path: Path, inputs: torch.Tensor):
    segmenter = untrained(trained_on=("two hearts",))
    read = Segmenter.load(segmenter.save(tmp_path / "a.safetensors"))
    assert read.header == segmenter.header
    assert read.checksum == segmenter.checksum
    with torch.no_grad():
        assert torch.equal(read(inputs), segmenter(inputs))


def test_half_precision_halves_the_file_and_keeps_the_checksum(tmp_path: Path, inputs: torch.Tensor):
    segmenter = untrained(channels=(16, 32))
    full, half = segmenter.save(tmp_path / "a.safetensors"), segmenter.save(tmp_path / "b.safetensors", half=True)
    assert half.stat().st_size < 0.6 * full.stat().st_size
    read = Segmenter.load(half)
    assert read.checksum == segmenter.checksum
    with torch.no_grad():
        assert torch.allclose(read(inputs), segmenter(inputs), atol=0.05)


def test_windows_of_hounsfield_units_become_channels():
    header = SMALL.model_copy(update={"windows_hu": ((-160.0, 240.0), (-1000.0, 1000.0))})
    hounsfield = torch.tensor([-2000.0, -160.0, 40.0, 240.0]).view(1, 4, 1, 1)
    found = Segmenter(header, torch.nn.Identity()).inputs(hounsfield)
    assert found.shape == (1, 2, 4, 1, 1)
    assert found[0, 0].flatten().tolist() == [-1, -1, 0, 1]
    assert found[0, 1].flatten().tolist() == pytest.approx([-1, -0.16, 0.04, 0.24], abs=1e-6)


def test_a_pickle_in_the_files_place_is_refused_and_not_run(tmp_path: Path):
    class Trap:
        def __reduce__(self):
            return (Path.touch, (tmp_path / "ran",))

    path = tmp_path / "a.safetensors"
    path.write_bytes(pickle.dumps(Trap()))
    with pytest.raises(InputError, match="no safetensors file"):
        Segmenter.load(path)
    assert not (tmp_path / "ran").exists()


def test_a_changed_weight_is_noticed(tmp_path: Path):
    path = untrained().save(tmp_path / "a.safetensors")
    tensors, metadata = read_tensors(path)
    name = next(iter(tensors))
    tensors[name] += 1
    write_tensors(path, tensors, metadata)
    with pytest.raises(InputError, match="does not match its checksum"):
        Segmenter.load(path)


@pytest.mark.parametrize(
    ("changes", "sentence"),
    [
        ({"version": 2}, "version 2"),
        ({"channels": [8, 8]}, "does not fit its header|tells of"),
        ({"patch": 33}, "multiple of 2"),
        ({"windows_hu": [[5, -5]]}, "must rise"),
        ({"regions": "lungs"}, "regions"),
        ({"strange": 1}, "strange"),
    ],
)
def test_a_header_that_cannot_be_is_refused_in_one_sentence(tmp_path: Path, changes: dict, sentence: str):
    segmenter = untrained()
    path = tmp_path / "a.safetensors"
    write_weights(path, segmenter.network.state_dict(), {**segmenter.header.model_dump(mode="json"), **changes})
    with pytest.raises(InputError, match=sentence):
        Segmenter.load(path)


def test_another_models_file_is_refused(tmp_path: Path):
    path = tmp_path / "a.safetensors"
    write_weights(path, {"a": torch.zeros(1)}, {"kind": "site enhancer"})
    with pytest.raises(InputError, match="holds a site enhancer, but a segmenter is needed"):
        Segmenter.load(path)


def test_a_runs_folder_stands_for_its_segmenter(tmp_path: Path):
    file = untrained().save(tmp_path / "run" / "model" / "segmenter.safetensors")
    assert segmenter_file(tmp_path / "run") == file
    assert segmenter_file(file) == file
    with pytest.raises(InputError, match="has no model"):
        segmenter_file(tmp_path)


def test_a_full_disk_leaves_the_old_file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    path = untrained().save(tmp_path / "a.safetensors")
    before = path.read_bytes()

    def full(*args: object) -> None:
        raise OSError(28, "No space left on device", str(path))

    monkeypatch.setattr("FedSimCore.tensor_files.write_tensors", full)
    with pytest.raises(DiskError):
        untrained(trained_on=("other",)).save(path)
    assert path.read_bytes() == before


def test_the_binary_case_has_one_label():
    header = SegmenterHeader(regions="heart", channels=(4, 8), spacing_mm=2.0, patch=32)
    assert header.classes == 2
    assert header.region_names() == {1: ("heart", "Heart")}
    assert header.trained_label(torch.tensor([0, 1, 7])).tolist() == [0, 1, 1]
