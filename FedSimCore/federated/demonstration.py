"""Three phantom hospitals on one machine: ``fedsim federate demo``, in the order of Li et al. 2020.

Generators are learnt over the engine, each site in its own process, of which one is killed on the way; enhancers at
home; the semi-supervised stage over the engine again; then the same heart through every site's scanner. At the end a
few rounds under mutual TLS with noise, as hospitals would make them.
"""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from FedSimCore.cohorts.phantom import make_cohort
from FedSimCore.errors import FedSimError
from FedSimCore.federated.local_sites import SERVER, SITES
from FedSimCore.federated.status import StudyStatus, read_rounds, study_status
from FedSimCore.federated.study import Study, checked_study
from FedSimCore.files import write_json
from FedSimCore.generation.model_folder import GenerativeModel
from FedSimCore.generation.sampling import HeartSampler, draw
from FedSimCore.pictures.annotate import write_png
from FedSimCore.pictures.plates import scanners_plate
from FedSimCore.pictures.slices import Window
from FedSimCore.runs.events import Event, Progressed, Started, read_events
from FedSimCore.runs.folder import RunFolder
from FedSimCore.training.enhancer_config import EnhancerConfig
from FedSimCore.training.recipes import checked_config
from FedSimCore.training.session import begin

HOSPITALS = ("adult", "congenital-mild", "congenital-severe")
_SEED = 31
_SIZE, _SPACING_MM, _IMAGE_SPACING_MM = 64, 2.7, 2.5
_CTA = Window(level_hu=200.0, width_hu=900.0)
_ONE_THREAD: dict[str, Any] = {"threads": 1, "device": "cpu", "picture_every": 100_000}

Tell = Callable[[str], None]


@dataclass(frozen=True)
class Sizes:
    """How much the demonstration does; the default is made for two cores and a quarter of an hour.

    Attributes:
        cases: phantoms of each site.
        labelled: of those, how many show their labels.
        rounds: of the generator.
        enhancer_steps: of each site.
        full_rounds: of the semi-supervised stage.
        private_rounds: under mutual TLS, with noise.
    """

    cases: int = 5
    labelled: int = 3
    rounds: int = 45
    enhancer_steps: int = 120
    full_rounds: int = 6
    private_rounds: int = 5


@dataclass
class Demonstration:
    """What was made.

    Attributes:
        out: folder of everything.
        results: numbers for machines.
    """

    out: Path
    results: dict[str, Any] = field(default_factory=dict)


def demonstrate(out: Path, sizes: Sizes = Sizes(), tell: Tell = lambda _: None) -> Demonstration:
    """Run the demonstration.

    Args:
        out: folder, made; a demonstration that was ended is begun anew in another one.
        sizes: how much is done.
        tell: given sentences.

    Raises:
        FedSimError: a library is missing, or a process dies again and again.
    """
    demo = Demonstration(out.resolve())
    began = time.monotonic()
    tell(f"Making {sizes.cases} phantom patients of each of three hospitals.")
    for site in HOSPITALS:
        make_cohort(site, sizes.cases, _SEED, demo.out / "data" / site, spacing_mm=_IMAGE_SPACING_MM)
    pre = _generators(demo, sizes, tell)
    _enhancers(demo, sizes, tell)
    _full(demo, pre, sizes, tell)
    _same_heart(demo, tell)
    _between_hospitals(demo, pre, sizes, tell)
    demo.results["seconds"] = round(time.monotonic() - began)
    write_json(demo.out / "summary.json", demo.results)
    return demo


def _study(demo: Demonstration, name: str, rounds: int, recipe: dict[str, Any], **changes: Any) -> Study:
    sites = [{"name": site, "cohort": str(demo.out / "data" / site), **changes.pop(site, {})} for site in HOSPITALS]
    fields = {"name": name, "recipe": {**_ONE_THREAD, **recipe}, "sites": sites, "rounds": rounds, "seed": _SEED}
    fields |= {"checkpoint_every": 10, "evaluate_every": max(rounds // 3, 1)}
    return checked_study({**fields, **changes}, "The demonstration's study")


def _generators(demo: Demonstration, sizes: Sizes, tell: Tell) -> Study:
    """Learn shape and material generator; a site's process is killed on the way."""
    from FedSimCore.federated.engine.one_machine import run_on_one_machine

    grid = {"size": _SIZE, "spacing_mm": _SPACING_MM, "coarse": "read", "batch_size": 2, "labelled": sizes.labelled}
    study = _study(demo, "generator", sizes.rounds, {"recipe": "generator", **grid})
    folder = demo.out / "generator"
    victim = HOSPITALS[1]
    tell(
        f"Learning shapes and materials: {sizes.rounds} rounds, three processes; {victim}'s will be killed on the way."
    )
    killed: list[int] = []

    def listen(event: Event) -> None:
        if isinstance(event, Progressed) and event.step >= sizes.rounds // 3 and not killed:
            killed.append(_pid(folder / SITES / victim / study.name))
            os.kill(killed[0], signal.SIGKILL)
            tell(f"Round {event.step}: kill -9 of {victim}'s process {killed[0]}.")

    run_on_one_machine(study, folder, listen)
    found = study_status(folder)
    _tell_parts(found, tell)
    curve = [event for event in read_events(folder / SERVER / "events.jsonl")[0] if isinstance(event, Progressed)]
    iou = [event.metrics["iou"] for event in curve if "iou" in event.metrics]
    demo.results["generator"] = {
        "rounds": len(found.rounds),
        "iou_loss_first_and_last_ten": [sum(iou[:10]) / len(iou[:10]), sum(iou[-10:]) / len(iou[-10:])],
        "sessions": {site: len(_sessions(folder / SITES / site / study.name)) for site in HOSPITALS},
        "sent_mb": {part.name: part.bytes / 1e6 for part in found.parts if part.name != SERVER},
    }
    return study


def _enhancers(demo: Demonstration, sizes: Sizes, tell: Tell) -> None:
    tell("Every site learns its scanner's look at home; nothing leaves.")
    for site in HOSPITALS:
        fields = {
            "recipe": "enhancer",
            "cohort": str(demo.out / "data" / site),
            "generator": str(demo.out / "generator" / SITES / site / "generator"),
            "site": site,
            "channels": 4,
            "hidden": 16,
            "discriminator_channels": 8,
            "batch_size": 4,
            "learning_rate": 1e-3,
            "steps": sizes.enhancer_steps,
            "evaluate_every": sizes.enhancer_steps,
            **_ONE_THREAD,
        }
        config = checked_config(fields, "The demonstration's enhancer")
        assert isinstance(config, EnhancerConfig)
        begin(config, RunFolder(demo.out / "enhancers" / site))


def _full(demo: Demonstration, pre: Study, sizes: Sizes, tell: Tell) -> None:
    """The semi-supervised stage over the engine: unlabelled scans join, enhancers still stay at home."""
    from FedSimCore.federated.engine.one_machine import run_on_one_machine

    tell(f"The semi-supervised stage: {sizes.full_rounds} rounds in which unlabelled scans join.")
    recipe = {"recipe": "semi-supervised", "model": str(demo.out / "generator" / SERVER), "batch_size": 2, "slices": 2}
    own = {site: {"model": str(demo.out / "enhancers" / site)} for site in HOSPITALS}
    study = _study(demo, "full", sizes.full_rounds, recipe, **own)
    run_on_one_machine(study, demo.out / "full")
    found = study_status(demo.out / "full")
    _tell_parts(found, tell)
    demo.results["full"] = {"rounds": len(found.rounds), "before": pre.name}


def _same_heart(demo: Demonstration, tell: Tell) -> None:
    """Show one heart of the shared population in every site's scanner: each site would render its own."""
    rows, labels = {}, []
    for site in HOSPITALS:
        model = GenerativeModel.load(demo.out / "full" / SITES / site / "full")
        made = HeartSampler(model, site).make(draw(model.generator, _SEED, 0))
        rows[f"{site}\nits own enhancer"] = made.image, made.label
        labels.append(made.label.array)
    write_png(demo.out / "same_heart.png", scanners_plate(rows, _CTA))
    same = all(bool((one == labels[0]).all()) for one in labels)
    demo.results["same_heart"] = {"same_labels_at_all_sites": same}
    tell(f"The same heart through three scanners: {demo.out / 'same_heart.png'}.")


def _between_hospitals(demo: Demonstration, pre: Study, sizes: Sizes, tell: Tell) -> None:
    """A few rounds with kits under mutual TLS, each case clipped and noise added."""
    from FedSimCore.federated.engine.kits import make_kits

    tell(f"As between hospitals: kits, mutual TLS, noise; {sizes.private_rounds} rounds of shapes.")
    recipe = {**pre.recipe, "material": "none"}
    private = {"clip": 0.5, "noise": 4.0}
    study = _study(demo, "private", sizes.private_rounds, recipe, privacy=private, latent_moments="none")
    folder = demo.out / "hospitals"
    port = free_port()
    make_kits(study, folder / "kits", "localhost", port)
    fedsim = [sys.executable, "-m", "FedSimCore.cli.main", "federate"]
    with (folder / "log.txt").open("ab") as log:
        sites = []
        for site in HOSPITALS:
            own = ["--cohort", str(demo.out / "data" / site), "--runs", str(folder / SITES / site)]
            command = [*fedsim, "site", str(folder / "kits" / site), *own]
            sites.append(subprocess.Popen(command, stdout=log, stderr=log, stdin=subprocess.DEVNULL))
        try:
            command = [*fedsim, "server", str(folder / "kits" / "server"), "-o", str(folder)]
            if subprocess.run(command, stdout=log, stderr=log, stdin=subprocess.DEVNULL, check=False).returncode:
                raise FedSimError(f"The server ended with an error; {log.name} has its words.")
            for one in sites:
                one.wait(60)
        finally:
            for one in sites:
                one.terminate()
    found = study_status(folder)
    _tell_parts(found, tell)
    demo.results["hospitals"] = {
        "rounds": len(read_rounds(folder / SERVER / "rounds.jsonl")),
        "epsilon": {part.name: part.epsilon for part in found.parts if part.name != SERVER},
    }


def _tell_parts(found: StudyStatus, tell: Tell) -> None:
    for part in found.parts:
        if part.name != SERVER and part.run is not None:
            noise = f", epsilon {part.epsilon:.1f}" if part.epsilon is not None else ""
            left = f"{part.messages} messages and {part.bytes / 1e6:.1f} MB left it, all in its ledger"
            tell(f"  {part.name}: {part.run.state}; {left}{noise}")


def _sessions(run: Path) -> list[Started]:
    return [event for event in read_events(run / "events.jsonl")[0] if isinstance(event, Started)]


def _pid(run: Path) -> int:
    return _sessions(run)[-1].pid


def free_port() -> int:
    """Return a port that is free, and whose next is free too."""
    import socket

    for _ in range(50):
        with socket.socket() as one, socket.socket() as other:
            one.bind(("127.0.0.1", 0))
            port = int(one.getsockname()[1])
            try:
                other.bind(("127.0.0.1", port + 1))
            except OSError:
                continue
            return port
    raise FedSimError("No two neighbouring ports are free on this machine.")
