"""Images given to the module: refused, calibrated, transformed, in colour, and slices of volumes."""

from __future__ import annotations

from types import SimpleNamespace

import numpy as np
import pytest
import slicer
from slicer_module import HOST, a_module, an_image_in_the_scene

__all__ = ["a_module"]


def test_a_scheme_without_a_model_says_so(a_module):
    a_module.parameters.inputVolume = an_image_in_the_scene()
    a_module.panel.schemes.choose("plax-4")
    assert not a_module.ui.detectButton.enabled
    assert "No model knows" in a_module.ui.detectButton.toolTip


def test_an_empty_volume_is_refused_with_its_name(a_module):
    a_module.parameters.inputVolume = HOST.scene.AddNewNodeByClass("vtkMRMLScalarVolumeNode", "hollow")
    HOST.app.processEvents()
    assert not a_module.ui.detectButton.enabled
    assert "hollow" in a_module.ui.detectButton.toolTip


def test_an_image_without_calibration_is_measured_in_pixels(a_module):
    a_module.parameters.inputVolume = an_image_in_the_scene()
    HOST.app.processEvents()
    assert "pixels" in a_module.ui.calibrationLabel.text
    a_module.detect()
    rows = range(a_module.ui.measurementTable.rowCount)
    values = " ".join(a_module.cell("measurementTable", row, 1) for row in rows)
    assert "px" in values
    assert "mm" not in values


def test_a_ruler_calibrates_and_the_landmarks_stay_on_their_pixels(a_module):
    volume = an_image_in_the_scene()
    a_module.parameters.inputVolume = volume
    HOST.app.processEvents()
    a_module.detect()
    before = [landmark.ijk for landmark in a_module.review.landmarks]
    ruler = HOST.scene.AddNewNodeByClass("vtkMRMLMarkupsLineNode", "ruler")
    assert not a_module.ui.calibrateButton.enabled
    for i in (100, 300):
        ruler.AddControlPointWorld([-i, -250, 0])
    a_module.parameters.ruler, a_module.parameters.rulerLength = ruler, 50.0
    HOST.app.processEvents()
    assert a_module.ui.calibrateButton.enabled, a_module.ui.calibrateButton.toolTip
    a_module.ui.calibrateButton.click()
    assert volume.GetSpacing()[0] == pytest.approx(0.25)
    assert "Calibrated" in a_module.ui.calibrationLabel.text
    assert "ruler" in a_module.ui.calibrationLabel.text
    np.testing.assert_allclose([landmark.ijk for landmark in a_module.review.landmarks], before, atol=1e-6)
    assert a_module.cell("landmarkTable", 0, 3).endswith("mm")


def test_a_radiograph_takes_the_calibrated_pixels_of_its_header(a_module, monkeypatch, tmp_path):
    from pydicom.dataset import Dataset, FileMetaDataset
    from pydicom.uid import ExplicitVRLittleEndian

    header = Dataset()
    header.file_meta = FileMetaDataset()
    header.file_meta.TransferSyntaxUID = ExplicitVRLittleEndian
    header.Modality, header.PixelSpacing, header.ImagerPixelSpacing = "DX", [0.2, 0.2], [0.25, 0.25]
    header.SOPClassUID, header.SOPInstanceUID = "1.2.840.10008.5.1.4.1.1.1.1", "1.2.3"
    header.save_as(tmp_path / "header.dcm", enforce_file_format=True)
    database = SimpleNamespace(fileForInstance=lambda uid: str(tmp_path / "header.dcm") if uid == "1.2.3" else "")
    monkeypatch.setattr(slicer, "dicomDatabase", database, raising=False)
    volume = an_image_in_the_scene()
    volume.SetSpacing(0.25, 0.25, 1.0)  # as ITK's reader has it
    volume.SetAttribute("DICOM.instanceUIDs", "1.2.3")
    a_module.parameters.inputVolume = volume
    HOST.app.processEvents()
    assert "in pixels" in a_module.ui.calibrationLabel.text
    assert a_module.ui.headerButton.enabled, a_module.ui.headerButton.toolTip
    a_module.ui.headerButton.click()
    assert volume.GetSpacing()[:2] == (0.2, 0.2)
    assert "Calibrated, 0.2 mm per pixel" in a_module.ui.calibrationLabel.text
    assert not a_module.ui.headerButton.enabled


def test_a_damaged_file_in_the_dicom_database_is_named_and_nothing_else_fails(a_module, monkeypatch, tmp_path):
    (tmp_path / "broken.dcm").write_bytes(b"this is no DICOM file")
    database = SimpleNamespace(fileForInstance=lambda uid: str(tmp_path / "broken.dcm"))
    monkeypatch.setattr(slicer, "dicomDatabase", database, raising=False)
    volume = an_image_in_the_scene()
    volume.SetAttribute("DICOM.instanceUIDs", "1.2.3")
    a_module.parameters.inputVolume = volume
    HOST.app.processEvents()
    assert "broken.dcm" in a_module.ui.calibrationLabel.text
    assert "broken.dcm" in a_module.ui.headerButton.toolTip


def test_a_colour_image_is_detected(a_module):
    a_module.parameters.inputVolume = an_image_in_the_scene((1, 200, 260, 3), "echo")
    HOST.app.processEvents()
    a_module.panel.schemes.choose("a4c-4")
    a_module.detect()
    assert a_module.ui.landmarkTable.rowCount == 4


def test_landmarks_of_a_transformed_volume_lie_on_it(a_module):
    volume = an_image_in_the_scene(spacing=0.5)
    transform = HOST.scene.AddNewNodeByClass("vtkMRMLLinearTransformNode", "turned")
    matrix = slicer.util.vtkMatrixFromArray(np.array([[0, -1, 0, 7], [1, 0, 0, -3], [0, 0, 1, 11], [0, 0, 0, 1.0]]))
    transform.SetMatrixTransformToParent(matrix)
    volume.SetAndObserveTransformNodeID(transform.GetID())
    a_module.parameters.inputVolume = volume
    HOST.app.processEvents()
    a_module.detect()
    from MedLandmarkLib.mrml.calibration import ijk_to_ras

    ijk = np.array([*a_module.review.landmarks.landmarks[3].ijk, 1.0])
    np.testing.assert_allclose(a_module.point(3), (ijk_to_ras(volume) @ ijk)[:3], atol=1e-6)
    assert a_module.point(3)[2] == pytest.approx(11)


def test_of_a_volume_the_slice_that_a_view_shows_is_used(a_module):
    volume = an_image_in_the_scene((7, 90, 80), "volume", spacing=1.0)
    a_module.parameters.inputVolume = volume
    HOST.app.processEvents()
    assert a_module.ui.targetSelector.enabled
    node = HOST.app.layoutManager().sliceWidget("Red").mrmlSliceNode()
    node.SetSliceOffset(4.0)
    a_module.detect()
    assert {landmark.ijk[2] for landmark in a_module.review.landmarks} == {4.0}
    node.SetSliceOffset(99.0)
    a_module.panel.inputs.update()
    a_module.panel.detection.update()
    assert not a_module.ui.detectButton.enabled
    assert "Red" in a_module.ui.detectButton.toolTip


def test_of_a_volume_a_view_that_cuts_obliquely_is_used_as_it_is_shown(a_module, tmp_path):
    from MedLandmarkLib.mrml.calibration import ijk_to_ras

    volume = an_image_in_the_scene((40, 90, 80), "volume", spacing=1.0)
    volume.SetSpacing(1.0, 1.0, 2.0)
    i, j, k = np.meshgrid(np.arange(80), np.arange(90), np.arange(40), indexing="ij")
    ras = np.stack((i, j, k, np.ones_like(i)), axis=-1) @ ijk_to_ras(volume).T
    blob = np.array([-37.0, -52.0, 33.0])
    values = 255 * np.exp(-(((ras[..., :3] - blob) / 4.0) ** 2).sum(axis=-1))
    slicer.util.updateVolumeFromArray(volume, values.transpose(2, 1, 0).astype(np.uint8))
    a_module.parameters.inputVolume = volume
    HOST.app.processEvents()
    a_module.ui.targetSelector.setCurrentIndex(a_module.ui.targetSelector.findData("Green"))
    node = HOST.app.layoutManager().sliceWidget("Green").mrmlSliceNode()
    before = slicer.util.arrayFromVTKMatrix(node.GetSliceToRAS())
    turned = before.copy()
    turned[:3, :3] = rotation(0.5, 0.3) @ before[:3, :3]
    turned[:3, 3] = blob + turned[:3, :3] @ [9.0, -6.0, 0.0]  # the blob lies in the plane, off its middle
    node.GetSliceToRAS().DeepCopy(slicer.util.vtkMatrixFromArray(turned))
    node.UpdateMatrices()
    try:
        assert a_module.ui.detectButton.enabled, a_module.ui.detectButton.toolTip
        a_module.detect()
        assert np.linalg.norm(a_module.point(0) - blob) < 1.0
        points = slicer.util.arrayFromMarkupsControlPoints(a_module.result, world=True)
        assert np.abs((points - blob) @ turned[:3, 2]).max() < 1e-6  # all lie in the plane of the view
        assert np.ptp([landmark.ijk[2] for landmark in a_module.review.landmarks]) > 1
        a_module.parameters.exportFolder = str(tmp_path)
        HOST.app.processEvents()
        a_module.ui.exportButton.click()
        report = next(tmp_path.glob("*.report.html")).read_text(encoding="utf-8")
        assert report.count("<circle") == len(points), a_module.ui.exportLabel.text
    finally:
        node.GetSliceToRAS().DeepCopy(slicer.util.vtkMatrixFromArray(before))
        node.UpdateMatrices()


def rotation(about_s: float, about_r: float) -> np.ndarray:
    """(3, 3): a turn about two axes, radians."""
    (c, s), (d, t) = ((np.cos(angle), np.sin(angle)) for angle in (about_s, about_r))
    return np.array([[c, -s, 0], [s, c, 0], [0, 0, 1]]) @ np.array([[1, 0, 0], [0, d, -t], [0, t, d]])
