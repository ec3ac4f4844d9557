"""`SampleData`: a registry of sample data; nothing is downloaded."""

from __future__ import annotations

import types
from collections.abc import Callable
from typing import Any, ClassVar

_ACCEPTED = {
    "sampleName", "category", "uris", "fileNames", "nodeNames", "customDownloader", "thumbnailFileName",
    "loadFileTypes", "loadFiles", "loadFileProperties", "checksums",
}  # fmt: skip


class SampleDataLogic:
    """The two registering functions of Slicer's SampleData module."""

    categories: ClassVar[dict[str, str]] = {}
    sources: ClassVar[dict[tuple[str, str], dict[str, Any]]] = {}

    @classmethod
    def registerCustomSampleDataCategory(cls, name: str, title: str = "") -> None:
        cls.categories[name] = title

    @classmethod
    def registerCustomSampleDataSource(
        cls, category: str = "Custom", sampleName: str | None = None, **fields: Any
    ) -> None:
        unknown = set(fields) - _ACCEPTED
        if unknown or not sampleName:
            raise TypeError(f"registerCustomSampleDataSource does not know {sorted(unknown)}, or has no sampleName")
        cls.sources[category, sampleName] = fields


class Source:
    """What a custom downloader is given."""

    def __init__(self, sample_name: str, fields: dict[str, Any]) -> None:
        self.sampleName = sample_name
        self.nodeNames = fields.get("nodeNames")
        self.fileNames = fields.get("fileNames")


def downloadSample(name: str) -> Any:
    for (_, sample_name), fields in SampleDataLogic.sources.items():
        if sample_name == name:
            downloader: Callable[[Source], Any] | None = fields.get("customDownloader")
            if downloader is None:
                raise NotImplementedError("only sample data with a customDownloader can be had in SlicerHost")
            return downloader(Source(sample_name, fields))
    raise ValueError(f"There is no sample data '{name}'.")


def make_module() -> types.ModuleType:
    module = types.ModuleType("SampleData")
    module.SampleDataLogic, module.downloadSample = SampleDataLogic, downloadSample
    return module
