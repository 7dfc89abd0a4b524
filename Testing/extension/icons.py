"""The icons, drawn from FedSim.svg: python -m Testing.extension.icons."""

from __future__ import annotations

import os
from pathlib import Path

SIZE = 128  # pixels; what the Extensions Index wants
SVG = Path(__file__).with_name("FedSim.svg")
ROOT = Path(__file__).resolve().parents[2]
PICTURES = (ROOT / "FedSim.png", ROOT / "FedSimSlicer" / "Resources" / "Icons" / "FedSimSlicer.png")


def draw_icons(pictures: tuple[Path, ...] = PICTURES) -> None:
    """Write each icon, transparent round the heart."""
    os.environ.setdefault("QT_QPA_PLATFORM", "offscreen")
    from PySide6.QtGui import QGuiApplication, QImage, QPainter
    from PySide6.QtSvg import QSvgRenderer

    application = QGuiApplication.instance() or QGuiApplication([])
    image = QImage(SIZE, SIZE, QImage.Format.Format_ARGB32)
    image.fill(0)
    painter = QPainter(image)
    painter.setRenderHint(QPainter.RenderHint.Antialiasing)
    QSvgRenderer(str(SVG)).render(painter)
    painter.end()
    for path in pictures:
        path.parent.mkdir(parents=True, exist_ok=True)
        if not image.save(str(path)):
            raise OSError(f"{path} could not be written")
    del application


if __name__ == "__main__":
    draw_icons()
