"""What one operation costs, with its unit and its source."""

import json
import math
from dataclasses import dataclass, fields
from pathlib import Path
from typing import Any

from ...choices import one_of


@dataclass(frozen=True, kw_only=True)
class EnergyConstants:
    """Energy of single operations, in picojoules (1e-12 J)."""

    name: str
    source: str
    ac_pj: float
    """One addition of a 32-bit number."""
    mac_pj: float
    """One multiplication and addition of 32-bit numbers."""
    mult_pj: float
    """One multiplication of 32-bit numbers."""
    int8_mult_pj: float
    """One multiplication of 8-bit whole numbers."""
    int_add_pj: float
    """One addition of 32-bit whole numbers, as products of few bits are summed."""
    read_pj_per_byte: float
    """Reading one byte from the memory on the chip."""

    def __post_init__(self) -> None:
        for entry in fields(self):
            value = getattr(self, entry.name)
            if entry.name.endswith(("_pj", "_byte")) and not 0 < value < math.inf:
                raise ValueError(
                    f"`{entry.name}` must be a positive energy in picojoules, got {value}."
                )

    def mac_of_bits(self, bits: int) -> float:
        """A multiply-accumulate of ``bits``-bit whole numbers, in picojoules.

        A multiplier's energy grows with the product of its operands' widths, so what 8 bits
        take is scaled by the square; the sum stays 32 bits wide.
        """
        return self.int8_mult_pj * (bits / 8) ** 2 + self.int_add_pj


KNOWN = {
    constants.name: constants
    for constants in (
        EnergyConstants(
            name="45nm",
            source="Horowitz, ISSCC 2014: 45 nm, 0.9 V; 32-bit floating point",
            ac_pj=0.9,
            mac_pj=4.6,
            mult_pj=3.7,
            int8_mult_pj=0.2,
            int_add_pj=0.1,
            read_pj_per_byte=1.25,
        ),
        EnergyConstants(
            name="45nm-int",
            source="Horowitz, ISSCC 2014: 45 nm, 0.9 V; 32-bit whole numbers",
            ac_pj=0.1,
            mac_pj=3.2,
            mult_pj=3.1,
            int8_mult_pj=0.2,
            int_add_pj=0.1,
            read_pj_per_byte=1.25,
        ),
    )
}


def constants_of(name: str) -> EnergyConstants:
    """Constants by name, or from a JSON file of the user's own.

    A file holds an object with the fields of :class:`EnergyConstants`; the unit is part of
    their names.

    Raises:
        ValueError: If there are none of that name, or the file holds anything else.
        FileNotFoundError: If there is no such file.
    """
    if not name.endswith(".json"):
        one_of("energy constants", name, KNOWN, ", or a .json file of your own")
        return KNOWN[name]
    return _from_file(Path(name))


def _from_file(path: Path) -> EnergyConstants:
    try:
        values: Any = json.loads(path.read_text(encoding="utf-8"))
    except (ValueError, RecursionError) as error:
        raise ValueError(f"{path} is not JSON: {error}.") from error
    expected = {entry.name: entry.type for entry in fields(EnergyConstants)}
    if not isinstance(values, dict) or set(values) != set(expected):
        given = sorted(values) if isinstance(values, dict) else type(values).__name__
        raise ValueError(
            f"{path} must hold one object with {', '.join(expected)} (energies in "
            f"picojoules, as their names say), got {given}."
        )
    for key, value in values.items():
        if expected[key] is str and not isinstance(value, str):
            raise ValueError(f"`{key}` in {path} must be text, got {value!r}.")
        number = isinstance(value, (int, float)) and not isinstance(value, bool)
        if expected[key] is float and not number:
            raise ValueError(f"`{key}` in {path} must be a number, got {value!r}.")
    return EnergyConstants(**values)
