"""Downloads: from a server on this machine, and with every way in which they fail."""

import http.server
import sys
import threading

import pytest
from made_up_cifar import SETS, archive, publish

from bntt.data import download, load

NAME = SETS["cifar10"].versions[0].archive


@pytest.fixture
def cache(monkeypatch, tmp_path):
    monkeypatch.setenv("BNTT_DATA", str(tmp_path / "cache"))
    return tmp_path / "cache"


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
    monkeypatch.setattr(download, "HOME", f"http://127.0.0.1:{server.server_port}/")
    monkeypatch.setenv("NO_PROXY", "127.0.0.1")
    yield folder, requests
    server.shutdown()
    server.server_close()


@pytest.fixture
def nobody_answers(monkeypatch):
    server = http.server.HTTPServer(("127.0.0.1", 0), http.server.BaseHTTPRequestHandler)
    server.server_close()
    monkeypatch.setattr(download, "HOME", f"http://127.0.0.1:{server.server_port}/")
    monkeypatch.setenv("NO_PROXY", "127.0.0.1")


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
        rf"pip install bntt\[data\]\. Or name the folder that holds {NAME} with --data"
    )
    with pytest.raises(ImportError, match=expected):
        load("cifar10")
    monkeypatch.delenv("BNTT_DATA")
    with pytest.raises(ImportError, match=expected):
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

    cifar10 = SETS["cifar10"]
    assert download.cache_folder(cifar10) == cache
    monkeypatch.delenv("BNTT_DATA")
    assert download.cache_folder(cifar10) == pooch.os_cache("bntt")
