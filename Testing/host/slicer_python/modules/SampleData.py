"""Stand-in for Slicer's SampleData module: registration, and data made or loaded by a module's own function.

Left out: the gallery of samples, Slicer's built-in samples, and every download -- a source with URLs raises, since
the host never goes to the network.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Callable
from typing import Any

import slicer


@dataclasses.dataclass
class SampleDataSource:
    """One set of sample data. As in Slicer, `uris` is text or a list, perhaps empty; the other lists are as long."""

    sampleName: str
    uris: Any = None
    fileNames: Any = None
    nodeNames: Any = None
    customDownloader: Callable[[Any], Any] | None = None
    thumbnailFileName: str | None = None
    loadFileTypes: Any = None
    loadFiles: Any = None
    loadFileProperties: dict[str, Any] = dataclasses.field(default_factory=dict)
    checksums: Any = None

    def __post_init__(self) -> None:
        for name in ("fileNames", "nodeNames", "loadFiles", "loadFileTypes", "checksums"):
            value = getattr(self, name)
            if isinstance(self.uris, str):
                setattr(self, name, [value])
            elif value is None and name != "fileNames":
                setattr(self, name, [None] * len(self.uris))
            elif len(value) != len(self.uris):
                raise ValueError(f"All fields of sample data source must have the same length; {name} has another")
        self.uris = [self.uris] if isinstance(self.uris, str) else list(self.uris)


class SampleDataLogic:
    """Registration and loading of sample data."""

    @staticmethod
    def registerCustomSampleDataCategory(category: str, title: str) -> None:
        """Name a category as people see it."""
        if not hasattr(slicer.modules, "sampleDataSourceCategories"):
            slicer.modules.sampleDataSourceCategories = {}
        slicer.modules.sampleDataSourceCategories.setdefault(category, {})["title"] = title

    @staticmethod
    def registerCustomSampleDataSource(category: str = "Custom", **source: Any) -> None:
        """Add a set of data; the arguments are those of `SampleDataSource`."""
        if not hasattr(slicer.modules, "sampleDataSources"):
            slicer.modules.sampleDataSources = {}
        known = slicer.modules.sampleDataSources.setdefault(category, [])
        known[:] = [s for s in known if s.sampleName != source["sampleName"]] + [SampleDataSource(**source)]

    def sourceForSampleName(self, sampleName: str) -> SampleDataSource | None:
        """A registered set by its name."""
        sources = getattr(slicer.modules, "sampleDataSources", {})
        return next((s for some in sources.values() for s in some if s.sampleName == sampleName), None)

    def downloadFromSource(self, source: SampleDataSource) -> Any:
        """Slicer would download here; it never calls `customDownloader`, which the button of the sample does.

        Raises:
            RuntimeError: always.
        """
        raise RuntimeError(f"The host downloads nothing; call the customDownloader of {source.sampleName}")


def downloadSample(sampleName: str) -> Any:
    """Slicer would download a registered set here.

    Raises:
        RuntimeError: always.
    """
    source = SampleDataLogic().sourceForSampleName(sampleName)
    if source is None:
        raise RuntimeError(f"No sample data of the name {sampleName} is registered")
    return SampleDataLogic().downloadFromSource(source)
