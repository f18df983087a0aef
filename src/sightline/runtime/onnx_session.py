"""Graphs that onnxruntime runs. The only file that imports it for inference."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np

from sightline.errors import ResourceError

from .protobuf import require_self_contained

BATCH = "batch"  # the name of the dimension that differs between batches


class OnnxGraph:
    """One graph, in one or two sessions: a batch of one runs with the batch fixed at 1 if the export measured that as faster.
    Fixing the dimension lets onnxruntime choose layouts and fold shapes when it loads the same file."""

    def __init__(self, data: bytes, facts: Mapping[str, Any], threads: int) -> None:
        require_self_contained(data, facts["file"])
        self.data, self.threads = data, threads
        self.fixed = bool(facts.get("static_faster"))
        self.sessions: dict[bool, Any] = {}
        self.session(fixed=self.fixed)  # a file that cannot be opened is reported when the folder is opened

    def session(self, *, fixed: bool) -> Any:
        if fixed not in self.sessions:
            self.sessions[fixed] = open_session(self.data, threads=self.threads, batch=1 if fixed else None)
        return self.sessions[fixed]

    def __call__(self, **inputs: np.ndarray) -> dict[str, np.ndarray]:
        session = self.session(fixed=self.fixed and len(inputs.get("image", ())) == 1)
        return run(session, inputs)


def run(session: Any, inputs: Mapping[str, np.ndarray]) -> dict[str, np.ndarray]:
    """Outputs by name. Inputs that the graph does not have are left out: exporters drop those that nothing reads."""
    wanted = {one.name for one in session.get_inputs()}
    names = [one.name for one in session.get_outputs()]
    given = {name: np.ascontiguousarray(value) for name, value in inputs.items() if name in wanted}
    return dict(zip(names, session.run(names, given), strict=True))


def open_session(data: bytes, *, threads: int = 0, batch: int | None = None) -> Any:
    """A CPU session; `threads` 0: as many as there are cores. `batch` fixes the batch dimension."""
    try:
        import onnxruntime
    except ImportError as error:
        raise ResourceError("onnxruntime is not installed", "install it: pip install 'sightline[export]'") from error
    options = onnxruntime.SessionOptions()
    options.log_severity_level = 3
    options.intra_op_num_threads = threads
    if batch is not None:
        options.add_free_dimension_override_by_name(BATCH, batch)
    return onnxruntime.InferenceSession(data, options, providers=["CPUExecutionProvider"])
