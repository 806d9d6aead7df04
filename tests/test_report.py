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
