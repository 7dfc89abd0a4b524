"""What is written for other programs computes what FedSim computes."""

from __future__ import annotations

import json
import warnings
from pathlib import Path

import nibabel as nib
import numpy as np
import pytest
import torch

from FedSimCore.errors import InputError
from FedSimCore.segmentation.export import PatchToProbabilities, export
from FedSimCore.segmentation.inference import probabilities
from FedSimCore.segmentation.model_file import Segmenter
from FedSimCore.volumes.io import write_volume
from Testing.core.segmentation.thresholds import heart_labels, painted, untrained


@pytest.fixture(scope="module")
def segmenter() -> Segmenter:
    return untrained(channels=(8, 16), windows_hu=((-160.0, 240.0), (-1000.0, 1000.0)))


@pytest.fixture(scope="module")
def patch() -> torch.Tensor:
    return torch.randn(1, 1, 32, 32, 32, generator=torch.Generator().manual_seed(0)) * 300


@pytest.fixture(scope="module")
def expected(segmenter: Segmenter, patch: torch.Tensor) -> np.ndarray:
    with torch.no_grad():
        return segmenter(segmenter.inputs(patch[:, 0])).softmax(1).numpy()


def test_torchscript_gives_the_same_probabilities(segmenter, patch, expected, tmp_path: Path):
    file = export(segmenter, tmp_path / "a.ts", "torchscript")
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        loaded = torch.jit.load(str(file))
    with torch.no_grad():
        assert np.abs(loaded(patch).numpy() - expected).max() < 1e-5


def test_onnx_gives_the_same_probabilities_at_other_sizes_too(segmenter, patch, expected, tmp_path: Path):
    onnxruntime = pytest.importorskip("onnxruntime")
    file = export(segmenter, tmp_path / "a.onnx", "onnx")
    session = onnxruntime.InferenceSession(str(file), providers=["CPUExecutionProvider"])
    found = session.run(None, {"hounsfield": patch.numpy()})[0]
    assert np.abs(found - expected).max() < 1e-4
    larger = torch.cat([patch, patch], 2)
    with torch.no_grad():
        wanted = PatchToProbabilities(segmenter)(larger).numpy()
    assert np.abs(session.run(None, {"hounsfield": larger.numpy()})[0] - wanted).max() < 1e-4


def test_the_bundle_is_read_by_monai_and_its_network_gives_the_same(segmenter, patch, expected, tmp_path: Path):
    from monai.bundle.config_parser import ConfigParser

    folder = export(segmenter, tmp_path / "bundle", "bundle")
    parser = ConfigParser()
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        parser.read_config(str(folder / "configs" / "inference.json"))
        parser.read_meta(str(folder / "configs" / "metadata.json"))
        parser["bundle_root"] = str(folder)
        parser["device"] = "$torch.device('cpu')"
        parser.get_parsed_content("weights")
        network = parser.get_parsed_content("network")
    with torch.no_grad():
        found = network(segmenter.inputs(patch[:, 0])).softmax(1).numpy()
    assert np.abs(found - expected).max() < 1e-6
    metadata = json.loads((folder / "configs" / "metadata.json").read_text())
    assert metadata["network_data_format"]["outputs"]["pred"]["channel_def"]["1"] == "lv"


def test_the_bundles_transforms_lead_from_a_scans_file_to_labels_on_its_grid(segmenter, tmp_path: Path):
    """Its evaluator would call these one after the other; it needs pytorch-ignite, which FedSim does without."""
    from monai.bundle.config_parser import ConfigParser
    from monai.data.utils import decollate_batch, list_data_collate

    folder = export(segmenter, tmp_path / "bundle", "bundle")
    scan = painted(heart_labels(4.0))
    file = folder / "data" / "scan.nii.gz"
    write_volume(scan, file)
    parser = ConfigParser()
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        parser.read_config(str(folder / "configs" / "inference.json"))
        parser["bundle_root"] = str(folder)
        parser["device"] = "$torch.device('cpu')"
        parser.get_parsed_content("weights")
        batch = list_data_collate([parser.get_parsed_content("preprocessing")({"image": str(file)})])
        assert batch["image"].shape[1] == 2
        with torch.no_grad():
            batch["pred"] = parser.get_parsed_content("inferer")(batch["image"], parser.get_parsed_content("network"))
        parser.get_parsed_content("postprocessing")(decollate_batch(batch)[0])
    (saved,) = (folder / "eval").rglob("*.nii.gz")
    assert nib.load(saved).shape == scan.grid.shape
    assert nib.load(saved).affine == pytest.approx(scan.grid.affine, abs=1e-4)


def test_probabilities_sum_to_one_in_every_voxel(segmenter):
    scan = torch.from_numpy(painted(heart_labels(4.0)).array)
    found = probabilities(segmenter.network, segmenter.header, scan, torch.device("cpu"))
    assert found.dtype == torch.float16
    assert torch.allclose(found.float().sum(0), torch.ones(scan.shape), atol=5e-3)


def test_an_unknown_format_is_refused(segmenter, tmp_path: Path):
    with pytest.raises(InputError, match="choose one of bundle, onnx, torchscript"):
        export(segmenter, tmp_path / "a", "keras")
