"""Three rules for passing a gradient R back through y = max(x, 0), which differ in nothing else:

    gradient          R · [x > 0]               what `saliency` uses
    deconvnet         max(R, 0)                 Zeiler & Fergus 2013, arXiv:1311.2901
    guided backprop   max(R, 0) · [x > 0]       Springenberg et al. 2014, arXiv:1412.6806

The last two make sharp pictures that hardly depend on the weights (Adebayo et al. 2018, arXiv:1810.03292): the controls of
a page show it. Calls of ReLU are intercepted as functions, so modules, modules used several times, in-place calls and
`torch.relu` inside a forward pass all obey the rule. ReLU6 passes gradients like a ReLU below 6 and nothing above.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Literal

import torch
from jaxtyping import Float, Int
from torch import Tensor
from torch.nn import functional as F
from torch.overrides import TorchFunctionMode

from sightline.explanation.subject import Attribution, Refused, Subject, gradient, undisturbed

from .gradients import SLOPE

Rule = Literal["guided", "deconvnet"]
_PLAIN = {F.relu, torch.relu, Tensor.relu}
_IN_PLACE = {F.relu_, torch.relu_, Tensor.relu_}
_CLAMPS = {torch.clamp_min, Tensor.clamp_min}
_OTHERS = {
    F.gelu: "GELU", F.silu: "SiLU", F.hardswish: "hard swish", F.mish: "Mish", F.elu: "ELU", F.leaky_relu: "leaky ReLU",
    F.selu: "SELU", F.celu: "CELU", F.prelu: "PReLU", torch.prelu: "PReLU", F.softplus: "softplus", torch.tanh: "tanh",
    Tensor.tanh: "tanh", torch.sigmoid: "sigmoid", Tensor.sigmoid: "sigmoid", F.tanh: "tanh", F.sigmoid: "sigmoid",
}  # fmt: skip


class _Rectify(torch.autograd.Function):
    """max(x, 0), at most `ceiling`, with another rule for the gradient; `forward` may write into x, as the caller would."""

    @staticmethod
    def forward(ctx: Any, x: Tensor, rule: Rule, ceiling: float | None, inplace: bool) -> Tensor:
        y = x.clamp_(0, ceiling) if inplace else x.clamp(0, ceiling)
        if inplace:
            ctx.mark_dirty(x)
        below = torch.ones_like(y, dtype=torch.bool) if ceiling is None else y < ceiling
        ctx.save_for_backward(below if rule == "deconvnet" else below & (y > 0))
        return y

    @staticmethod
    def backward(ctx: Any, *slopes: Tensor) -> tuple[Tensor, None, None, None]:
        (passing,) = ctx.saved_tensors
        return slopes[0].clamp(min=0) * passing, None, None, None


class RectifierRule(TorchFunctionMode):
    """Inside the block every ReLU passes gradients by the rule. `count` ReLUs were met, and activations `others`."""

    def __init__(self, rule: Rule) -> None:
        super().__init__()
        self.rule = rule
        self.count = 0
        self.others: dict[str, None] = {}  # in order

    def __torch_function__(
        self, function: Callable[..., Any], types: Any, args: tuple[Any, ...] = (), kwargs: dict[str, Any] | None = None
    ) -> Any:
        kwargs = kwargs or {}
        call = _as_rectifier(function, args, kwargs)
        if call is not None:
            self.count += 1
            ceiling, inplace = call
            return _Rectify.apply(args[0] if args else kwargs["input"], self.rule, ceiling, inplace)
        if function in _OTHERS:
            self.others[_OTHERS[function]] = None
        return function(*args, **kwargs)


def _as_rectifier(
    function: Callable[..., Any], args: tuple[Any, ...], kwargs: dict[str, Any]
) -> tuple[float | None, bool] | None:
    """(ceiling, in place) of a call that is a ReLU; None for any other."""
    if function in _PLAIN or function is F.relu6:
        place = (len(args) > 1 and bool(args[1])) or bool(kwargs.get("inplace", False))
        return (6.0 if function is F.relu6 else None), place
    if function in _IN_PLACE:
        return None, True
    if function in _CLAMPS and 0 in (*args[1:], kwargs.get("min")):
        return None, False
    if function is F.hardtanh:
        low = args[1] if len(args) > 1 else kwargs.get("min_val", -1.0)
        high = args[2] if len(args) > 2 else kwargs.get("max_val", 1.0)
        if low == 0:
            return float(high), bool(args[3] if len(args) > 3 else kwargs.get("inplace", False))
    return None


def guided_backprop(subject: Subject, pixels: Float[Tensor, "b c h w"], target: Int[Tensor, "b"]) -> Attribution:
    """Only positive gradients through active ReLUs. Refused for networks without any."""
    return _by_rule(subject, pixels, target, "guided")


def deconvnet(subject: Subject, pixels: Float[Tensor, "b c h w"], target: Int[Tensor, "b"]) -> Attribution:
    """Only positive gradients, through all ReLUs. Refused for networks without any."""
    return _by_rule(subject, pixels, target, "deconvnet")


def _by_rule(subject: Subject, pixels: Tensor, target: Tensor, rule: Rule) -> Attribution:
    with undisturbed(subject.network), RectifierRule(rule) as rectifiers:
        slope = gradient(subject, pixels, target)
    name = "guided backprop" if rule == "guided" else "deconvnet"
    others = ", ".join(rectifiers.others)
    if not rectifiers.count:
        why = f"its activations are {others}" if others else "it has no activations"
        raise Refused(
            f"{name} changes how gradients pass a ReLU, and this network has none: {why}",
            "use gradient, smoothgrad or integrated_gradients",
        )
    notes = (f"the rule changes {rectifiers.count} ReLUs; {others} pass gradients unchanged",) if others else ()
    return Attribution(slope, "largest", False, SLOPE, {"rectifiers": rectifiers.count}, notes)
