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
    """One set of sample data."""

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
        """Make the data with the source's own function.

        Raises:
            RuntimeError: the source has none and would have to be downloaded.
        """
        if source.customDownloader is None:
            raise RuntimeError(f"The host downloads nothing, and {source.sampleName} has no customDownloader")
        return source.customDownloader(source)


def downloadSample(sampleName: str) -> Any:
    """Make a registered set of sample data; its first node if there are several."""
    source = SampleDataLogic().sourceForSampleName(sampleName)
    if source is None:
        raise RuntimeError(f"No sample data of the name {sampleName} is registered")
    nodes = SampleDataLogic().downloadFromSource(source)
    return nodes[0] if isinstance(nodes, (list, tuple)) else nodes
