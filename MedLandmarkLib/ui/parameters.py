"""What the panel remembers in the scene. Slicer's wrapper reads the types when the class is made: at first use."""

from __future__ import annotations

from functools import cache


@cache
def parameterNodeClass() -> type:
    """The typed view on the module's parameter node."""
    from slicer import vtkMRMLMarkupsFiducialNode, vtkMRMLMarkupsLineNode, vtkMRMLVolumeNode
    from slicer.parameterNodeWrapper import parameterNodeWrapper

    class MedLandmarkParameterNode:
        """The inputs and choices of the panel; a scene that is saved and loaded brings them back."""

        inputVolume: vtkMRMLVolumeNode
        result: vtkMRMLMarkupsFiducialNode
        ruler: vtkMRMLMarkupsLineNode
        rulerLength: float = 10.0
        target: str = ""
        sweepSagittal: bool = True
        sweepCoronal: bool = True
        sweepAxial: bool = True
        projectionKind: str = "radiograph"
        projectionView: str = ""
        slabDepth: float = 0.0
        toothLine: vtkMRMLMarkupsLineNode
        labialSide: str = "front"
        uncertaintyShown: bool = False
        schemeId: str = "head-19"
        modelId: str = "lite"
        device: str = "auto"
        drawingsShown: bool = True
        exportFolder: str = ""
        teachFolder: str = ""
        teachName: str = ""
        teachMethod: str = "fusion"
        teachEffort: float = 1.0
        teachesOwnNames: bool = True
        teachesSceneImages: bool = False
        teachesUnchecked: bool = False

    # The annotations are texts (PEP 563) and would be looked up in this file's globals, where the classes are not.
    MedLandmarkParameterNode.__annotations__ = {
        "inputVolume": vtkMRMLVolumeNode,
        "result": vtkMRMLMarkupsFiducialNode,
        "ruler": vtkMRMLMarkupsLineNode,
        "rulerLength": float,
        "target": str,
        "sweepSagittal": bool,
        "sweepCoronal": bool,
        "sweepAxial": bool,
        "projectionKind": str,
        "projectionView": str,
        "slabDepth": float,
        "toothLine": vtkMRMLMarkupsLineNode,
        "labialSide": str,
        "uncertaintyShown": bool,
        "schemeId": str,
        "modelId": str,
        "device": str,
        "drawingsShown": bool,
        "exportFolder": str,
        "teachFolder": str,
        "teachName": str,
        "teachMethod": str,
        "teachEffort": float,
        "teachesOwnNames": bool,
        "teachesSceneImages": bool,
        "teachesUnchecked": bool,
    }
    return parameterNodeWrapper(MedLandmarkParameterNode)
