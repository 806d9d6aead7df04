"""Neurons as modules: LIF, a norm and LIF in one pass, and a read-out that never fires."""

import math
from copy import copy
from typing import Any

import torch
from jaxtyping import Float, Int64
from torch import Tensor, nn
from torch.nn.modules import module as torch_module

from ..ops import (
    affine_lif,
    affine_lif_counting,
    check_neuron,
    from_elements,
    to_elements,
)
from ..ops.arguments import floats, yes_or_no
from ..ops.reference import accumulator, count
from ..ops.surrogate import Surrogate, Triangle, check_surrogate
from .norms import TemporalNorm

Sequence = Float[Tensor, "T N *S"]
State = Float[Tensor, " N *S"]
Counts = Int64[Tensor, "T _"]


class LIF(nn.Module):
    r"""Leaky integrate-and-fire neurons over a whole sequence (M1-M4).

    .. math::
        u^t = \lambda v^{t-1} + x^t, \qquad
        s^t = [u^t > v_{th}], \qquad
        v^t = u^t - v_{th} s^t

    The comparison is strict: a neuron exactly at threshold stays silent. A call leaves no
    state behind; to continue in time, pass the membrane that it returned.

    Args:
        leak: :math:`\lambda`, the fraction of ``v`` kept per time-step, in ``[0, 1]``; 1 is
            a perfect integrator. A time constant tau converts to ``1 - 1/tau``. A
            parameter of shape ``()`` learns (M9).
        v_threshold: Firing threshold, positive, in units of ``v``; a parameter of shape
            ``()`` learns as well.
        reset: What a spike does to ``v``: ``"soft"`` subtracts the threshold, ``"hard"``
            sets it to 0, ``"none"`` leaves it as it is.
        surrogate: What backward uses in place of the step's derivative.
        detach_reset: Whether backward ignores that a spike resets.

    Raises:
        ValueError: If a value is out of range.

    Example:
        >>> lif = LIF(leak=0.5)
        >>> current = torch.tensor([0.75, 0.75, 0.75]).reshape(3, 1, 1)
        >>> spikes, v = lif(current, return_state=True)
        >>> spikes.flatten().tolist(), v.item()
        ([0.0, 1.0, 0.0], 0.8125)
    """

    def __init__(
        self,
        leak: float | Tensor,
        v_threshold: float | Tensor = 1.0,
        reset: str = "soft",
        surrogate: Surrogate = Triangle(),
        detach_reset: bool = True,
    ) -> None:
        super().__init__()
        self.leak, self.v_threshold, self.reset = leak, v_threshold, reset
        # a copy, because torch.compile(dynamic=True) stumbles over one shared by layers
        self.surrogate, self.detach_reset = copy(surrogate), detach_reset
        self.check_settings()

    def forward(
        self,
        current: Sequence,
        v: State | None = None,
        *,
        return_state: bool = False,
        count_spikes: bool = False,
    ) -> (
        Sequence
        | tuple[Sequence, State]
        | tuple[Sequence, Counts]
        | tuple[Sequence, State, Counts]
    ):
        """Spikes ``[T, N, *S]``, with the last membrane if ``return_state``.

        Args:
            current: Input in units of ``v`` per time-step, time first.
            v: Membrane before the first time-step; 0 if omitted.
            return_state: Whether to return ``(spikes, v)``.
            count_spikes: Whether to return last, beside these, how many spikes there are
                per time-step and channel, ``[T, C]``; the channel is the axis behind ``N``.

        Raises:
            TypeError: If an argument is no tensor.
            ValueError: If the current holds no floating-point numbers or has no time-step,
                or ``v`` does not have the shape of one.
        """
        floats("LIF", current, "(T, N, ...), time first", 2)
        yes_or_no("count_spikes", count_spikes)
        _check_state(current, v)
        if count_spikes:
            return self._counting(current, v, return_state)
        # the last axis is as good a channel as any: there is no norm
        T, C = len(current), current.shape[-1] or 1
        z = current.reshape(T, math.prod(current.shape[1:]) // C, C)
        ones = z.new_ones((z.shape[0], z.shape[2]), dtype=accumulator(z.dtype))
        spikes, v = self.scan(z, ones, torch.zeros_like(ones), v, return_state)
        spikes = spikes.reshape(current.shape)
        return (spikes, v.reshape(current.shape[1:])) if v is not None else spikes

    def scan(
        self, z: Tensor, a: Tensor, b: Tensor, v: Tensor | None, keep_state: bool
    ) -> tuple[Tensor, Tensor | None]:
        """Spikes of ``a·z + b`` and the last membrane, or None if it is not kept.

        Args:
            z: Currents ``[T, M, C]``.
            a: Scale, ``[T, C]``.
            b: Shift, ``[T, C]``.
            v: Membrane before the first time-step, ``M·C`` numbers; 0 if None.
            keep_state: Whether to return the last membrane, ``[M, C]``.
        """
        v = v if v is None else v.reshape(z.shape[1:])
        return affine_lif(z, a, b, v, keep_state=keep_state, **self._settings())

    def scan_counting(
        self, z: Tensor, a: Tensor, b: Tensor, v: Tensor | None, keep_state: bool
    ) -> tuple[Tensor, Tensor | None, Tensor]:
        """What :meth:`scan` returns, and the spikes of each time-step and channel."""
        if type(self).scan is not LIF.scan:  # a neuron of the user's own
            spikes, v = self.scan(z, a, b, v, keep_state)
            return spikes, v, count(spikes)
        v = v if v is None else v.reshape(z.shape[1:])
        return affine_lif_counting(z, a, b, v, keep_state=keep_state, **self._settings())

    def check_settings(self) -> None:
        """Refuse attributes that no neuron can have; they may have been set after building.

        Raises:
            TypeError: If one is of another type.
            ValueError: If one is out of range.
        """
        check_neuron(self.leak, self.v_threshold, self.reset)
        check_surrogate(self.surrogate)
        yes_or_no("detach_reset", self.detach_reset)

    def _settings(self) -> dict[str, Any]:
        """What the operators ask of a neuron."""
        return {
            "leak": self.leak,
            "v_threshold": self.v_threshold,
            "reset": self.reset,
            "detach_reset": self.detach_reset,
            "surrogate": self.surrogate,
        }

    def _counting(self, current: Tensor, v: Tensor | None, return_state: bool) -> Any:
        """The same call with the channels where counting expects them."""
        z = with_channel(current)
        flat = to_elements(z)
        ones = flat.new_ones((len(flat), flat.shape[2]), dtype=accumulator(flat.dtype))
        v = None if v is None else to_elements(with_channel(v[None]))[0]
        spikes, v, counts = self.scan_counting(
            flat, ones, torch.zeros_like(ones), v, return_state
        )
        spikes = from_elements(spikes, z.shape).reshape(current.shape)
        if v is not None:
            v = from_elements(v[None], z[:1].shape).reshape(current.shape[1:])
        return _asked_for(spikes, v, counts)

    def extra_repr(self) -> str:
        """What distinguishes this neuron, for ``print``."""
        leak, v_threshold = _shown(self.leak), _shown(self.v_threshold)
        return (
            f"leak={leak}, v_threshold={v_threshold}, reset={self.reset!r}, "
            f"{self.surrogate}"
        )


class NormLIF(nn.Module):
    """A temporal norm and the neuron behind it in one pass: what networks are built of.

    It equals ``lif(norm(z))``, but the normalised current is never written to memory. Where
    a call of the two does more, because one of them has a hook or a ``forward`` of the
    user's own, they are called one after the other. The spikes are the same; the tensors
    in between are float32 where ``z`` is narrower.

    Args:
        norm: The temporal norm, such as :class:`BNTT`.
        lif: The neuron.

    Raises:
        TypeError: If ``norm`` or ``lif`` is something else.

    Example:
        >>> from bntt import BNTT
        >>> layer = NormLIF(BNTT(num_features=2, num_steps=3), LIF(leak=0.95))
        >>> layer(torch.randn(3, 4, 2, 8, 8)).shape
        torch.Size([3, 4, 2, 8, 8])
    """

    def __init__(self, norm: TemporalNorm, lif: LIF) -> None:
        super().__init__()
        if not isinstance(norm, TemporalNorm) or not isinstance(lif, LIF):
            raise TypeError(
                f"NormLIF joins a temporal norm such as BNTT and a LIF, in this order, got "
                f"{type(norm).__name__} and {type(lif).__name__}. Other layers go one "
                f"after the other."
            )
        self.norm, self.lif = norm, lif

    def forward(
        self,
        z: Float[Tensor, "T N C *S"],
        v: Float[Tensor, "N C *S"] | None = None,
        *,
        start: int | None = None,
        return_state: bool = False,
        count_spikes: bool = False,
    ) -> (
        Float[Tensor, "T N C *S"]
        | tuple[Float[Tensor, "T N C *S"], Float[Tensor, "N C *S"]]
        | tuple[Float[Tensor, "T N C *S"], Int64[Tensor, "T C"]]
        | tuple[Float[Tensor, "T N C *S"], Float[Tensor, "N C *S"], Int64[Tensor, "T C"]]
    ):
        """Spikes of ``z``, with the last membrane if ``return_state``.

        Args:
            z: Currents, time first.
            v: Membrane before the first of these time-steps; 0 if omitted.
            start: Index of the first of these time-steps in the sequence, if it comes in
                parts.
            return_state: Whether to return ``(spikes, v)``.
            count_spikes: Whether to return last, beside these, how many spikes there are
                per time-step and channel, ``[T, C]``.

        Raises:
            TypeError: As the norm and the neuron do.
            ValueError: As the norm and the neuron do; no statistic has moved then.
        """
        self.check_settings()
        yes_or_no("count_spikes", count_spikes)
        self.norm.check_currents(z, start)
        _check_state(z, v)
        if _is_more_than(self.norm, TemporalNorm) or _is_more_than(self.lif, LIF):
            return self._apart(z, v, start, return_state, count_spikes)
        flat, a, b = self.norm.affine(to_elements(z), start)
        v = None if v is None else to_elements(v[None])[0]
        if count_spikes:
            spikes, v, counts = self.lif.scan_counting(flat, a, b, v, return_state)
        else:
            (spikes, v), counts = self.lif.scan(flat, a, b, v, return_state), None
        v = None if v is None else from_elements(v[None], z[:1].shape)[0]
        return _asked_for(from_elements(spikes, z.shape), v, counts)

    def check_settings(self) -> None:
        """Refuse attributes that no norm or neuron can have.

        They may have been set after building.


        Raises:
            TypeError: If one is of another type.
            ValueError: If one is out of range.
        """
        self.norm.check_settings()
        self.lif.check_settings()

    def _apart(
        self,
        z: Tensor,
        v: Tensor | None,
        start: int | None,
        return_state: bool,
        count_spikes: bool,
    ):
        """Norm and neuron called as modules, with nothing rounded in between.

        Spikes are counted as they come out, since a hook may have changed them.
        """
        current = self.norm(z.to(accumulator(z.dtype)), start)
        result = self.lif(current, v, return_state=return_state)
        spikes, v = result if return_state else (result, None)
        counts = spike_counts(spikes) if count_spikes else None
        return _asked_for(spikes.to(z.dtype), v, counts)


class Readout(nn.Module):
    r"""The output: neurons that neither leak nor fire, as running means over time (M13).

    The read-outs ``o[t]`` of single time-steps become

    .. math::
        y^t = \frac{1}{t + 1} \sum_{\tau \le t} o^\tau

    so ``y[t]`` answers "what if I had stopped here", and ``y[-1]`` is the answer.
    """

    def forward(self, o: Tensor) -> Tensor:
        """Running means over time, in float32 (float64 where ``o`` is).

        Args:
            o: Read-outs, time first; any axes may follow.

        Raises:
            TypeError: If the read-outs are no tensor.
            ValueError: If they are no floating-point numbers or have no time-step.
        """
        floats("A read-out", o, "(T, ...)", at_least=1)
        if len(o) == 0:
            raise ValueError(
                f"A read-out needs at least one time-step, its first axis, got shape "
                f"{tuple(o.shape)}."
            )
        steps = torch.arange(1, len(o) + 1, device=o.device)
        return o.to(accumulator(o.dtype)).cumsum(0) / steps.reshape(-1, *[1] * (o.ndim - 1))


def parts_of_fused(net: nn.Module) -> set[nn.Module]:
    """The norms and neurons inside of a :class:`NormLIF`, which computes in their place."""
    return {
        part for layer in net.modules() if isinstance(layer, NormLIF)
        for part in layer.children()
    }  # fmt: skip


def firing_layers(net: nn.Module) -> dict[str, nn.Module]:
    """The layers that fire, by their names: each :class:`NormLIF`, and each LIF alone."""
    inside = parts_of_fused(net)
    return {
        name: module
        for name, module in net.named_modules()
        if isinstance(module, (NormLIF, LIF)) and module not in inside
    }


def spike_counts(spikes: Float[Tensor, "T N *S"]) -> Counts:
    """How many spikes there are per time-step and channel, the axis behind ``N``."""
    return count(to_elements(with_channel(spikes)))


def with_channel(x: Float[Tensor, "T N *S"]) -> Float[Tensor, "T N C *R"]:
    """The sequence itself, or with one channel where it has no axis for channels."""
    return x if x.ndim > 2 else x[..., None]


def _asked_for(spikes: Tensor, v: Tensor | None, counts: Tensor | None) -> Any:
    """Spikes, and beside them whatever else there is."""
    others = [x for x in (v, counts) if x is not None]
    return (spikes, *others) if others else spikes


def _shown(value: float | Tensor) -> str:
    """A number for ``print``, with a mark if it learns; "?" if it is on the meta device."""
    if not isinstance(value, Tensor):
        return f"{value:g}"
    learns = ", learned" if value.requires_grad else ""
    return f"{'?' if value.is_meta else format(value.item(), 'g')}{learns}"


def _is_more_than(module: nn.Module, kind: type[nn.Module]) -> bool:
    """Whether calling ``module`` does more than the ``forward`` of ``kind`` does."""
    return bool(
        type(module).forward is not kind.forward
        or "forward" in module.__dict__
        or module._forward_hooks
        or module._forward_pre_hooks
        or module._backward_hooks
        or module._backward_pre_hooks
        # hooks for all modules
        or torch_module._global_forward_hooks
        or torch_module._global_forward_pre_hooks
        or torch_module._global_backward_hooks
        or torch_module._global_backward_pre_hooks
    )


def _check_state(z: Tensor, v: Any) -> None:
    if v is None:
        return
    floats("`v`", v, "the shape of one time-step", 1)
    if v.shape != z.shape[1:] or v.device != z.device:
        raise ValueError(
            f"`v` must have the shape of one time-step of the input, {tuple(z.shape[1:])} "
            f"on {z.device}, got {tuple(v.shape)} on {v.device}."
        )


def single_steps(means: Float[Tensor, "T N K"]) -> Float[Tensor, "T N K"]:
    """The read-outs of single time-steps, from their running means (inverse of M13)."""
    count = torch.arange(1, len(means) + 1, device=means.device)[:, None, None]
    sums = means * count
    return torch.cat([sums[:1], sums[1:] - sums[:-1]])
