"""A network step by step: its state is in the open, and there is nothing to reset."""

from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any, no_type_check

import torch
from jaxtyping import Bool, Float
from torch import Tensor, nn

from ..layers.neuron import LIF, NormLIF, parts_of_fused
from ..layers.norms import TemporalNorm
from ..ops.arguments import said
from ..ops.reference import accumulator
from .network import Network
from .sequence import Delayed

Call = tuple[nn.Module, int]
"""A module, and which of its calls in one pass: a layer used twice has two states."""


class Stream:
    r"""The state of a network between two time-steps of a batch.

    After every step the answer is the running mean of the read-outs so far (M13), so
    whoever is content with it may stop. Cutting a sequence in any way gives what one call
    on all of it gives: bit for bit where the arithmetic is exact, and elsewhere up to the
    rounding of convolutions, which depends on how many time-steps share a call.

    Any network built of this package's layers can be streamed, one of your own too, as
    long as only they connect one time-step with the next: norms (which know the
    time-step), neurons (membranes) and delays (earlier inputs). Several streams of one
    network may live side by side. Made by :func:`stream`.
    """

    def __init__(
        self, net: Network, source: Iterator[Tensor] | None, size: int | None
    ) -> None:
        self.net, self._source = net, source
        self.time = 0
        """Time-steps done."""
        self._size = size
        self._sums: Tensor | None = None
        self._membranes: dict[Call, Tensor] = {}
        self._earlier: dict[Call, Tensor] = {}
        self._repeated = 0  # time-steps that a delayed layer is shown again
        self._left: Tensor | None = None
        """Which of the images are still running, where some have left."""

    @property
    def size(self) -> int | None:
        """How many samples are running; None before the first step says so."""
        return self._size

    @property
    def membranes(self) -> dict[str, Tensor]:
        """The membrane potentials ``[N, C, *S]`` after the last step, by the layer's name.

        A layer that a step calls several times appears as ``name``, ``name:1`` and so on.
        """
        names = {module: name for name, module in self.net.named_modules()}
        return {
            names[module] + (f":{call}" if call else ""): v
            for (module, call), v in self._membranes.items()
        }

    @no_type_check
    def step(self, spikes: Tensor | None = None) -> Float[Tensor, "N K"]:
        """Run one time-step and answer.

        Args:
            spikes: Input of this time-step, ``[N, *step_shape]``; left out where the stream
                was given images, which it codes by itself.

        Returns:
            The running mean of the read-outs: what the network says after this time-step.

        Raises:
            ValueError: If the input does not fit the network, or the batch that began; if
                the network has no statistics of so late a time-step; if it is in training
                mode; or if no sample is left.
        """
        if spikes is None:
            spikes = self._coded()
        elif self._source is not None:
            raise ValueError(
                "This stream codes the images that it was given, so step() takes no input. "
                "To feed spikes of your own, make it without images: bntt.stream(net)."
            )
        return self.steps(self._checked(spikes)[None])[0]

    @no_type_check
    def steps(self, spikes: Float[Tensor, "T N *S"]) -> Float[Tensor, "T N K"]:
        """Run several time-steps in one pass, and answer after each of them.

        Args:
            spikes: Input, time first.

        Raises:
            ValueError: As :meth:`step`.
        """
        self._check_batch(spikes)
        with self._carrying():
            readouts = self.net.read(spikes, 0)
        # as wide as one call's cumulative sum computes; Apple's devices have no float64
        on_apple = readouts.device.type == "mps"
        wide = readouts.to(torch.float32 if on_apple else torch.float64)
        if self._sums is None:
            sums = wide.cumsum(0)
        else:  # one addition after the other, as one call on the whole sequence makes them
            sums = torch.cat([self._sums[None], wide]).cumsum(0)[1:]
        self._sums, self._size = sums[-1], spikes.shape[1]
        last = self.time + len(spikes)
        count = torch.arange(self.time + 1, last + 1, device=sums.device)
        self.time = last
        return sums.to(accumulator(readouts.dtype)) / count[:, None, None]

    @no_type_check
    def keep(self, mask: Bool[Tensor, " N"]) -> None:
        """Go on with some samples only; what the others left is dropped from every layer.

        Args:
            mask: Which of the running samples stay.

        Raises:
            TypeError: If it is no tensor of truth values.
            ValueError: If it does not have one for every running sample.
        """
        if not isinstance(mask, Tensor) or mask.dtype != torch.bool:
            raise TypeError(
                f"`mask` must be a tensor of truth values, one for each running sample, "
                f"got {said(mask)}."
            )
        if self._size is None or tuple(mask.shape) != (self._size,):
            raise ValueError(
                f"`mask` must have one truth value for each running sample, got shape "
                f"{tuple(mask.shape)} for "
                f"{'none yet' if self._size is None else self._size}."
            )
        (rows,) = mask.nonzero(as_tuple=True)
        for call, v in self._membranes.items():
            # the channel stays fastest in memory, as the operators read it
            self._membranes[call] = _selected(v.movedim(1, -1), 0, rows).movedim(-1, 1)
        for call, x in self._earlier.items():
            self._earlier[call] = _selected(x, 1, rows)
        if self._sums is not None:
            self._sums = _selected(self._sums, 0, rows)
        if self._source is not None:
            self._left = rows if self._left is None else self._left[rows]
        self._size = len(rows)

    def _coded(self) -> Tensor:
        """The next time-step of the images, of those samples that are left.

        Random numbers are drawn for all of them, so that no answer depends on who has left.
        """
        if self._source is None:
            raise ValueError(
                "step() needs the input of this time-step, unless the stream was given "
                "images: bntt.stream(net, images)."
            )
        coded = next(self._source, None)
        if coded is None:
            raise ValueError(
                f"The images were coded for {self.time} time-steps, which are over. Ask "
                f"for more with bntt.stream(net, images, num_steps=...)."
            )
        return coded if self._left is None else _selected(coded, 0, self._left)

    def _checked(self, spikes: Any) -> Tensor:
        """The input of one time-step, whose shape is looked at as one."""
        shape = self.net.step_shape
        if not isinstance(spikes, Tensor) or tuple(spikes.shape[1:]) != shape:
            given = tuple(spikes.shape) if isinstance(spikes, Tensor) else said(spikes)
            raise ValueError(
                f"One time-step of {self.net.arch} is {('N', *shape)}, got {given}. "
                f"Several at once go to steps(), time first."
            )
        return spikes

    def _check_batch(self, spikes: Tensor) -> None:
        if not self.net.is_coded(spikes):
            raise ValueError(
                f"steps() takes the input of time-steps, ('T', 'N', ...), got images of "
                f"shape {tuple(spikes.shape)}. Images are given to bntt.stream."
            )
        if any(module.training for module in self._layers(TemporalNorm)):
            raise ValueError(
                "A stream answers by what was learned, but the network is in training "
                "mode, where it would learn from every step. Call net.eval() first."
            )
        if self._size is not None and spikes.shape[1] != self._size:
            raise ValueError(
                f"{self._size} samples are running, but the input is of {spikes.shape[1]}. "
                f"Samples leave with keep(mask); new ones begin a stream of their own."
            )
        if spikes.shape[1] == 0:
            raise ValueError("No sample is left to run.")

    @contextmanager
    def _carrying(self) -> Iterator[None]:
        """Let every layer begin where it stopped, for one pass of the network.

        Hooks do it, so that a network of the user's own need not hand state through.
        """
        calls: Counter[nn.Module] = Counter()
        inside = parts_of_fused(self.net)
        hooks = []
        try:
            for kind, before, after in (
                (NormLIF, self._with_membrane_and_time, self._without_membrane),
                (LIF, self._with_membrane, self._without_membrane),
                (TemporalNorm, self._with_time, None),
                (Delayed, self._with_earlier, self._without_earlier),
            ):
                for module in self._layers(kind):
                    if module in inside:
                        continue
                    _refuse_compiled(module)
                    hooks.append(
                        module.register_forward_pre_hook(
                            _counted(before, calls), with_kwargs=True
                        )
                    )
                    if after is not None:
                        hook = _with_count(after, calls)
                        hooks.append(module.register_forward_hook(hook, prepend=True))
            yield
        finally:
            for hook in hooks:
                hook.remove()

    def _layers(self, kind: type[nn.Module]) -> list[nn.Module]:
        return [module for module in self.net.modules() if isinstance(module, kind)]

    def _with_membrane_and_time(self, call: Call, args: tuple, kwargs: dict) -> tuple:
        return self._with_time(call, *self._with_membrane(call, args, kwargs))

    def _with_membrane(self, call: Call, args: tuple, kwargs: dict) -> tuple:
        if len(args) > 1 or kwargs.get("v") is not None or kwargs.get("return_state"):
            raise ValueError(
                f"{type(self.net).__name__} hands a membrane to its "
                f"{type(call[0]).__name__} by itself, so a stream cannot carry it. Call "
                f"that layer with its input only."
            )
        return args, {**kwargs, "v": self._membranes.get(call), "return_state": True}

    def _with_time(self, call: Call, args: tuple, kwargs: dict) -> tuple:
        return args[:1], {**kwargs, "start": self.time}

    def _without_membrane(self, call: Call, output: tuple[Tensor, Tensor]) -> Tensor:
        spikes, self._membranes[call] = output
        return spikes

    def _with_earlier(self, call: Call, args: tuple, kwargs: dict) -> tuple:
        x = args[0]
        reach = (call[0].taps - 1) * call[0].every  # pyright: ignore
        earlier = self._earlier.get(call)
        earlier = x[:0] if earlier is None else earlier
        whole = torch.cat([earlier, x])
        self._earlier[call] = whole[max(0, len(whole) - reach) :]
        self._repeated = len(earlier)
        return (whole,), kwargs

    def _without_earlier(self, call: Call, output: Tensor) -> Tensor:
        return output[self._repeated :]


@no_type_check  # anything may come, and the first lines say what is wrong with it
def stream(
    net: Network,
    images: Float[Tensor, "N C H W"] | None = None,
    *,
    num_steps: int | None = None,
    generator: torch.Generator | None = None,
) -> Stream:
    """Run a network one time-step after the other.

    Args:
        net: In evaluation mode.
        images: Normalised images (:meth:`Network.normalize`) that the network's own encoder
            codes, step by step, with the random numbers that ``net(images)`` would draw. If
            omitted, every :meth:`Stream.step` takes its input.
        num_steps: For how many time-steps the images are coded; all that the network was
            trained for if omitted.
        generator: Of the encoder's random numbers, on the images' device.

    Raises:
        TypeError: If ``net`` is no :class:`Network`.
        ValueError: If the images do not fit the network.

    Example:
        >>> from bntt import vgg5
        >>> net = vgg5(num_classes=10, num_steps=4, leak=0.9, image_size=8).eval()
        >>> run = stream(net, torch.randn(6, 3, 8, 8))
        >>> logits = run.step()
        >>> run.keep(logits.softmax(-1).amax(-1) < 0.9)  # the others are sure enough
        >>> run.step().shape[1]
        10
    """
    if not isinstance(net, Network):
        raise TypeError(
            f"A stream is of a bntt.Network, got a {type(net).__name__}. If that wraps one "
            f"(DistributedDataParallel: .module, torch.compile: ._orig_mod), give what is "
            f"inside."
        )
    if images is None:
        return Stream(net, None, None)
    net.check_steps(num_steps)
    if net.is_coded(images):
        raise ValueError(
            f"bntt.stream takes images, {('N', *net.image_shape)}, got the input of "
            f"time-steps of shape {tuple(images.shape)}. Feed it with step() or steps()."
        )
    coded = net.encoder.steps(images, num_steps or net.num_steps, generator)
    return Stream(net, coded, len(images))


def _counted(before: Callable[..., tuple], calls: Counter[nn.Module]) -> Callable[..., Any]:
    """A hook that knows which call of its module this is."""

    def hook(module: nn.Module, args: tuple, kwargs: dict) -> tuple:
        calls[module] += 1
        return before((module, calls[module] - 1), args, kwargs)

    return hook


def _with_count(after: Callable[..., Any], calls: Counter[nn.Module]) -> Callable[..., Any]:
    def hook(module: nn.Module, args: tuple, output: Any) -> Any:
        return after((module, calls[module] - 1), output)

    return hook


def _refuse_compiled(module: nn.Module) -> None:
    if module._compiled_call_impl is not None:
        raise ValueError(
            f"A {type(module).__name__} of this network was compiled by itself, and "
            f"compiled code does not see the state that a stream carries. Stream the "
            f"network as it was before."
        )


def _selected(state: Tensor, axis: int, rows: Tensor) -> Tensor:
    """Some samples of a state, whose axis of samples is ``axis``."""
    return state.index_select(axis, rows.to(state.device))
