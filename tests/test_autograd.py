"""Functions with a gradient of their own cost no look-up of signatures, and keep it."""

import inspect

import pytest
import torch
from present import present

from bntt.layers import encode, pool
from bntt.ops import autograd, surrogate
from bntt.ops.function import Function, PositionalSignature

OURS = [
    *(encode._Fire, pool._AveragePool, surrogate._Fire),
    *(autograd.Moments, autograd.AffineLIF, autograd._Once),
]


@pytest.mark.parametrize("function", OURS, ids=lambda f: f.__qualname__)
def test_signatures_are_not_looked_up_at_every_call(function):
    assert issubclass(function, Function)
    signature = inspect.signature(function.forward)
    assert isinstance(signature, PositionalSignature), "apply would bind one by one"
    for parameter in signature.parameters.values():  # which binding does not look at
        assert parameter.default is parameter.empty
        assert parameter.kind in (parameter.POSITIONAL_OR_KEYWORD, parameter.VAR_POSITIONAL)


def test_functions_go_through_every_transform():
    class Square(Function):
        @staticmethod
        def forward(x, factor):
            return factor * x * x

        @staticmethod
        def setup_context(ctx, inputs, output):
            x, ctx.factor = inputs
            ctx.save_for_backward(x)

        @staticmethod
        def backward(ctx, grad):
            (x,) = ctx.saved_tensors
            return 2 * ctx.factor * x * grad, None

    def value(x):
        return Square.apply(x, 3.0).sum()

    x = torch.tensor([1.0, -2.0])
    expected = torch.tensor([6.0, -12.0])
    assert torch.equal(torch.func.grad(value)(x), expected)
    rows = torch.stack([x, 2 * x])
    grads = torch.func.vmap(torch.func.grad(value))(rows)
    assert torch.equal(grads, torch.stack([expected, 2 * expected]))
    compiled = torch.compile(value, backend="eager", fullgraph=True)
    leaf = x.clone().requires_grad_()
    compiled(leaf).backward()
    assert torch.equal(present(leaf.grad), expected)
