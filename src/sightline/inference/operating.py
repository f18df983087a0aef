"""The score from which objects are reported: the one of best F1 on the validation images, stored when training ends."""

from __future__ import annotations

from sightline.errors import DamagedError
from sightline.kinds.kind import Kind
from sightline.kinds.networks import facts_of
from sightline.kinds.pretrained import STATUS
from sightline.runs.run import FACTS, Run

USUAL = 0.5


def operating_score(run: Run, kind: Kind) -> tuple[float, str] | None:
    """The score and where it is from, in words; None for a kind whose predictions have none. For runs of before it was stored,
    and without a val split, it is computed from the stored predictions."""
    settle = kind.scoring.settle if kind.scoring is not None else None
    if not kind.answers.scored or kind.scoring is None or settle is None:
        return None
    stored = facts_of(run).get("score")
    if stored is not None:
        if not isinstance(stored, float | int) or not 0 <= stored <= 1:
            raise DamagedError(f"{run.folder / FACTS}: score is no number from 0 to 1", "see `sightline verify`")
        return float(stored), "of best F1 on val"
    for split in ("val", "test"):
        path = run.folder / "predictions" / f"{split}.parquet"
        if path.is_file() and (score := settle(kind.scoring.rows.read(path)[0]).get("score")) is not None:
            return float(score), f"of best F1 on the run's stored {split} predictions"
    if run.status.get("status") == STATUS:
        return USUAL, "as published weights bring no validation along"
    return USUAL, "as none of the run's predictions is right"
