"""Weights from a file, or those that others have published, into a network; and a report of what fitted and what did not.

Names are matched as they are, then renamed (`renaming`). All must fit, shape by shape, with five exceptions, each of which
is said: the head of another number of classes stays as it was drawn, auxiliary heads may be on one side only, files
of frozen norms hold no counters of batches, norms that learned with another ε get it carried into their scales, and
positions learned on another grid of patches are resampled (Dosovitskiy et al. 2020, section 3.2).
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, NamedTuple

import torch
from torch import Tensor, nn
from torch.nn.modules.batchnorm import _BatchNorm

from sightline.errors import DamagedError, DataError, UsageError
from sightline.layers.attention.positions import LearnedPositions
from sightline.storage.caching import cache_folder
from sightline.storage.pickled import entry, file_sha256, read_entry, read_pickled
from sightline.storage.tensors import unpack

from .published import Source, fetch, find, recognised
from .renaming import candidates, unlike

SUFFIXES = (".safetensors", ".pt", ".pth", ".bin", ".ckpt", ".tar")
_COUNTER = "num_batches_tracked"


@dataclass(frozen=True)
class Fit:
    """What became of a file's weights. Names are the network's, those of `unexpected` the file's.

    loaded        taken from the file
    head          of another shape or not there, for another number of classes: as the network drew them
    missing       not in the file and not needed from it
    unexpected    in the file and not needed here
    source        None where nobody is known to have published the file
    notes         what else a person should know
    """

    name: str
    sha256: str
    loaded: tuple[str, ...]
    head: tuple[str, ...] = ()
    missing: tuple[str, ...] = ()
    unexpected: tuple[str, ...] = ()
    source: Source | None = None
    notes: tuple[str, ...] = ()

    @property
    def licence(self) -> str:
        """The licence of published weights, or "not known"."""
        return self.source.licence if self.source else "not known"

    @property
    def preprocessing(self) -> dict[str, Any] | None:
        """How images looked to the network that learned the weights; None where that is not known."""
        return self.source.preprocessing() if self.source else None

    def said(self) -> list[str]:
        """Lines for a person."""
        what = f"weights: {self.name}, SHA-256 {self.sha256[:12]}…, {len(self.loaded)} tensors"
        lines = [what, *self.notes]
        if self.source:
            lines.append(f"they are {self.source.name} of {self.source.model}, trained on {self.source.data}")
            lines.append(f"their licence: {self.licence}")
        if self.head:
            lines.append(f"the head is drawn anew, for another number of classes: {_few(self.head)}")
        if self.missing:
            lines.append(f"not in the file: {_few(self.missing)}")
        if self.unexpected:
            lines.append(f"left out: {_few(self.unexpected)}")
        return lines

    def record(self) -> dict[str, Any]:
        """For a run's files: no paths."""
        source = self.source
        return {
            "name": self.name,
            "sha256": self.sha256,
            "source": source.name if source else None,
            "url": source.url if source else None,
            "licence": self.licence,
            "preprocessing": self.preprocessing,
            "loaded": len(self.loaded),
            "head": list(self.head),
            "missing": list(self.missing),
            "unexpected": list(self.unexpected),
        }


class Read(NamedTuple):
    """What a file holds, before a network is asked."""

    name: str
    tensors: dict[str, Tensor]
    sha256: str
    source: Source | None
    notes: tuple[str, ...] = ()


def load(
    network: nn.Module,
    model: str,
    weights: str | Path,
    *,
    heads: Callable[[], Iterable[str]],
    changed: Mapping[str, Any] | None = None,
    allow_network: bool = False,
) -> Fit:
    """Copy the weights into the network, registered as `model`, and report.

    weights          a file, or a published name: "torchvision", "torchvision/IMAGENET1K_V2", "timm/a1_in1k"
    heads            the names whose shape follows the number of classes; asked where something does not fit
    changed          options that are not as published: those that leave every shape alone would pass in silence
    allow_network    fetch a published file that is not in the cache
    UsageError       a file that is not there, or another network's; DataError, DamagedError: one that cannot be used;
                     ResourceError: one that cannot be fetched
    """
    read = _read(model, weights, allow_network)
    own = {name: x.detach() for name, x in network.state_dict(keep_vars=True).items()}
    renaming, state = min(candidates(model, read.tensors), key=lambda found: len(found[1].keys() ^ own.keys()))
    _require_usable(read.name, state, own)
    state, placed = with_grid(state, network, square=read.source is not None)
    other = unlike(model, network, renaming) if renaming else []
    read = read._replace(notes=(*read.notes, *placed, *other, *_elsewhere(read.source, model, changed or {})))
    fit = _fitted(model, read, own, state, heads)
    if read.source and read.source.norm_eps is not None:
        state = with_eps(state, network, read.source.norm_eps)
        said = f"their batch norms learned with ε = {read.source.norm_eps:g}: carried over into the scales"
        fit = replace(fit, notes=(*fit.notes, said))
    with torch.no_grad():
        for name in fit.loaded:
            own[name].copy_(state[name])
    return fit


def _read(model: str, weights: str | Path, allow_network: bool) -> Read:
    path = Path(weights)
    if not isinstance(weights, Path) and not path.is_file() and path.suffix not in SUFFIXES:
        return _published(find(model, weights), allow_network)
    if not path.is_file():
        raise UsageError(f"there is no file {path}", "a published name has no suffix, such as torchvision")
    try:
        return _file(path, path.name, model)
    except OSError as error:
        raise UsageError(f"{path} cannot be read: {error.strerror}") from error


def _file(path: Path, name: str, model: str) -> Read:
    sha256 = file_sha256(path)
    source = recognised(model, sha256)
    notes = (f"its hash begins like that of {source.name}",) if source else ()
    if path.suffix == ".safetensors":
        return Read(name, unpack(path.read_bytes(), {}, name), sha256, source, notes)
    stored = read_pickled(path, cache_folder(), sha256=sha256, name=name)
    return Read(name, stored.tensors, sha256, source, (*stored.notes, *notes))


def _published(source: Source, allow_network: bool) -> Read:
    """From the cache, where it was fetched for that name, else from its address."""
    cache = cache_folder()
    if (folder := entry(cache, source.sha256, source=source.name)) is not None:
        try:
            return Read(source.name, read_entry(folder), folder.name, source)
        except DamagedError:
            pass  # fetched anew
    if not allow_network:
        raise UsageError(
            f"{source.name} of {source.model} is not in {cache}; it is at {source.url}, its licence: {source.licence}",
            "allow_network=True (model.allow_network=true in a recipe) fetches it; or give the path of the file",
        )
    path = fetch(source, cache / "weights")
    try:
        read = _file(path, source.name, source.model)
    finally:
        path.unlink(missing_ok=True)
    return read._replace(source=source, notes=(f"fetched {source.url}", *read.notes))


def _fitted(
    model: str, read: Read, own: Mapping[str, Tensor], state: Mapping[str, Tensor], heads: Callable[[], Iterable[str]]
) -> Fit:
    """Which names are loaded and which need not be. Raises UsageError where anything else is amiss."""
    missing, unexpected = own.keys() - state.keys(), state.keys() - own.keys()
    reshaped = {name for name in own.keys() & state.keys() if own[name].shape != state[name].shape}
    head = set(heads()) if missing or unexpected or reshaped else set()
    auxiliary = _of_auxiliary(missing, state) | _of_auxiliary(unexpected, own)
    anew = (head & own.keys()) - auxiliary if head & (missing - auxiliary | reshaped) else set()
    spared = auxiliary | head
    if not any(name.endswith(_COUNTER) for name in state):
        spared |= {name for name in missing if name.endswith(_COUNTER)}
    if lacking := sorted(missing - spared):
        raise UsageError(f"{read.name} is not of {model}: it lacks {_few(lacking)}", "is it another network's?")
    if strange := sorted(unexpected - spared):
        raise UsageError(f"{read.name} is not of {model}: it also holds {_few(strange)}", "is it another network's?")
    if wrong := reshaped - anew:
        name = min(wrong, key=list(own).index)
        raise _misshapen(read.name, name, own[name].shape, state[name].shape)
    return Fit(
        read.name,
        read.sha256,
        loaded=tuple(name for name in own if name in state and name not in anew),
        head=tuple(name for name in own if name in anew),
        missing=tuple(name for name in own if name in missing - anew),
        unexpected=tuple(sorted(unexpected)),
        source=read.source,
        notes=read.notes,
    )


def _of_auxiliary(names: Iterable[str], others: Iterable[str]) -> set[str]:
    """The names of auxiliary heads of which the other side has nothing."""
    there = {name.split(".")[0] for name in others}
    parts = {name: name.split(".")[0] for name in names}
    return {name for name, part in parts.items() if part.lower().startswith("aux") and part not in there}


def _misshapen(file: str, name: str, here: torch.Size, there: torch.Size) -> UsageError:
    differing = [i for i, (a, b) in enumerate(zip(here, there, strict=False)) if a != b]
    hint = "the same options as it was trained with"
    if len(here) == len(there) == 4 and differing == [1]:
        hint = f"it sees {there[1]} channels: in_channels={there[1]} (input.channels={there[1]} in a recipe)"
    return UsageError(f"{name} is {tuple(there)} in {file}, {tuple(here)} here", hint)


def _require_usable(file: str, state: Mapping[str, Tensor], own: Mapping[str, Tensor]) -> None:
    for name, x in state.items():
        if name in own and x.is_floating_point() != own[name].is_floating_point():
            raise DataError(f"{file}: {name} is {x.dtype}", "save the weights as floating-point numbers")
        if x.is_floating_point() and not torch.isfinite(x).all():
            raise DataError(f"{file}: {name} is not finite", "such weights cannot be used")


def with_eps(state: Mapping[str, Tensor], network: nn.Module, eps: float) -> dict[str, Tensor]:
    """Weights of norms that learned with `eps`, for norms with their own: γ √(σ² + ε own) / √(σ² + eps) gives equal answers."""
    carried = dict(state)
    for name, norm in network.named_modules():
        scale = f"{name}.weight"
        if isinstance(norm, _BatchNorm) and scale in state:
            variance = state[f"{name}.running_var"].double()  # (d,)
            factor = ((variance + norm.eps) / (variance + eps).clamp(min=1e-30)).sqrt()
            carried[scale] = (state[scale].double() * factor).to(state[scale].dtype)
    return carried


def with_grid(state: Mapping[str, Tensor], network: nn.Module, *, square: bool) -> tuple[dict[str, Tensor], list[str]]:
    """Learned positions of images of another size for those of this network, and what to say of it. `square`: the file's
    images were, as all published ones are; else positions as many as this network's are taken for its own."""
    placed, said = dict(state), []
    for module, positions in network.named_modules():
        name = f"{module}.weight"
        if not isinstance(positions, LearnedPositions) or name not in state:
            continue
        learned, own, (h, w) = state[name], positions.weight, positions.grid
        if learned.ndim != 3 or learned.shape[2] != own.shape[2]:
            continue
        many = f"{name}: {learned.shape[1]} learned positions"
        if learned.shape != own.shape or (square and h != w):
            placed[name] = positions.resampled(learned)
            said.append(f"{many}, taken for a square grid, resampled to {own.shape[1]}, for this image size")
        elif h != w:
            said.append(f"{many} are taken for a grid of {h}x{w} patches, as here; the file does not say")
    return placed, said


def _elsewhere(source: Source | None, model: str, changed: Mapping[str, Any]) -> list[str]:
    """What to say of published weights in another network than the one that learned them."""
    if source is None or (source.model == model and not changed):
        return []
    options = " ".join(f"{key}={value}" for key, value in changed.items())
    here = f"{model} with {options}" if options else model
    return [f"they learned in {source.model} as published; in {here} they may answer otherwise"]


def _few(names: Iterable[str]) -> str:
    first, *rest = list(names)
    shown = [first, *rest[:2]]
    return ", ".join(shown) + (f" and {len(rest) - 2} more" if len(rest) > 2 else "")
