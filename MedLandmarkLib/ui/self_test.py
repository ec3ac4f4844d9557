"""The module's self-test: what must hold in any Slicer, with or without PyTorch.

Each function is given the unittest.TestCase that it belongs to. No network runs here; the landmarks stand where the
scheme's measurements can be told by hand.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from ..landmark import Landmark, LandmarkSet, Status
from ..scheme import load_scheme

SCHEME = "a4c-4"


def anImage(scene: Any, shape: tuple[int, ...] = (1, 200, 300)) -> Any:
    """A grey volume node with a pixel of 0.5 mm that its source vouches for."""
    import slicer

    from ..image import Calibration
    from ..mrml.calibration import keep_calibration

    volume = scene.AddNewNodeByClass("vtkMRMLScalarVolumeNode", scene.GenerateUniqueName("Self-test image"))
    ramp = np.arange(np.prod(shape), dtype=np.uint16).reshape(shape) % 251
    slicer.util.updateVolumeFromArray(volume, ramp.astype(np.uint8))
    volume.SetIJKToRASDirections(-1, 0, 0, 0, -1, 0, 0, 0, 1)
    volume.CreateDefaultDisplayNodes()
    keep_calibration(volume, Calibration("calibrated", "the self-test", (0.5, 0.5)))
    return volume


def aResult(scene: Any, volume: Any) -> Any:
    """Landmarks on a line, 20 px apart; the second is doubtful."""
    from ..mrml import create_result
    from ..mrml.volume import image_from_volume

    scheme, image = load_scheme(SCHEME), image_from_volume(volume)
    landmarks = []
    for number, name in enumerate(scheme.names):
        ijk = (40.0 + 20.0 * number, 60.0 + 15.0 * (number % 2), 0.0)
        doubtful = number == 1
        landmarks.append(
            Landmark(
                name,
                ijk=ijk,
                ras=tuple(float(value) for value in image.ras_from_ijk(ijk)),
                status=Status.DOUBTFUL if doubtful else Status.PREDICTED,
                confidence=0.3 if doubtful else 0.9,
                score=0.8,
                reason="confidence 0.30 is below 0.50" if doubtful else "",
                predicted_ijk=ijk,
            )
        )
    return create_result(scene, volume, LandmarkSet(scheme.id, tuple(landmarks)), scheme)


def reviewTest(test: Any, scene: Any) -> None:
    """Accept, edit, mark missing, revert and undo, with measurements that follow."""
    from ..mrml import Review

    review = Review(scene, aResult(scene, anImage(scene)))
    first = review.landmarks.names[0]
    test.assertEqual(len(review.accept_all_confident()), len(review.landmarks) - 1)
    test.assertEqual(review.landmarks[first].status, Status.ACCEPTED)
    before = np.array(review.node.GetNthControlPointPositionWorld(0))
    review.node.SetNthControlPointPositionWorld(0, *(before + [5.0, 0.0, 0.0]))
    test.assertEqual(review.landmarks[first].status, Status.EDITED)
    test.assertAlmostEqual(review.landmarks[first].ijk[0], 40.0 - 10.0, places=6)
    review.mark_missing([first])
    dependent = [item for item in review.measurements if first in review.scheme.measurement_inputs[item.name]]
    test.assertTrue(dependent)
    test.assertTrue(all(item.status is Status.MISSING and first in item.reason for item in dependent))
    review.revert([first])
    test.assertEqual(review.landmarks[first].ijk, review.prediction[first].ijk)
    for _step in range(4):
        test.assertTrue(review.stack.undo())
    test.assertEqual(review.landmarks[first].status, Status.PREDICTED)
    review.close()


def panelTest(test: Any, scene: Any) -> None:
    """The panel opens, shows a result, and its tables follow an edit."""
    import slicer

    slicer.modules.medlandmark.widgetRepresentation()
    panel = slicer.modules.MedLandmarkWidget.panel
    parameters = slicer.modules.MedLandmarkWidget.logic.getParameterNode()
    if not panel.hasParameters:
        panel.setParameters(parameters)
    volume = anImage(scene)
    parameters.inputVolume = volume
    parameters.result = aResult(scene, volume)
    slicer.app.processEvents()
    test.assertEqual(panel.ui.landmarkTable.rowCount, len(load_scheme(SCHEME)))
    values = [panel.ui.measurementTable.item(row, 1).text() for row in range(panel.ui.measurementTable.rowCount)]
    position = np.array(parameters.result.GetNthControlPointPositionWorld(0))
    parameters.result.SetNthControlPointPositionWorld(0, *(position + [8.0, 3.0, 0.0]))
    slicer.app.processEvents()
    changed = [panel.ui.measurementTable.item(row, 1).text() for row in range(panel.ui.measurementTable.rowCount)]
    test.assertNotEqual(values, changed)
    test.assertTrue(panel.ui.undoButton.enabled)


def wrongInputTest(test: Any, scene: Any, logic: Any) -> None:
    """No image, an image without pixels, a volume without a slice, an unknown scheme: each says what is wrong."""
    from ..errors import ImageError, SchemeError

    empty = scene.AddNewNodeByClass("vtkMRMLScalarVolumeNode", "Empty")
    with test.assertRaisesRegex(ImageError, "No image"):
        logic.detect(None, SCHEME)
    with test.assertRaisesRegex(ImageError, "Empty"):
        logic.detect(empty, SCHEME)
    with test.assertRaisesRegex(ImageError, "3 slices"):
        logic.detect(anImage(scene, (3, 40, 50)), SCHEME)
    with test.assertRaisesRegex(SchemeError, "no scheme"):
        logic.detect(anImage(scene), "head-91")
    logic.close()
