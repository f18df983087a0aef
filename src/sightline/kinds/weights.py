"""A key that several kinds of task share."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import Field

ClassWeight = Annotated[
    Literal["none", "balanced"], Field(description="balanced: n / (classes · n of the class), n images or pixels")
]
