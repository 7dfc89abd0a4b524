"""The whole way on what ships, from phantom patients to a segmented heart.

``fedsim demo`` runs it. Everything it writes could be made by the verbs it names in its summary; only sizes are chosen
so that two cores are done in a few minutes.
"""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

from FedSimCore.demo import learning, shapes
from FedSimCore.demo.record import SITES, Demonstration
from FedSimCore.files import write_json
from FedSimCore.progress import Progress, silent
from FedSimCore.shape.model import builtin_model

__all__ = ["SITES", "Demonstration", "demonstrate"]


def demonstrate(out: Path, cases: int = 8, progress: Progress = silent) -> Demonstration:
    """Run the demonstration.

    Args:
        out: folder to write to, made if missing.
        cases: adult phantoms that the shape model is built from, at least 3.
        progress: told of every stage.

    Raises:
        FedSimError: a file cannot be written, or Pillow or matplotlib are not installed.
    """
    demo = Demonstration(Path(out))
    model = builtin_model()
    stages: list[tuple[str, Callable[[], None]]] = [
        ("phantom patients of three sites", lambda: shapes.make_patients(demo)),
        (f"cohort of {cases} label maps", lambda: shapes.make_cohort(demo, cases)),
        ("shape model of the cohort", lambda: shapes.build_shape_model(demo)),
        ("fit of the built-in model to an unseen patient", lambda: shapes.fit_patient(demo, model)),
        ("the same heart in three scanners", lambda: shapes.scan_heart(demo, model)),
        ("hearts from the networks that ship", lambda: learning.generate_hearts(demo)),
        ("a segmenter learns from them", lambda: learning.fine_tune(demo)),
        ("the unseen patient is segmented", lambda: learning.segment_patient(demo)),
    ]
    for done, (stage, run) in enumerate(stages):
        progress(done, len(stages), stage)
        run()
    progress(len(stages), len(stages), "done")
    write_json(demo.keep("summary.json", "all numbers of this run"), {"files": demo.files, "results": demo.results})
    return demo
