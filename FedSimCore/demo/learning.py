"""The second half of the way: hearts from the shipped networks, a segmenter that learns from them, a new patient."""

from __future__ import annotations

from FedSimCore.cohorts import read_cohort
from FedSimCore.demo.record import CTA, SITES, Demonstration
from FedSimCore.evaluation.segmentation import compare, implementations
from FedSimCore.generation.cohort import CohortGenerator
from FedSimCore.generation.model_folder import GenerativeModel, shipped_model
from FedSimCore.generation.sampling import HeartSampler
from FedSimCore.generation.trust_measures import TrustMeter
from FedSimCore.pictures.annotate import write_png
from FedSimCore.pictures.plates import scanners_plate
from FedSimCore.runs.folder import RunFolder
from FedSimCore.segmentation.model_file import Segmenter, segmenter_file, shipped_segmenter
from FedSimCore.segmentation.predict import segment
from FedSimCore.training.recipes import checked_config, read_recipe
from FedSimCore.training.session import begin
from FedSimCore.volumes import Volume
from FedSimCore.volumes.io import read_label_map, read_volume, write_label_map

SITE = "adult"
_HEARTS = 4
_SEED = 0
_FINE_TUNING = {"steps": 30, "batch_size": 1, "warm_up": 5, "learning_rate": 3e-4, "held_cases": 0, "device": "cpu"}
_RUN = "fine-tuning"


def generate_hearts(demo: Demonstration) -> None:
    """Draw hearts from the generator that ships and show them through a site's enhancer."""
    model = GenerativeModel.load(shipped_model())
    sampler = HeartSampler(model, SITE)
    maker = CohortGenerator(model, sampler, TrustMeter(sampler.generator), demo.out / "generated", _SEED)
    records = maker.generate(_HEARTS)
    demo.files["generated/cohort.csv"] = f"{_HEARTS} generated hearts with CT, labels and trust figures, as a cohort"
    rows: dict[str, tuple[Volume, Volume]] = {}
    for case, record in zip(read_cohort(demo.out / "generated").cases, records, strict=True):
        assert case.image is not None
        assert case.label is not None
        title = f"Generated heart {record.recipe.number}\nnearest: {record.trust.nearest_shape.case}"
        rows[title] = read_volume(case.image), read_label_map(case.label, "fedsim")
    about = "the generated hearts in the look of site adult, with the training case that is nearest by shape"
    write_png(demo.keep("generated.png", about), scanners_plate(rows, CTA))
    demo.results["generated"] = {record.recipe.case_id: record.trust.model_dump(mode="json") for record in records}


def fine_tune(demo: Demonstration) -> None:
    """Let the segmenter that ships learn from the generated hearts."""
    known, origin = read_recipe("segmenter")
    fields = {**known, **_FINE_TUNING, "cohort": str(demo.out / "generated"), "init": str(shipped_segmenter())}
    outcome = begin(checked_config(fields, origin), RunFolder(demo.out / _RUN))
    demo.files[f"{_RUN}/summary.json"] = f"run of {_FINE_TUNING['steps']} steps on the generated hearts"
    demo.results["fine_tuning"] = dict(outcome.metrics)


def segment_patient(demo: Demonstration) -> None:
    """Find the heart of a phantom patient whom nothing has seen, before and after the fine-tuning."""
    scan = read_volume(demo.out / f"patients/{SITE}.nii.gz")
    truth = read_label_map(demo.out / f"patients/{SITE}_label.nii.gz", "fedsim")
    rows: dict[str, tuple[Volume, Volume]] = {f"{SITES[SITE]}\ntruth": (scan, truth)}
    scores = {}
    for title, file in (("as it ships", shipped_segmenter()), ("fine-tuned", segmenter_file(demo.out / _RUN))):
        found = segment(scan, Segmenter.load(file))
        name = f"segmentation/{title.replace(' ', '-')}.nii.gz"
        write_label_map(found.labels, demo.keep(name, f"labels of the unseen patient by the segmenter, {title}"))
        scored = compare(found.labels, truth, SITE, metrics=("dice",))
        scores[title] = {score.region: score.dice for score in scored.regions}
        rows[f"segmenter {title}\nmean Dice {scored.mean() or 0.0:.2f}"] = scan, found.labels
    about = "the unseen patient's regions: truth, the segmenter as it ships, and after the fine-tuning"
    write_png(demo.keep("segmentation.png", about), scanners_plate(rows, CTA))
    demo.results["segmentation_dice"] = {"implementation": implementations()["dice"], **scores}
