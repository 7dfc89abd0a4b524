"""The class decorator."""

from __future__ import annotations

import typing
import weakref
from typing import Any

import qt
import slicer
import vtk

from .connectors import Connector, connector_for, split
from .serializers import Serializer, TupleSerializer, serializer_for
from .validators import Default

SlicerParameterNamePropertyName = "SlicerParameterName"


class Parameter:
    """One typed parameter: a descriptor of the wrapper's class."""

    def __init__(self, name: str, annotation: Any, default: Any) -> None:
        self.name, self.annotation = name, annotation
        self.serializer: Serializer = serializer_for(annotation)
        given = next((e for e in split(annotation)[1] if isinstance(e, Default)), None)
        if default is not _NOTHING:
            given = Default(default)
        if given is None and isinstance(self.serializer, TupleSerializer):
            # Slicer's own gives such a default once only, and raises when the scene has been closed.
            raise TypeError(f"{name}: give the tuple a default, or Slicer's parameterNodeWrapper loses it")
        self.default = given or Default(generator=self.serializer.default)

    def __get__(self, owner: Any, cls: type | None = None) -> Any:
        if owner is None:
            return self
        if self.name not in owner._cache:
            self.write_default(
                owner.parameterNode, owner._prefix + self.name
            )  # closing the scene takes parameters away
            owner._cache[self.name] = self.serializer.read(owner.parameterNode, owner._prefix + self.name)
        return owner._cache[self.name]

    def write_default(self, node: Any, name: str) -> None:
        """Give the parameter its default value if it has none."""
        if not self.serializer.is_in(node, name):
            self.serializer.write(node, name, self.default.value)

    def __set__(self, owner: Any, value: Any) -> None:
        self.serializer.check(value)
        owner._cache.pop(self.name, None)
        self.serializer.write(owner.parameterNode, owner._prefix + self.name, value)


_NOTHING = object()


class Wrapper:
    """What a decorated class can do. `parameterNode` is the vtkMRMLScriptedModuleNode behind it."""

    allParameters: typing.ClassVar[dict[str, Parameter]] = {}
    _is_parameter_node_wrapper = True

    def __init__(self, parameterNode: Any, prefix: str | None = None) -> None:
        self.parameterNode, self._prefix = parameterNode, prefix or ""
        self._cache: dict[str, Any] = {}
        self._guis: dict[int, tuple[dict[str, Connector], int]] = {}
        self._next_tag, self._updating = 0, False
        for parameter in self.allParameters.values():
            parameter.write_default(parameterNode, self._prefix + parameter.name)
        me = weakref.ref(self)

        def forget(*_: Any) -> None:
            if (wrapper := me()) is not None:
                wrapper._cache.clear()

        self._observer = parameterNode.AddObserver(vtk.vtkCommand.ModifiedEvent, forget, 1.0)

    def __del__(self) -> None:
        if hasattr(self, "_observer"):
            self.parameterNode.RemoveObserver(self._observer)

    # Values by name

    def _parameter(self, name: str) -> Parameter:
        if name not in self.allParameters:
            raise ValueError(
                f"Cannot find a param with the given name: {name}; there are {', '.join(self.allParameters)}"
            )
        return self.allParameters[name]

    def default(self, name: str) -> Default:
        return self._parameter(name).default

    def dataType(self, name: str) -> Any:
        return self._parameter(name).annotation

    def getValue(self, name: str) -> Any:
        return getattr(self, self._parameter(name).name)

    def setValue(self, name: str, value: Any) -> None:
        setattr(self, self._parameter(name).name, value)

    def isCached(self, name: str) -> bool:
        return bool(self._parameter(name))

    # Widgets

    def connectGui(self, gui: Any) -> int:
        """Bind the widgets whose dynamic property SlicerParameterName names a parameter; give a tag to undo it."""
        is_widget = getattr(gui, "isWidgetType", lambda: False)()
        widgets = gui.findChildren(qt.QWidget) if is_widget else vars(gui).values()
        named = {w.property(SlicerParameterNamePropertyName): w for w in widgets}
        return self.connectParametersToGui({name: w for name, w in named.items() if name})

    def connectParametersToGui(self, mapping: dict[str, Any]) -> int:
        """Bind widgets to parameters, given by name; give a tag to undo it."""
        connectors = {name: connector_for(w, self._parameter(name).annotation) for name, w in mapping.items()}
        tag, self._next_tag = self._next_tag, self._next_tag + 1
        for name, connector in connectors.items():
            connector.write(self.getValue(name))
            connector.connect(self._writer(name, connector))
        observer = self.AddObserver(vtk.vtkCommand.ModifiedEvent, lambda *_: self._update_widgets())
        self._guis[tag] = (connectors, observer)
        return tag

    def disconnectGui(self, tag: int | None) -> None:
        if tag in self._guis:
            connectors, observer = self._guis.pop(tag)
            self.RemoveObserver(observer)
            for connector in connectors.values():
                connector.disconnect()

    def _writer(self, name: str, connector: Connector) -> Any:
        def changed() -> None:
            if not self._updating:
                with slicer.util.NodeModify(self):
                    self.setValue(name, connector.read())

        return changed

    def _update_widgets(self) -> None:
        if self._updating:
            return
        self._updating = True
        try:
            for connectors, _observer in self._guis.values():
                for name, connector in connectors.items():
                    connector.write(self.getValue(name))
        finally:
            self._updating = False

    # The node behind

    def StartModify(self) -> Any:
        return self.parameterNode.StartModify()

    def EndModify(self, was: Any) -> Any:
        return self.parameterNode.EndModify(was)

    def AddObserver(self, event: Any, callback: Any, priority: float = 0.0) -> int:
        return int(self.parameterNode.AddObserver(event, callback, priority))

    def RemoveObserver(self, tag: int) -> None:
        self.parameterNode.RemoveObserver(tag)

    def Modified(self) -> None:
        self.parameterNode.Modified()


RESERVED = {n for n in vars(Wrapper) if not n.startswith("__")}


def parameterNodeWrapper(classtype: type | None = None) -> Any:
    """Make a class of annotated members a typed view of a parameter node."""
    if classtype is None:
        return parameterNodeWrapper
    parameters: dict[str, Parameter] = {}
    for name, annotation in typing.get_type_hints(classtype, include_extras=True).items():
        if name in RESERVED:
            raise ValueError(f"Cannot use reserved name '{name}' in a parameterNodeWrapper")
        parameters[name] = Parameter(name, annotation, vars(classtype).get(name, _NOTHING))
    methods = {n: v for n, v in vars(classtype).items() if n not in parameters and n not in ("__dict__", "__weakref__")}
    return type(classtype.__name__, (Wrapper,), {**methods, **parameters, "allParameters": parameters})


def isParameterNodeWrapper(class_or_object: Any) -> bool:
    """Whether a class was decorated, or an object is of such a class."""
    return bool(getattr(class_or_object, "_is_parameter_node_wrapper", False))


def findChildWidgetForParameter(widget: Any, parameter: str) -> Any:
    """The widget bound to a parameter, or None."""
    children = widget.findChildren(qt.QWidget)
    return next((w for w in children if w.property(SlicerParameterNamePropertyName) == parameter), None)
