import numpy as np
import pytest
import trimesh

from FedSimCore import anatomy
from FedSimCore.errors import InputError
from FedSimCore.pictures.annotate import sheet, with_caption, with_orientation, write_png
from FedSimCore.pictures.render import render
from FedSimCore.pictures.views import VIEWS, direction_letters
from FedSimCore.shape.mesh import HeartMesh, Topology

BLUE, RED = anatomy.region("rv").color, anatomy.region("ao").color


def balls(**parts) -> HeartMesh:
    """Balls by region key: centre (RAS mm) and radius."""
    ball = trimesh.creation.icosphere(subdivisions=4)
    count = len(ball.vertices)
    vertices = [np.asarray(center) + radius * ball.vertices for center, radius in parts.values()]
    region = np.repeat([anatomy.region(key).label for key in parts], len(ball.faces)).astype(np.uint8)
    faces = np.concatenate([ball.faces + k * count for k in range(len(parts))])
    return HeartMesh(np.concatenate(vertices), Topology(faces, region))


def hue_at(picture, row, column):
    """Which of red and blue a pixel is, or None where it is transparent."""
    red, _, blue, alpha = (int(v) for v in picture[row, column])
    return None if alpha == 0 else "red" if red > blue else "blue"


def test_a_ball_covers_the_pixels_of_its_disc():
    picture = render(balls(ao=((5, -3, 8), 20.0)), size=(200, 160), field_mm=80, center_mm=(5, -3, 8))
    assert picture.shape == (160, 200, 4)
    assert (picture[..., 3] / 255).sum() == pytest.approx(np.pi * (20 * 160 / 80) ** 2, rel=2e-3)


@pytest.mark.parametrize(
    ("view_name", "column_of_red"), [("anterior", 30), ("posterior", 170), ("inferior", 30), ("superior", 170)]
)
def test_the_patients_right_is_where_a_radiologist_expects_it(view_name, column_of_red):
    mesh = balls(ao=((30, 0, 0), 15.0), rv=((-30, 0, 0), 15.0))
    picture = render(mesh, view_name, (200, 200), field_mm=100, center_mm=(0, 0, 0))
    assert hue_at(picture, 100, 160 if column_of_red > 100 else 40) == "red"
    assert hue_at(picture, 100, 40 if column_of_red > 100 else 160) == "blue"


def test_superior_is_up_and_anterior_is_at_the_left_of_the_view_from_the_left():
    mesh = balls(ao=((0, 30, 0), 12.0), rv=((0, 0, 30), 12.0))
    picture = render(mesh, "left", (200, 200), field_mm=100, center_mm=(0, 0, 0))
    assert hue_at(picture, 100, 40) == "red"
    assert hue_at(picture, 40, 100) == "blue"


def test_what_is_nearer_to_the_viewer_hides_what_is_behind():
    mesh = balls(ao=((0, 30, 0), 10.0), rv=((0, -30, 0), 20.0))
    front = render(mesh, "anterior", (100, 100), field_mm=100, center_mm=(0, 0, 0))
    back = render(mesh, "posterior", (100, 100), field_mm=100, center_mm=(0, 0, 0))
    assert [hue_at(front, 50, 50), hue_at(front, 50, 65)] == ["red", "blue"]
    assert hue_at(back, 50, 50) == "blue"


def test_light_comes_from_the_upper_left():
    picture = render(balls(ao=((0, 0, 0), 20.0)), size=(100, 100), field_mm=60).astype(int)
    assert picture[35, 35, 0] > picture[65, 65, 0] + 30


def test_chosen_regions_colours_and_background_are_used():
    mesh = balls(ao=((0, 0, 0), 20.0), rv=((0, 0, 0), 10.0))
    inner = render(mesh, size=(60, 60), labels=[3], field_mm=60, background=(10, 20, 30), center_mm=(0, 0, 0))
    assert tuple(inner[30, 10]) == (10, 20, 30, 255)
    green = render(mesh, size=(60, 60), colors={6: (0, 200, 0)}, field_mm=60, center_mm=(0, 0, 0))
    assert green[30, 30, 1] > 2 * green[30, 30, 0]


def test_letters_name_the_nearest_axes():
    assert direction_letters(np.array([0, 0, -1.0])) == "I"
    assert direction_letters(np.array([-0.8, 0.6, 0.0])) == "LA"
    assert VIEWS["anterior"].letters() == {"left": "R", "right": "L", "top": "S", "bottom": "I"}
    assert VIEWS["inferior"].letters() == {"left": "R", "right": "L", "top": "A", "bottom": "P"}
    assert VIEWS["left"].letters() == {"left": "A", "right": "P", "top": "S", "bottom": "I"}


def test_unknown_views_and_absent_regions_are_refused():
    mesh = balls(ao=((0, 0, 0), 20.0))
    with pytest.raises(InputError, match="no view 'below'"):
        render(mesh, "below")
    with pytest.raises(InputError, match=r"none of the regions \[3\]"):
        render(mesh, labels=[3])


def test_a_sheet_of_annotated_pictures_is_written_as_png(tmp_path):
    from PIL import Image

    picture = render(balls(ao=((0, 0, 0), 20.0)), size=(120, 90))
    lettered = with_caption(with_orientation(picture, "anterior"), "heart")
    assert (lettered[45, :12, 3] > 0).any()  # the R at the left edge
    page = sheet([[lettered, lettered], [lettered]], gap=4)
    assert page.shape == (90 + 4 + 90, 120 + 4 + 120, 3)
    write_png(tmp_path / "page.png", page)
    np.testing.assert_array_equal(np.asarray(Image.open(tmp_path / "page.png")), page)
