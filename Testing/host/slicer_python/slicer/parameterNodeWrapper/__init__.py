"""Stand-in for `slicer.parameterNodeWrapper`: typed access to a vtkMRMLScriptedModuleNode, bound to widgets.

Parameters are stored under the names and in the text of Slicer's own, so a scene saved here opens there.

Left out: `parameterPack`, `createGui`, `typing.Any`, colours, serializers and connectors of one's own, dotted names,
`Exclude`, `RangeBounds`. A type or a widget that is not supported raises when the class is made or the GUI connected.
"""

from .connectors import Decimals, SingleStep
from .validators import Choice, Default, IsInstance, Maximum, Minimum, NotNone, Validator, WithinRange
from .wrapper import (
    SlicerParameterNamePropertyName,
    findChildWidgetForParameter,
    isParameterNodeWrapper,
    parameterNodeWrapper,
)

__all__ = [
    "Choice",
    "Decimals",
    "Default",
    "IsInstance",
    "Maximum",
    "Minimum",
    "NotNone",
    "SingleStep",
    "SlicerParameterNamePropertyName",
    "Validator",
    "WithinRange",
    "findChildWidgetForParameter",
    "isParameterNodeWrapper",
    "parameterNodeWrapper",
]
