"""Writes the file lists of the CMake files: Slicer packages what is listed there and nothing else.

python Testing/update_cmake_lists.py            writes them anew from the files on disk
python Testing/update_cmake_lists.py --check    exit status 1 where they differ from the files on disk
"""

from __future__ import annotations

import sys
from collections.abc import Iterable
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
BEGIN, END = "# BEGIN LIST\n", "# END LIST\n"
# What a Slicer user has no use for at run time.
LEFT_OUT = {"Screenshots", "__pycache__"}


def files_below(folder: Path, relative_to: Path, pattern: str = "*") -> list[str]:
    """Paths of the files below `folder`, with forward slashes, sorted; hidden ones are left out."""
    found = []
    for path in folder.rglob(pattern):
        parts = path.relative_to(folder).parts
        if path.is_file() and not LEFT_OUT.intersection(parts) and not any(part.startswith(".") for part in parts):
            found.append(path.relative_to(relative_to).as_posix())
    return sorted(found)


def cmake_set(name: str, values: Iterable[str]) -> str:
    lines = "".join(f'  "{value}"\n' if " " in value else f"  {value}\n" for value in values)
    return f"set({name}\n{lines}  )\n"


def wanted_lists(root: Path = ROOT) -> dict[Path, str]:
    """What must stand between the two marks of each CMake file."""
    module, library = root / "MedLandmark", root / "MedLandmarkLib"
    return {
        module / "CMakeLists.txt": cmake_set("MODULE_PYTHON_RESOURCES", files_below(module / "Resources", module)),
        library / "CMakeLists.txt": cmake_set("LIBRARY_PYTHON_SCRIPTS", files_below(library, library, "*.py"))
        + "\n"
        + cmake_set("LIBRARY_DATA", files_below(root / "Resources", root)),
    }


def with_list(text: str, lists: str) -> str:
    before, _, rest = text.partition(BEGIN)
    _, mark, after = rest.partition(END)
    if not mark:
        raise ValueError(f"The marks {BEGIN.strip()!r} and {END.strip()!r} are not both there.")
    return before + BEGIN + lists + END + after


def main(arguments: list[str]) -> int:
    status = 0
    for path, lists in wanted_lists().items():
        old = path.read_text(encoding="utf-8")
        new = with_list(old, lists)
        if new == old:
            continue
        if "--check" in arguments:
            print(f"{path.relative_to(ROOT)}: its list differs from the files on disk; run {Path(__file__).name}")
            status = 1
        else:
            path.write_text(new, encoding="utf-8")
            print(f"{path.relative_to(ROOT)}: written")
    return status


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
