"""The learned gains of BNTT over time, which say when a network may stop (M23)."""

from collections.abc import Mapping, Sequence

from .drawing import COLOURS, Drawing, column, evenly, whole_steps

BINS = 24


def gain_heatmap(
    gains: Mapping[str, Sequence[float]], threshold: float, steps_kept: int
) -> Drawing:
    """Draw the mean gain of every layer at every time-step, and where the exit lies.

    Args:
        gains: One mean per time-step, by the layer's name, from the input on.
        threshold: What a mean must reach for its time-step to be kept.
        steps_kept: Time-steps that are run.

    Raises:
        ImportError: If matplotlib is not installed.
        ValueError: If there is no layer.
    """
    if not gains:
        raise ValueError("A heat map of gains needs at least one layer, got none.")
    names, table = list(gains), list(gains.values())
    steps = len(table[0])
    with column(0.9 + 0.19 * len(names)) as figure:
        axes = figure.add_subplot()
        lowest = min(0.0, *(value for row in table for value in row))
        cells = axes.imshow(
            table,
            cmap="cividis",
            aspect="auto",
            vmin=lowest,
            interpolation="nearest",
            extent=(0.5, steps + 0.5, len(names) - 0.5, -0.5),
        )
        axes.grid(visible=False)
        axes.set_yticks(range(len(names)), names)
        axes.set_xlabel("time-step")
        whole_steps(axes.xaxis)
        axes.axvline(steps_kept + 0.5, color=COLOURS[1], linewidth=2.2, linestyle="--")
        axes.set_title(f"exit after step {steps_kept} of {steps} (dashed)", loc="left")
        bar = figure.colorbar(cells, ax=axes, label="mean gain", pad=0.02)
        if lowest <= threshold <= cells.norm.vmax:
            bar.ax.axhline(threshold, color=COLOURS[1], linewidth=2)
    peaks = [
        f"{name} peaks at step {row.index(max(row)) + 1} with {max(row):.2f} and ends at "
        f"{row[-1]:.2f}."
        for name, row in zip(names, map(list, table), strict=True)
    ]
    return Drawing(
        figure=figure,
        title="Mean gains, and the exit that they allow",
        alt=f"Heat map of mean gains, layers down and {steps} time-steps across. At the "
        f"threshold of {threshold:g}, {steps_kept} steps are kept. {' '.join(peaks)}",
        columns=("layer", "time-step", "mean gain"),
        rows=tuple(
            (name, t, value)
            for name, row in gains.items()
            for t, value in enumerate(row, 1)
        ),
    )


def gain_histograms(gains: Mapping[str, Sequence[Sequence[float]]]) -> Drawing:
    """Draw how gains are distributed over channels, for three layers and five steps.

    The first, the middle and the last layer are drawn, at evenly spread time-steps.

    Args:
        gains: Gains ``[T][C]`` by the layer's name.

    Raises:
        ImportError: If matplotlib is not installed.
        ValueError: If there is no layer.
    """
    if not gains:
        raise ValueError("Histograms of gains need at least one layer, got none.")
    names = [list(gains)[k] for k in evenly(list(gains), 3)]
    steps = evenly(gains[names[0]], 5)
    shown = [value for name in names for t in steps for value in gains[name][t]]
    edges = _edges(min(0.0, *shown), max(shown))
    rows = []
    with column(0.6 + 0.75 * len(names)) as figure:
        grid = figure.subplots(len(names), len(steps), sharex=True, squeeze=False)
        for row, name in zip(grid, names, strict=True):
            for axes, t in zip(row, steps, strict=True):
                values = gains[name][t]
                shares, _, _ = axes.hist(
                    values,
                    edges,
                    weights=[100 / len(values)] * len(values),
                    color=COLOURS[0],
                )
                axes.grid(visible=False)
                axes.set_yticks([])
                axes.spines["left"].set_visible(False)
                rows += [
                    (name, t + 1, low, high, float(share))
                    for low, high, share in zip(edges, edges[1:], shares, strict=False)
                ]
            row[0].set_ylabel(name)
        for axes, t in zip(grid[0], steps, strict=True):
            axes.set_title(f"step {t + 1}")
        figure.supxlabel("gain", fontsize=8)
    means = [f"{name} {_means(gains[name], steps)}." for name in names]
    return Drawing(
        figure=figure,
        title="Distribution of gains over channels",
        alt=f"Histograms of gains, layers down and time-steps across, each with a scale of "
        f"its own for the share of channels. Means: {' '.join(means)}",
        columns=("layer", "time-step", "from", "to", "channels (%)"),
        rows=tuple(rows),
    )


def _edges(low: float, high: float) -> list[float]:
    width = (high - low) or 1.0
    return [low + width * k / BINS for k in range(BINS + 1)]


def _means(gains: Sequence[Sequence[float]], steps: Sequence[int]) -> str:
    """The mean gain at some time-steps, in words."""
    means = {t: sum(gains[t]) / len(gains[t]) for t in steps}
    return ", ".join(f"{mean:.2f} at step {t + 1}" for t, mean in means.items())
