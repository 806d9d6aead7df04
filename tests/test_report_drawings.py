"""Figures of a column's width: their numbers, their words, and that they can be read."""

import csv
import io
import re
import xml.etree.ElementTree as ElementTree

import pytest

from bntt.report.accuracy import accuracy_by_mean_steps, accuracy_by_step, exit_histogram
from bntt.report.costs import energy_bars, in_joules, spikes_by_layer
from bntt.report.drawing import COLOURS, INK, WIDTH
from bntt.report.gains import gain_heatmap, gain_histograms
from bntt.report.raster import Raster, Trace, spike_raster
from bntt.report.training import POINTS, training_curves

pytest.importorskip("matplotlib", reason="matplotlib is not installed")

# VGG9 on CIFAR-10, batch 128, as re-measured at TU Delft (docs/method.md, M23)
PUBLISHED = {
    "conv 1": [0.23, 0.22, 0.21, 0.2, 0.18, 0.16, 0.13, 0.1, 0.08, 0.06, 0.05, 0.03],
    "conv 7": [-0.0, 0.03, 0.1, 0.73, 0.73, 0.46, 0.22, 0.09, 0.01, -0.03, -0.03, -0.0],
    "hidden": [0.01, 0.02, 0.04, 0.37, 0.4, 0.37, 0.34, 0.32, 0.28, 0.22, 0.15, 0.1],
}
LAYERS = [f"layers.{k}" for k in range(8)]
LOG = [
    *({"step": s, "loss": 3 / s, "lr": 0.1} for s in range(1, 1001)),
    {"step": 500, "train_accuracy": 0.5, "validation_accuracy": [0.2, 0.4]},
    {"step": 1000, "train_accuracy": 0.7, "validation_accuracy": [0.5, 0.6]},
]
TRACES = [Trace("layers.0", [0.5, 0.2, 0.9], 1.0, [2])]
DRAWINGS = {
    "steps": lambda: accuracy_by_step(
        {r"$\a": ([0.5, 0.9125], [0.0, 0.01]), "b": ([0.4], None)}
    ),
    "sweep": lambda: accuracy_by_mean_steps({"gap": [(3.0, 0.9), (1.0, 0.5)]}),
    "exits": lambda: exit_histogram([10, 60, 30], "confidence"),
    "heat": lambda: gain_heatmap(PUBLISHED, 0.1, 12),
    "gains": lambda: gain_histograms({name: [[0.1, 0.5]] * 25 for name in LAYERS}),
    "spikes": lambda: spikes_by_layer({name: [0.1, 0.25] for name in LAYERS}),
    "energy": lambda: energy_bars(
        {"this network": {"accumulates": 2e-4, "norms": 1e-4}, "ANN": {"all": 9e-4}}
    ),
    "training": lambda: training_curves(LOG),
    "raster": lambda: spike_raster(
        Raster("A seven.", 3, {name: [[1, 3], []] for name in LAYERS}, TRACES)
    ),
}


@pytest.fixture(params=DRAWINGS)
def drawing(request):
    return DRAWINGS[request.param]()


def test_its_numbers_are_a_table_of_named_columns(drawing):
    head, *rows = csv.reader(io.StringIO(drawing.csv()))
    assert tuple(head) == drawing.columns
    assert len(rows) == len(drawing.rows) > 0
    assert {len(row) for row in rows} == {len(head)}


def test_it_is_as_wide_as_a_column_and_everything_lies_inside(drawing):
    from matplotlib.text import Text

    figure = drawing.figure
    figure.draw_without_rendering()  # lays it out
    drawn = figure.get_tightbbox()
    assert figure.get_figwidth() == WIDTH
    assert drawn.x0 > -0.01
    assert drawn.y0 > -0.01
    assert drawn.x1 < WIDTH + 0.01
    assert drawn.y1 < figure.get_figheight() + 0.01
    sizes = [text.get_fontsize() for text in figure.findobj(Text) if text.get_text()]
    assert min(sizes) >= 7, "points, at a column's width"


def test_on_a_page_it_says_what_it_shows_and_takes_the_pages_colour(drawing):
    svg = drawing.svg("one")
    root = ElementTree.fromstring(svg)
    assert root.get("role") == "img"
    assert root.get("aria-label") == drawing.alt
    assert root.get("width") is None, "it is as wide as its place"
    assert root.get("viewBox")
    assert INK not in svg
    assert "currentColor" in svg


def test_names_inside_a_picture_are_its_own_and_lead_somewhere(drawing):
    svg = drawing.svg("one")
    names = re.findall(r' id="([^"]+)"', svg)
    assert len(names) == len(set(names)) > 0
    assert all(name.startswith("one-") for name in names)
    led_to = set(re.findall(r'url\(#([^)]+)\)|href="#([^"]+)"', svg))
    assert {one or other for one, other in led_to} <= set(names)


def test_the_same_numbers_give_the_same_bytes():
    one, other = DRAWINGS["energy"](), DRAWINGS["energy"]()
    assert one.svg("a") == other.svg("a")
    assert COLOURS[0].lower() in one.svg("a"), "colours are not taken for names"


def test_it_is_saved_as_a_picture_or_as_its_numbers(drawing, tmp_path):
    drawing.save(tmp_path / "figure.png")
    assert (tmp_path / "figure.png").read_bytes().startswith(b"\x89PNG")
    drawing.save(tmp_path / "figure.csv")
    assert (tmp_path / "figure.csv").read_text(encoding="utf-8") == drawing.csv()
    with pytest.raises(ValueError, match="not supported"):
        drawing.save(tmp_path / "figure.abc")


def test_the_exit_is_drawn_behind_the_last_step_that_is_kept():
    drawing = DRAWINGS["heat"]()
    (line,) = drawing.figure.axes[0].lines
    assert set(line.get_xdata()) == {12.5}
    assert "12 steps are kept" in drawing.alt
    assert "conv 7 peaks at step 4 with 0.73" in drawing.alt
    assert ("hidden", 12, 0.1) in drawing.rows


def test_a_histogram_of_exits_says_its_mean():
    drawing = DRAWINGS["exits"]()
    assert "2.20 time-steps in the mean" in drawing.alt
    assert drawing.rows[1] == (2, 60, 60.0)
    with pytest.raises(ValueError, match="at least one image"):
        exit_histogram([0, 0])


def test_histograms_of_gains_add_up():
    rows = DRAWINGS["gains"]().rows
    assert {name for name, *_ in rows} == {"layers.0", "layers.4", "layers.7"}
    shares = [share for name, t, *_, share in rows if (name, t) == ("layers.4", 25)]
    assert sum(shares) == pytest.approx(100)


def test_bars_are_in_one_unit_and_end_at_their_sum():
    drawing = DRAWINGS["energy"]()
    axes = drawing.figure.axes[0]
    assert axes.get_xlabel() == "energy of an image (µJ)"
    assert [text.get_text() for text in axes.texts] == ["300", "900"]
    assert max(patch.get_x() + patch.get_width() for patch in axes.patches) == 900
    assert [in_joules(j) for j in (2.5e-3, 4.92e-7, 3e-13)] == [
        "2.5 mJ",
        "492 nJ",
        "0.3 pJ",
    ]


def test_a_long_log_is_averaged_and_keeps_its_accuracies():
    drawing = DRAWINGS["training"]()
    losses = [value for kind, _, value in drawing.rows if kind == "loss"]
    assert len(losses) == POINTS
    assert losses[0] == pytest.approx(sum(3 / s for s in range(1, 6)) / 5)
    assert ("validation, last step accuracy (%)", 1000, 60.0) in drawing.rows
    with pytest.raises(ValueError, match="log with losses"):
        training_curves([{"step": 1, "loss": None}])


def test_a_raster_has_a_mark_for_every_spike():
    drawing = DRAWINGS["raster"]()
    marks = sum(len(c.get_positions()) for c in drawing.figure.axes[0].collections)
    assert marks == 2 * len(LAYERS)
    assert drawing.alt.startswith("A seven.")
    assert drawing.rows[0] == ("layers.0", 0, "1 3")
