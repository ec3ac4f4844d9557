"""Which picture of a volume a slice view shows."""

from __future__ import annotations

from typing import Any

from slicer.i18n import tr as _

from ..errors import MedLandmarkError
from ..image.limits import MIN_SIDE_PX
from ..plane import Plane


def pictureShown(sliceNode: Any, volume: Any) -> dict[str, Any]:
    """What a slice view shows of a volume, as an argument of DetectionLogic.start: {"sliceIndex"} or {"plane"}.

    Raises MedLandmarkError where it is no image, or the view shows nothing of it.
    """
    from ..mrml.view_plane import stored_slice_in_view
    from ..mrml.volume import check_volume

    check_volume(volume)
    index = stored_slice_in_view(sliceNode, volume)
    if index is None:
        return {"plane": cutShown(sliceNode, volume)}
    if not 0 <= index < volume.GetImageData().GetDimensions()[2]:
        raise _nothingShown(sliceNode, volume)
    return {"sliceIndex": index}


def cutShown(sliceNode: Any, volume: Any) -> Plane:
    """The part of a view's plane that lies in the volume, whether along its slices or across them.

    Raises MedLandmarkError where it is no image, or the view shows too little of it.
    """
    from ..mrml.view_plane import cut_in_view
    from ..mrml.volume import check_volume

    check_volume(volume)
    plane = cut_in_view(sliceNode, volume)
    if plane is None:
        raise _nothingShown(sliceNode, volume)
    if min(plane.size_wh) < MIN_SIDE_PX:
        raise MedLandmarkError(
            _("The {view} view shows only {width} × {height} pixels of '{name}'. Show more of it.").format(
                view=sliceNode.GetName(), width=plane.size_wh[0], height=plane.size_wh[1], name=volume.GetName()
            )
        )
    return plane


def _nothingShown(sliceNode: Any, volume: Any) -> MedLandmarkError:
    return MedLandmarkError(
        _("The {view} view shows no slice of '{name}': it is outside the volume.").format(
            view=sliceNode.GetName(), name=volume.GetName()
        )
    )
