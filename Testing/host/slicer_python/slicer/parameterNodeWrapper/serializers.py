"""How values are kept in a parameter node: the same names and text as Slicer's own serializers write."""

from __future__ import annotations

import enum
import pathlib
import types
import typing
from collections.abc import Callable, Iterable, MutableSequence
from typing import Annotated, Any

import slicer

from .validators import IsInstance, NotNone, Validator

NODE = slicer.vtkMRMLScriptedModuleNode
PATHS = (pathlib.Path, pathlib.PurePath)


class Serializer:
    """Reads and writes one parameter of a node; `check` refuses values before anything is written."""

    validators: tuple[Validator, ...] = ()

    def default(self) -> Any:
        """The value if none is given."""
        raise NotImplementedError

    def check(self, value: Any) -> None:
        """Raise if the value is not allowed."""
        for validator in self.validators:
            validator.validate(value)

    def accepts(self, value: Any) -> bool:
        """Whether `check` would let the value pass."""
        try:
            self.check(value)
        except (TypeError, ValueError):
            return False
        return True

    def is_in(self, node: Any, name: str) -> bool:
        """Whether the node has the parameter."""
        return bool(node.HasParameter(name))

    def write(self, node: Any, name: str, value: Any) -> None:
        """Keep a value."""
        raise NotImplementedError

    def read(self, node: Any, name: str) -> Any:
        """Give the kept value."""
        raise NotImplementedError

    def remove(self, node: Any, name: str) -> None:
        """Forget the parameter."""
        node.UnsetParameter(name)


class TextSerializer(Serializer):
    """A value that has a text: numbers, strings, truth values, paths, members of an enumeration."""

    def __init__(
        self,
        kind: type | tuple[type, ...],
        default: Any,
        to_text: Callable[[Any], str],
        from_text: Callable[[str], Any],
    ) -> None:
        self.validators = (NotNone(), IsInstance(kind))
        self._default, self._to_text, self._from_text = default, to_text, from_text

    def default(self) -> Any:
        return self._default

    def write(self, node: Any, name: str, value: Any) -> None:
        node.SetParameter(name, self._to_text(value))

    def read(self, node: Any, name: str) -> Any:
        return self._from_text(node.GetParameter(name))


class NodeSerializer(Serializer):
    """A reference to another node, or None. The empty parameter says that the reference has been set."""

    def __init__(self, kind: type) -> None:
        self.validators = (IsInstance(kind),)

    def default(self) -> None:
        return None

    def write(self, node: Any, name: str, value: Any) -> None:
        node.SetParameter(name, "")
        node.SetNodeReferenceID(name, value.GetID() if value is not None else None)

    def read(self, node: Any, name: str) -> Any:
        return node.GetNodeReference(name)

    def remove(self, node: Any, name: str) -> None:
        node.UnsetParameter(name)
        node.RemoveNodeReferenceIDs(name)


class NoneSerializer(Serializer):
    """None, as one side of a union."""

    def default(self) -> None:
        return None

    def check(self, value: Any) -> None:
        if value is not None:
            raise ValueError("Value must be None")

    def write(self, node: Any, name: str, value: Any) -> None:
        node.SetParameter(name, "True")

    def read(self, node: Any, name: str) -> None:
        return None


class StoredList(MutableSequence[Any]):
    """A list that writes itself to its node when it is changed."""

    def __init__(self, values: Iterable[Any], save: Callable[[list[Any]], None]) -> None:
        self._values, self._save = list(values), save

    def _change(self, values: list[Any]) -> None:
        self._save(values)
        self._values = values

    def __getitem__(self, index: Any) -> Any:
        return self._values[index]

    def __setitem__(self, index: Any, value: Any) -> None:
        values = list(self._values)
        values[index] = value
        self._change(values)

    def __delitem__(self, index: Any) -> None:
        values = list(self._values)
        del values[index]
        self._change(values)

    def insert(self, index: int, value: Any) -> None:
        """Put a value before another."""
        self._change([*self._values[:index], value, *self._values[index:]])

    def __len__(self) -> int:
        return len(self._values)

    def __eq__(self, other: object) -> bool:
        return self._values == (other._values if isinstance(other, StoredList) else other)

    __hash__ = None

    def __repr__(self) -> str:
        return f"StoredList({self._values})"


class ListSerializer(Serializer):
    """A list of values of one type."""

    def __init__(self, element: Serializer) -> None:
        self.element, self.validators = element, (NotNone(),)

    def default(self) -> list[Any]:
        return []

    def check(self, value: Any) -> None:
        super().check(value)
        for item in value:
            self.element.check(item)

    def is_in(self, node: Any, name: str) -> bool:
        return bool(node.HasParameter(f"{name}.len"))

    def _length(self, node: Any, name: str) -> int:
        return int(node.GetParameter(f"{name}.len") or 0)

    def write(self, node: Any, name: str, value: Any) -> None:
        with slicer.util.NodeModify(node):
            for index in range(len(value), self._length(node, name)):
                self.element.remove(node, f"{name}.{index}")
            for index, item in enumerate(value):
                self.element.write(node, f"{name}.{index}", item)
            node.SetParameter(f"{name}.len", str(len(value)))

    def read(self, node: Any, name: str) -> StoredList:
        values = [self.element.read(node, f"{name}.{i}") for i in range(self._length(node, name))]

        def save(changed: list[Any]) -> None:
            self.check(changed)
            self.write(node, name, changed)

        return StoredList(values, save)

    def remove(self, node: Any, name: str) -> None:
        self.write(node, name, [])
        node.UnsetParameter(f"{name}.len")


class TupleSerializer(Serializer):
    """A tuple of values, each of its type."""

    def __init__(self, elements: list[Serializer]) -> None:
        self.elements = elements

    def default(self) -> tuple[Any, ...]:
        return tuple(e.default() for e in self.elements)

    def check(self, value: Any) -> None:
        for element, item in zip(self.elements, value, strict=True):
            element.check(item)

    def is_in(self, node: Any, name: str) -> bool:
        return self.elements[0].is_in(node, f"{name}.0")

    def write(self, node: Any, name: str, value: Any) -> None:
        with slicer.util.NodeModify(node):
            for index, (element, item) in enumerate(zip(self.elements, value, strict=True)):
                element.write(node, f"{name}.{index}", item)

    def read(self, node: Any, name: str) -> tuple[Any, ...]:
        return tuple(e.read(node, f"{name}.{i}") for i, e in enumerate(self.elements))

    def remove(self, node: Any, name: str) -> None:
        for index, element in enumerate(self.elements):
            element.remove(node, f"{name}.{index}")


class UnionSerializer(Serializer):
    """A value of one of some types; the parameter's name says of which."""

    def __init__(self, sides: list[Serializer]) -> None:
        self.sides = sides

    def default(self) -> Any:
        optional = len(self.sides) == 2 and isinstance(self.sides[1], NoneSerializer)
        return None if optional else self.sides[0].default()

    def _side(self, value: Any) -> int:
        # A node's serializer takes None too, so None goes to its own side first.
        order = sorted(range(len(self.sides)), key=lambda i: not isinstance(self.sides[i], NoneSerializer))
        for index in order:
            if self.sides[index].accepts(value):
                return index
        raise TypeError(f"Unable to write value {value!r} of type {type(value)}")

    def check(self, value: Any) -> None:
        self._side(value)

    def is_in(self, node: Any, name: str) -> bool:
        return any(side.is_in(node, f"{name}.{i}") for i, side in enumerate(self.sides))

    def write(self, node: Any, name: str, value: Any) -> None:
        with slicer.util.NodeModify(node):
            self.remove(node, name)
            index = self._side(value)
            self.sides[index].write(node, f"{name}.{index}", value)

    def read(self, node: Any, name: str) -> Any:
        for index, side in enumerate(self.sides):
            if side.is_in(node, f"{name}.{index}"):
                return side.read(node, f"{name}.{index}")
        raise KeyError(f"Unable to find value for name: {name}")

    def remove(self, node: Any, name: str) -> None:
        for index, side in enumerate(self.sides):
            side.remove(node, f"{name}.{index}")


def serializer_for(annotation: Any) -> Serializer:
    """The serializer of a type, with the validators that an `Annotated` adds.

    Raises:
        TypeError: the host's stand-in does not know the type.
    """
    base, *extras = typing.get_args(Annotated[annotation, None])[:-1]
    serializer = _plain_serializer(base)
    serializer.validators = (*serializer.validators, *(e for e in extras if isinstance(e, Validator)))
    return serializer


def _plain_serializer(kind: Any) -> Serializer:
    origin, arguments = typing.get_origin(kind), typing.get_args(kind)
    if kind is bool:
        return TextSerializer(bool, False, lambda v: "True" if v else "False", lambda t: t == "True")
    if kind in (int, float):
        return TextSerializer(int if kind is int else (int, float), 0, str, kind)
    if kind is str:
        return TextSerializer(str, "", str, str)
    if kind is type(None):
        return NoneSerializer()
    if origin in (typing.Union, types.UnionType):
        return UnionSerializer([serializer_for(a) for a in arguments])
    if origin is list:
        return ListSerializer(serializer_for(arguments[0]))
    if origin is tuple:
        return TupleSerializer([serializer_for(a) for a in arguments])
    if isinstance(kind, type) and issubclass(kind, PATHS):
        return TextSerializer(kind, kind(), str, kind)
    if isinstance(kind, type) and issubclass(kind, enum.Enum):
        return TextSerializer(kind, next(iter(kind)), lambda v: str(v.name), lambda t: kind[t])
    if isinstance(kind, type) and issubclass(kind, slicer.vtkMRMLNode):
        return NodeSerializer(kind)
    raise TypeError(f"The host's parameterNodeWrapper has no serializer for {kind}; Slicer's own may have one")
