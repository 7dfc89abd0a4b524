import numpy as np
import pytest

from FedSimCore.errors import InputError
from FedSimCore.shape.labelled_heart import LabelledHeart
from FedSimCore.volumes import Grid, Volume
from Testing.core.shape.ellipsoid_hearts import ELLIPSOIDS, ellipsoid_heart


def test_centres_and_volumes_are_those_of_the_ellipsoids():
    heart = ellipsoid_heart()
    assert heart.present == (1, 2, 3, 4, 5, 6, 7)
    for key, label in (("lv", 1), ("myo", 2)):
        centre, half_axes = ELLIPSOIDS[key]
        np.testing.assert_allclose(heart.centroids_mm[label], centre, atol=1.0)
        assert heart.volumes_mm3[label] == pytest.approx(4 / 3 * np.pi * np.prod(half_axes), rel=0.02)


def test_the_centre_is_the_middle_of_the_bounding_box():
    array = np.zeros((20, 20, 20), dtype=np.uint8)
    array[2:10, 4:8, 5:19] = 3
    heart = LabelledHeart.from_volume("box", Volume(array, Grid.centered(20, 2.0)))
    np.testing.assert_allclose(heart.centre_mm, (np.array([5.5, 5.5, 11.5]) - 9.5) * 2)


def test_specks_are_left_out():
    array = np.zeros((30, 30, 30), dtype=np.uint8)
    array[2:12, 2:12, 2:12] = 1
    array[25, 25, 25] = 1
    array[20:22, 2:4, 2] = 2
    heart = LabelledHeart.from_volume("specks", Volume(array, Grid.centered(30, 1.0)))
    assert heart.present == (1,)
    assert heart.volumes_mm3[1] == 1000
    assert heart.labels.grid.shape == (10, 10, 10)


def test_unknown_labels_are_named_with_their_counts():
    array = np.zeros((5, 5, 5), dtype=np.int16)
    array[0, 0, :3] = 420
    with pytest.raises(InputError, match=r"case-1 has unknown label values 420 \(3 voxels\)"):
        LabelledHeart.from_volume("case-1", Volume(array, Grid.centered(5)))


def test_an_empty_map_is_refused():
    with pytest.raises(InputError, match="case-2 has no voxels of any of the seven regions"):
        LabelledHeart.from_volume("case-2", Volume(np.zeros((5, 5, 5), np.uint8), Grid.centered(5)))
