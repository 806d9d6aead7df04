"""Named splits: stratified, disjoint, frozen, and refused where they say nothing."""

import hashlib
import os
from collections import Counter

import numpy as np
import pytest
from file_systems import LINUX
from hypothesis import given
from hypothesis import strategies as st

from bntt.config.sets import FOLDED
from bntt.data import load
from bntt.data.splits import SPLITS, names_sha256, refuse_split, split

LABELS = np.repeat(np.arange(10), 1000)


@st.composite
def labelled(draw):
    counts = draw(st.lists(st.integers(2, 60), min_size=1, max_size=6))
    labels = np.repeat(np.arange(len(counts)), counts)
    return np.random.RandomState(draw(st.integers(0, 99))).permutation(labels)


@given(labelled(), st.integers(0, 2**32 - 1))
def test_a_random_split_is_stratified_disjoint_complete_and_ascending(labels, seed):
    drawn = split("random-90-10", labels, seed)
    assert sorted([*drawn.train, *drawn.test]) == list(range(len(labels)))
    assert all((np.diff(part) > 0).all() for part in (drawn.train, drawn.test))
    tested = Counter(labels[drawn.test].tolist())
    for label, count in Counter(labels.tolist()).items():
        assert tested[label] == max(1, (count + 5) // 10)


@given(labelled(), st.integers(0, 2**32 - 1))
def test_a_seed_names_a_split(labels, seed):
    one, again = (split("random-90-10", labels, seed) for _ in range(2))
    assert one.sha256 == again.sha256
    assert np.array_equal(one.train, again.train)


def test_another_seed_draws_others():
    one, other = (split("random-90-10", LABELS, seed) for seed in (0, 1))
    assert one.sha256 != other.sha256
    assert 50 < len(np.intersect1d(one.test, other.test)) < 150  # by chance a tenth


def test_the_split_of_seed_zero_never_changes():
    drawn = split("random-90-10", np.repeat([0, 1], 20), 0)
    assert drawn.test.tolist() == GOLDEN_TEST
    train = "".join(f"train\0{k}\n" for k in range(40) if k not in GOLDEN_TEST)
    test = "".join(f"test\0{k}\n" for k in GOLDEN_TEST)
    assert drawn.sha256 == hashlib.sha256((train + test).encode()).hexdigest()


GOLDEN_TEST = [1, 18, 21, 31]


@pytest.mark.parametrize("name", ["first-900-train", "first-100-test"])
def test_the_first_ones_are_taken_in_order(name):
    chosen = split(name, LABELS, 5)
    first = chosen.train if name == "first-900-train" else chosen.test
    each = len(first) // 10
    assert each == int(name.split("-")[1])
    wanted = np.concatenate([1000 * label + np.arange(each) for label in range(10)])
    assert np.array_equal(first, wanted)
    assert len(chosen.train) == 9000
    assert len(chosen.test) == 1000


def test_the_first_ones_do_not_depend_on_a_seed():
    for name in ("first-900-train", "first-100-test"):
        assert split(name, LABELS, 0).sha256 == split(name, LABELS, 1).sha256


@pytest.mark.parametrize(
    ("name", "least"),
    [("first-900-train", 901), ("first-100-test", 101), ("random-90-10", 2)],
)
def test_a_class_too_small_is_named(name, least):
    labels = np.array([4] * 2000 + [7] * (least - 1))
    with pytest.raises(
        ValueError, match=rf"{name}' needs at least {least} .* class 7 has {least - 1}\."
    ):
        split(name, labels, 0)
    assert len(split(name, np.append(labels, 7), 0).test)


def test_a_split_must_be_named():
    expected = (
        r"a `split` must be named: random-90-10, first-900-train, first-100-test\. .*"
    )
    with pytest.raises(ValueError, match=expected + "CIFAR10-DVS .*cannot be compared"):
        split("none", LABELS, 0)
    with pytest.raises(ValueError, match="Unknown split 'random'. Did you mean 'random-90"):
        split("random", LABELS, 0)


def test_a_split_says_what_it_is_and_that_others_are_different():
    drawn = split("random-90-10", LABELS, 3)
    assert drawn.source == {"split random-90-10 seed 3": drawn.sha256}
    assert "random-90-10, seed 3: 9000 to train on and 1000 to test on" in drawn.note
    assert "cannot be compared" in drawn.note
    assert "seed" not in split("first-100-test", LABELS, 3).note


def named(names):
    return split("random-90-10", np.repeat([0, 1], [len(names) - 5, 5]), 0, names)


@pytest.mark.parametrize("change", ["added", "removed", "renamed"])
def test_a_split_is_of_names_so_that_other_files_move_it(change):
    names = [f"{k}.png" for k in range(20)]
    other = {
        "added": ["a.png", *names],
        "removed": names[1:],
        "renamed": ["zero.png", *names[1:]],
    }[change]
    assert named(names).sha256 == named(list(names)).sha256
    assert named(names).sha256 != named(other).sha256


def test_a_split_is_of_which_part_a_name_is_in():
    assert names_sha256("ab", "c") != names_sha256("ac", "b") != names_sha256("abc", "")


@LINUX
def test_names_are_compared_as_they_read_and_need_not_be_text():
    assert names_sha256(["caf\u00e9"], ["b"]) == names_sha256(["cafe\u0301"], ["b"])
    assert len(names_sha256([os.fsdecode(b"\xff.png")], ["\ud800"])) == 64


@pytest.mark.slow
def test_the_folds_of_the_digits_are_splits():
    sums = {load(name, fold=k).split_sha256 for name in FOLDED for k in range(5)}
    assert len(sums) == 5
    assert all(len(sum) == 64 for sum in sums)


def test_a_set_with_a_test_set_of_its_own_is_not_split():
    refuse_split("N-MNIST", "none")
    for name in SPLITS:
        with pytest.raises(ValueError, match=f"N-MNIST has one; got '{name}'"):
            refuse_split("N-MNIST", name)
