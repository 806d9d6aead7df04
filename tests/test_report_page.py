"""The page: whole in one file, said in words, and taken from what a run left."""

import html
import json
import re
import shutil
import subprocess
from html.parser import HTMLParser
from pathlib import Path

import pytest
import torch

import bntt
from bntt.analysis.early_exit import mean_gains
from bntt.analysis.raster import NEURONS, raster_of
from bntt.analysis.run_facts import facts_of, gains_of
from bntt.commands.main import main
from bntt.networks.vgg import PLANS, Plan
from bntt.report.page import page
from bntt.report.run_facts import RunFacts
from bntt.runs.folder import RunFolder

pytest.importorskip("matplotlib", reason="matplotlib is not installed")
pytest.importorskip("jinja2", reason="Jinja2 is not installed")
from command import refusal  # noqa: E402, F401 - a fixture

OLD = Path(__file__).parent / "old_files"
DATA = OLD / "run_data" / "data.npz"
EXIT = {
    "exit": {
        "rule": "confidence",
        "threshold": 0.9,
        "mean_steps": 1.5,
        "accuracy": 0.875,
        "full_accuracy": 1.0,
        "seconds": 1.0,
        "full_seconds": 2.0,
    },
    "exit_steps": [5, 2, 1],
    "curve": [
        {"mean_steps": 1.0, "accuracy": 0.5},
        {"mean_steps": 3.0, "accuracy": 1.0},
    ],
    "held_out": "the 8 images that the run held out of training",
}


@pytest.fixture(scope="module")
def complete(tmp_path_factory):
    """A finished run with everything in its folder that commands write there."""
    folder = tmp_path_factory.mktemp("report")
    with pytest.MonkeyPatch.context() as patch:
        patch.setitem(PLANS, "vgg5", Plan("8 A 8 8 A", hidden=16))
        patch.setenv("BNTT_DATA", str(folder / "cache"))
        path = shutil.copytree(OLD / "run", folder / "a <b>run")
        RunFolder(path).update(status="finished", segments=[])
        net = bntt.load(path)
        pixels = torch.randint(0, 256, (2, *net.image_shape), dtype=torch.uint8)
        cost = bntt.energy(net, pixels).to_dict()
        (path / "energy.json").write_text(json.dumps(cost))
        credited = {**cost, "exit": {"rule": "confidence"}}
        (path / "energy-2.json").write_text(json.dumps(credited))
        (path / "exit.json").write_text(json.dumps(EXIT))
        assert main(["report", str(path), "--data", str(DATA)]) == 0
        yield path


@pytest.fixture(scope="module")
def text(complete):
    """The page on it."""
    return (complete / "report.html").read_text(encoding="utf-8")


@pytest.fixture
def run(complete, tmp_path):
    """A copy of the run that may be spoilt."""
    return shutil.copytree(complete, tmp_path / "run")


class Elements(HTMLParser):
    """What is on a page: its elements with their attributes, and its words."""

    def __init__(self, text):
        super().__init__()
        self.found, self.words = [], ""
        self.feed(text)

    def handle_starttag(self, tag, attrs):
        self.found.append((tag, dict(attrs)))

    def handle_data(self, data):
        self.words += data

    def of(self, tag):
        return [attributes for name, attributes in self.found if name == tag]


def test_a_run_becomes_a_page_with_every_figure(text):
    seen = Elements(text)
    labels = [svg["aria-label"] for svg in seen.of("svg")]
    assert len(labels) == 9
    assert all(label.endswith(".") and len(label) > 60 for label in labels)
    assert len(text) < 5e6
    for sentence in (
        "By its gains",
        "With the exit by confidence, images stop after 1.5 time-steps",
        "50% of the time",
        "An image takes an estimated",
        "confidence: the 8 images that the run held out",
    ):
        assert sentence in " ".join(seen.words.split()), sentence


def test_the_page_loads_nothing_and_its_links_lead_somewhere(text):
    seen = Elements(text)
    ids = [attributes["id"] for _, attributes in seen.found if "id" in attributes]
    assert len(ids) == len(set(ids))
    for _, attributes in seen.found:
        assert "src" not in attributes
        for key in ("href", "xlink:href"):
            link = attributes.get(key, "data:")
            assert link.startswith("data:") or link.removeprefix("#") in ids, link
    assert not seen.of("script")
    assert {th["scope"] for th in seen.of("th")} == {"col", "row"}
    assert seen.of("html") == [{"lang": "en"}]
    assert re.search(r"default-src 'none'", text)
    named = [d for d in seen.of("div") if d.get("role") == "region"]
    assert named
    assert all(d.get("aria-label") and d.get("tabindex") == "0" for d in named)


def test_a_name_is_never_markup(text):
    assert "<b>run" not in text
    assert "a &lt;b&gt;run" in text


def facts(name, **more):
    accuracy = {"mean": [0.5, 0.75], "images": 8, "dataset": "digits"}
    recipe = {"dataset": "digits", "lr": more.pop("lr", 0.1), "sensor": ""}
    return RunFacts(name=name, recipe=recipe, info={}, log=[], evaluation=accuracy, **more)


def test_several_runs_stand_side_by_side_and_what_differs_is_marked():
    text = page([facts("one"), facts("two", lr=0.2, notes=["It was short."])], "made")
    seen = Elements(text)
    assert len(seen.of("svg")) == 1, "both in one figure"
    rows = re.findall(r'<tr( class="differs")?><th scope="row">(\w+)</th>(.*)</tr>', text)
    marks = {name: bool(mark) for mark, name, _ in rows}
    assert marks["lr"]
    assert not marks["sensor"]
    assert "two: It was short." in seen.words
    with pytest.raises(ValueError, match="at least one run"):
        page([], "made")


def test_what_is_not_known_is_left_out(tmp_path):
    bare = RunFacts(name="bare", recipe={}, info={}, log=[])
    assert not Elements(page([bare], "made")).of("svg")


def test_what_is_missing_is_said(run):
    for name in ("evaluation.json", "energy.json", "exit.json", "best.safetensors"):
        (run / name).unlink()
    found = facts_of(run)
    assert found.gains is None
    assert found.energies == []
    said = " ".join(found.notes)
    assert "not evaluated yet" in said
    assert "checkpoint is not there" in said


def test_bad_input_is_one_line(run, refusal, tmp_path):  # noqa: F811
    empty = tmp_path / "empty"
    empty.mkdir()
    assert "not a run folder" in refusal("report", empty)
    assert "is a folder" in refusal("report", run, "--out", empty)
    assert "no folder" in refusal("report", run, "--out", tmp_path / "no" / "page.html")
    (run / "energy.json").write_text('{"layers": 3}')
    assert "energy.json does not hold" in refusal("report", run)
    (run / "energy.json").write_text("{")
    assert "is not JSON" in refusal("report", run)
    RunFolder(run).update(status="interrupted")
    assert "is not finished" in refusal("report", run)


def small_net():
    return bntt.vgg5(num_classes=4, num_steps=5, leak=0.9, image_size=8).eval()


def test_gains_are_those_that_the_exit_reads():
    net = small_net()
    with torch.no_grad():
        for parameter in net.parameters():
            parameter.mul_(torch.rand(()))
    found = gains_of(net)
    for ours, theirs in zip(found.means.values(), mean_gains(net).values(), strict=True):
        assert ours == pytest.approx(theirs)


def test_a_raster_holds_the_spikes_of_the_whole_call():
    net = small_net()
    image = torch.randint(0, 256, (3, 8, 8), dtype=torch.uint8)
    raster = raster_of(net, image, name="noise", seed=7)
    spikes = {}
    for name, layer in net.named_modules():
        if isinstance(layer, bntt.NormLIF):
            layer.register_forward_hook(
                lambda module, x, out, name=name: spikes.update({name: out})
            )
    with torch.no_grad():
        net(net.normalize(image[None]), generator=torch.Generator().manual_seed(7))
    assert list(raster.spikes) == list(spikes)
    assert raster.num_steps == 5
    fired = 0
    for name, neurons in raster.spikes.items():
        whole = spikes[name].flatten(1)
        assert len(neurons) == NEURONS
        first, last = ([t + 1 for t in range(5) if whole[t, k]] for k in (0, -1))
        assert [neurons[0], neurons[-1]] == [first, last]
        fired += sum(map(len, neurons))
    assert fired
    assert [len(trace.membrane) for trace in raster.traces] == [5, 5, 5]


CHROMIUM = next(filter(None, map(shutil.which, ("chromium", "google-chrome"))), None)
BROWSER = pytest.mark.skipif(CHROMIUM is None, reason="no browser is installed")
PHONE = """<!doctype html>
<iframe id="phone" style="width: 360px; height: 800px; border: 0" srcdoc="{}"></iframe>
<script>
phone.onload = () => {{
  const root = phone.contentDocument.documentElement;
  document.title = [phone.contentWindow.innerWidth, root.scrollWidth];
}};
</script>"""
"""Measures a page at a width that the browser's own window does not go down to."""


@BROWSER
def test_in_a_browser_it_is_quiet_and_fits_a_phone(text, tmp_path):
    _, complaints = browsed(text, tmp_path)
    assert complaints == []
    dom, _ = browsed(PHONE.format(html.escape(text)), tmp_path)
    assert sizes(dom) == (360, 360), "the window, and the page in it"


@BROWSER
def test_the_browser_would_complain_and_tell_a_page_that_is_too_wide(tmp_path):
    _, complaints = browsed("<script>nothing.at.all</script>", tmp_path)
    assert complaints
    wide = '<div style="width: 500px">wide</div>'
    dom, _ = browsed(PHONE.format(html.escape(wide)), tmp_path)
    assert sizes(dom)[1] > 500


def sizes(dom):
    ((window, whole),) = re.findall(r"<title>(\d+),(\d+)</title>", dom)
    return int(window), int(whole)


def browsed(text, folder):
    """A page as a browser has it at a phone's width, and what it complained of."""
    (folder / "page.html").write_text(text, encoding="utf-8")
    words = [
        *(CHROMIUM, "--headless", "--no-sandbox", "--disable-gpu", "--dump-dom"),
        *("--hide-scrollbars", "--enable-logging=stderr", "--v=0"),
        f"--user-data-dir={folder / 'profile'}",
        (folder / "page.html").as_uri(),
    ]
    done = subprocess.run(words, capture_output=True, text=True, timeout=120, check=True)
    return done.stdout, [line for line in done.stderr.splitlines() if "CONSOLE" in line]
