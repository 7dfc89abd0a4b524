"""The lists of shipped files in CMake, made from the tree.

python -m Testing.extension.file_lists           # says what is missing or left over; exit code 1
python -m Testing.extension.file_lists --write   # mends the lists
"""

from __future__ import annotations

import argparse
import re
import sys
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
COMMAND = "python -m Testing.extension.file_lists --write"


@dataclass(frozen=True)
class FileList:
    """One `set(NAME file file ...)` in a CMake file.

    Attributes:
        cmake_file: path of that file below the repository's root.
        name: the CMake variable.
        folder: the folder that the listed paths start from, below the root.
        patterns: what ships, as glob patterns below `folder`.
        not_below: folders, below `folder`, of which nothing ships.
    """

    cmake_file: str
    name: str
    folder: str
    patterns: tuple[str, ...]
    not_below: tuple[str, ...] = ()

    def wanted(self, root: Path = ROOT) -> list[str]:
        """The files that ship, as the tree has them; sorted."""
        folder = root / self.folder
        found = {path.relative_to(folder) for path in self._matches(folder) if path.is_file()}
        return sorted(p.as_posix() for p in found if not any(p.is_relative_to(n) for n in self.not_below))

    def _matches(self, folder: Path) -> Iterator[Path]:
        for pattern in self.patterns:
            yield from (p for p in folder.glob(pattern) if "__pycache__" not in p.parts)

    def listed(self, root: Path = ROOT) -> list[str]:
        """The files that the CMake file names."""
        return self._block(root)[1].split()

    def write(self, root: Path = ROOT) -> bool:
        """Put the tree's files into the CMake file; True where that changed it."""
        head, _listed, tail = self._block(root)
        path = root / self.cmake_file
        before = path.read_text(encoding="utf-8")
        after = head + "".join(f"  {name}\n" for name in self.wanted(root)) + tail
        if after != before:
            path.write_text(after, encoding="utf-8", newline="\n")
        return after != before

    def _block(self, root: Path) -> tuple[str, str, str]:
        """The CMake file's text before, in and after the list."""
        text = (root / self.cmake_file).read_text(encoding="utf-8")
        match = re.search(rf"^set\({self.name}\n(?P<list>[^)]*?)(?=^  \))", text, re.MULTILINE)
        if match is None:
            raise ValueError(f"{self.cmake_file} has no list `set({self.name}` ending with `  )` on a line of its own")
        return text[: match.start("list")], match["list"], text[match.end("list") :]


FILE_LISTS = (
    FileList("CMake/FedSimCoreFiles.cmake", "FedSimCore_PYTHON_SCRIPTS", ".", ("FedSimCore/**/*.py",)),
    # The pictures in Screenshots are for README and docs.
    FileList(
        "CMake/FedSimCoreFiles.cmake",
        "FedSimCore_PYTHON_RESOURCES",
        ".",
        ("Resources/*/**/*",),
        ("Resources/Screenshots",),
    ),
    FileList(
        "FedSimSlicer/CMakeLists.txt", "MODULE_PYTHON_SCRIPTS", "FedSimSlicer", ("*.py", "FedSimSlicerLib/**/*.py")
    ),
    FileList("FedSimSlicer/CMakeLists.txt", "MODULE_PYTHON_RESOURCES", "FedSimSlicer", ("Resources/**/*",)),
)


def differences(root: Path = ROOT) -> list[str]:
    """What the lists lack or have too many of, one sentence each; none where they fit the tree."""
    found = []
    for files in FILE_LISTS:
        wanted, listed = files.wanted(root), files.listed(root)
        place = f"{files.name} in {files.cmake_file}"
        found += [f"{name} is missing from {place}" for name in sorted(set(wanted) - set(listed))]
        found += [f"{name} in {place} does not exist or does not ship" for name in sorted(set(listed) - set(wanted))]
        found += [f"{name} stands twice in {place}" for name in sorted({n for n in listed if listed.count(n) > 1})]
    return found


def main(arguments: Sequence[str] | None = None) -> int:
    """Run from the command line."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--write", action="store_true", help="mend the lists")
    if parser.parse_args(arguments).write:
        for path in sorted({files.cmake_file for files in FILE_LISTS if files.write()}):
            print(f"{path} written")
        return 0
    found = differences()
    print("\n".join([*found, f"Mend the lists by: {COMMAND}"] if found else ["The lists fit the tree."]))
    return 1 if found else 0


if __name__ == "__main__":
    sys.exit(main())
