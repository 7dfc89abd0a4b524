"""A look at a DICOM file's elements before GDCM sees them.

GDCM allocates and clears whatever length an element claims, up to 4 GiB, before it finds that the file is shorter; one
damaged slice then costs half a minute and all memory. So the lengths are followed here first (DICOM PS3.5, section 7).
"""

from __future__ import annotations

import struct
from dataclasses import dataclass
from pathlib import Path
from typing import BinaryIO

from FedSimCore.errors import InputError

_PREAMBLE = 128
_MAGIC = b"DICM"
_UNDEFINED = 0xFFFFFFFF
_LONGEST_TEXT = 64
_META_GROUP, _ITEM_GROUP = b"\x02\x00", 0xFFFE
_TRANSFER_SYNTAX, _SOP_CLASS = (0x0002, 0x0010), (0x0002, 0x0002)
_PIXEL_DATA = (0x7FE0, 0x0010)
_ITEM, _SEQUENCE_END = (0xFFFE, 0xE000), (0xFFFE, 0xE0DD)
_IMPLICIT, _BIG_ENDIAN, _DEFLATED = "1.2.840.10008.1.2", "1.2.840.10008.1.2.2", "1.2.840.10008.1.2.1.99"
_LONG = {b"OB", b"OD", b"OF", b"OL", b"OV", b"OW", b"SQ", b"SV", b"UC", b"UN", b"UR", b"UT", b"UV"}
_SHORT = {b"AE", b"AS", b"AT", b"CS", b"DA", b"DS", b"DT", b"FD", b"FL", b"IS", b"LO", b"LT", b"PN", b"SH", b"SL"}
_SHORT |= {b"SS", b"ST", b"TM", b"UI", b"UL", b"US"}
_CROSS_SECTIONS = {f"1.2.840.10008.5.1.4.1.1.{kind}" for kind in ("2", "4", "128")}  # CT, MR and PET image storage


def is_dicom_file(path: Path) -> bool:
    """Tell whether a file has DICOM's preamble."""
    with path.open("rb") as file:
        return file.read(_PREAMBLE + len(_MAGIC))[_PREAMBLE:] == _MAGIC


def announces_a_slice(path: Path) -> bool:
    """Tell whether a file's meta header announces a CT, MR or PET image; False where there is no meta header."""
    try:
        return _Walk(path).meta(_SOP_CLASS) in _CROSS_SECTIONS
    except InputError:
        return True  # DICOM, and damaged in its first bytes: certainly not to be passed over


def check_lengths(path: Path) -> None:
    """Follow the elements of a DICOM file and refuse lengths beyond the end of the file.

    Raises:
        InputError: an element claims more than the file holds, or has no value representation.
    """
    _Walk(path).dataset()


@dataclass
class _Element:
    tag: tuple[int, int]
    kind: bytes  # value representation, empty where it isn't written
    length: int


class _Walk:
    def __init__(self, path: Path) -> None:
        self.path = path
        self.size = path.stat().st_size

    def meta(self, tag: tuple[int, int]) -> str:
        """Return a text of the meta header (always explicit, little-endian), empty if it isn't there."""
        with self.path.open("rb") as file:
            file.seek(_PREAMBLE + len(_MAGIC))
            return self._read_meta(file).get(tag, "")

    def dataset(self) -> None:
        """Follow all elements."""
        with self.path.open("rb") as file:
            file.seek(_PREAMBLE + len(_MAGIC))
            syntax = self._read_meta(file).get(_TRANSFER_SYNTAX, "")
            if syntax == _DEFLATED:
                raise self._refusal("is deflated; save it uncompressed")
            order = ">" if syntax == _BIG_ENDIAN else "<"
            # Some writers announce explicit kinds and then write none; GDCM reads these as they are.
            explicit = syntax != _IMPLICIT and _ahead(file, 6)[4:6] in _LONG | _SHORT
            fragments = False
            while file.tell() < self.size:
                element = self._next(file, order, explicit)
                if element.kind == b"UN" and element.length == _UNDEFINED:
                    return  # a sequence in another encoding, PS3.5 6.2.2; rare enough to leave to GDCM
                if element.tag == _PIXEL_DATA and element.length == _UNDEFINED:
                    fragments = True
                elif element.tag == _SEQUENCE_END:
                    fragments = False
                elif element.tag[0] == _ITEM_GROUP:
                    self._skip(file, element, enter=not fragments)
                else:
                    hidden = not explicit and self._starts_an_item(file, order)
                    self._skip(file, element, enter=element.kind == b"SQ" or hidden)

    def _read_meta(self, file: BinaryIO) -> dict[tuple[int, int], str]:
        found = {}
        while _ahead(file, 2) == _META_GROUP:
            element = self._next(file, "<", explicit=True)
            text = _ahead(file, min(element.length, _LONGEST_TEXT))
            self._skip(file, element, enter=False)
            found[element.tag] = text.rstrip(b"\0 ").decode("ascii", "replace")
        return found

    def _next(self, file: BinaryIO, order: str, explicit: bool) -> _Element:
        start = file.read(8)
        if len(start) < 8:
            raise self._refusal("ends within an element")
        group, number = struct.unpack(order + "HH", start[:4])
        if group == _ITEM_GROUP or not explicit:
            return _Element((group, number), b"", struct.unpack(order + "I", start[4:])[0])
        kind = start[4:6]
        if kind in _LONG:
            more = file.read(4)
            if len(more) < 4:
                raise self._refusal("ends within an element")
            return _Element((group, number), kind, struct.unpack(order + "I", more)[0])
        if kind not in _SHORT:
            raise self._refusal(f"has an element ({group:04x},{number:04x}) of unknown kind")
        return _Element((group, number), kind, struct.unpack(order + "H", start[6:])[0])

    def _skip(self, file: BinaryIO, element: _Element, enter: bool) -> None:
        """Go past an element's value, or into it where it holds elements itself; its length must fit either way."""
        if element.length == _UNDEFINED:
            return
        end = file.tell() + element.length
        if end > self.size:
            group, number = element.tag
            raise self._refusal(f"is truncated: its element ({group:04x},{number:04x}) claims {element.length} bytes")
        if not enter:
            file.seek(end)

    def _starts_an_item(self, file: BinaryIO, order: str) -> bool:
        ahead = _ahead(file, 4)
        return len(ahead) == 4 and struct.unpack(order + "HH", ahead) == _ITEM

    def _refusal(self, what: str) -> InputError:
        return InputError(f"{self.path} {what}; restore the DICOM file or remove it from the folder.")


def _ahead(file: BinaryIO, count: int) -> bytes:
    """Return the next bytes without going past them (a buffer's own peek may return fewer)."""
    data = file.read(count)
    file.seek(-len(data), 1)
    return data
