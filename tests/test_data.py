"""Image sets: the digits, the validation split, and the real CIFAR files if any."""

import os
import subprocess
import sys
from collections import Counter
from pathlib import Path

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from bntt.data import Dataset, load

FOLDS = range(5)


def a_set(labels, channels=3):
    images = torch.zeros(len(labels), channels, 2, 2, dtype=torch.uint8)
    return Dataset(
        name="made-up",
        train_images=images,
        train_labels=torch.tensor(labels, dtype=torch.int64),
        test_images=images[:1],
        test_labels=torch.zeros(1, dtype=torch.int64),
        class_names=tuple(str(k) for k in range(10)),
        mean=(0.5,) * channels,
        std=(0.25,) * channels,
        source={},
    )


@st.composite
def splits(draw):
    labels = draw(st.lists(st.integers(0, 9), min_size=1, max_size=60))
    return labels, draw(st.integers(0, len(labels) - 1)), draw(st.integers(0, 2**32 - 1))


@settings(deadline=None, max_examples=100)
@given(splits())
def test_a_split_is_exact_disjoint_complete_and_stratified(case):
    labels, validation, seed = case
    train, held = a_set(labels).split(validation, seed)
    assert len(held) == validation
    assert sorted(train.tolist() + held.tolist()) == list(range(len(labels)))
    counts, taken = Counter(labels), Counter(labels[k] for k in held.tolist())
    for label, count in counts.items():  # within one of the class's exact share
        assert abs(taken[label] - validation * count / len(labels)) < 1


@settings(deadline=None, max_examples=25)
@given(splits())
def test_a_split_is_named_by_its_seed(case):
    labels, validation, seed = case
    first, again = (
        a_set(labels).split(validation, seed),
        a_set(labels).split(validation, seed),
    )
    assert all(torch.equal(a, b) for a, b in zip(first, again, strict=True))


def test_another_seed_holds_out_other_images():
    data = a_set([0, 1] * 50)
    assert not torch.equal(data.split(20, 0)[1], data.split(20, 1)[1])


def test_the_split_of_seed_zero_never_changes():
    assert a_set([0, 1, 1] * 5).split(6, 0)[1].tolist() == [0, 1, 6, 7, 8, 10]


def test_larger_remainders_go_first():
    held = a_set([0] * 5 + [1] * 3 + [2] * 2).split(5, 0)[1]  # shares 2.5, 1.5, 1
    assert Counter(held.tolist()[k] // 5 for k in range(5)) == {0: 3, 1: 2}


@pytest.mark.parametrize("validation", [-1, 4, 5])
def test_a_split_that_leaves_nothing_is_refused(validation):
    with pytest.raises(ValueError, match=rf"in \[0, 4\) for 'made-up'.*got {validation}"):
        a_set([0, 1, 0, 1]).split(validation, 0)


def test_whose_mean_and_deviation():
    data = a_set([0])
    assert data.normalization("own") == (data.mean, data.std)
    authors = (0.4914, 0.4822, 0.4465), (0.2023, 0.1994, 0.2010)
    assert data.normalization("authors") == authors
    with pytest.raises(
        ValueError, match="'own', or for colour images 'authors', got 'cifar'"
    ):
        data.normalization("cifar")
    with pytest.raises(ValueError, match=r"got 'authors' for 'made-up' with 1 channel"):
        a_set([0], channels=1).normalization("authors")


@pytest.fixture(scope="module")
def digits():
    return [load("digits", fold=fold) for fold in FOLDS]


def test_digits_are_the_scans_of_scikit_learn(digits):
    for data in digits:
        images = torch.cat([data.train_images, data.test_images])
        labels = torch.cat([data.train_labels, data.test_labels])
        assert images.shape == (1797, 1, 8, 8)
        assert images.dtype == torch.uint8
        assert set(images.unique().tolist()) == {level * 15 for level in range(17)}
        assert labels.bincount().tolist() == [
            178,
            182,
            177,
            183,
            181,
            182,
            181,
            179,
            174,
            180,
        ]
        assert data.class_names == tuple("0123456789")
        assert list(data.source.values()) == [
            "631cb83de3a2ab62bb6a6377fd0959c2622ce06102218671940106ad649966d0"
        ]


def test_every_digit_is_tested_in_one_fold(digits):
    tested = [
        tuple(image.flatten().tolist()) for data in digits for image in data.test_images
    ]
    trained = Counter(
        tuple(image.flatten().tolist()) for data in digits for image in data.train_images
    )
    assert len(tested) == 1797
    assert {image: 4 * n for image, n in Counter(tested).items()} == trained
    for data in digits:
        counts = data.test_labels.bincount()
        assert counts.max() - counts.min() <= 3  # 35 or so of each digit


def test_the_folds_never_change(digits):
    wanted = [[1, 3, 7, 6], [0, 4, 5, 0], [2, 9, 1, 2], [6, 1, 2, 3], [8, 0, 5, 8]]
    assert [data.test_labels[:4].tolist() for data in digits] == wanted


def test_digits_are_normalised_by_their_own_training_images(digits):
    for data in digits:
        pixels = data.train_images.double() / 255
        assert data.mean == (pytest.approx(pixels.mean().item(), abs=5e-5),)
        assert data.std == (pytest.approx(pixels.std(correction=0).item(), abs=5e-5),)


@pytest.mark.parametrize("fold", [-1, 5])
def test_a_sixth_fold_is_refused(fold):
    with pytest.raises(ValueError, match=f"five folds 0 to 4, got {fold}"):
        load("digits", fold=fold)


@pytest.mark.parametrize(
    ("options", "said"),
    [
        ({"split": "random-90-10"}, "digits has one; got 'random-90-10'"),
        ({"image_size": 16}, "`image_size` must be 0 or 8 for digits"),
        ({"window_ms": 10}, "'digits' has samples of its own and came with window_ms=10"),
    ],
)
def test_what_digits_cannot_do_is_refused(options, said):
    with pytest.raises(ValueError, match=said):
        load("digits", **options)


def test_digits_without_scikit_learn(monkeypatch):
    monkeypatch.setitem(sys.modules, "sklearn", None)
    with pytest.raises(ImportError, match="pip install scikit-learn"):
        load("digits")


def test_unknown_names_are_refused():
    with pytest.raises(ValueError, match="Did you mean 'cifar10'\\? Known: digits"):
        load("cifar")
    with pytest.raises(
        ValueError, match="`fold` divides digits and digits-dvs only, but 'cifar10'"
    ):
        load("cifar10", "anywhere", fold=1)


def test_importing_data_imports_nothing_that_only_some_sets_need():
    check = "import sys, bntt.data; print({'sklearn', 'pooch', 'PIL'} & set(sys.modules))"
    ran = subprocess.run([sys.executable, "-c", check], capture_output=True, text=True)
    assert ran.stdout.strip() == "set()", ran.stderr


REAL = Path(os.environ.get("BNTT_TEST_DATA", ""))


def real(name, *folders):
    if not os.environ.get("BNTT_TEST_DATA"):
        pytest.skip(f"{name}: BNTT_TEST_DATA does not name a folder of real data")
    if not any((REAL / folder).is_dir() for folder in folders):
        pytest.skip(f"{name}: BNTT_TEST_DATA={REAL} holds none of {', '.join(folders)}")
    return load(name, REAL)


@pytest.mark.parametrize(
    ("name", "folders", "classes", "first", "last"),
    [
        (
            "cifar10",
            ("cifar-10-batches-py", "cifar-10-batches-bin"),
            10,
            "airplane",
            "truck",
        ),
        ("cifar100", ("cifar-100-python", "cifar-100-binary"), 100, "apple", "worm"),
    ],
)
def test_the_real_set_is_whole_and_has_its_published_statistics(
    name, folders, classes, first, last
):
    data = real(name, *folders)
    assert data.train_images.shape == (50_000, 3, 32, 32)
    assert data.test_images.shape == (10_000, 3, 32, 32)
    assert data.train_labels.bincount().tolist() == [50_000 // classes] * classes
    assert data.test_labels.bincount().tolist() == [10_000 // classes] * classes
    assert (data.class_names[0], data.class_names[-1]) == (first, last)
    assert len(data.class_names) == classes
    for channel, (mean, std) in enumerate(zip(data.mean, data.std, strict=True)):
        levels = data.train_images[:, channel].flatten().bincount(minlength=256).double()
        values = torch.arange(256).double() / 255
        true_mean = (levels * values).sum() / levels.sum()
        true_std = ((levels * (values - true_mean) ** 2).sum() / levels.sum()).sqrt()
        assert mean == pytest.approx(true_mean.item(), abs=5e-5)
        assert std == pytest.approx(true_std.item(), abs=5e-5)
    assert all(len(sha256) == 64 for sha256 in data.source.values())
