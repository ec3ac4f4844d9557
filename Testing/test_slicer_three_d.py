"""Detected landmarks in a 3D view; its picture is left in $MEDLANDMARK_ARTEFACTS, else in build/artefacts."""

from __future__ import annotations

import numpy as np
from slicer_module import HOST, a_module, an_image_in_the_scene, artefacts
from SlicerHost.three_d import ThreeDView

__all__ = ["a_module"]


def test_the_landmarks_of_a_cut_stand_in_the_3d_view(a_module):
    a_module.parameters.inputVolume = an_image_in_the_scene((60, 90, 80), "volume", spacing=1.0)
    HOST.app.processEvents()
    a_module.ui.targetSelector.setCurrentIndex(a_module.ui.targetSelector.findData("Green"))  # cuts across the slices
    view = ThreeDView(HOST.app.applicationLogic(), HOST.scene)
    try:
        view.look_from_the_front()
        empty = view.picture()
        a_module.detect()
        HOST.run_for(0.2)
        points = np.array([a_module.point(number) for number in range(19)])
        view.look_from_the_front()
        with_points = view.picture()
        assert np.abs(with_points.astype(int) - empty).max() > 50
        view.save_picture(artefacts() / "view-3d-detected.png")
        a_module.result.GetDisplayNode().SetVisibility(False)
        a_module.ui.drawingsBox.setChecked(False)
        without = view.picture()
        changed = np.abs(with_points.astype(int) - without).max(axis=2) > 30
        for point in points:
            column, row = np.round(view.display_xy(point)).astype(int)
            assert changed[row - 6 : row + 7, column - 6 : column + 7].any(), point
    finally:
        view.close()
        HOST.scene.RemoveNode(view.view_node)
