"""What a network costs: spikes over time, and joules beside those of other networks."""

from collections.abc import Mapping, Sequence

from .drawing import (
    COLOURS,
    HATCHES,
    INK,
    Drawing,
    column,
    legend_above,
    line_style,
    whole_steps,
)

UNITS = {1.0: "J", 1e-3: "mJ", 1e-6: "µJ", 1e-9: "nJ", 1e-12: "pJ"}


def spikes_by_layer(rates: Mapping[str, Sequence[float]]) -> Drawing:
    """Draw the share of a layer's neurons that fire, against the time-step.

    Args:
        rates: Spikes per neuron at every time-step, in [0, 1], by the layer's name.

    Raises:
        ImportError: If matplotlib is not installed.
    """
    with column(2.8) as figure:
        axes = figure.add_subplot()
        for number, (name, row) in enumerate(rates.items()):
            percent = [100 * rate for rate in row]
            axes.plot(range(1, len(row) + 1), percent, label=name, **line_style(number))
        axes.set_ylim(bottom=0)
        axes.set_xlabel("time-step")
        axes.set_ylabel("neurons that fire (%)")
        whole_steps(axes.xaxis)
        legend_above(axes, len(rates))
    said = [f"{name} {sum(row) / len(row):.1%}" for name, row in rates.items()]
    return Drawing(
        figure=figure,
        title="Spikes per layer over time",
        alt=f"Curves of the share of neurons that fire at each time-step, one for every "
        f"layer. In the mean over time: {', '.join(said)}.",
        columns=("layer", "time-step", "neurons that fire (%)"),
        rows=tuple(
            (name, t, 100 * rate)
            for name, row in rates.items()
            for t, rate in enumerate(row, 1)
        ),
    )


def energy_bars(bars: Mapping[str, Mapping[str, float]]) -> Drawing:
    """Draw what networks take for one image, each bar in its parts.

    Args:
        bars: Joules by part, by the name of the network.

    Raises:
        ImportError: If matplotlib is not installed.
        ValueError: If there is no bar.
    """
    if not bars:
        raise ValueError("Bars of energy need at least one network, got none.")
    totals = {name: sum(parts.values()) for name, parts in bars.items()}
    scale, unit = _unit(max(totals.values()))
    kinds = list(dict.fromkeys(kind for parts in bars.values() for kind in parts))
    with column(0.9 + 0.26 * len(bars) + 0.13 * len(kinds)) as figure:
        axes = figure.add_subplot()
        for number, kind in enumerate(kinds):
            values = [parts.get(kind, 0.0) / scale for parts in bars.values()]
            begin = [
                sum(parts.get(earlier, 0.0) for earlier in kinds[:number]) / scale
                for parts in bars.values()
            ]
            axes.barh(
                range(len(bars)),
                values,
                left=begin,
                label=kind,
                color=COLOURS[number % len(COLOURS)],
                hatch=HATCHES[number % len(HATCHES)],
                edgecolor=INK,
                linewidth=0.4,
            )
        for place, total in enumerate(totals.values()):
            axes.annotate(
                f"{total / scale:.3g}",
                (total / scale, place),
                xytext=(3, 0),
                textcoords="offset points",
                va="center",
            )
        axes.set_yticks(range(len(bars)), list(bars))
        axes.invert_yaxis()
        axes.set_xlim(0, 1.15 * max(totals.values()) / scale or 1)
        axes.set_xlabel(f"energy of an image ({unit})")
        axes.grid(visible=False, axis="y")
        figure.legend(loc="outside lower center", ncols=2)
    said = [f"{name} {total / scale:.3g} {unit}" for name, total in totals.items()]
    return Drawing(
        figure=figure,
        title="Energy of an image",
        alt=f"Bars of the energy that one image takes: {', '.join(said)}.",
        columns=("network", "part", "energy (J)"),
        rows=tuple(
            (name, kind, joules)
            for name, parts in bars.items()
            for kind, joules in parts.items()
        ),
    )


def in_joules(joules: float) -> str:
    """An energy in words, such as ``"0.896 mJ"``.

    >>> in_joules(0.000896)
    '896 µJ'
    """
    scale, unit = _unit(joules)
    return f"{joules / scale:.3g} {unit}"


def _unit(joules: float) -> tuple[float, str]:
    """The largest unit of which there is at least one, and what it is called."""
    return next(((s, u) for s, u in UNITS.items() if joules >= s), (1e-12, "pJ"))
