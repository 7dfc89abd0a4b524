import json

import numpy as np
import pytest

from FedSimCore.demo import SITES, demonstrate
from FedSimCore.volumes.io import read_label_map, read_volume


@pytest.mark.slow
def test_the_demonstration_makes_everything_it_names(tmp_path):
    stages = []
    demo = demonstrate(tmp_path / "demo", cases=3, progress=lambda done, total, stage: stages.append(stage))
    missing = [name for name in demo.files if not (demo.out / name).is_file()]
    assert missing == []
    assert stages[-1] == "done"
    summary = json.loads((demo.out / "summary.json").read_text())
    assert summary["results"]["fit"]["mean_dice"] > 0.85
    images = {site: read_volume(demo.out / f"scans/{site}_image.nii.gz").array for site in SITES}
    labels = {site: read_label_map(demo.out / f"scans/{site}_label.nii.gz", "fedsim").array for site in SITES}
    assert all(np.array_equal(labels["adult"], other) for other in labels.values()), "it is one heart"
    blood = {site: float(images[site][labels[site] == 1].mean()) for site in SITES}
    assert all(200 < hu < 700 for hu in blood.values())
    assert len({round(hu) for hu in blood.values()}) == 3, "each scanner shows it in its own way"
    dice = summary["results"]["segmentation_dice"]
    assert dice["as it ships"]["heart"] > 0.8
    assert dice["fine-tuned"]["heart"] > 0.8
    assert len(summary["results"]["generated"]) == 4
