"""What every message of the protocol is made of: strict models, and arrays as files."""

from __future__ import annotations

import math
from typing import Annotated, Literal

from pydantic import BaseModel, ConfigDict, Field

_STRICT = ConfigDict(frozen=True, extra="forbid", allow_inf_nan=False)


class Message(BaseModel):
    """Base of everything here: unchangeable, no unknown fields, no NaN."""

    model_config = _STRICT


class ArrayFile(Message):
    """An array in C order, in a file of the exchange folder.

    Attributes:
        file: bare file name.
        dtype: NumPy's name of the element type, little-endian.
        shape: of the array.
    """

    file: str = Field(pattern=r"^[a-z0-9_-]+\.raw$")
    dtype: Literal["uint8", "int16", "int32", "float32", "float64"]
    shape: tuple[Annotated[int, Field(ge=0)], ...]

    @property
    def nbytes(self) -> int:
        """Size in bytes."""
        return math.prod(self.shape) * {"uint8": 1, "int16": 2, "int32": 4, "float32": 4, "float64": 8}[self.dtype]
