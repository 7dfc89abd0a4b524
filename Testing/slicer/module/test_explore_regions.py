"""Visibility and opacity of the regions, in 3D and in the slices."""

from __future__ import annotations

import numpy as np
import pytest

pytest.importorskip("slicer")
pytest.importorskip("PySide6")

from Testing.slicer.module.shared_module import *  # noqa: F403

BYTE = 1 / 255
"""What a colour table keeps of an opacity."""


@pytest.fixture
def labelled(session, wait_for):
    """The session, once the labels have followed the heart."""
    wait_for(lambda: session.state.live_labels is not None)
    return session


def display_of(session, key):
    return next(node.GetDisplayNode() for part, node in session.display.nodes() if part.region.key == key)


def overlay_alpha(session, label):
    return session.state.live_labels.GetDisplayNode().GetColorNode().GetLookupTable().GetTableValue(label)[3]


def channels(color):
    return color.red(), color.green(), color.blue()


def pixels_like(application, color, tolerance):
    """How many pixels of the three slice views are of a colour's hue: what is left when grey is taken away."""
    count = 0
    for name in ("Red", "Green", "Yellow"):
        view = application.slicer.app.layoutManager().sliceWidget(name).sliceView()
        view.forceRender()
        image = view.grab().toImage()
        pixels = np.array(
            [
                [channels(image.pixelColor(x, y)) for x in range(0, image.width(), 3)]
                for y in range(30, image.height(), 3)
            ],
            dtype=float,
        )
        chroma, wanted = (v - v.min(axis=-1, keepdims=True) for v in (pixels, np.array(color, dtype=float)))
        length = np.linalg.norm(chroma, axis=-1)
        cosine = (chroma @ wanted) / np.maximum(length * np.linalg.norm(wanted), 1e-9)
        count += int(((length > 12) & (cosine > 1 - tolerance)).sum())
    return count


def test_a_hidden_region_is_gone_from_3d_from_the_contours_and_from_the_overlay(application, labelled, explore):
    from FedSimCore import anatomy

    pulmonary = anatomy.region("pa")
    assert pixels_like(application, pulmonary.color, 0.003) > 30
    explore.regions.boxes["pa"].click()
    application.process_events()
    assert not display_of(labelled, "pa").GetVisibility()
    assert overlay_alpha(labelled, pulmonary.label) == 0.0
    assert pixels_like(application, pulmonary.color, 0.003) == 0
    assert overlay_alpha(labelled, anatomy.region("lv").label) == pytest.approx(0.4, abs=BYTE)
    explore.regions.boxes["pa"].click()
    assert overlay_alpha(labelled, pulmonary.label) == pytest.approx(0.4, abs=BYTE)


def test_opacity_is_set_in_3d_and_in_the_slices_apart(labelled, explore):
    slider, display = explore.regions.opacities["ra"], display_of(labelled, "ra")
    slider.value = 0.5
    assert (display.GetOpacity(), display.GetSliceIntersectionOpacity()) == (0.5, 1.0)
    explore.ui.opacityBox.currentIndex = 1
    assert slider.value == 1.0
    slider.value = 0.25
    assert (display.GetOpacity(), display.GetSliceIntersectionOpacity()) == (0.5, 0.25)
    assert overlay_alpha(labelled, 5) == pytest.approx(0.4 * 0.25, abs=BYTE)
    explore.ui.opacityBox.currentIndex = 0
    assert slider.value == 0.5


@pytest.mark.parametrize(
    ("style", "contours", "alpha"),
    [(0, True, 0.4), (1, True, 0.0), (2, False, 0.4), (3, False, 0.0)],
    ids=["both", "contours", "overlay", "nothing"],
)
def test_slices_show_contours_overlay_both_or_nothing(labelled, explore, style, contours, alpha):
    explore.ui.sliceStyleBox.currentIndex = (style + 1) % 4
    explore.ui.sliceStyleBox.currentIndex = style
    assert all(bool(node.GetDisplayNode().GetVisibility2D()) is contours for _part, node in labelled.display.nodes())
    assert [overlay_alpha(labelled, label) for label in range(1, 8)] == pytest.approx([alpha] * 7, abs=BYTE)
    assert overlay_alpha(labelled, 0) == 0.0


def test_the_overlays_opacity_is_that_of_its_slider(labelled, explore):
    explore.ui.overlaySlider.value = 0.8
    assert [overlay_alpha(labelled, label) for label in range(1, 8)] == pytest.approx([0.8] * 7, abs=BYTE)


def test_what_is_hidden_elsewhere_in_slicer_is_hidden_in_the_overlay_too(labelled, explore):
    display_of(labelled, "ao").SetVisibility(False)
    assert not explore.regions.boxes["ao"].checked
    assert overlay_alpha(labelled, 6) == 0.0


def test_other_label_maps_keep_their_colours(labelled, explore):
    from FedSimSlicerLib.scene_colors import region_colors

    explore.regions.boxes["pa"].click()
    shared = region_colors()
    assert shared is not labelled.state.live_labels.GetDisplayNode().GetColorNode()
    assert [shared.GetLookupTable().GetTableValue(label)[3] for label in range(1, 8)] == [1.0] * 7


def test_looks_stay_while_the_heart_moves(labelled, explore, wait_for):
    explore.regions.boxes["pa"].click()
    explore.modes.sliders[0].slider.value = 1.0
    wait_for(lambda: not labelled.worker.busy("labels"))
    assert not display_of(labelled, "pa").GetVisibility()
    assert overlay_alpha(labelled, 7) == 0.0
    assert not explore.regions.boxes["pa"].checked
