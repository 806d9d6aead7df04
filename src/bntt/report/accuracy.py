"""Accuracy: against the time-steps that all images, or each in its own time, ran."""

from collections.abc import Mapping, Sequence

from .drawing import Drawing, column, legend_above, line_style, whole_steps
from .figures import Curve, _lengths, _say_the_range


def accuracy_by_step(curves: Mapping[str, Curve]) -> Drawing:
    """Draw accuracy against the time-steps that were waited for.

    Args:
        curves: A mean per time-step and how far off it may be, in [0, 1], by name.

    Raises:
        ImportError: If matplotlib is not installed.
    """
    with column(2.6) as figure:
        axes = figure.add_subplot()
        for number, (name, (mean, around)) in enumerate(curves.items()):
            axes.errorbar(
                range(1, len(mean) + 1),
                [100 * share for share in mean],
                None if around is None else _lengths(mean, around),
                capsize=2,
                label=name,
                **line_style(number),
            )
        _say_the_range(axes)
        axes.set_xlabel("time-steps")
        whole_steps(axes.xaxis)
        legend_above(axes, len(curves))
    rows = [
        (name, t, 100 * share)
        for name, (mean, _) in curves.items()
        for t, share in enumerate(mean, 1)
    ]
    said = [
        f"{name} rises from {mean[0]:.1%} after one time-step to {mean[-1]:.1%} after "
        f"{len(mean)}."
        if mean[-1] > mean[0]
        else f"{name} has {mean[0]:.1%} after one time-step and {mean[-1]:.1%} after "
        f"{len(mean)}."
        for name, (mean, _) in curves.items()
    ]
    return Drawing(
        figure=figure,
        title="Accuracy against time-steps",
        alt=" ".join(["Curves of accuracy against time-steps.", *said]),
        columns=("run", "time-step", "accuracy (%)"),
        rows=tuple(rows),
    )


def accuracy_by_mean_steps(sweeps: Mapping[str, Sequence[tuple[float, float]]]) -> Drawing:
    """Draw accuracy against the mean number of time-steps, threshold by threshold.

    Args:
        sweeps: Mean time-steps and accuracy in [0, 1] at every threshold, by the name of
            the rule.

    Raises:
        ImportError: If matplotlib is not installed.
    """
    sorted_sweeps = {name: sorted(points) for name, points in sweeps.items()}
    with column(2.6) as figure:
        axes = figure.add_subplot()
        for number, (name, points) in enumerate(sorted_sweeps.items()):
            steps, shares = zip(*points, strict=True)
            axes.plot(
                steps,
                [100 * share for share in shares],
                label=name,
                markevery=max(1, len(points) // 12),
                **line_style(number),
            )
        _say_the_range(axes)
        axes.set_xlabel("mean time-steps of an image")
        legend_above(axes, len(sorted_sweeps))
    said = [
        f"By {name}, {points[0][1]:.1%} are right at {points[0][0]:.2f} steps in the mean "
        f"and {points[-1][1]:.1%} at {points[-1][0]:.2f}."
        for name, points in sorted_sweeps.items()
    ]
    return Drawing(
        figure=figure,
        title="Accuracy against mean time-steps",
        alt=" ".join(["Curves of accuracy, one point for every threshold.", *said]),
        columns=("rule", "mean time-steps", "accuracy (%)"),
        rows=tuple(
            (name, steps, 100 * share)
            for name, points in sorted_sweeps.items()
            for steps, share in points
        ),
    )


def exit_histogram(counts: Sequence[int], name: str = "") -> Drawing:
    """Draw how many images stop after each time-step.

    Args:
        counts: Images that stop after time-step 1, 2 and so on.
        name: Of the rule by which they stop.

    Raises:
        ImportError: If matplotlib is not installed.
        ValueError: If there is no image.
    """
    whole = sum(counts)
    if whole == 0:
        raise ValueError("A histogram of exits needs at least one image, got none.")
    steps = range(1, len(counts) + 1)
    shares = [100 * count / whole for count in counts]
    mean = sum(t * count for t, count in zip(steps, counts, strict=True)) / whole
    with column(2.2) as figure:
        axes = figure.add_subplot()
        style = line_style(0)["color"], line_style(1)["color"]
        axes.bar(steps, shares, color=style[0], width=0.8)
        axes.axvline(mean, color=style[1], linestyle="--", label=f"mean {mean:.2f}")
        axes.legend(loc="lower right", bbox_to_anchor=(1, 1), borderaxespad=0.2)
        axes.set_xlabel(f"time-step of the exit{f' by {name}' * bool(name)}")
        axes.set_ylabel("images (%)")
        axes.grid(visible=False, axis="x")
        whole_steps(axes.xaxis)
    most = max(steps, key=lambda t: counts[t - 1])
    return Drawing(
        figure=figure,
        title="When images stop",
        alt=f"Histogram of exits. {whole} images stop after {mean:.2f} time-steps in the "
        f"mean; most of them, {counts[most - 1]}, after {most}, and {counts[-1]} run all "
        f"{len(counts)}.",
        columns=("time-step", "images", "share (%)"),
        rows=tuple(zip(steps, counts, shares, strict=True)),
    )
