"""slicer.parameterNodeWrapper: typed access to the values of a vtkMRMLScriptedModuleNode, and their
binding to widgets."""

from __future__ import annotations

from .default import Default
from .guiConnectors import (
    Decimals,
    GuiConnector,
    SingleStep,
    SlicerPackParameterNamePropertyName,
    createGuiConnector,
    parameterNodeGuiConnector,
)
from .parameterPack import isParameterPack, nestedParameterNames, parameterPack
from .serializers import (
    BoolSerializer,
    DictSerializer,
    ListSerializer,
    NodeSerializer,
    NumberSerializer,
    PathSerializer,
    Serializer,
    StringSerializer,
    TupleSerializer,
    UnionSerializer,
    ValidatedSerializer,
    parameterNodeSerializer,
)
from .types import FloatRange
from .util import findFirstAnnotation, getNodeTypes, isNodeOrUnionOfNodes, splitAnnotations, unannotatedType
from .validators import (
    Choice,
    Exclude,
    IsInstance,
    Maximum,
    Minimum,
    NotNone,
    RangeBounds,
    Validator,
    WithinRange,
)
from .wrapper import (
    SlicerParameterNamePropertyName,
    findChildWidgetForParameter,
    isParameterNodeWrapper,
    parameterNodeWrapper,
)

__all__ = [
    "BoolSerializer",
    "Choice",
    "Decimals",
    "Default",
    "DictSerializer",
    "Exclude",
    "FloatRange",
    "GuiConnector",
    "IsInstance",
    "ListSerializer",
    "Maximum",
    "Minimum",
    "NodeSerializer",
    "NotNone",
    "NumberSerializer",
    "PathSerializer",
    "RangeBounds",
    "Serializer",
    "SingleStep",
    "SlicerPackParameterNamePropertyName",
    "SlicerParameterNamePropertyName",
    "StringSerializer",
    "TupleSerializer",
    "UnionSerializer",
    "ValidatedSerializer",
    "Validator",
    "WithinRange",
    "createGuiConnector",
    "findChildWidgetForParameter",
    "findFirstAnnotation",
    "getNodeTypes",
    "isNodeOrUnionOfNodes",
    "isParameterNodeWrapper",
    "isParameterPack",
    "nestedParameterNames",
    "parameterNodeGuiConnector",
    "parameterNodeSerializer",
    "parameterNodeWrapper",
    "parameterPack",
    "splitAnnotations",
    "unannotatedType",
]
