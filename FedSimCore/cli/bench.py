"""``fedsim bench``: measurements beside peers, written to Testing/results."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import typer

from FedSimCore.cli.common import JSON_OPTION, print_json, print_table, progress_bar

if TYPE_CHECKING:
    from FedSimCore.benchmarks.harness import Report
    from FedSimCore.progress import Progress

app = typer.Typer(help="Measure FedSim beside its peers on this machine.", no_args_is_help=True)

OUT_OPTION = typer.Option(Path("Testing/results"), "-o", "--out", help="Folder for NAME.json and NAME.md.")
THREADS_OPTION = typer.Option(0, "--threads", min=0, help="Threads of torch; 0 for as many as torch takes by itself.")
ROUNDS_OPTION = typer.Option(9, "--rounds", min=1, help="Times that each contender is called after its first call.")


@app.command()
def voxelizer(
    mesh: Path | None = typer.Option(
        None, "--mesh", help="Heart to voxelize (VTP as FedSim writes it); the built-in model's mean heart if left out."
    ),
    size: int = typer.Option(128, "--size", min=8, help="Voxels along each edge of the cube."),
    device: str = typer.Option("cpu", "--device", help="Device of FedSim's voxelizer: cpu or cuda."),
    rounds: int = ROUNDS_OPTION,
    threads: int = THREADS_OPTION,
    out: Path = OUT_OPTION,
    as_json: bool = JSON_OPTION,
) -> None:
    """Time label maps and gradients beside VTK, libigl and finite differences, and check them."""
    set_threads(threads)
    from FedSimCore.benchmarks.voxelizer import PACKAGES, bench_voxelizer
    from FedSimCore.shape.mesh_io import read_mesh
    from FedSimCore.shape.model import builtin_model

    heart = read_mesh(mesh) if mesh else builtin_model().mesh()
    name = named_after_device("voxelizer", device)
    measure(lambda progress: bench_voxelizer(heart, size, device, rounds, progress), PACKAGES, out, name, as_json)


@app.command()
def ct(
    device: str = typer.Option("cpu", "--device", help="Device of FedSim's projector: cpu or cuda."),
    rounds: int = ROUNDS_OPTION,
    threads: int = THREADS_OPTION,
    out: Path = OUT_OPTION,
    as_json: bool = JSON_OPTION,
) -> None:
    """Time projection, adjoint and FDK beside RTK and nanodrr, and check them against exact line integrals."""
    set_threads(threads)
    from FedSimCore.benchmarks.ct import PACKAGES, Setting, bench_ct

    name = named_after_device("ct_projector", device)
    measure(lambda progress: bench_ct(Setting(), device, rounds, progress), PACKAGES, out, name, as_json)


@app.command()
def physics(
    size: int = typer.Option(128, "--size", min=32, help="Voxels along each side."),
    views: int = typer.Option(180, "--views", min=30, help="Projections of the timed scans."),
    rounds: int = typer.Option(3, "--rounds", min=1, help="Times that each scan is repeated after its first."),
    threads: int = THREADS_OPTION,
    out: Path = OUT_OPTION,
    as_json: bool = JSON_OPTION,
) -> None:
    """Check the CT simulator's water, iodine, noise and gradients, and time a heart's scan."""
    set_threads(threads)
    from FedSimCore.benchmarks.ct_physics import PACKAGES, bench_physics

    measure(lambda progress: bench_physics(size, views, rounds, progress), PACKAGES, out, "ct_physics", as_json)


@app.command()
def correspondence(
    seed: int = typer.Option(0, "--seed", min=0, help="Seed of the known displacement."),
    threads: int = THREADS_OPTION,
    out: Path = OUT_OPTION,
    as_json: bool = JSON_OPTION,
) -> None:
    """Register the shape model's template with several libraries, and measure distance and time."""
    set_threads(threads)
    from FedSimCore.benchmarks.correspondence import bench_correspondence

    packages = ("SimpleITK", "antspyx", "trimesh", "pycpd")
    measure(lambda progress: bench_correspondence(seed, progress), packages, out, "correspondence", as_json)


@app.command("fit")
def shape_fit(
    each: int = typer.Option(3, "-n", "--each", min=1, help="Phantoms of each site, seen and unseen."),
    site: list[str] = typer.Option(
        ["adult", "congenital-mild", "congenital-severe"], "--site", help="Sites of the phantoms; may be repeated."
    ),
    modes: int = typer.Option(14, "--modes", min=1, help="Modes of the built-in model to use."),
    limit: float | None = typer.Option(None, "--limit", min=0.1, help="Limit of the weights; the model's if left out."),
    real_heart: Path | None = typer.Option(
        None, "--real-heart", help="Label map of ../shared/data/mesh_cemrg; not fitted if left out."
    ),
    threads: int = THREADS_OPTION,
    out: Path = OUT_OPTION,
    as_json: bool = JSON_OPTION,
) -> None:
    """Fit the built-in shape model to phantoms it was built from, to unseen ones, and to a real heart."""
    set_threads(threads)
    from FedSimCore.benchmarks.fit import bench_fit
    from FedSimCore.shape.model import builtin_model

    name = "shape_fit" if modes == 14 else f"shape_fit_{modes}_modes"
    model, sites = builtin_model(modes), tuple(site)
    measure(lambda progress: bench_fit(model, each, sites, limit, real_heart, progress), ("torch",), out, name, as_json)


def set_threads(threads: int) -> None:
    """Let torch use this many threads; 0 leaves its own choice."""
    import torch

    if threads:
        torch.set_num_threads(threads)


def named_after_device(name: str, device: str) -> str:
    """Return a benchmark's name on a device that is there: as it is on the CPU, with the device behind it elsewhere.

    Raises:
        InputError: the device is not there, or its name is unknown.
    """
    import torch

    from FedSimCore.errors import InputError

    if device == "cpu":
        return name
    if device == "cuda" and torch.cuda.is_available():
        return f"{name}_{device}"
    raise InputError(f"There is no device {device!r} on this machine; use --device cpu.")


def measure(bench: Callable[[Progress], Report], packages: Sequence[str], out: Path, name: str, as_json: bool) -> None:
    """Describe the machine, run a benchmark under a bar, write its two files and show it."""
    from FedSimCore.benchmarks.machine import machine

    described = machine(packages)
    with progress_bar() as progress:
        report = bench(progress)
    finish(report, described, out, name, as_json)


def finish(report: Report, described: dict[str, object], out: Path, name: str, as_json: bool) -> None:
    """Write a report's two files and show it."""
    from FedSimCore.benchmarks.harness import as_content, write_report

    paths = write_report(report, described, out, name)
    if as_json:
        print_json(as_content(report, described))
        return
    for heading, timings in report.timings.items():
        rows: list[Sequence[object]] = [
            (name, f"{t.min_s:.4f}", f"{t.median_s:.4f}", f"{t.first_s:.4f}") for name, t in timings.items()
        ]
        print_table(heading, ("", "min s", "median s", "first call s"), rows)
    print_table(
        "Goals",
        ("", "measured", "wanted", "met"),
        [
            (g.name, f"{g.value:.4g}", f"{'≥' if g.at_least else '≤'} {g.bound:g}", "yes" if g.met else "NO")
            for g in report.goals
        ],
    )
    typer.echo("Written: " + ", ".join(str(path) for path in paths))
