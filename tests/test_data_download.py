"""Downloads: from a server on this machine, and with every way in which they fail."""

import dataclasses
import hashlib
import http.server
import sys
import threading

import made_up_mnist
import pytest
from made_up_cifar import SETS, archive, publish
from rich.progress import Progress

from bntt.data import load
from bntt.data.cache import cache_folder
from bntt.data.sets import cifar, mnist
from bntt.data.sets.download import Published, fetch

NAME = SETS["cifar10"].versions[0].archive


@pytest.fixture
def cache(monkeypatch, tmp_path):
    monkeypatch.setenv("BNTT_DATA", str(tmp_path / "cache"))
    return tmp_path / "cache"


def move_home(monkeypatch, url):
    """Let every set be published there, and MNIST at a second place that is gone."""
    monkeypatch.setattr(cifar, "ADDRESS", url)
    for name, one in list(mnist.SETS.items()):
        addresses = (f"{url}gone/", url)
        monkeypatch.setitem(mnist.SETS, name, dataclasses.replace(one, addresses=addresses))
    monkeypatch.setenv("NO_PROXY", "127.0.0.1")


@pytest.fixture
def site(monkeypatch, tmp_path):
    """A folder that stands for the data's home, and the requests made of it."""
    folder = tmp_path / "site"
    folder.mkdir()
    requests = []

    class Handler(http.server.SimpleHTTPRequestHandler):
        def __init__(self, *args):
            super().__init__(*args, directory=str(folder))

        def log_message(self, *args):
            requests.append(self.path)

    server = http.server.HTTPServer(("127.0.0.1", 0), Handler)
    threading.Thread(target=server.serve_forever, args=(0.01,), daemon=True).start()
    move_home(monkeypatch, f"http://127.0.0.1:{server.server_port}/")
    yield folder, requests
    server.shutdown()
    server.server_close()


@pytest.fixture
def nobody_answers(monkeypatch):
    server = http.server.HTTPServer(("127.0.0.1", 0), http.server.BaseHTTPRequestHandler)
    server.server_close()
    move_home(monkeypatch, f"http://127.0.0.1:{server.server_port}/")


def test_the_official_archive_is_fetched_once(monkeypatch, cache, site):
    folder, requests = site
    archive(monkeypatch, publish(monkeypatch, "cifar10"), "cifar10", 0, folder)
    first = load("cifar10")
    assert (cache / NAME).read_bytes() == (folder / NAME).read_bytes()
    asked = len(requests)
    assert load("cifar10").source == first.source
    assert len(requests) == asked == 1


def test_what_is_in_the_cache_needs_no_pooch(monkeypatch, cache):
    monkeypatch.setitem(sys.modules, "pooch", None)
    publish(monkeypatch, "cifar10").write(1, cache / "cifar-10-batches-bin")
    assert len(load("cifar10").train_images) == 60


def test_another_file_than_the_published_is_not_kept(monkeypatch, cache, site):
    made = publish(monkeypatch, "cifar10")
    archive(monkeypatch, made, "cifar10", 0, site[0], publish=False)
    with pytest.raises(ConnectionError, match=r"could not be downloaded from .*hash"):
        load("cifar10")
    assert not (cache / NAME).exists()


def test_without_a_network_one_line_says_where_to_put_the_file(cache, nobody_answers):
    expected = (
        rf"CIFAR-10 could not .*{NAME} \(ConnectionError: .*Put {NAME} into {cache}, or"
    )
    with pytest.raises(ConnectionError, match=expected) as caught:
        load("cifar10")
    assert "--data DIR" in str(caught.value)
    assert "\n" not in str(caught.value)


def test_a_page_that_is_not_there(cache, site):
    with pytest.raises(ConnectionError, match=rf"HTTPError: 404.*Put {NAME} into"):
        load("cifar10")


def test_nothing_is_downloaded_unasked(tmp_path, cache, site):
    with pytest.raises(FileNotFoundError, match="No CIFAR-10 in .*cache.*no such folder"):
        load("cifar10", download=False)
    with pytest.raises(FileNotFoundError, match="No CIFAR-10 in"):
        load("cifar10", tmp_path)
    assert site[1] == []


def test_without_pooch_the_extra_is_named(monkeypatch, cache):
    monkeypatch.setitem(sys.modules, "pooch", None)
    expected = (
        rf"pip install .*\[data\].\. Or name the folder that holds {NAME} with --data"
    )
    with pytest.raises(ImportError, match=expected):
        load("cifar10")
    monkeypatch.delenv("BNTT_DATA")
    with pytest.raises(ImportError, match=r"pip install .*\[data\].*BNTT_DATA"):
        load("cifar10")


def test_a_cache_that_cannot_be_written(monkeypatch, cache):
    import pooch

    def refuse(*args, **kwargs):
        raise PermissionError(13, "Permission denied")

    monkeypatch.setattr(pooch, "retrieve", refuse)
    with pytest.raises(PermissionError, match=rf"cannot be kept in {cache}: .*BNTT_DATA"):
        load("cifar10")


def test_the_cache_is_the_platforms_own_unless_named(monkeypatch, cache):
    import pooch

    assert cache_folder() == cache
    monkeypatch.delenv("BNTT_DATA")
    assert cache_folder() == pooch.os_cache("bntt")


def in_small(monkeypatch, name, *addresses):
    """Make up a set in MNIST's layout that is published at these addresses."""
    made = made_up_mnist.publish(monkeypatch, name)
    addresses = addresses or made_up_mnist.SETS[name].addresses
    replaced = dataclasses.replace(mnist.SETS[name], addresses=addresses)
    monkeypatch.setitem(mnist.SETS, name, replaced)
    return made


@pytest.mark.parametrize("name", ["mnist", "fashion-mnist"])
def test_four_files_are_fetched_once_from_the_first_place_that_has_them(
    monkeypatch, cache, site, name
):
    home = mnist.SETS[name].addresses
    made = in_small(monkeypatch, name, *home)
    made.write(site[0])
    first = load(name)
    assert first.train_images.shape == (40, 1, 28, 28)
    place = cache / made_up_mnist.SETS[name].folders[0]
    assert {p.name: p.read_bytes() for p in place.iterdir()} == made.packed
    asked = list(site[1])
    assert len({path for path in asked if "/gone/" in path}) == 4
    assert load(name).source == first.source
    assert site[1] == asked


def test_only_what_is_missing_is_fetched(monkeypatch, cache, site):
    made = in_small(monkeypatch, "mnist", *mnist.SETS["mnist"].addresses[1:])
    made.write(site[0])
    place = made.write(cache / "MNIST" / "raw")
    (place / "t10k-labels-idx1-ubyte.gz").unlink()
    load("mnist")
    assert site[1] == ["/t10k-labels-idx1-ubyte.gz"]


def test_every_place_that_failed_is_named(monkeypatch, cache, site):
    in_small(monkeypatch, "mnist", *mnist.SETS["mnist"].addresses)
    expected = (
        r"MNIST could not be downloaded from http.*gone/train-images.*404.*, nor from "
        rf"http.*404.*\. Put train-images-idx3-ubyte.gz into {cache}/MNIST/raw, or name"
    )
    with pytest.raises(ConnectionError, match=expected):
        load("mnist")


def test_progress_is_shown_in_megabytes(monkeypatch, tmp_path, site):
    data = bytes(range(256)) * 4000
    (site[0] / "big.bin").write_bytes(data)
    seen, real = [], Progress.update

    def spy(self, task, **how):
        real(self, task, **how)
        seen.append((self.tasks[0].completed, self.tasks[0].total))

    monkeypatch.setattr(Progress, "update", spy)
    sha256 = hashlib.sha256(data).hexdigest()
    file = Published(
        title="Big",
        file="big.bin",
        checksum=f"sha256:{sha256}",
        urls=(cifar.ADDRESS + "big.bin",),
    )
    assert fetch(file, tmp_path, quiet=False).read_bytes() == data
    assert seen[-1] == (1.024, 1.024)
    assert {total for _, total in seen[1:]} == {1.024}
    assert len(seen) > 8
