"""Segmenters beside MONAI's own examples: ``python -m Testing.benchmarks.segmenter``.

1. A training step: FedSim's loop beside the loop of MONAI's spleen tutorial (cached data set, dictionary transforms,
   data loader, plain steps) with the same network, loss, optimizer, patch, batch and cases on the same device.
2. Inference of a 256 voxels cubed CT of 1 mm: ``fedsim``'s segment beside MONAI's example (LoadImage, Orientation,
   Spacing, sliding windows, Invert, argmax) with the same network, spacing and overlap, each in a process of its own.
3. The memory of ``fedsim``'s segment for a thorax of 512 x 512 x 600 voxels.

Times are processor time of one thread, which other programs hardly change; with ``--device cuda`` wall time. Writes
``Testing/results/segmenter.json`` and ``.md``.
"""

from __future__ import annotations

import argparse
import json
import subprocess
import sys
import tempfile
import time
import warnings
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import torch

from FedSimCore.machine import commit, cpu_name

ROOT = Path(__file__).resolve().parents[2]
RESULTS = ROOT / "Testing" / "results"
SPACING_MM, PATCH, BATCH, CHANNELS = 3.0, 64, 2, (32, 48, 64, 96, 128)
CASES = 4
INFERENCE_VOXELS = 256
LARGE = (512, 512, 600)
LARGE_SPACING_MM = (0.75, 0.75, 0.6)


def clock(device: str) -> Callable[[], float]:
    """Return what tells the time: processor time, or wall time after waiting for a graphics card."""

    def on_card() -> float:
        torch.cuda.synchronize()
        return time.perf_counter()

    return on_card if device == "cuda" else time.process_time


def write_cohort(folder: Path) -> Path:
    """Write phantom chests, painted on the working grid, as a cohort."""
    from FedSimCore.cohorts import Case, Cohort, write_cohort
    from FedSimCore.segmentation.anatomies import phantom_anatomy
    from FedSimCore.volumes import Grid, Volume
    from FedSimCore.volumes.io import write_label_map, write_volume

    cases = []
    for number in range(CASES):
        made = phantom_anatomy("adult", 8_000_000 + number, SPACING_MM)
        grid = Grid.centered(made.label.shape, SPACING_MM)
        image, label = folder / f"case{number}_image.nii.gz", folder / f"case{number}_label.nii.gz"
        write_volume(Volume(made.hounsfield, grid), image, "int16")
        write_label_map(Volume(made.label, grid), label)
        cases.append(Case(id=f"case{number}", image=image, label=label, site="adult"))
    write_cohort(Cohort(name="benchmark", cases=tuple(cases)), folder)
    return folder


def fedsim_steps(cohort: Path, steps: int, device: str, precision: str) -> list[float]:
    """Return seconds of each step of FedSim's loop."""
    from FedSimCore.progress import silent
    from FedSimCore.runs.checkpoints import CheckpointStore
    from FedSimCore.training.devices import make_fabric
    from FedSimCore.training.loop import Loop
    from FedSimCore.training.recipes import checked_config
    from FedSimCore.training.segmenter import build

    fields = {
        "recipe": "segmenter", "cohort": str(cohort), "steps": steps, "batch_size": BATCH, "spacing_mm": SPACING_MM,
        "patch": PATCH, "channels": CHANNELS, "augmentation": "plain", "device": device, "precision": precision,
        "learning_rate": 1e-4, "held_cases": 0,
    }  # fmt: skip
    config: Any = checked_config(fields, "the benchmark")
    with tempfile.TemporaryDirectory() as folder:
        store = CheckpointStore(Path(folder), 1)
        loop = Loop(make_fabric(config), task := build(config, silent), config, store, 1, None, lambda: False)
        now, seconds = clock(device), []
        for step in range(steps):
            began = now()
            loop.set_rates()
            for phase in task.phases(step):
                loop.compute_gradients(phase)
                loop.make_step(phase)
            seconds.append(now() - began)
    return seconds


def monai_steps(cohort: Path, steps: int, device: str) -> list[float]:
    """Return seconds of each step of the tutorial's loop."""
    from monai import transforms as t
    from monai.data.dataloader import DataLoader
    from monai.data.dataset import CacheDataset
    from monai.losses.dice import DiceCELoss
    from monai.networks.nets.unet import UNet

    keys = ["image", "label"]
    modes = ("bilinear", "nearest")
    size = (PATCH,) * 3
    chain = t.Compose(
        [
            t.LoadImaged(keys=keys),
            t.EnsureChannelFirstd(keys=keys),
            t.Orientationd(keys=keys, axcodes="RAS"),
            t.Spacingd(keys=keys, pixdim=(SPACING_MM,) * 3, mode=modes),
            t.CopyItemsd(keys="image", names=["soft"]),
            t.ScaleIntensityRanged(keys="soft", a_min=-160, a_max=240, b_min=-1, b_max=1, clip=True),
            t.ScaleIntensityRanged(keys="image", a_min=-1000, a_max=1000, b_min=-1, b_max=1, clip=True),
            t.ConcatItemsd(keys=["soft", "image"], name="image"),
            t.DeleteItemsd(keys="soft"),
            t.RandCropByPosNegLabeld(keys=keys, label_key="label", spatial_size=size, pos=1, neg=1, num_samples=1),
            t.ResizeWithPadOrCropd(keys=keys, spatial_size=size),
            t.Rand3DElasticd(
                keys=keys, sigma_range=(5, 7), magnitude_range=(20, 60), prob=1.0, rotate_range=(0.1,) * 3,
                scale_range=(0.07,) * 3, mode=modes, padding_mode="border",
            ),
            t.RandGaussianSmoothd(keys="image", prob=1.0, sigma_x=(0.1, 0.6), sigma_y=(0.1, 0.6), sigma_z=(0.1, 0.6)),
            t.RandScaleIntensityd(keys="image", factors=0.05, prob=1.0),
            t.RandShiftIntensityd(keys="image", offsets=0.02, prob=1.0),
            t.RandGaussianNoised(keys="image", prob=1.0, std=0.02),
        ]
    )  # fmt: skip
    files = [
        {"image": str(cohort / f"case{n}_image.nii.gz"), "label": str(cohort / f"case{n}_label.nii.gz")}
        for n in range(CASES)
    ]
    loader = DataLoader(CacheDataset(files, chain, progress=False), batch_size=BATCH, shuffle=True, num_workers=0)
    network = UNet(3, 2, 8, CHANNELS, (2,) * (len(CHANNELS) - 1), num_res_units=2, norm="instance").to(device)
    loss_function = DiceCELoss(to_onehot_y=True, softmax=True)
    optimizer = torch.optim.AdamW(network.parameters(), 1e-4)
    now, seconds = clock(device), []
    while len(seconds) < steps:
        began = now()
        for batch in loader:
            inputs, labels = batch["image"].to(device), batch["label"].to(device)
            optimizer.zero_grad()
            loss = loss_function(network(inputs), labels)
            loss.backward()
            optimizer.step()
            seconds.append(now() - began)
            began = now()
    return seconds[:steps]


def write_scan(path: Path, shape: tuple[int, ...], spacing_mm: tuple[float, ...]) -> None:
    """Write a CT of a phantom's chest."""
    from FedSimCore.segmentation.anatomies import phantom_anatomy
    from FedSimCore.volumes import Grid, Volume
    from FedSimCore.volumes.io import write_volume
    from FedSimCore.volumes.resample import resample

    made = phantom_anatomy("adult", 8_000_009, SPACING_MM)
    scan = Volume(made.hounsfield, Grid.centered(made.label.shape, SPACING_MM))
    write_volume(resample(scan, Grid.centered(shape, spacing_mm), outside=-1000.0), path, "int16")


def infer_with_fedsim(scan: Path, model: Path, device: str) -> None:
    """Segment a scan as ``fedsim segment`` does."""
    from FedSimCore.segmentation.model_file import Segmenter
    from FedSimCore.segmentation.predict import segment
    from FedSimCore.volumes.io import read_volume, write_label_map

    found = segment(read_volume(scan), Segmenter.load(model), device=torch.device(device))
    write_label_map(found.labels, scan.with_name("fedsim.nii.gz"))


def infer_with_monai(scan: Path, model: Path, device: str) -> None:
    """Segment a scan as MONAI's example does."""
    from monai import transforms as t
    from monai.data.utils import decollate_batch, list_data_collate
    from monai.inferers.utils import sliding_window_inference

    from FedSimCore.segmentation.model_file import Segmenter, windowed

    segmenter = Segmenter.load(model)
    header, network = segmenter.header, segmenter.network.to(device)
    before = t.Compose(
        [
            t.LoadImaged(keys="image"),
            t.EnsureChannelFirstd(keys="image"),
            t.Orientationd(keys="image", axcodes="RAS"),
            t.Spacingd(keys="image", pixdim=(header.spacing_mm,) * 3, mode="bilinear"),
        ]
    )
    after = t.Compose(
        [
            t.Activationsd(keys="pred", softmax=True),
            t.Invertd(keys="pred", transform=before, orig_keys="image", nearest_interp=False, to_tensor=True),
            t.AsDiscreted(keys="pred", argmax=True),
            t.SaveImaged(keys="pred", output_dir=str(scan.parent / "monai"), print_log=False),
        ]
    )
    batch = list_data_collate([before({"image": str(scan)})])
    with torch.no_grad():
        batch["pred"] = sliding_window_inference(
            windowed(batch["image"][:, 0].to(device), header.windows_hu), (header.patch,) * 3, 1, network,
            overlap=0.5, mode="gaussian", cval=-1.0,
        )  # fmt: skip
    after(decollate_batch(batch)[0])


def measured_process(which: str, scan: Path, model: Path, device: str) -> dict[str, float]:
    """Run one inference in a process of its own; returns its seconds and the memory it added to the libraries'."""
    command = [sys.executable, "-m", "Testing.benchmarks.segmenter", "--one", which, str(scan), str(model), device]
    result = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=True)
    return dict(json.loads(result.stdout.strip().splitlines()[-1]))


def peak_mb() -> float:
    """Return the peak of this process's memory (Linux); ``ru_maxrss`` would begin with the parent's."""
    lines = Path("/proc/self/status").read_text().splitlines()
    return next(int(line.split()[1]) for line in lines if line.startswith("VmHWM")) / 1024


def one(which: str, scan: Path, model: Path, device: str) -> None:
    """Measure one inference here; a first one on a small scan loads what is loaded lazily."""
    torch.set_num_threads(1)
    infer = {"fedsim": infer_with_fedsim, "monai": infer_with_monai}[which]
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        infer(scan.with_name("small.nii.gz"), model, device)
        base = peak_mb()
        now = clock(device)
        began, wall = now(), time.perf_counter()
        infer(scan, model, device)
        seconds, wall = now() - began, time.perf_counter() - wall
    print(json.dumps({"seconds": seconds, "wall_seconds": wall, "base_mb": base, "peak_mb": peak_mb()}))


def main() -> None:
    """Measure and write the results."""
    if sys.argv[1:2] == ["--one"]:
        one(sys.argv[2], Path(sys.argv[3]), Path(sys.argv[4]), sys.argv[5])
        return
    parser = argparse.ArgumentParser(prog="python -m Testing.benchmarks.segmenter", description=__doc__)
    parser.add_argument("--steps", type=int, default=12)
    parser.add_argument("--device", default="cpu", choices=("cpu", "cuda"))
    parser.add_argument("--out", type=Path, default=RESULTS)
    options = parser.parse_args()
    torch.set_num_threads(1)
    warnings.simplefilter("ignore")
    with tempfile.TemporaryDirectory() as folder:
        results = measure(Path(folder), options.steps, options.device)
    options.out.mkdir(parents=True, exist_ok=True)
    (options.out / "segmenter.json").write_text(json.dumps(results, indent=1) + "\n")
    (options.out / "segmenter.md").write_text(report(results))
    print(report(results))


def measure(folder: Path, steps: int, device: str) -> dict[str, Any]:
    """Measure everything."""
    from FedSimCore.segmentation.model_file import Segmenter, SegmenterHeader, new_network
    from FedSimCore.volumes import Grid, Volume
    from FedSimCore.volumes.io import write_volume

    cohort = write_cohort(folder / "cohort")
    training = {
        "MONAI's tutorial": monai_steps(cohort, steps, device),
        "FedSim, 32-true": fedsim_steps(cohort, steps, device, "32-true"),
        "FedSim, bf16-mixed": fedsim_steps(cohort, steps, device, "bf16-mixed"),
    }
    header = SegmenterHeader(channels=CHANNELS, spacing_mm=SPACING_MM, patch=PATCH)
    model = Segmenter(header, new_network(header)).save(folder / "model.safetensors")
    scan, large = folder / "scan.nii.gz", folder / "large.nii"
    write_scan(scan, (INFERENCE_VOXELS,) * 3, (1.0,) * 3)
    write_scan(large, LARGE, LARGE_SPACING_MM)
    noise = np.random.default_rng(0).normal(0, 100, (64, 64, 64)).astype(np.float32)
    write_volume(Volume(noise, Grid.centered(64, 1.0)), folder / "small.nii.gz")
    inference = {which: measured_process(which, scan, model, device) for which in ("monai", "fedsim")}
    return {
        "commit": commit(),
        "machine": torch.cuda.get_device_name() if device == "cuda" else f"one core of {cpu_name()}",
        "training_seconds": {name: float(np.median(seconds[2:])) for name, seconds in training.items()},
        "inference": inference,
        "large": measured_process("fedsim", large, model, device),
    }


def report(results: dict[str, Any]) -> str:
    """Return the results in Markdown."""
    base = results["training_seconds"]["MONAI's tutorial"]
    lines = [
        "# Segmenters",
        "",
        f"`python -m Testing.benchmarks.segmenter`, commit {results['commit']}, {results['machine']}.",
        "",
        f"A training step: U-Net {CHANNELS}, patches of {PATCH} voxels, batch {BATCH}, augmentation included.",
        "",
        "| loop | s | MONAI's / this |",
        "|---|---|---|",
    ]
    lines += [f"| {name} | {s:.2f} | {base / s:.2f} |" for name, s in results["training_seconds"].items()]
    lines += [
        "",
        f"Inference of a CT of {INFERENCE_VOXELS} voxels cubed, from file to file, {SPACING_MM:g} mm.",
        "",
        "| | s | peak MB | of these before the scan |",
        "|---|---|---|---|",
    ]
    lines += [
        f"| {name} | {row['seconds']:.1f} | {row['peak_mb']:.0f} | {row['base_mb']:.0f} |"
        for name, row in results["inference"].items()
    ]
    row = results["large"]
    size, spacing = (" x ".join(map(str, numbers)) for numbers in (LARGE, LARGE_SPACING_MM))
    lines += [
        "",
        f"A thorax of {size} voxels ({spacing} mm; {4 * np.prod(LARGE) / 1e6:.0f} MB as float32) with FedSim: "
        f"{row['seconds']:.1f} s, peak {row['peak_mb']:.0f} MB, of these {row['base_mb']:.0f} MB before the scan.",
    ]
    return "\n".join(lines) + "\n"


if __name__ == "__main__":
    main()
