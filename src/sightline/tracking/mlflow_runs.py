"""MLflow's runs. The only file that imports mlflow."""

from __future__ import annotations

import os
import time
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from .sink import Picture, Value

# MLflow reports its use to its makers, and waits minutes for a server, unless these say otherwise. Its store of files, which
# needs no database, opens on request only.
_ENVIRONMENT = {
    "MLFLOW_DISABLE_TELEMETRY": "true", "MLFLOW_ALLOW_FILE_STORE": "true", "MLFLOW_HTTP_REQUEST_TIMEOUT": "10",
    "MLFLOW_HTTP_REQUEST_MAX_RETRIES": "1", "MLFLOW_ENABLE_ASYNC_LOGGING": "false",
}  # fmt: skip
_LONGEST = 500  # characters of a parameter
_PARAMS = 100  # of one request
RUN = "sightline.run"  # tag


class MlflowRun:
    """One MLflow run for all starts of a run: params, metrics, pictures and, once it is finished, its files.

    uri          of the store
    experiment   by name; made where there is none
    title        of the run
    known        id of the MLflow run that an earlier start made in this store; None at the first
    """

    name = "MLflow"

    def __init__(self, uri: str, experiment: str, title: str, known: str | None) -> None:
        for key, value in _ENVIRONMENT.items():
            os.environ.setdefault(key, value)
        from mlflow import MlflowClient

        self._client: Any = MlflowClient(tracking_uri=uri, registry_uri=uri)
        self.last: dict[str, int] = {}
        self.id = known if known is not None and self._continued(known) else self._created(experiment, title)

    def _continued(self, known: str) -> bool:
        """Whether the store has the run; then its last steps are known."""
        try:
            run = self._client.get_run(known)
        except Exception:  # removed meanwhile: a new one begins, with everything so far
            return False
        for tag in run.data.metrics:
            self.last[tag] = max(point.step for point in self._client.get_metric_history(known, tag))
        self._client.set_terminated(known, status="RUNNING")
        return True

    def _created(self, experiment: str, title: str) -> str:
        known = self._client.get_experiment_by_name(experiment)
        place = known.experiment_id if known is not None else self._client.create_experiment(experiment)
        tags = {"mlflow.source.type": "LOCAL", "mlflow.source.name": "sightline", RUN: title}
        created: str = self._client.create_run(place, run_name=title, tags=tags).info.run_id
        return created

    def settings(self, values: Mapping[str, Value], results: Sequence[str]) -> None:
        from mlflow.entities import Param

        known = self._client.get_run(self.id).data.params
        new = [Param(key, str(value)[:_LONGEST]) for key, value in values.items() if key not in known]
        for start in range(0, len(new), _PARAMS):
            self._client.log_batch(self.id, params=new[start : start + _PARAMS])

    def scalars(self, values: Mapping[str, float], step: int) -> None:
        from mlflow.entities import Metric

        now = int(time.time() * 1000)
        self._client.log_batch(self.id, metrics=[Metric(tag, value, now, step) for tag, value in values.items()])

    def picture(self, tag: str, picture: Picture, step: int) -> None:
        from PIL import Image

        self._client.log_image(self.id, Image.fromarray(picture), artifact_file=f"{tag}/step-{step:08d}.png")

    def flush(self) -> None:
        pass  # every call is a request of its own

    def finish(self, folder: Path, files: tuple[str, ...]) -> None:
        for name in files:
            inner = str(Path(name).parent)
            self._client.log_artifact(self.id, str(folder / name), None if inner == "." else inner)

    def close(self, status: str) -> None:
        ends = {"finished": "FINISHED", "stopped": "KILLED"}
        self._client.set_terminated(self.id, status=ends.get(status, "FAILED"))
