"""Receptive fields of every tensor in a forward pass, traced through the operations themselves.

The rules are those of sliding windows (`layers.arithmetic.Field`); a sum or concatenation sees the union of its parts.
So a residual or branching network needs no list of its layers. An operation that mixes all positions (a spatial mean, a
flattening, the statistics of a norm) ends the trace: everything behind it sees the whole image. So does an unknown
operation that changes the size: the fields behind it are unknown.
"""

from __future__ import annotations

from typing import Any, NamedTuple

from torch import Tensor
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils._pytree import tree_leaves

from .arithmetic import Field


class View(NamedTuple):
    """The receptive field of one output position, along height and width."""

    height: Field
    width: Field

    def joined(self, other: View) -> View | None:
        """The view of a sum or concatenation; None where the strides differ."""
        height, width = self.height.joined(other.height), self.width.joined(other.width)
        return View(height, width) if height and width else None


class End(NamedTuple):
    """Where a trace ended: the operation by torch's name, the number of axes of its result, and the innermost name of
    `ReceptiveFields.within` at that time."""

    operation: str
    axes: int
    within: str


class ReceptiveFields(TorchDispatchMode):
    """While active, tracks the view of every (b, c, h, w) tensor computed from `x`; None once positions are mixed. `within`:
    names of what is running, the innermost last, kept by the caller where it wants to know where a trace ended."""

    def __init__(self, x: Tensor) -> None:
        super().__init__()
        self.within: list[str] = []
        self._views: dict[int, tuple[Tensor, View | None]] = {}  # holding the tensor keeps its id from being reused
        self._ends: dict[int, End] = {}
        self._record(x, View(Field(), Field()))

    def of(self, tensor: Tensor) -> View | None:
        """The view of a tensor, or None where it is unknown or covers everything."""
        return self._views[id(tensor)][1] if id(tensor) in self._views else None

    def end_of(self, tensor: Tensor) -> End | None:
        """Where the trace to a tensor without a view ended; None for one that has a view or does not depend on `x`."""
        return self._ends.get(id(tensor))

    @classmethod
    def _should_skip_dynamo(cls) -> bool:
        return False  # it is never compiled; torch would import its compiler, in 1.3 s, to be told so

    def __torch_dispatch__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        kwargs = kwargs or {}
        result = func(*args, **kwargs)
        sources = [leaf for leaf in tree_leaves((args, kwargs)) if isinstance(leaf, Tensor) and id(leaf) in self._views]
        if sources:
            outputs = [leaf for leaf in tree_leaves(result) if isinstance(leaf, Tensor)]
            for output in outputs:
                name = func.overloadpacket.__name__
                view = self._view(name, args, sources, output)
                if view is None:
                    earlier = next((end for source in sources if (end := self.end_of(source))), None)
                    self._ends[id(output)] = earlier or End(name, output.ndim, self.within[-1] if self.within else "")
                else:
                    self._ends.pop(id(output), None)
                self._record(output, view)
        return result

    def _record(self, tensor: Tensor, view: View | None) -> None:
        self._views[id(tensor)] = (tensor, view)

    def _view(self, name: str, args: Any, sources: list[Tensor], output: Tensor) -> View | None:
        views = [view for view in map(self.of, sources) if view is not None]
        if output.ndim != 4 or len(views) < len(sources):
            return None
        rule = _RULES.get(name)
        if rule is not None:
            return rule(views[0], args)
        if any(source.shape[2:] != output.shape[2:] for source in sources):
            return None
        return _union(views)


def _union(views: list[View]) -> View | None:
    union: View | None = views[0]
    for view in views[1:]:
        union = union.joined(view) if union else None
    return union


def _through(view: View, kernel: Any, stride: Any, padding: Any, dilation: Any = (1, 1)) -> View:
    """The view behind a sliding window; a single number applies to both axes, and an empty stride equals the kernel."""
    kernel, padding, dilation = _pair(kernel), _pair(padding), _pair(dilation)
    stride = _pair(stride) if stride else kernel
    return View(
        *(
            field.through(kernel[axis], stride=stride[axis], padding=padding[axis], dilation=dilation[axis])
            for axis, field in enumerate(view)
        )
    )


def _pair(value: Any) -> tuple[int, int]:
    values = [value] if isinstance(value, int) else list(value)
    return values[0], values[-1]


def _convolution(view: View, args: Any) -> View | None:
    # input, weight, bias, stride, padding, dilation, transposed, output_padding, groups
    if args[6]:
        return None
    return _through(view, args[1].shape[2:], args[3], args[4], args[5])


def _max_pool(view: View, args: Any) -> View:
    kernel, stride, padding, dilation = _with_defaults(args[1:5], (None, (), 0, 1))
    return _through(view, kernel, stride, padding, dilation)


def _average_pool(view: View, args: Any) -> View:
    kernel, stride, padding = _with_defaults(args[1:4], (None, (), 0))
    return _through(view, kernel, stride, padding)


def _pad(view: View, args: Any) -> View:
    left, _right, top, _bottom = _with_defaults(args[1][:4], (0, 0, 0, 0))
    return View(_shift(view.height, -top), _shift(view.width, -left))


def _slice(view: View, args: Any) -> View:
    _, dim, start, _end, step = _with_defaults(args[:5], (None, 0, 0, None, 1))
    if dim not in (2, 3):
        return view
    field = _shift(view[dim - 2], start or 0)
    field = Field(field.first, field.last, field.jump * step)
    return view._replace(height=field) if dim == 2 else view._replace(width=field)


def _shift(field: Field, positions: int) -> Field:
    return Field(field.first + positions * field.jump, field.last + positions * field.jump, field.jump)


def _with_defaults(values: Any, defaults: tuple[Any, ...]) -> list[Any]:
    return [*values, *defaults[len(values) :]]


def _everything(view: View, args: Any) -> None:
    """The statistics of group and layer norms cover all positions of an image, or many of them."""


def _unless_spatial(view: View, args: Any) -> View | None:
    """A softmax or sum over channels stays in its place; over rows or columns it covers all of them."""
    return view if args[1] in (1, -3) else None


def _batch_norm(view: View, args: Any) -> View | None:
    """Statistics of the batch (in training, and without running statistics, as in instance norms) cover all positions."""
    return None if args[5] else view


_RULES = {
    "convolution": _convolution,
    "max_pool2d_with_indices": _max_pool,
    "avg_pool2d": _average_pool,
    "constant_pad_nd": _pad,
    "slice": _slice,
    "native_group_norm": _everything,
    "native_layer_norm": _everything,
    "native_batch_norm": _batch_norm,
    "_softmax": _unless_spatial,
    "_log_softmax": _unless_spatial,
    "cumsum": _unless_spatial,
} | dict.fromkeys(
    # these may keep the shape and still move pixels
    (
        "roll",
        "flip",
        "rot90",
        "permute",
        "transpose",
        "t",
        "mm",
        "bmm",
        "sort",
        "gather",
        "index",
        "index_select",
        "grid_sampler_2d",
    ),
    _everything,
)
