"""The label maps of twenty adults against published norms and the anatomy of every chest."""

import json
from pathlib import Path

import numpy as np
import pytest
from scipy import ndimage
from scipy.spatial import cKDTree

from FedSimCore import anatomy
from FedSimCore.cohorts.phantom.compare import variance_shares
from FedSimCore.cohorts.phantom.landmarks import AXES
from FedSimCore.cohorts.phantom.measure import wall_thickness_mm

NORMS = {
    entry["key"]: entry
    for entry in json.loads((Path(__file__).parents[3] / "Resources/anatomy/norms.json").read_text())["quantities"]
}


@pytest.mark.parametrize(("key", "region"), [("lv_volume_ml", "lv"), ("rv_volume_ml", "rv"), ("la_volume_ml", "la")])
def test_volumes_lie_in_the_spread_of_healthy_adults(adults, key, region):
    z = []
    for heart in adults:
        norm = NORMS[key][heart.subject.sex]
        z.append((heart.volume_ml(region) - norm["mean"]) / norm["sd"])
    assert np.abs(z).max() < 2.8
    assert abs(np.mean(z)) < 0.6
    assert 0.4 < np.std(z) < 1.3


def test_right_atria_stay_below_the_published_percentile(adults):
    indexed = [heart.volume_ml("ra") / heart.subject.bsa_m2 for heart in adults]
    limits = [NORMS["ra_volume_ml_per_m2"][heart.subject.sex]["percentiles"]["97.5"] for heart in adults]
    assert np.mean(np.array(indexed) > limits) <= 0.1
    assert 40 < np.mean(indexed) < 75


def test_wall_and_mass_are_those_of_healthy_adults(adults):
    wall = [wall_thickness_mm(heart.label).mean() for heart in adults]
    mass = [1.05 * heart.volume_ml("myo") / heart.subject.bsa_m2 for heart in adults]
    for values, key in ((wall, "lv_wall_mean_mm"), (mass, "lv_mass_g_per_m2")):
        norms = [NORMS[key][heart.subject.sex] for heart in adults]
        z = [(value - norm["mean"]) / norm["sd"] for value, norm in zip(values, norms, strict=True)]
        assert abs(np.mean(z)) < 0.8
        assert np.abs(z).max() < 3.3


def test_every_region_is_there_in_one_piece(adults):
    for heart in adults:
        for region in anatomy.regions():
            assert ndimage.label(heart.label.array == region.label)[1] == 1, region.key


def test_the_heart_lies_inside_the_scan(adults):
    for heart in adults:
        inner = heart.label.array[1:-1, 1:-1, 1:-1]
        assert np.count_nonzero(inner) == np.count_nonzero(heart.label.array)


def test_the_apex_points_left_forward_and_down(adults):
    for heart in adults:
        pool, atrium = heart.world("lv"), heart.center("la")
        apex = pool[np.argmax(np.linalg.norm(pool - atrium, axis=1))]
        right, forward, up = apex - heart.center("lv")
        assert right < -10
        assert forward > 5
        assert up < -5


def test_chambers_lie_where_they_do_in_every_chest(adults):
    for heart in adults:
        lv, rv, la, ra = (heart.center(key) for key in ("lv", "rv", "la", "ra"))
        assert la[1] == min(lv[1], rv[1], la[1], ra[1])  # left atrium behind all
        assert rv[1] == max(lv[1], rv[1], la[1], ra[1])  # right ventricle behind the breast bone
        assert ra[0] == max(lv[0], rv[0], la[0], ra[0])  # right atrium at the right border
        assert lv[0] == min(lv[0], rv[0], la[0], ra[0])  # left ventricle at the left
        assert heart.center("ao")[2] > lv[2]


def test_the_pulmonary_trunk_rises_in_front_and_to_the_left_of_the_aorta(adults):
    for heart in adults:
        trunk, aorta = heart.world("pa"), heart.world("ao")
        level = np.percentile(trunk[:, 2], 15)
        trunk, aorta = (part[np.abs(part[:, 2] - level) < 4].mean(0) for part in (trunk, aorta))
        assert trunk[0] < aorta[0] - 10
        assert trunk[1] > aorta[1]


def test_the_septum_bulges_into_the_right_ventricle_which_wraps_it(adults):
    for heart in adults:
        myo, rv, pool = (heart.world(key) @ AXES.T for key in ("myo", "rv", "lv"))
        level = pool[:, 2].mean()
        center = pool[np.abs(pool[:, 2] - level) < 3].mean(0)[:2]
        right = rv[np.abs(rv[:, 2] - level) < 3][:, :2]
        wall = myo[np.abs(myo[:, 2] - level) < 3][:, :2]
        septum = wall[cKDTree(right).query(wall)[0] < 2.0] - center
        angle = np.arctan2(septum[:, 1], septum[:, 0])
        assert np.ptp(angle) > np.deg2rad(80)
        ends = septum[[angle.argmin(), angle.argmax()]]
        middle = septum[np.abs(angle - angle.mean()) < 0.2].mean(0)
        assert middle[0] - ends.mean(0)[0] > 3, "the septum's middle is no nearer to the right ventricle than its ends"


def test_muscle_encloses_the_pool_but_at_the_base(adults):
    pool, wall = anatomy.region("lv").label, anatomy.region("myo").label
    for heart in adults:
        around = ndimage.binary_dilation(heart.label.array == pool) & (heart.label.array != pool)
        bare = heart.label.grid.to_world(np.argwhere(around & (heart.label.array != wall)))
        depth = (bare - heart.center("lv")) @ AXES[2]
        assert depth.max() < 0, "the pool is bare in the apical half"


def test_each_great_artery_leaves_its_ventricle(adults):
    for heart in adults:
        assert heart.contact_mm2("lv", "ao") > 200
        assert heart.contact_mm2("rv", "pa") > 150
        assert heart.contact_mm2("rv", "ao") < 25
        assert heart.contact_mm2("lv", "pa") == 0
        assert heart.contact_mm2("lv", "la") > 400
        assert heart.contact_mm2("rv", "ra") > 250


def test_healthy_septa_are_closed(adults):
    for heart in adults:
        assert heart.contact_mm2("lv", "rv") == 0
        assert heart.contact_mm2("la", "ra") == 0
        assert heart.contact_mm2("rv", "la") == 0


def test_fourteen_linear_modes_leave_variance_over(adults):
    shares = variance_shares([heart.label for heart in adults])
    assert len(shares) == 19
    assert np.all(np.diff(shares) <= 1e-6)
    assert 8 < shares[0] < 50
    assert shares[:14].sum() < 97
