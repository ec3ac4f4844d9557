"""The Slicer module: shells only. What they do is in MedLandmarkLib, which is imported when it is needed."""

import sys
from pathlib import Path

import slicer
from slicer.i18n import tr as _
from slicer.i18n import translate
from slicer.ScriptedLoadableModule import (
    ScriptedLoadableModule,
    ScriptedLoadableModuleLogic,
    ScriptedLoadableModuleTest,
    ScriptedLoadableModuleWidget,
)
from slicer.util import VTKObservationMixin

# In the source tree the library stands beside the module's folder; installed, Slicer finds it by itself.
_root = Path(__file__).resolve().parent.parent
if (_root / "MedLandmarkLib").is_dir() and str(_root) not in sys.path:
    sys.path.append(str(_root))


class MedLandmark(ScriptedLoadableModule):
    """What Slicer shows of the module in its menus."""

    def __init__(self, parent):
        super().__init__(parent)
        parent.title = _("MedLandmark")
        parent.categories = [translate("qSlicerAbstractCoreModule", "Quantification")]
        parent.dependencies = ["Markups", "Volumes", "Sequences", "Plots"]
        parent.contributors = ["MedLandmark contributors"]
        parent.helpText = _(
            "Finds anatomical landmarks and measures from them. Choose an image and a landmark scheme, press Detect "
            "landmarks, then review: drag a point, accept it, say that it is missing. For research, not for diagnosis."
        )
        parent.acknowledgementText = _("The Model section of the panel names the licence of each model.")
        slicer.app.connect("startupCompleted()", self._registerSampleData)

    def _registerSampleData(self):
        from MedLandmarkLib.ui.sample_data import registerSampleData

        registerSampleData(Path(self.resourcePath("Icons")))


class MedLandmarkWidget(ScriptedLoadableModuleWidget, VTKObservationMixin):
    """The module's panel."""

    def __init__(self, parent=None):
        ScriptedLoadableModuleWidget.__init__(self, parent)
        VTKObservationMixin.__init__(self)
        self.logic, self.panel = None, None

    def setup(self):
        super().setup()
        from MedLandmarkLib.ui.module_widget import ModulePanel

        self.uiWidget = slicer.util.loadUI(self.resourcePath("UI/MedLandmark.ui"))
        self.layout.addWidget(self.uiWidget)
        self.uiWidget.setMRMLScene(slicer.mrmlScene)
        self.ui = slicer.util.childWidgetVariables(self.uiWidget)
        self.logic = MedLandmarkLogic()
        requirements = self.resourcePath("requirements.txt")
        self.panel = ModulePanel(self.ui, slicer.mrmlScene, self.logic.detection, requirements, slicer.app)
        scene = slicer.mrmlScene
        self.addObserver(scene, scene.StartCloseEvent, lambda *_args: self.panel.setParameters(None))
        self.addObserver(scene, scene.EndCloseEvent, self.onSceneEndClose)
        self.addObserver(scene, scene.EndImportEvent, self.onSceneEndImport)

    def cleanup(self):
        self.removeObservers()
        self.panel.close()
        self.logic.close()

    def enter(self):
        self.panel.enter(self.logic.getParameterNode())

    def exit(self):
        self.panel.exit()

    def onSceneEndClose(self, caller, event):
        self.panel.sceneClosed()
        self.onSceneEndImport(caller, event)

    def onSceneEndImport(self, caller, event):
        if self.parent.isEntered:
            self.panel.setParameters(self.logic.getParameterNode())

    def onReload(self):
        """Also reload the library, which Slicer's own reload leaves as it is."""
        for name in [name for name in sys.modules if name.partition(".")[0] == "MedLandmarkLib"]:
            del sys.modules[name]
        super().onReload()


class MedLandmarkLogic(ScriptedLoadableModuleLogic):
    """Detection without the panel, for the Python console and for other modules:

    from MedLandmark import MedLandmarkLogic

    logic = MedLandmarkLogic()
    node = logic.detect(slicer.util.getNode("ceph"), "head-19")
    slicer.util.arrayFromMarkupsControlPoints(node)
    """

    def __init__(self):
        super().__init__()
        from MedLandmarkLib.ui.detection_logic import DetectionLogic

        self.detection = DetectionLogic(slicer.mrmlScene)

    def getParameterNode(self):
        from MedLandmarkLib.ui.parameters import parameterNodeClass

        return parameterNodeClass()(super().getParameterNode())

    def detect(self, volume, scheme, model="lite", device="auto", sliceIndex=None, **choices):
        """Find the landmarks of a scheme in an image, and wait for them with the application alive.

        :param volume: scalar or vector volume node; of several slices with one of `sliceIndex` and the choices below.
        :param scheme: id of a landmark scheme, such as "head-19", or the path of a scheme file.
        :param model: id of a model that is installed. device: "auto", "cpu", "cuda" or "mps". sliceIndex: from 0.
        :param choices: `sliceNode`: the slice view that shows a slice, or a cut; `directions`: search the whole volume,
            some of "sagittal", "coronal", "axial"; `clip=True`: use all frames of the volume's sequence.
        :return: fiducial node with one control point per landmark.
        :raises MedLandmarkLib.errors.MedLandmarkError: for an input, scheme or model that cannot be used.
        """
        return self.detection.detect(volume, scheme, model, device, sliceIndex, **choices)

    def close(self):
        self.detection.close()


class MedLandmarkTest(ScriptedLoadableModuleTest):
    """Runs inside Slicer, and unchanged where the project is tested without it (MedLandmarkLib/ui/self_test.py)."""

    def setUp(self):
        from MedLandmarkLib.ui import self_test

        slicer.mrmlScene.Clear(False)
        self.cases = self_test

    def test_a_result_is_reviewed_measured_and_undone(self):
        self.cases.reviewTest(self, slicer.mrmlScene)

    def test_the_panel_shows_a_result_and_follows_an_edit(self):
        self.cases.panelTest(self, slicer.mrmlScene)

    def test_a_wrong_input_is_refused_with_a_reason(self):
        self.cases.wrongInputTest(self, slicer.mrmlScene, MedLandmarkLogic())
