"""What each tensor of a forward pass sees of the input: receptive fields, followed through the operations themselves.

The rules are those of sliding windows (`layers.arithmetic.Field`); a sum or concatenation sees what its parts see. So a
residual or branching network needs no list of its layers. An operation that mixes all positions (a mean over space, a
flattening, the statistics of a norm) ends the following: what comes after sees everything. So does one that is
unknown and changes the size: what comes after is not known.
"""

from __future__ import annotations

from typing import Any, NamedTuple

from torch import Tensor
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils._pytree import tree_leaves

from sightline.layers.arithmetic import Field


class View(NamedTuple):
    """What one output position sees, along height and width."""

    height: Field
    width: Field

    def joined(self, other: View) -> View | None:
        """The view of a sum or concatenation; None where the strides differ."""
        height, width = self.height.joined(other.height), self.width.joined(other.width)
        return View(height, width) if height and width else None


class ReceptiveFields(TorchDispatchMode):
    """While active, knows the view of every (b, c, h, w) tensor that came from `x`; None once positions are mixed."""

    def __init__(self, x: Tensor) -> None:
        super().__init__()
        self._views: dict[int, tuple[Tensor, View | None]] = {}  # the tensor is kept, so that its id stays its own
        self._note(x, View(Field(), Field()))

    def of(self, tensor: Tensor) -> View | None:
        """The view of a tensor, or None where it is unknown or covers everything."""
        return self._views[id(tensor)][1] if id(tensor) in self._views else None

    def __torch_dispatch__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        kwargs = kwargs or {}
        result = func(*args, **kwargs)
        sources = [leaf for leaf in tree_leaves((args, kwargs)) if isinstance(leaf, Tensor) and id(leaf) in self._views]
        if sources:
            outputs = [leaf for leaf in tree_leaves(result) if isinstance(leaf, Tensor)]
            for output in outputs:
                self._note(output, self._view(func.overloadpacket.__name__, args, sources, output))
        return result

    def _note(self, tensor: Tensor, view: View | None) -> None:
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
    """The view after a sliding window; a single number is for both axes, an empty stride is the kernel."""
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
    kernel, stride, padding, dilation = _filled(args[1:5], (None, (), 0, 1))
    return _through(view, kernel, stride, padding, dilation)


def _average_pool(view: View, args: Any) -> View:
    kernel, stride, padding = _filled(args[1:4], (None, (), 0))
    return _through(view, kernel, stride, padding)


def _pad(view: View, args: Any) -> View:
    left, _right, top, _bottom = _filled(args[1][:4], (0, 0, 0, 0))
    return View(_moved(view.height, -top), _moved(view.width, -left))


def _slice(view: View, args: Any) -> View:
    _, dim, start, _end, step = _filled(args[:5], (None, 0, 0, None, 1))
    if dim not in (2, 3):
        return view
    field = _moved(view[dim - 2], start or 0)
    field = Field(field.first, field.last, field.jump * step)
    return view._replace(height=field) if dim == 2 else view._replace(width=field)


def _moved(field: Field, positions: int) -> Field:
    return Field(field.first + positions * field.jump, field.last + positions * field.jump, field.jump)


def _filled(values: Any, defaults: tuple[Any, ...]) -> list[Any]:
    return [*values, *defaults[len(values) :]]


def _everything(view: View, args: Any) -> None:
    """Group norms measure each image over all its places, layer norms some of them over many."""


def _batch_norm(view: View, args: Any) -> View | None:
    """Measured while training, and always where nothing is remembered (instance norms too): all places. Else: none."""
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
}
