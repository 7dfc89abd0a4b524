"""A segmenter for other programs: a MONAI bundle, ONNX or TorchScript.

What is written takes a patch of Hounsfield units (B, 1, X, Y, Z) on the working grid (RAS, the segmenter's spacing) and
gives probabilities (B, classes, X, Y, Z): the windows of the input and the softmax are in it, so that nobody has to
know them.
"""

from __future__ import annotations

import warnings
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

from FedSimCore.errors import InputError, MissingDependencyError
from FedSimCore.files import atomic_path, write_json
from FedSimCore.segmentation.card import card
from FedSimCore.segmentation.model_file import Segmenter, windowed
from FedSimCore.tensor_files import write_tensors

FORMATS = ("bundle", "onnx", "torchscript")


class PatchToProbabilities(nn.Module):
    """From HU of patches to probabilities."""

    def __init__(self, segmenter: Segmenter) -> None:
        """Wrap a segmenter's network."""
        super().__init__()
        self.network = segmenter.network
        self.windows_hu = segmenter.header.windows_hu

    def forward(self, hounsfield: Tensor) -> Tensor:
        """Return probabilities (B, classes, X, Y, Z) of HU (B, 1, X, Y, Z)."""
        return self.network(windowed(hounsfield[:, 0], self.windows_hu)).softmax(1)


def export(segmenter: Segmenter, out: Path, kind: str) -> Path:
    """Write a segmenter in a format of other programs.

    Args:
        segmenter: in evaluation mode.
        out: folder for a bundle, else a file.
        kind: ``"bundle"``, ``"onnx"`` or ``"torchscript"``.

    Returns:
        What was written.

    Raises:
        InputError: the format is unknown.
        MissingDependencyError: the library for ONNX is not installed.
        DiskError: the disk refuses.
    """
    if kind not in FORMATS:
        raise InputError(f"There is no format {kind!r}; choose one of {', '.join(FORMATS)}.")
    module = PatchToProbabilities(segmenter).cpu().eval()
    size = segmenter.header.patch
    patch = torch.full((1, 1, size, size, size), -1000.0)
    if kind == "bundle":
        return _write_bundle(segmenter, module, out)
    if kind == "onnx":
        _write_onnx(module, patch, out)
    else:
        _write_torchscript(module, patch, out)
    return out


def _write_torchscript(module: nn.Module, patch: Tensor, out: Path) -> None:
    with warnings.catch_warnings(), torch.no_grad(), atomic_path(out) as temporary:
        # TorchScript is old, but what other programs still read.
        warnings.simplefilter("ignore")
        traced: Any = torch.jit.trace(module, patch)
        traced.save(str(temporary))


def _write_onnx(module: nn.Module, patch: Tensor, out: Path) -> None:
    try:
        import onnx  # noqa: F401
    except ImportError as error:
        raise MissingDependencyError("ONNX needs the package onnx; install it with `pip install onnx`.") from error
    sizes = {0: "batch", 2: "x", 3: "y", 4: "z"}
    with warnings.catch_warnings(), torch.no_grad(), atomic_path(out) as temporary:
        warnings.simplefilter("ignore")
        torch.onnx.export(
            module,
            (patch,),
            str(temporary),
            input_names=["hounsfield"],
            output_names=["probabilities"],
            dynamic_axes={"hounsfield": sizes, "probabilities": sizes},
            opset_version=17,
            dynamo=False,
        )


def _write_bundle(segmenter: Segmenter, module: nn.Module, out: Path) -> Path:
    """Write a MONAI bundle: configs/metadata.json and inference.json, weights as safetensors and TorchScript."""
    header = segmenter.header
    size = header.patch
    models = out / "models"
    models.mkdir(parents=True, exist_ok=True)
    (out / "docs").mkdir(exist_ok=True)
    patch = torch.full((1, 1, size, size, size), -1000.0)
    _write_torchscript(module, patch, models / "model.ts")
    with atomic_path(models / "model.safetensors") as temporary:
        state = {name: tensor.clone() for name, tensor in segmenter.network.state_dict().items()}
        write_tensors(temporary, state)
    with atomic_path(out / "docs" / "README.md") as temporary:
        temporary.write_text(card(segmenter), encoding="utf-8")
    write_json(out / "configs" / "metadata.json", _metadata(segmenter))
    write_json(out / "configs" / "inference.json", _inference(segmenter))
    return out


def _metadata(segmenter: Segmenter) -> dict[str, Any]:
    import monai

    header = segmenter.header
    names = {"0": "background", **{str(v): key for v, (key, _) in header.region_names().items()}}
    common = {"type": "image", "spatial_shape": [header.patch] * 3, "dtype": "float32", "is_patch_data": True}
    image = {**common, "format": "hounsfield", "modality": "CT", "num_channels": 1, "value_range": [-1024, 3071]}
    return {
        "schema": "https://github.com/Project-MONAI/MONAI-extra-test-data/releases/download/0.8.1/meta_schema_20240725.json",
        "version": "1.0.0",
        "changelog": {"1.0.0": "exported by FedSim"},
        "monai_version": monai.__version__,
        "pytorch_version": torch.__version__.split("+")[0],
        "numpy_version": __import__("numpy").__version__,
        "required_packages_version": {"safetensors": "0.4.5"},
        "name": "FedSim heart segmenter",
        "task": "Segmentation of the heart's regions in CT",
        "description": "3D U-Net trained by FedSim; not for clinical use",
        "authors": "FedSim",
        "copyright": "FedSim developers",
        "intended_use": "Research only; not for clinical use",
        "network_data_format": {
            "inputs": {"image": {**image, "channel_def": {"0": "image"}}},
            "outputs": {
                "pred": {
                    **common,
                    "format": "segmentation",
                    "num_channels": header.classes,
                    "value_range": [0, 1],
                    "channel_def": names,
                }
            },
        },
    }


def _inference(segmenter: Segmenter) -> dict[str, Any]:
    header = segmenter.header
    return {
        "imports": ["$import glob", "$import torch", "$from safetensors.torch import load_file"],
        "bundle_root": ".",
        "device": "$torch.device('cuda:0' if torch.cuda.is_available() else 'cpu')",
        "dataset_dir": "@bundle_root + '/data'",
        "output_dir": "$@bundle_root + '/eval'",
        "windows_hu": [list(window) for window in header.windows_hu],
        "network_def": {
            "_target_": "UNet",
            "spatial_dims": 3,
            "in_channels": len(header.windows_hu),
            "out_channels": header.classes,
            "channels": list(header.channels),
            "strides": [2] * (len(header.channels) - 1),
            "num_res_units": 2,
            "norm": "instance",
        },
        "network": "$@network_def.to(@device).eval()",
        "weights": "$@network_def.load_state_dict(load_file(@bundle_root + '/models/model.safetensors'))",
        "preprocessing": {
            "_target_": "Compose",
            "transforms": [
                {"_target_": "LoadImaged", "keys": "image"},
                {"_target_": "EnsureChannelFirstd", "keys": "image"},
                {"_target_": "Orientationd", "keys": "image", "axcodes": "RAS"},
                {
                    "_target_": "Spacingd",
                    "keys": "image",
                    "pixdim": [header.spacing_mm] * 3,
                    "mode": "bilinear",
                    "padding_mode": "border",
                },
                {
                    "_target_": "Lambdad",
                    "keys": "image",
                    "func": "$lambda x: torch.cat([((x - low) * (2 / (high - low)) - 1).clamp(-1, 1) "
                    "for low, high in @windows_hu])",
                },
            ],
        },
        "inferer": {
            "_target_": "SlidingWindowInferer",
            "roi_size": [header.patch] * 3,
            "sw_batch_size": 1,
            "overlap": 0.5,
            "mode": "gaussian",
            "cval": -1.0,
        },
        "postprocessing": {
            "_target_": "Compose",
            "transforms": [
                {"_target_": "Activationsd", "keys": "pred", "softmax": True},
                {
                    "_target_": "Invertd",
                    "keys": "pred",
                    "transform": "@preprocessing",
                    "orig_keys": "image",
                    "nearest_interp": False,
                    "to_tensor": True,
                },
                {"_target_": "AsDiscreted", "keys": "pred", "argmax": True},
                {"_target_": "SaveImaged", "keys": "pred", "output_dir": "@output_dir"},
            ],
        },
        "dataset": {
            "_target_": "Dataset",
            "data": "$[{'image': i} for i in sorted(glob.glob(@dataset_dir + '/*.nii.gz'))]",
            "transform": "@preprocessing",
        },
        "dataloader": {"_target_": "DataLoader", "dataset": "@dataset", "batch_size": 1, "num_workers": 0},
        "evaluator": {
            "_target_": "SupervisedEvaluator",
            "device": "@device",
            "val_data_loader": "@dataloader",
            "network": "@network",
            "inferer": "@inferer",
            "postprocessing": "@postprocessing",
        },
        "initialize": ["$@weights"],
        "run": ["$@evaluator.run()"],
    }
