"""The program that reads pickled state dicts: tensors come out or one word why not, and nothing in the file is run."""

from __future__ import annotations

import contextlib
import os
import pickle
import zipfile
from collections import OrderedDict
from collections.abc import Callable
from io import BytesIO
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import nn

from sightline.storage import unpickling
from sightline.storage.unpickling import Unusable, state_dict

torch.set_num_threads(1)
STATE = OrderedDict(weight=torch.arange(600.0).view(20, 30), count=torch.tensor(3))


def pickled(value: Any, old: bool = False) -> bytes:
    out = BytesIO()
    torch.save(value, out, _use_new_zipfile_serialization=not old)
    return out.getvalue()


@pytest.mark.parametrize("old", [False, True])
@pytest.mark.parametrize("key", [None, *unpickling.WRAPPER_KEYS])
def test_a_state_dict_alone_or_under_a_usual_key(key: str | None, old: bool) -> None:
    found = state_dict(pickled({key: STATE, "epoch": 3} if key else STATE, old))
    assert found.keys() == STATE.keys()
    assert all(torch.equal(found[name], x) for name, x in STATE.items())


def test_every_tensor_gets_memory_of_its_own() -> None:
    whole = torch.arange(12.0)
    found = state_dict(pickled({"a": whole, "b": whole, "c": whole[3:].view(3, 3).t(), "d": nn.Parameter(whole[:2])}))
    assert len({x.untyped_storage().data_ptr() for x in found.values()}) == 4
    assert all(x.is_contiguous() and not x.requires_grad for x in found.values())
    assert torch.equal(found["c"], whole[3:].view(3, 3).t())


class Evil:
    """Unpickled, it would leave a file."""

    def __init__(self, canary: Path) -> None:
        self.canary = canary

    def __reduce__(self) -> Any:
        return os.system, (f"touch {self.canary}",)


@pytest.mark.parametrize("how", ["archive", "old", "plain"])
def test_nothing_is_run(how: str, tmp_path: Path) -> None:
    canary = tmp_path / "canary"
    loot = {"a": Evil(canary)}
    data = pickle.dumps(loot, protocol=2) if how == "plain" else pickled(loot, old=how == "old")
    with pytest.raises(Unusable, match=r"it asks for posix\.system") as caught:
        state_dict(data)
    assert caught.value.kind == "refused"
    assert not canary.exists()
    with contextlib.suppress(Exception):
        torch.load(BytesIO(data), weights_only=False)
    assert canary.exists()  # it would have


def deflated() -> bytes:
    """An archive that unpacks to hundreds of times its size."""
    out = BytesIO()
    stored = BytesIO(pickled({"a": torch.zeros(1 << 21)}))
    with zipfile.ZipFile(stored) as a, zipfile.ZipFile(out, "w", zipfile.ZIP_DEFLATED) as b:
        for part in a.infolist():
            b.writestr(part.filename, a.read(part))
    return out.getvalue()


def scripted() -> bytes:
    out = BytesIO()
    with zipfile.ZipFile(BytesIO(pickled(STATE))) as a, zipfile.ZipFile(out, "w") as b:
        for part in a.infolist():
            b.writestr(part.filename, a.read(part))
        b.writestr("archive/constants.pkl", a.read(a.infolist()[0]))
    return out.getvalue()


@pytest.mark.filterwarnings("ignore")
@pytest.mark.parametrize(
    ("data", "why"),
    [
        (lambda: pickled({"a": torch.zeros(1).expand(1 << 38)}), "far larger than the file"),
        (deflated, "decompresses to far more"),
        (scripted, "a TorchScript program"),
        (lambda: pickled(nn.Linear(2, 2)), r"it asks for torch\.nn\.modules\.linear\.Linear"),
        (lambda: pickle.dumps({"a": 1}, protocol=4)[:2] + b"\x95" + b"\0" * 8, "something other than"),
        (lambda: pickled({"a": torch.zeros(2), "epoch": 3}), "'epoch' is a int, not a plain tensor"),
        (lambda: pickled({3: torch.zeros(2)}), "'3' is a Tensor"),
        (lambda: pickled([torch.zeros(2)]), "holds a list"),
        (lambda: pickled({}), "holds a dict"),
        (lambda: pickled({"a": torch.eye(3).to_sparse()}), "'a' is a Tensor, not a plain tensor"),
        (lambda: pickled({"a": torch.zeros(3, device="meta")}), "'a' is a Tensor, not a plain tensor"),
    ],
    ids=lambda value: value if isinstance(value, str) else "",
)
def test_what_is_no_state_dict_is_refused(data: Callable[[], bytes], why: str) -> None:
    with pytest.raises(Unusable, match=why) as caught:
        state_dict(data())
    assert caught.value.kind == "refused"


def flipped() -> bytes:
    data = bytearray(pickled(STATE))
    data[data.find(STATE["weight"].numpy().tobytes()) + 100] ^= 1
    return bytes(data)


@pytest.mark.parametrize(
    "data",
    [flipped(), b"", b"hello", *(pickled(STATE, old)[:-n] for old in (0, 1) for n in (1, 99, 2000))],
    ids=lambda data: f"{len(data)} bytes",
)
def test_what_is_damaged_is_said_to_be(data: bytes) -> None:
    with pytest.raises(Unusable) as caught:
        state_dict(data)
    assert caught.value.kind == "damaged"
    assert 0 < len(caught.value.message) <= 200
    assert "\n" not in caught.value.message


def test_torchs_advice_to_run_the_file_is_not_passed_on() -> None:
    for value in (nn.Linear(2, 2), {"a": Evil(Path("x"))}):
        with pytest.raises(Unusable) as caught:
            state_dict(pickled(value))
        assert "weights_only" not in caught.value.message
