"""What all autograd functions of the package have in common."""

import inspect
from typing import Any

import torch


class Function(torch.autograd.Function):
    """An autograd function that ``torch.func`` and ``torch.vmap`` can see through.

    ``forward`` takes all of its arguments by position and has no defaults. Therefore
    ``apply`` need not look up its signature at every call, nor bind the arguments to it,
    which takes longer than the computation of a small layer.
    """

    generate_vmap_rule = True

    def __init_subclass__(cls, **options: Any) -> None:
        super().__init_subclass__(**options)
        parameters = list(inspect.signature(cls.forward).parameters.values())
        cls.forward.__signature__ = PositionalSignature(parameters)  # pyright: ignore[reportFunctionMemberAccess]


class PositionalSignature(inspect.Signature):
    """A signature to which arguments are bound as they come.

    It still lists its parameters, because ``torch.compile`` counts them.
    """

    def bind(self, *args: Any) -> Any:
        """The arguments, in the form in which ``inspect`` returns bound ones."""
        return _Bound(args)


class _Bound:
    def __init__(self, args: tuple[Any, ...]) -> None:
        self.args = args
        self.kwargs: dict[str, Any] = {}

    def apply_defaults(self) -> None:
        """Do nothing: there are no defaults."""
