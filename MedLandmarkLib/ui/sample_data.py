"""Sample data of the module: an image and a clip that can be had without a network, because a dependency ships them."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from slicer.i18n import tr as _

CATEGORY = "MedLandmark"
ECHO = "MedLandmarkEcho"
ECHO_CLIP = "MedLandmarkEchoClip"
# pydicom ships this apical four-chamber view (30 frames) with its test files.
_ECHO_FILE = "examples_ybr_color.dcm"


def registerSampleData(iconFolder: Path) -> None:
    """Offer the samples in Slicer's Sample Data module; may be called again."""
    import SampleData

    SampleData.SampleDataLogic.registerCustomSampleDataCategory(CATEGORY, title=_("MedLandmark"))
    for name, load in ((ECHO, loadEcho), (ECHO_CLIP, loadEchoClip)):
        SampleData.SampleDataLogic.registerCustomSampleDataSource(
            category=CATEGORY,
            sampleName=name,
            nodeNames=name,
            thumbnailFileName=str(iconFolder / "MedLandmark.png"),
            customDownloader=load,
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


def loadEchoClip(source: Any = None) -> list[Any]:
    """All frames of the echocardiogram, as a volume sequence; the volume that shows its current frame."""
    import slicer
    from pydicom.data import get_testdata_file

    from ..image.clip_reading import read_clip
    from ..mrml import add_clip

    volume = add_clip(slicer.mrmlScene, read_clip(get_testdata_file(_ECHO_FILE)), ECHO_CLIP)
    slicer.util.setSliceViewerLayers(background=volume, fit=True)
    return [volume]
