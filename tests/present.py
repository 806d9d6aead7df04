"""What may be missing elsewhere, and must not be here, with its type."""

from typing import TypeVar

from bntt.analysis.predict import Prediction, Unread
from bntt.layers.neuron import NormLIF
from bntt.networks.network import Network

Value = TypeVar("Value")


def present(value: Value | None) -> Value:
    """The value, which is not None."""
    assert value is not None
    return value


def layers(net: Network) -> list[NormLIF]:
    """Norm and neurons of every layer."""
    found = [layer for layer in net.layers if isinstance(layer, NormLIF)]
    assert len(found) == len(net.layers)
    return found


def answered(found: list[Prediction | Unread]) -> list[Prediction]:
    """What was predicted of files, all of which could be read."""
    predictions = [one for one in found if isinstance(one, Prediction)]
    assert len(predictions) == len(found), found
    return predictions
