"""Random changes of images, checked pixel by pixel."""

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from bntt.training.augment.images import crop, cutout, flip

CHANGES = {
    "crop": lambda images, generator: crop(images, 2, generator),
    "flip": flip,
    "cutout": lambda images, generator: cutout(images, 3, generator),
}
every_change = pytest.mark.parametrize("change", CHANGES.values(), ids=CHANGES)


def seeded(seed=0):
    return torch.Generator().manual_seed(seed)


def numbered(count, channels=2, height=4, width=5, dtype=torch.int32):
    """Images in which no two pixels of a batch are equal and none is zero."""
    pixels = torch.arange(1, count * channels * height * width + 1)
    return pixels.reshape(count, channels, height, width).to(dtype)


def shift_of(image, changed, padding):
    """The one offset at which `changed` is a window of the padded image, or None."""
    padded = torch.nn.functional.pad(image, (padding,) * 4)
    height, width = image.shape[-2:]
    offsets = [
        (top, left)
        for top in range(2 * padding + 1)
        for left in range(2 * padding + 1)
        if torch.equal(padded[:, top : top + height, left : left + width], changed)
    ]
    return offsets[0] if len(offsets) == 1 else None


@settings(deadline=None, max_examples=25)
@given(
    count=st.integers(1, 4),
    height=st.integers(3, 6),
    width=st.integers(3, 6),
    padding=st.integers(0, 2),
    seed=st.integers(0, 2**32 - 1),
)
def test_every_crop_is_one_true_window(count, height, width, padding, seed):
    images = numbered(count, 3, height, width)
    cropped = crop(images, padding, seeded(seed))
    assert cropped.shape == images.shape
    for image, changed in zip(images, cropped, strict=True):
        assert shift_of(image, changed, padding) is not None


def test_each_image_is_cropped_on_its_own_and_every_window_occurs():
    images = numbered(300)
    cropped = crop(images, 1, seeded())
    shifts = [shift_of(a, b, 1) for a, b in zip(images, cropped, strict=True)]
    assert set(shifts) == {(top, left) for top in range(3) for left in range(3)}


def test_flip_mirrors_about_half_of_the_images_exactly():
    images = numbered(400)
    flipped = flip(images, seeded())
    mirrored = [torch.equal(a.flip(-1), b) for a, b in zip(images, flipped, strict=True)]
    kept = [torch.equal(a, b) for a, b in zip(images, flipped, strict=True)]
    assert all(m != k for m, k in zip(mirrored, kept, strict=True))
    assert 150 < sum(mirrored) < 250


@pytest.mark.parametrize("size", [1, 2, 3])
def test_cutout_zeroes_one_rectangle_of_at_most_the_size(size):
    images = numbered(200, height=7, width=6)
    cut = cutout(images, size, seeded())
    areas = set()
    for image, changed in zip(images, cut, strict=True):
        zero = changed == 0
        assert torch.equal(changed[~zero], image[~zero])
        assert torch.equal(zero[0], zero[1])  # every channel alike
        rows, columns = zero[0].any(1), zero[0].any(0)
        assert torch.equal(zero[0], rows[:, None] & columns)
        for axis in (rows, columns):
            inside = axis.nonzero().flatten()
            assert 1 <= len(inside) <= size
            assert inside[-1] - inside[0] == len(inside) - 1
        areas.add(int(zero[0].sum()))
    assert max(areas) == size * size
    assert size == 1 or min(areas) < size * size  # some squares hang over the edge


def test_cutout_reaches_every_pixel_and_draws_for_each_image():
    cut = cutout(numbered(300), 2, seeded())
    assert (cut == 0).any(0).all()
    assert len({tuple((image == 0).flatten().tolist()) for image in cut}) == 20


@every_change
def test_a_change_follows_its_generator_and_nothing_else(change):
    images = numbered(30)
    before, state = images.clone(), torch.random.get_rng_state()
    first = change(images, seeded(1))
    torch.manual_seed(5)
    assert torch.equal(first, change(images, seeded(1)))
    assert not torch.equal(first, change(images, seeded(2)))
    assert torch.equal(images, before)
    torch.random.set_rng_state(state)
    change(images, seeded(1))
    assert torch.equal(torch.random.get_rng_state(), state)


@every_change
@pytest.mark.parametrize("dtype", [torch.uint8, torch.float32, torch.bfloat16])
def test_a_change_keeps_shape_and_dtype(change, dtype):
    images = numbered(2, dtype=dtype)
    changed = change(images, seeded())
    assert changed.dtype == dtype
    assert changed.shape == images.shape
    assert change(images[:0], seeded()).shape == images[:0].shape


def test_nothing_to_do_changes_nothing():
    images = numbered(5)
    assert torch.equal(crop(images, 0, seeded()), images)
    assert torch.equal(cutout(images, 0, seeded()), images)


@every_change
def test_a_generator_on_another_device_is_refused(change):
    with pytest.raises(
        ValueError, match=r"on the images' device, meta, .*torch\.Generator\("
    ):
        change(numbered(2).to("meta"), seeded())


@pytest.mark.parametrize("change", [crop, cutout])
def test_a_negative_size_is_refused(change):
    with pytest.raises(ValueError, match="must not be negative, got -1"):
        change(numbered(2), -1, seeded())


@pytest.mark.parametrize(("change", "most"), [(crop, 3), (cutout, 4)])
@pytest.mark.parametrize("more", [1, 96])
def test_what_leaves_nothing_of_an_image_is_refused(change, most, more):
    images = numbered(2, height=4, width=9)
    with pytest.raises(ValueError, match=rf"4 x 9 pixels, but .* {most + more}[ ,]"):
        change(images, most + more, seeded())
    change(images, most, seeded())
