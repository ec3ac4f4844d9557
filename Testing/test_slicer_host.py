"""The host of Slicer modules keeps what it promises, and refuses what it does not implement."""

from __future__ import annotations

import subprocess
import sys
from enum import Enum
from pathlib import Path

import pytest
from SlicerHost import start

HOST = start()

import qt  # noqa: E402
import slicer  # noqa: E402
from slicer.parameterNodeWrapper import parameterNodeWrapper  # noqa: E402
from slicer.ScriptedLoadableModule import ScriptedLoadableModuleLogic  # noqa: E402


class Side(Enum):
    LEFT = "on the left"
    RIGHT = "on the right"


class PlainParameters:
    count: int = 3
    factor: float = 0.5
    text: str = "abc"
    shown: bool = True
    side: Side = Side.RIGHT


@pytest.fixture
def a_parameter_node():
    node = HOST.scene.AddNewNodeByClass("vtkMRMLScriptedModuleNode")
    PlainParameters.__annotations__.update(count=int, factor=float, text=str, shown=bool, side=Side)
    yield parameterNodeWrapper(PlainParameters)(node)
    HOST.scene.RemoveNode(node)


def a_ui_file(tmp_path: Path, body: str, connections: str = "") -> str:
    path = tmp_path / "panel.ui"
    path.write_text(
        f'<ui version="4.0"><class>P</class><widget class="qMRMLWidget" name="P">{body}</widget>'
        f"<connections>{connections}</connections></ui>"
    )
    return str(path)


def test_properties_are_attributes_and_getters_are_not_functions():
    button = qt.QPushButton("one")
    assert button.text == "one"
    button.text = "two"
    button.setEnabled(False)
    assert (button.text, button.enabled) == ("two", False)
    with pytest.raises(TypeError, match="not callable"):
        button.text()


def test_many_calls_that_return_nothing_do_not_end_the_process():
    code = "import sys; sys.path.insert(0, 'Testing'); from SlicerHost import start; start(); import qt;"
    code += "timer = qt.QTimer(); [timer.stop() for _ in range(200_000)]; print('still here')"
    done = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, cwd=Path(__file__).parent.parent
    )
    assert done.stdout.strip() == "still here", done.stderr[:500]


def test_what_qt_does_not_have_is_refused():
    with pytest.raises(AttributeError, match="QPushBotton"):
        qt.QPushBotton()
    with pytest.raises(NotImplementedError, match="wait for a person"):
        qt.QFileDialog.getSaveFileName(None, "title")


def test_an_unknown_widget_or_connection_of_a_ui_file_is_refused(tmp_path):
    with pytest.raises(NotImplementedError, match="qMRMLUnknownWidget"):
        slicer.util.loadUI(a_ui_file(tmp_path, '<widget class="qMRMLUnknownWidget" name="w"/>'))
    odd = "<connection><sender>P</sender><signal>a()</signal><receiver>P</receiver><slot>b()</slot></connection>"
    with pytest.raises(NotImplementedError, match="connection"):
        slicer.util.loadUI(a_ui_file(tmp_path, "", odd))


@pytest.mark.parametrize(
    "use",
    [
        lambda: slicer.modules.segmentations,
        lambda: slicer.app.connect("aboutToQuit()", print),
        lambda: slicer.app.mainWindow(),
        lambda: slicer.util.saveScene("scene.mrml"),
        lambda: slicer.packaging.pip_ensure(["numpy"], skip_in_testing=False),
    ],
    ids=["module", "signal", "window", "format", "installation"],
)
def test_what_is_not_implemented_raises(use):
    with pytest.raises((AttributeError, NotImplementedError)):
        use()


def test_parameters_keep_their_types_in_the_node(a_parameter_node):
    assert (a_parameter_node.count, a_parameter_node.side) == (3, Side.RIGHT)
    a_parameter_node.side, a_parameter_node.factor = Side.LEFT, 0.25
    again = parameterNodeWrapper(PlainParameters)(a_parameter_node.parameterNode)
    assert (again.side, again.factor, again.shown) == (Side.LEFT, 0.25, True)
    assert "LEFT" in again.parameterNode.GetParameter("side")  # by member name, as Slicer stores it


def test_a_parameter_of_a_wrong_type_or_name_is_refused(a_parameter_node):
    with pytest.raises(TypeError, match="count"):
        a_parameter_node.count = "many"
    with pytest.raises(AttributeError, match="coumt"):
        a_parameter_node.coumt = 4


def test_a_parameter_type_that_is_not_implemented_is_refused():
    with pytest.raises(NotImplementedError, match="points"):
        parameterNodeWrapper(type("P", (), {"__annotations__": {"points": list[float]}}))


def test_a_widget_and_its_parameter_follow_each_other(a_parameter_node):
    class Gui:
        box = qt.QCheckBox()

    Gui.box.setProperty("SlicerParameterName", "shown")
    gui = Gui()
    gui.__dict__["box"] = Gui.box
    tag = a_parameter_node.connectGui(gui)
    assert gui.box.checked
    gui.box.setChecked(False)
    assert a_parameter_node.shown is False
    a_parameter_node.shown = True
    assert gui.box.checked
    a_parameter_node.disconnectGui(tag)
    gui.box.setChecked(False)
    assert a_parameter_node.shown is True


def test_a_node_selector_follows_the_scene():
    selector = slicer.qMRMLNodeComboBox()
    selector.nodeTypes = ["vtkMRMLTextNode"]
    selector.setMRMLScene(HOST.scene)
    assert selector.currentNode() is None
    node = HOST.scene.AddNewNodeByClass("vtkMRMLTextNode", "words")
    assert selector.currentNode() is node  # the first that fits, where none may not be chosen
    HOST.scene.RemoveNode(node)
    assert selector.currentNode() is None
    selector.setMRMLScene(None)


def test_a_logic_has_one_parameter_node_in_a_scene():
    class SomethingLogic(ScriptedLoadableModuleLogic):
        pass

    first = SomethingLogic().getParameterNode()
    assert SomethingLogic().getParameterNode() is first
    assert first.GetAttribute("ModuleName") == "Something"
    HOST.scene.RemoveNode(first)


def test_a_slice_view_shows_the_image():
    import numpy as np

    volume = HOST.scene.AddNewNodeByClass("vtkMRMLScalarVolumeNode", "bright")
    slicer.util.updateVolumeFromArray(volume, np.tile(np.arange(100, dtype=np.uint8) * 2, (1, 100, 1)))
    volume.SetIJKToRASDirections(-1, 0, 0, 0, -1, 0, 0, 0, 1)
    volume.CreateDefaultDisplayNodes()
    slicer.util.setSliceViewerLayers(background=volume, fit=True)
    picture = HOST.app.views.picture("Red")
    assert picture.shape == (720, 720, 3)
    middle = picture[360, 40:680, 0].astype(int)
    assert middle[-1] > middle[0] + 100  # columns run to the patient's left, which is on the right
    HOST.scene.RemoveNode(volume)
