"""Curves that can be read without colours, and that say where their axis begins."""

import re

import pytest

from bntt.report import accuracy_over_time

plt = pytest.importorskip("matplotlib", reason="matplotlib is not installed")


def test_draws_every_curve_with_its_name_and_last_value(tmp_path):
    path = tmp_path / "curve.svg"
    plt.rcParams["svg.fonttype"] = "none"  # text stays text, so that it can be read back
    curves = {"direct": ([0.5, 0.9125], [0.0, 0.0]), "Poisson": ([0.4, 0.8], [0.01, 0.02])}
    accuracy_over_time(curves, path, "digits")
    drawn = path.read_text()
    for text in ("direct", "Poisson", "91.2", "80.0", "time-steps", "accuracy (%)"):
        assert text in drawn, text


def test_a_format_that_cannot_be_drawn_is_refused(tmp_path):
    with pytest.raises(ValueError, match="not supported"):
        accuracy_over_time({"a": ([0.5], [0.0])}, tmp_path / "curve.abc", "digits")


@pytest.fixture
def drawn(tmp_path):
    """Draw and return all words in the picture."""
    plt.rcParams["svg.fonttype"] = "none"

    def draw(curves, title="digits", **more):
        accuracy_over_time(curves, tmp_path / "curve.svg", title, **more)
        text = (tmp_path / "curve.svg").read_text(encoding="utf-8")
        return re.findall(r">([^<>]+)</text>", text), text

    return draw


def test_a_cut_axis_says_its_range(drawn):
    words, _ = drawn({"a": ([0.9, 0.95], None)})
    (label,) = [word for word in words if word.startswith("accuracy")]
    low, high = map(float, re.findall(r"[\d.]+", label.partition("from")[2]))
    assert 85 < low < 90
    assert 95 < high < 97
    words, _ = drawn({"a": ([0.0, 1.0], None)})
    assert "accuracy (%)" in words


def test_bars_are_named_and_drawn_where_something_is_known(drawn):
    interval = [(0.3, 0.55), (0.85, 0.95)]
    words, with_bars = drawn({"a": ([0.5, 0.9], interval)}, bars="bars: an interval")
    assert "bars: an interval" in words
    _, without = drawn({"a": ([0.5, 0.9], None)})
    assert with_bars.count("LineCollection") > without.count("LineCollection") == 0


def test_curves_differ_without_their_colours(drawn):
    def shapes(count):
        _, text = drawn({f"{k}": ([0.5, 0.1 * k], None) for k in range(count)})
        return len(set(re.findall(r'<path id="m[0-9a-f]+" d="([^"]+)"', text)))

    assert shapes(3) == shapes(1) + 2


def test_any_name_is_a_name(drawn):
    words, _ = drawn({r"$\frac{$": ([0.5], None)}, r"$\x", bars="$y")
    assert {r"$\frac{$", r"$\x", "$y"} <= set(words)


def test_numbers_lie_inside_and_apart(tmp_path):
    from matplotlib.figure import Figure

    from bntt.report.figures import _write_the_last

    figure = Figure((6.4, 4.0))
    axes = figure.add_subplot()
    axes.set_ylim(90, 100)
    _write_the_last(axes, [[0.9, 0.991], [0.9, 0.9905], [0.9, 0.95]])
    figure.canvas.draw()
    boxes = [text.get_window_extent() for text in axes.texts]
    inside = axes.get_window_extent()
    for k, box in enumerate(boxes):
        assert inside.x0 <= box.x0
        assert box.x1 <= inside.x1
        assert not any(box.overlaps(other) for other in boxes[:k])
    assert [text.get_text() for text in axes.texts] == ["95.0", "99.1", "99.1"]
