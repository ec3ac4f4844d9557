"""Sample data of the module: an image that can be had without a network, because a dependency ships it."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from slicer.i18n import tr as _

CATEGORY = "MedLandmark"
ECHO = "MedLandmarkEcho"
# pydicom ships this apical four-chamber view (30 frames) with its test files.
_ECHO_FILE = "examples_ybr_color.dcm"


def registerSampleData(iconFolder: Path) -> None:
    """Offer the samples in Slicer's Sample Data module; may be called again."""
    import SampleData

    SampleData.SampleDataLogic.registerCustomSampleDataCategory(CATEGORY, title=_("MedLandmark"))
    SampleData.SampleDataLogic.registerCustomSampleDataSource(
        category=CATEGORY,
        sampleName=ECHO,
        nodeNames=ECHO,
        thumbnailFileName=str(iconFolder / "MedLandmark.png"),
        customDownloader=loadEcho,
    )


def loadEcho(source: Any = None) -> list[Any]:
    """The first frame of the echocardiogram, as a vector volume in the scene."""
    import slicer
    from pydicom.data import get_testdata_file

    from ..image import read_image
    from ..mrml.calibration import keep_calibration

    image = read_image(get_testdata_file(_ECHO_FILE))
    node = slicer.mrmlScene.AddNewNodeByClass("vtkMRMLVectorVolumeNode", slicer.mrmlScene.GenerateUniqueName(ECHO))
    slicer.util.updateVolumeFromArray(node, image.display_rgb(0)[None])
    node.SetIJKToRASDirections(-1, 0, 0, 0, -1, 0, 0, 0, 1)
    node.CreateDefaultDisplayNodes()
    keep_calibration(node, image.calibration)
    slicer.util.setSliceViewerLayers(background=node, fit=True)
    return [node]
