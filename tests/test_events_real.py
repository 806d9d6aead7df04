"""Real recordings, where there are any: N-MNIST, gestures, objects in a hand."""

import os
import shutil
from pathlib import Path

import pytest
import torch

from bntt.data import load

REAL = Path(os.environ.get("BNTT_TEST_DATA", ""))


@pytest.fixture(autouse=True)
def cache(tmp_path, monkeypatch):
    monkeypatch.setenv("BNTT_DATA", str(tmp_path / "cache"))


def real(folder):
    if not os.environ.get("BNTT_TEST_DATA"):
        pytest.skip(f"{folder}: BNTT_TEST_DATA does not name a folder of real data")
    if not (REAL / folder).is_dir():
        pytest.skip(f"{folder}: BNTT_TEST_DATA={REAL} does not hold it")
    return REAL / folder


def events_in(data):
    return sum(int(images.sum()) for images in (data.train_images, data.test_images))


def test_nmnist(tmp_path):
    folder = real("N-MNIST")
    data = load("nmnist", folder, num_steps=10)
    recorded = sum(path.stat().st_size // 5 for path in folder.rglob("*.bin"))
    assert data.note in (
        "",
        "Partial: 1000 of 60000 training and 100 of 10000 test recordings.",
    )
    assert data.train_images.shape[1:] == (10, 2, 34, 34)
    assert events_in(data) == recorded  # the published files have no clock overflows
    assert data.train_labels.unique().tolist() == list(range(10))
    ink = data.train_images.float().mean(dim=(0, 1, 2))
    assert ink[8:26, 8:26].mean() > 4 * ink[[0, -1]].mean()  # digits are in the middle


def test_gestures_as_recordings_of_one_s_own(tmp_path):
    clips = sorted(real("gestures").glob("*.bs2"))
    for k, clip in enumerate(clips):
        folder = tmp_path / "mine" / ("arms" if k % 2 else "hands")
        folder.mkdir(parents=True, exist_ok=True)
        shutil.copy(clip, folder)
    data = load("eventfolder", tmp_path / "mine", split="random-90-10", window_ms=250)
    assert data.train_images.shape == (8 * 5, 10, 2, 128, 128)  # 1.45 s each
    assert data.test_labels.tolist() == [0] * 5 + [1] * 5
    assert (data.train_images.sum(dim=(1, 2, 3, 4), dtype=torch.int64) > 100).all()


def test_objects_in_a_hand(tmp_path):
    recordings = sorted((real("aedat2") / "objects").glob("*.aedat"))
    for path in recordings:
        part, name = path.stem.split("_")
        folder = tmp_path / "mine" / part / name
        folder.mkdir(parents=True)
        shutil.copy(path, folder)
    data = load("eventfolder", tmp_path / "mine", num_steps=5, image_size=32, window_ms=100)
    assert data.class_names == ("Caixa", "Caneca", "Estilete", "Lapiseira", "Tesoura")
    assert data.train_labels.unique().tolist() == data.test_labels.unique().tolist()
    assert "Windows of 100 ms" in data.note
    assert data.train_images.shape[1:] == (5, 2, 32, 32)
