"""How long hearts take, stage by stage: ``python -m Testing.benchmarks.generate``.

Twenty hearts of 128 cubed as ``fedsim generate`` makes and writes them, with their trust figures; then one each with
fixed materials and with either blend. Without a model folder, networks of the sizes that ship are taken with their
first weights: time does not depend on what weights are.
"""

from __future__ import annotations

import argparse
import sys
import tempfile
import time
from pathlib import Path

import torch

from FedSimCore.benchmarks.harness import Goal, Report, write_report
from FedSimCore.benchmarks.machine import machine
from FedSimCore.ct.scanners import scanner
from FedSimCore.generation.blending import Blend
from FedSimCore.generation.coarse import Coarse
from FedSimCore.generation.cohort import CohortGenerator
from FedSimCore.generation.enhancer_file import EnhancerHeader, SiteEnhancer, new_enhancer
from FedSimCore.generation.fixed_materials import FixedMaterials
from FedSimCore.generation.generator_file import GeneratorHeader, HeartGenerator, TrainingCase
from FedSimCore.generation.latent_normal import LatentNormal
from FedSimCore.generation.model_folder import GenerativeModel, write_model
from FedSimCore.generation.sampling import HeartSampler
from FedSimCore.generation.trust_measures import TrustMeter
from FedSimCore.networks.generators import Latents, ShapeGenerator
from FedSimCore.networks.material_generator import MaterialGenerator
from FedSimCore.shape.model import builtin_model

ROOT = Path(__file__).resolve().parents[2]
SITE, CASES = "adult", 60
CHANNELS, HIDDEN = 8, 32
GPU_GOAL_S = 5.0


def untrained(folder: Path, coarse: Coarse = "rendered") -> Path:
    """Write a model of the paper's generator and of an enhancer as small as the one that ships."""
    model, latents = builtin_model(), Latents(CASES).vectors.weight
    header = GeneratorHeader(
        coarse=coarse,
        latent_size=latents.shape[1],
        hidden=(256, 128),
        modes=model.mode_count,
        shape_model_sha256=model.checksum,
        size=128,
        spacing_mm=1.25,
        cases=tuple(TrainingCase(id=f"case{number}", site=SITE) for number in range(CASES)),
    )
    material = None if coarse == "fixed-materials" else MaterialGenerator()
    shape = ShapeGenerator(model.parameter_count)
    generator = HeartGenerator(header, model, shape, material, latents, LatentNormal.fitted(latents)).eval()
    enhancer = EnhancerHeader(
        site=SITE,
        condition=coarse,
        fixed_materials=FixedMaterials(scanner=scanner(SITE)) if coarse == "fixed-materials" else None,
        generator_sha256=generator.checksum,
        channels=CHANNELS,
        hidden=HIDDEN,
        size=128,
        spacing_mm=1.25,
        features="none",
        cases=(),
    )
    write_model(folder, generator, [SiteEnhancer(enhancer, new_enhancer(enhancer)).eval()])
    return folder


def seconds_by_stage(
    model: Path, site: str, hearts: int, device: str, blend: Blend | None = None
) -> tuple[dict[str, float], float, float]:
    """Generate hearts; return the seconds of each stage, of opening the model, and of the processor (all threads)."""
    began, cpu = time.perf_counter(), time.process_time()
    opened = GenerativeModel.load(model)
    sampler = HeartSampler(opened, site, blend, device)
    meter = TrustMeter(sampler.generator)
    opening = time.perf_counter() - began
    with tempfile.TemporaryDirectory() as folder:
        records = CohortGenerator(opened, sampler, meter, Path(folder), seed=0).generate(hearts)
    stages = {stage: sum(record.seconds[stage] for record in records) for stage in records[0].seconds}
    return stages, opening, time.process_time() - cpu


def measure(report: Report, model: Path | None, site: str, hearts: int, device: str) -> None:
    """Fill the report."""
    with tempfile.TemporaryDirectory() as folder:
        whole = model or untrained(Path(folder) / "rendered")
        stages, opening, cpu = seconds_by_stage(whole, site, hearts, device)
        making = sum(stages[stage] for stage in stages if stage not in ("trust", "writing"))
        report.values["opening the model, s"] = opening
        for stage, seconds in stages.items():
            report.values[f"{hearts} hearts: {stage}, s"] = seconds
        report.values[f"{hearts} hearts: made, s"] = making
        report.values[f"{hearts} hearts: with trust and writing, s"] = sum(stages.values())
        report.values[f"{hearts} hearts: opening, trust and writing included, CPU s"] = cpu
        if torch.device(device).type == "cuda":
            report.goals.append(Goal(f"{hearts} hearts made on a graphics card, s", making, GPU_GOAL_S, at_least=False))
        for blend in ("alpha", "poisson"):
            one, _, _ = seconds_by_stage(whole, site, 1, device, blend)  # type: ignore[arg-type]
            report.values[f"1 heart: blending, {blend}, s"] = one["blending"]
        fixed, _, _ = seconds_by_stage(untrained(Path(folder) / "fixed", "fixed-materials"), SITE, 1, device)
        report.values["1 heart: coarse CT with fixed materials (128 cubed), s"] = fixed["coarse CT"]


def main() -> None:
    """Measure and write Testing/results/generate.{json,md}."""
    parser = argparse.ArgumentParser(prog="python -m Testing.benchmarks.generate", description=__doc__)
    parser.add_argument("--model", type=Path, help="model folder; untrained networks if left out")
    parser.add_argument("--site", default=SITE)
    parser.add_argument("--hearts", type=int, default=20)
    parser.add_argument("--device", default="cpu", choices=("cpu", "cuda"))
    parser.add_argument("--threads", type=int, default=torch.get_num_threads())
    parser.add_argument("--out", type=Path, default=ROOT / "Testing" / "results")
    options = parser.parse_args()
    torch.set_num_threads(options.threads)
    setting = {
        "model": str(options.model)
        if options.model
        else f"untrained, enhancer of {CHANNELS} channels, {HIDDEN} hidden",
        "hearts": f"{options.hearts} of 128 cubed",
        "device": options.device,
        "threads": torch.get_num_threads(),
    }
    report = Report("Generating hearts, stage by stage", setting)
    measure(report, options.model, options.site, options.hearts, options.device)
    command = " ".join(["python -m Testing.benchmarks.generate", *sys.argv[1:]])
    for path in write_report(report, machine(("torch", "numpy", "scipy")), options.out, "generate", command):
        print(path)


if __name__ == "__main__":
    main()
