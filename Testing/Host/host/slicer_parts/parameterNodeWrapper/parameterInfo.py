"""What is known of one parameter."""

from __future__ import annotations

import dataclasses
from typing import Any

from .serializers import Serializer


@dataclasses.dataclass
class ParameterInfo:
    """Name, how it is stored, first value, and the type as it was written down."""

    basename: str
    serializer: Serializer
    default: Any
    unalteredType: Any
