"""A user's own arrays: every layout that can be told, and every mistake in words."""

import hashlib
import os

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from present import present

from bntt.data import load

RANDOM = np.random.default_rng(3)


def pixels(*shape):
    return RANDOM.integers(0, 256, shape, dtype=np.uint8)


def four(**changed):
    """Twelve grey training and six test images of three classes, or what is changed."""
    arrays = {
        "x_train": pixels(12, 8, 8),
        "y_train": np.arange(12) % 3,
        "x_test": pixels(6, 8, 8),
        "y_test": np.arange(6) % 3,
    } | changed
    return {name: array for name, array in arrays.items() if array is not None}


@pytest.fixture
def saved(tmp_path):
    def save(arrays, name="mine.npz"):
        np.savez(tmp_path / name, **arrays)
        return tmp_path / name

    return save


@pytest.mark.parametrize("save", [np.savez, np.savez_compressed])
def test_what_was_saved_is_loaded(tmp_path, save):
    arrays = four()
    save(tmp_path / "mine.npz", **arrays)
    data = load("npz", tmp_path / "mine.npz")
    assert np.array_equal(data.train_images[:, 0].numpy(), arrays["x_train"])
    assert np.array_equal(data.test_images[:, 0].numpy(), arrays["x_test"])
    assert np.array_equal(data.train_labels.numpy(), arrays["y_train"])
    assert np.array_equal(data.test_labels.numpy(), arrays["y_test"])
    assert data.class_names == ("0", "1", "2")
    assert data.note == ""
    sha256 = hashlib.sha256((tmp_path / "mine.npz").read_bytes()).hexdigest()
    assert data.source == {"mine.npz": sha256}
    values = arrays["x_train"] / 255
    assert data.mean == (pytest.approx(values.mean(), abs=5e-5),)
    assert data.std == (pytest.approx(values.std(), abs=5e-5),)


@pytest.mark.parametrize("channels", [1, 3])
def test_channels_may_come_first_or_last(saved, channels):
    first = four(x_train=pixels(12, channels, 8, 8), x_test=pixels(6, channels, 8, 8))
    last = first | {x: first[x].transpose(0, 2, 3, 1) for x in ("x_train", "x_test")}
    a, b = (load("npz", saved(arrays)) for arrays in (first, last))
    assert np.array_equal(a.train_images.numpy(), first["x_train"])
    assert torch.equal(a.train_images, b.train_images)
    assert torch.equal(a.test_images, b.test_images)
    assert (a.mean, a.std) == (b.mean, b.std)


def test_frames_of_events_keep_their_steps(saved):
    frames = RANDOM.poisson(0.3, (18, 5, 2, 8, 8)).astype(np.uint8)
    data = load("npz", saved(four(x_train=frames[:12], x_test=frames[12:])), num_steps=9)
    assert data.events
    assert np.array_equal(data.train_images.numpy(), frames[:12])
    assert data.mean == (0.0, 0.0)
    for channel, std in enumerate(data.std):
        rms = np.sqrt(np.square(frames[:12, :, channel] / 255).mean())
        assert std == pytest.approx(rms, rel=1e-3)


@pytest.mark.parametrize("shape", [(8, 8), (3, 8, 8), (8, 8, 3), (5, 2, 8, 8)])
def test_a_border_of_zeros_makes_larger_images(saved, shape):
    arrays = four(x_train=pixels(12, *shape), x_test=pixels(6, *shape))
    small, large = (load("npz", saved(arrays), image_size=size) for size in (0, 11))
    assert large.train_images.shape == (*small.train_images.shape[:-2], 11, 11)
    assert torch.equal(large.train_images[..., 1:9, 1:9], small.train_images)
    assert large.train_images.sum() == small.train_images.sum()


def test_a_border_makes_squares(saved):
    path = saved(four(x_train=pixels(12, 6, 8), x_test=pixels(6, 6, 8)))
    with pytest.raises(
        ValueError, match=r"take squares, .* 6 x 8 pixels\. Give image_size=8"
    ):
        load("npz", path)
    assert load("npz", path, image_size=8).test_images.shape == (6, 1, 8, 8)


def test_the_classes_names_come_along(saved):
    for names in (["cat", "dog", "Ärger"], [b"cat", b"dog", "Ärger".encode()]):
        data = load("npz", saved(four(class_names=np.array(names))))
        assert data.class_names == ("cat", "dog", "Ärger")


def test_what_is_not_used_is_said(saved):
    data = load("npz", saved(four(x_val=pixels(3, 8, 8), classnames=np.array(list("abc")))))
    assert data.note == "Not used: x_val, classnames."


def test_a_set_without_a_test_set_is_divided(saved):
    x, y = pixels(40, 8, 8), np.arange(40) % 2
    path = saved({"x": x, "y": y})
    data = load("npz", path, split="random-90-10", split_seed=4)
    assert (len(data.train_images), len(data.test_images)) == (36, 4)
    assert data.test_labels.bincount().tolist() == [2, 2]
    both = np.concatenate([data.train_images.numpy(), data.test_images.numpy()])[:, 0]
    assert sorted(a.tobytes() for a in both) == sorted(a.tobytes() for a in x)
    assert len(data.source) == 2
    assert "random-90-10, seed 4" in data.note
    again = load("npz", path, split="random-90-10", split_seed=5)
    assert again.source != data.source


def test_a_split_must_be_named_where_it_is_needed_and_only_there(saved):
    whole = {"x": pixels(40, 8, 8), "y": np.arange(40) % 2}
    with pytest.raises(ValueError, match="no test set of its own.*random-90-10"):
        load("npz", saved(whole))
    with pytest.raises(ValueError, match="has one.*'random-90-10'"):
        load("npz", saved(four()), split="random-90-10")


NARROW = r"second and the last axis could be the channels"


@pytest.mark.parametrize(
    ("changed", "said"),
    [
        (
            {"x_train": None},
            r"must hold x_train, .*, but holds y_train, x_test, y_test\. Name",
        ),
        (
            {"x_train": RANDOM.random((12, 8, 8))},
            r"uint8, .* float64 from .* Save \(255 \* x",
        ),
        (
            {"x_train": np.full((12, 8, 8), 9.5)},
            r"is float64 from 9\.5 to 9\.5\. Save x\.ast",
        ),
        ({"x_test": np.zeros((6, 8, 8), int)}, r"x_test must be uint8, .* is int64 from 0"),
        ({"x_train": pixels(0, 8, 8)}, r"x_train is empty: its shape is \(0, 8, 8\)"),
        ({"x_train": pixels(12, 64)}, r"must be \[N, H, W\], .*, but has shape \(12, 64\)"),
        ({"x_train": pixels(12, 4, 8, 8)}, r"1 or 3 channels, .*shape \(12, 4, 8, 8\)"),
        (
            {"x_train": pixels(12, 5, 3, 8, 8)},
            r"\[N, T, 2, H, W\] for events, but has shape",
        ),
        ({"x_train": pixels(12, 3, 8, 3)}, NARROW),
        ({"x_train": pixels(12, 1, 8, 3)}, NARROW),
        ({"x_test": pixels(6, 9, 9)}, r"one shape, .* \(1, 8, 8\) and \(1, 9, 9\)"),
        ({"x_train": pixels(11, 8, 8)}, "x_train has 11 samples and y_train 12 labels"),
        ({"y_train": np.arange(12) / 2}, r"y_train must be integers, but is float64"),
        ({"y_test": np.array(list("abcabc"))}, r"y_test must be integers, but is <U1"),
        ({"y_train": np.eye(3, dtype=int)[[0, 1, 2] * 4]}, r"\(12, 3\)\. Save .*argmax"),
        ({"y_train": np.arange(12) % 3 - 1}, "sample 0 has label -1"),
        ({"y_train": np.arange(12) % 3 * 2}, "0 to 4 without gaps, .* label 1, 3"),
        ({"y_train": np.arange(12) % 3 + 1}, "0 to 3 without gaps, .* has label 0"),
        ({"y_test": np.full(6, 3)}, "0 to 3 without gaps, but no training sample .* 3"),
        ({"class_names": np.array(["a", "b"])}, "go up to 2, but class_names names 2"),
        ({"class_names": np.array(list("abcd"))}, "no training sample has label 3"),
        ({"class_names": np.arange(3)}, r"class_names must be a list of strings, .* int64"),
        (
            {"x_train": np.zeros((12, 8, 8), np.uint8)},
            "each channel are the same in all train",
        ),
        (
            {"y_train": np.array([None] * 12)},
            r"y_train\.npy holds Python objects.*not opened",
        ),
    ],
)
def test_a_mistake_is_named(saved, changed, said):
    with pytest.raises(ValueError, match=said) as caught:
        load("npz", saved(four(**changed)))
    assert "mine.npz" in str(caught.value) or "channel 0" in said


class Hostile:
    def __reduce__(self):
        return os.write, (2, b"this pickle has run")


def test_pickled_objects_are_never_opened(saved, capfd):
    path = saved(four(class_names=np.array([Hostile()], dtype=object)))
    with pytest.raises(ValueError, match="class_names.npy holds Python objects"):
        load("npz", path)
    assert "has run" not in capfd.readouterr().err


def test_files_that_are_no_npz(tmp_path):
    path = tmp_path / "mine.npz"
    with pytest.raises(FileNotFoundError, match=r"No \.npz file .*: there is no such file"):
        load("npz", path)
    with pytest.raises(FileNotFoundError, match=r"it is empty\. Name the file itself"):
        load("npz", tmp_path)
    with pytest.raises(FileNotFoundError, match=r"Name it with --data FILE\.npz"):
        load("npz")
    path.write_bytes(b"not a zip")
    with pytest.raises(ValueError, match="its 9 bytes are no zip archive"):
        load("npz", path)
    with path.open("wb") as file:
        np.save(file, pixels(2, 2))
    with pytest.raises(ValueError, match=r"it is a \.npy file with one array"):
        load("npz", path)


@pytest.fixture(scope="module")
def whole(tmp_path_factory):
    arrays = four()
    path = tmp_path_factory.mktemp("npz") / "whole.npz"
    np.savez_compressed(path, **arrays)
    return arrays, path


@settings(max_examples=100, deadline=None)
@given(place=st.floats(0, 1, exclude_max=True), flip=st.integers(0, 255))
def test_a_file_cut_or_changed_anywhere_is_loaded_whole_or_refused(whole, place, flip):
    arrays, path = whole
    changed = bytearray(path.read_bytes())
    at = int(place * len(changed))
    changed[at] ^= flip
    damaged = path.with_name("damaged.npz")
    damaged.write_bytes(changed if flip else changed[:at])  # 0 would change nothing
    try:
        loaded = load("npz", damaged)
    except ValueError as error:
        said = str(error)
    else:
        assert np.array_equal(loaded.train_images[:, 0].numpy(), arrays["x_train"])
        assert np.array_equal(loaded.test_labels.numpy(), arrays["y_test"])
        return
    assert "damaged.npz" in said


@pytest.mark.parametrize("white", [0, 4095])
def test_16_bits_are_scaled_by_their_type_or_by_what_means_white(saved, white):
    most = white or 65535
    deep = RANDOM.integers(0, most + 1, (12, 8, 8)).astype(np.uint16)
    arrays = four(x_train=deep, x_test=deep[:6])
    data = load("npz", saved(arrays), white=white)
    expected = deep.astype(np.int64) * 256 // (most + 1)
    assert np.array_equal(data.train_images[:, 0].numpy(), expected)
    assert np.array_equal(data.test_images[:, 0].numpy(), expected[:6])
    assert present(data.geometry).white == white
    assert data.note == ""


def test_16_bits_that_hold_12_are_read_and_said(saved):
    deep = RANDOM.integers(0, 4096, (12, 8, 8)).astype(np.uint16)
    data = load("npz", saved(four(x_train=deep, x_test=deep[:6])))
    assert "leaves 16 of 256 levels. If 4095 is what means white" in data.note
    assert np.array_equal(data.train_images[:, 0].numpy(), deep >> 8)


def test_bytes_in_a_type_of_16_bits_are_black_and_the_error_says_how_to_read_them(saved):
    dark = pixels(12, 8, 8).astype(np.uint16)
    path = saved(four(x_train=dark, x_test=dark[:6]))
    with pytest.raises(ValueError, match=r"npz: the pixels .*nothing.* set white=255 in"):
        load("npz", path)
    assert load("npz", path, white=255).train_images.max() > 200


@pytest.mark.parametrize("kind", [np.int16, np.int64, np.uint32])
def test_other_whole_numbers_need_a_white(saved, kind):
    deep = RANDOM.integers(0, 4096, (12, 8, 8)).astype(kind)
    arrays = four(x_train=deep, x_test=deep[:6])
    with pytest.raises(ValueError, match="or whole numbers with `white` in the recipe"):
        load("npz", saved(arrays))
    data = load("npz", saved(arrays), white=4095)
    assert np.array_equal(data.train_images[:, 0].numpy(), deep >> 4)


@pytest.mark.parametrize(
    ("pixels_of", "said"),
    [
        (lambda x: x / 255, r"is float64 from 0.* Save \(255 \* x\)\.round"),
        (lambda x: x * 1.0, r"is float64 .* Save x\.astype\(numpy\.uint8\) once"),
        (lambda x: x / 128 - 1, r"is float64 from -"),
        (lambda x: x * np.nan, "is float64 from nan"),
        (lambda x: x > 99, r"is bool\. Save \(255 \* x\)\.astype\(numpy\.uint8\)"),
        (lambda x: x.astype(np.int16) - 9, "is int16 from -"),
        (lambda x: x.astype(complex), "is complex128"),
    ],
)
def test_what_is_no_picture_is_refused_and_not_clipped(saved, pixels_of, said):
    x = pixels(12, 8, 8)
    arrays = four(x_train=pixels_of(x), x_test=pixels_of(x[:6]))
    with pytest.raises(ValueError, match=rf"mine\.npz: x_train must .*{said}"):
        load("npz", saved(arrays))


def test_values_beyond_white_are_refused(saved):
    deep = np.full((12, 8, 8), 5000, np.uint16)
    with pytest.raises(ValueError, match=r"npz: x_train: its values go from 5000 to 5000,"):
        load("npz", saved(four(x_train=deep, x_test=deep)), white=4095)


def test_white_says_nothing_of_bytes_and_is_refused(saved):
    with pytest.raises(ValueError, match="uint8, in which 255 means white, but .* 4095|="):
        load("npz", saved(four()), white=4095)


def test_two_types_would_be_scaled_differently(saved):
    deep = RANDOM.integers(0, 65536, (12, 8, 8)).astype(np.uint16)
    with pytest.raises(ValueError, match="numbers of one type, .* uint16 and uint8"):
        load("npz", saved(four(x_train=deep)))


@pytest.mark.parametrize("highest", [12, 10**9, 2**63 - 1])
def test_no_name_is_made_for_each_of_a_billion_classes(saved, highest):
    labels = np.arange(12, dtype=np.uint64) % 3
    labels[5] = highest
    with pytest.raises(ValueError, match=rf"but go up to {highest}, and there are 12"):
        load("npz", saved(four(y_train=labels)))


def test_a_label_too_large_for_any_number_is_not_taken_for_minus_one(saved):
    labels = np.arange(12, dtype=np.uint64) % 3
    labels[5] = 2**64 - 1
    with pytest.raises(ValueError, match=r"y_train must be .* sample 5 has label 1844674"):
        load("npz", saved(four(y_train=labels)))


def test_frames_of_events_are_counts_and_not_scaled(saved):
    frames = RANDOM.integers(0, 9, (12, 4, 2, 8, 8)).astype(np.uint16)
    with pytest.raises(ValueError, match=r"must be uint8, 0 to 255, but is uint16"):
        load("npz", saved(four(x_train=frames, x_test=frames[:6])))


def test_bytes_that_stay_dark_are_said(saved):
    dark = RANDOM.integers(0, 17, (12, 8, 8)).astype(np.uint8)
    dark[0, 0, 0] = 16
    data = load("npz", saved(four(x_train=dark, x_test=dark[:6])))
    assert "x_train reaches 16 of 255" in data.note
    assert data.note.endswith("save x * 15.")
    assert np.array_equal(data.train_images[:, 0].numpy(), dark)


@pytest.mark.parametrize(
    ("names", "said"),
    [
        (np.array(["cat", "dog", "cat"]), "names 'cat' more than once"),
        (np.full(3, 0x7FFFFFFF, np.uint32).view("<U1"), "class_names is no text"),
        (np.array([b"\xff", b"a", b"b"]), "class_names is no text"),
    ],
)
def test_names_are_text_and_differ(saved, names, said):
    with pytest.raises(ValueError, match=rf"mine\.npz: class_names .*{said}|{said}"):
        load("npz", saved(four(class_names=names)))


def test_frames_without_any_event_are_refused(tmp_path):
    x, y = np.zeros((8, 3, 2, 4, 4), np.uint8), np.arange(8) % 2
    np.savez(tmp_path / "a.npz", x_train=x, y_train=y, x_test=x, y_test=y)
    with pytest.raises(ValueError, match=r"a\.npz: No training sample holds any event"):
        load("npz", tmp_path / "a.npz")
    x[0, 0, 1] = 1
    np.savez(tmp_path / "a.npz", x_train=x, y_train=y, x_test=x, y_test=y)
    data = load("npz", tmp_path / "a.npz")
    assert data.std[0] == 1.0
    assert data.note == "No training sample holds OFF events."
