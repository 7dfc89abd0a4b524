"""Names and contents of the files that segmenting saves."""

from __future__ import annotations

import pytest

pytest.importorskip("slicer")
pytest.importorskip("PySide6")


def test_every_scan_gets_a_file_name_of_its_own(application):
    from FedSimSlicerLib.segment_files import file_stems

    assert file_stems(["3: CT/thorax", "3: CT/thorax", "anna", "Anna", " . "]) == [
        "3- CT-thorax",
        "3- CT-thorax-2",
        "anna",
        "Anna-2",
        "scan",
    ]
