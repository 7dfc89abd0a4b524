"""Stand-in for `slicer.i18n`. Left out: translations; the text comes back as it is, through `slicer.app.translate`."""

from __future__ import annotations

import inspect
from pathlib import Path


def translate(context: str, text: str) -> str:
    """A text in the application's language."""
    import slicer

    return str(slicer.app.translate(context, text))


def getContext(source_file: str) -> str:
    """A file's context in translation files: its name, after its package's if it is in one."""
    path = Path(source_file)
    return f"{path.parent.name}.{path.stem}" if (path.parent / "__init__.py").is_file() else path.stem


def tr(text: str) -> str:
    """A text in the application's language; the context is the calling file's."""
    frame = inspect.currentframe()
    assert frame is not None
    assert frame.f_back is not None
    return translate(getContext(frame.f_back.f_code.co_filename), text)
