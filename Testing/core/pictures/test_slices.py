import numpy as np
import pytest

from FedSimCore import anatomy
from FedSimCore.errors import InputError
from FedSimCore.pictures.slices import PLANES, SliceRow, Window, figure_picture, plane, slice_panel, write_figure
from FedSimCore.volumes import Grid, Volume


def oblique_grid() -> Grid:
    """Mirrored, turned about S, anisotropic."""
    angle = np.deg2rad(25)
    turn = np.array([[np.cos(angle), -np.sin(angle), 0], [np.sin(angle), np.cos(angle), 0], [0, 0, 1]])
    affine = np.eye(4)
    affine[:3, :3] = turn @ np.diag([-1.0, 1.2, 1.5])
    affine[:3, 3] = -affine[:3, :3] @ (np.array([79, 69, 49]) / 2)
    return Grid((80, 70, 50), affine)


def marked(*centers) -> Volume:
    """Balls of radius 5 mm and 1000 HU in air, on the oblique grid."""
    grid = oblique_grid()
    points = grid.to_world(np.moveaxis(np.indices(grid.shape), 0, -1))
    array = np.full(grid.shape, -1000.0)
    for center in centers:
        array[np.linalg.norm(points - center, axis=-1) < 5] = 1000
    return Volume(array, grid)


@pytest.mark.parametrize(
    ("name", "center", "row", "column"),
    [
        ("axial", (20, 0, 0), 50, 30),  # right of the patient: left in the picture
        ("axial", (0, 20, 0), 30, 50),  # anterior: up
        ("coronal", (20, 0, 0), 50, 30),
        ("coronal", (0, 0, 20), 30, 50),  # superior: up
        ("sagittal", (0, 20, 0), 50, 30),  # anterior: left
        ("sagittal", (0, 0, 20), 30, 50),
    ],
)
def test_a_marker_shows_where_a_radiologist_expects_it_whatever_the_affine(name, center, row, column):
    picture = plane(marked(center), PLANES[name], (0, 0, 0), 100, 1.0)
    bright = np.argwhere(picture > 0)
    np.testing.assert_allclose(bright.mean(0), (row - 0.5, column - 0.5), atol=0.6)
    assert len(bright) == pytest.approx(np.pi * 25, rel=0.2)


def test_beyond_the_volume_there_is_air():
    picture = plane(marked(), PLANES["axial"], (0, 0, 500), 20, 1.0)
    assert (picture == -1024).all()


def test_the_window_maps_its_ends_to_black_and_white_and_outlines_have_the_regions_colour():
    scan = marked((0, 0, 0))
    labels = Volume((scan.array > 0).astype(np.uint8) * anatomy.region("pa").label, scan.grid)
    figure = slice_panel([SliceRow("", scan, labels, Window(0, 1000))], field_mm=60, planes=["axial"], legend=False)
    picture = figure_picture(figure, 100).astype(int)
    middle = np.array(picture.shape[:2]) // 2
    assert tuple(picture[middle[0], middle[1]]) == (255, 255, 255)
    assert tuple(picture[middle[0] - 60, middle[1] - 60]) == (0, 0, 0)
    color = np.array(anatomy.region("pa").color)
    outlined = np.argwhere(np.abs(picture - color).max(-1) < 12)
    radius = np.linalg.norm(outlined - middle, axis=1) * 60 / 318
    assert len(outlined) > 20
    assert radius.max() < 7
    assert radius.min() > 3


def test_a_panel_is_written_as_png_with_a_row_for_each_scan(tmp_path):
    scan = marked((0, 0, 0))
    figure = slice_panel([SliceRow("one", scan), SliceRow("two", scan)], inches=1.5)
    assert len(figure.axes) == 6
    write_figure(tmp_path / "panel.png", figure, 60)
    assert (tmp_path / "panel.png").read_bytes().startswith(b"\x89PNG")


def test_a_panel_without_rows_or_with_an_unknown_plane_is_refused():
    with pytest.raises(InputError, match="needs rows"):
        slice_panel([])
    with pytest.raises(InputError, match="oblique"):
        slice_panel([SliceRow("", marked())], planes=["oblique"])
