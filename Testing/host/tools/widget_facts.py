"""Write facts/widgets.json: what Python code can reach of the CTK, qMRML and qSlicer classes that the host plays.

    python -m Testing.host.tools.widget_facts SLICER_CHECKOUT CTK_CHECKOUT

The facts are names, types and signatures, read from the headers. PythonQt reaches a class's Q_PROPERTYs, signals,
public slots, Q_INVOKABLE methods, enums, and what a `...PythonQtDecorators.h` adds; other public methods of C++ are
out of reach.
"""

from __future__ import annotations

import argparse
import functools
import importlib
import json
import re
from pathlib import Path
from typing import Any

TARGET = Path(__file__).parents[1] / "facts" / "widgets.json"
CLASS = re.compile(r"^class\s+(?:\w+_EXPORT\s+)?(\w+)\s*(?:final\s*)?(?::\s*public\s+(\w+)[^{;]*)?\{", re.MULTILINE)
PROPERTY = re.compile(r"Q_PROPERTY\(\s*([\w:<>*]+)\s+(\w+)\s+([^)]*?)\)")
SECTION = re.compile(r"^\s*(public|protected|private)?\s*(Q_SLOTS|slots|Q_SIGNALS|signals)?\s*:(?!:)", re.MULTILINE)
FUNCTION = re.compile(r"(?:[\w:<>*&,]+[\s*&]+)+?(\w+)\s*\(([^()]*(?:\([^()]*\)[^()]*)*)\)\s*(?:const)?")
DECORATORS = (
    "Libs/Widgets/ctkWidgetsPythonQtDecorators.h",
    "Base/QTGUI/qSlicerBaseQTGUIPythonQtDecorators.h",
    "Base/QTCore/qSlicerBaseQTCorePythonQtDecorators.h",
    "Base/QTApp/qSlicerBaseQTAppPythonQtDecorators.h",
)


def without_comments(source: str) -> str:
    """The header without comments and without preprocessor lines."""
    source = re.sub(r"/\*.*?\*/", " ", source, flags=re.DOTALL)
    source = re.sub(r"//[^\n]*", " ", source)
    return re.sub(r"^\s*#.*$", " ", source, flags=re.MULTILINE)


def class_body(source: str, name: str) -> tuple[str, str]:
    """A class's base and the text between its braces.

    Raises:
        LookupError: the header has no such class.
    """
    for match in CLASS.finditer(source):
        if match[1] == name:
            depth, end = 1, match.end()
            while depth and end < len(source):
                depth += {"{": 1, "}": -1}.get(source[end], 0)
                end += 1
            return match[2] or "", source[match.end() : end - 1]
    raise LookupError(name)


def normalised(parameter: str) -> str:
    """A parameter's type as moc writes it."""
    text = re.sub(r"=.*", "", parameter).strip()
    text = re.sub(r"^const\s+([\w:<>,]+)\s*&", r"\1", text)
    match = re.match(r"((?:const\s+)?(?:unsigned\s+)?[\w:]+(?:<[^>]*>)?\s*[*&]*)\s*\w*$", text)
    return re.sub(r"\s+(?=[*&])", "", (match[1] if match else text).strip())


def signatures(name: str, parameters: str) -> list[str]:
    """All signatures of a function: default arguments make shorter ones, too."""
    if not parameters.strip() or parameters.strip() == "void":
        return [f"{name}()"]
    parts = re.split(r",(?![^<]*>)", parameters)
    required = sum("=" not in p for p in parts)
    types = [normalised(p) for p in parts]
    return [f"{name}({','.join(types[:n])})" for n in range(len(types), required - 1, -1)]


def header_facts(header: Path, name: str) -> dict[str, Any]:
    """Base, properties, signals, methods and enum values of one class."""
    base, body = class_body(without_comments(header.read_text()), name)
    properties = {
        m[2]: {"type": m[1], "writable": "WRITE" in m[3].split() or "MEMBER" in m[3].split()}
        for m in PROPERTY.finditer(re.sub(r"\s+", " ", body))
    }
    body = re.sub(r"Q_PROPERTY\([^)]*\)", " ", body)
    enums = [
        v.split("=")[0].strip()
        for m in re.finditer(r"enum\s+(?:class\s+)?\w*[^{;]*\{([^}]*)\}", body)
        for v in m[1].split(",")
    ]
    marks = [(0, "private", "")] + [(m.end(), m[1] or "", m[2] or "") for m in SECTION.finditer(body) if m[1] or m[2]]
    signals: list[str] = []
    methods: list[str] = []
    for (start, access, kind), end in zip(marks, [m[0] for m in marks[1:]] + [len(body)], strict=True):
        text = re.sub(r"\{[^{}]*\}", ";", re.sub(r"\{[^{}]*\}", ";", body[start:end]))
        for declaration in text.split(";"):
            invokable = "Q_INVOKABLE" in declaration
            function = FUNCTION.search(re.sub(r"\b(Q_INVOKABLE|virtual|static|explicit|inline)\b", "", declaration))
            if not function or function[1] in (name, f"~{name}"):
                continue
            if kind in ("Q_SIGNALS", "signals"):
                signals += signatures(function[1], function[2])
            elif access == "public" and (kind or invokable):
                methods += signatures(function[1], function[2])
    return {
        "base": base,
        "properties": properties,
        "signals": sorted(set(signals)),
        "methods": sorted(set(methods)),
        "enums": sorted(e for e in enums if e),
    }


def decorated_methods(checkouts: list[Path]) -> dict[str, list[str]]:
    """What the PythonQt decorators add: class name to signatures."""
    found: dict[str, list[str]] = {}
    for checkout in checkouts:
        for header in (checkout / d for d in DECORATORS if (checkout / d).exists()):
            for function in FUNCTION.finditer(without_comments(header.read_text())):
                name, parameters = function[1], function[2]
                if static := re.match(r"static_([A-Za-z]+)_(\w+)", name):
                    found.setdefault(static[1], []).extend(signatures(static[2], parameters))
                elif target := re.match(r"\s*((?:ctk|qMRML|qSlicer)\w+)\s*\*\s*\w+\s*,?(.*)", parameters, re.DOTALL):
                    found.setdefault(target[1], []).extend(signatures(name, target[2]))
    return found


def host_classes() -> dict[str, str]:
    """The classes that the host plays, and the header of each."""
    from Testing.host import start_application

    start_application()
    slicer, ctk = importlib.import_module("slicer"), importlib.import_module("ctk")
    offered = {n: c for module in (slicer, ctk) for n, c in vars(module).items() if isinstance(c, type)}
    parts = [
        importlib.import_module(f"Testing.host.application.{m}")
        for m in ("app", "io_manager", "modules", "main_window")
    ]
    offered |= {n: c for part in parts for n, c in vars(part).items() if isinstance(c, type)}
    return {name: cls._header for name, cls in sorted(offered.items()) if "_header" in vars(cls)}


@functools.cache
def find_header(name: str, *checkouts: Path) -> Path | None:
    """The header of a class that the host does not play, wherever it is."""
    return next((p for c in checkouts for p in c.rglob(f"{name}.h") if "Testing" not in p.parts), None)


def extract(slicer_checkout: Path, ctk_checkout: Path, classes: dict[str, str]) -> dict[str, Any]:
    """Facts of all classes, from the headers of two checkouts.

    Raises:
        FileNotFoundError, LookupError: a class or its header is not there.
    """
    decorated = decorated_methods([slicer_checkout, ctk_checkout])
    facts = {}
    for name, header in classes.items():
        checkout = ctk_checkout if name.startswith("ctk") else slicer_checkout
        facts[name] = header_facts(checkout / header, name)
        facts[name]["methods"] = sorted({*facts[name]["methods"], *decorated.get(name, [])})
        base, known = facts[name]["base"], facts[name]
        while (path := find_header(base, slicer_checkout, ctk_checkout) if base else None) is not None:
            inherited = header_facts(path, base)
            for kind in ("signals", "methods", "enums"):
                known[kind] = sorted(
                    {*known[kind], *inherited[kind], *(decorated.get(base, []) if kind == "methods" else ())}
                )
            known["properties"] = inherited["properties"] | known["properties"]
            base = inherited["base"]
    return facts


def main() -> None:
    """Write the facts of the classes that the host plays."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("slicer_checkout", type=Path)
    parser.add_argument("ctk_checkout", type=Path)
    args = parser.parse_args()
    facts = extract(args.slicer_checkout, args.ctk_checkout, host_classes())
    TARGET.write_text(json.dumps(facts, indent=1, sort_keys=True) + "\n")


if __name__ == "__main__":
    main()
