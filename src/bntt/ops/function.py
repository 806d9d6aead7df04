"""What all of the package's own autograd functions have in common."""

import inspect
from typing import Any

import torch

ANY = inspect.Signature([inspect.Parameter("all", inspect.Parameter.VAR_POSITIONAL)])


class Function(torch.autograd.Function):
    """A function that ``torch.func`` and ``torch.vmap`` can see through.

    ``apply`` binds its arguments to the signature of ``forward``, to fill in defaults. To
    look that up at every call takes longer than what a small layer computes, so ``forward``
    says that it takes anything: it has no defaults, and gets all by position.
    """

    generate_vmap_rule = True

    def __init_subclass__(cls, **options: Any) -> None:
        super().__init_subclass__(**options)
        cls.forward.__signature__ = ANY  # pyright: ignore[reportFunctionMemberAccess]
