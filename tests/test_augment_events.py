"""Random changes of recordings: counts move, and nothing else happens to them."""

import math
from collections import Counter

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from bntt.training.augment.events import mix, nda, roll, rotate, shear
from bntt.training.augment.images import crop, cutout, flip

LABELS = torch.arange(40) % 10
MOVES = {
    "crop": lambda frames, generator: crop(frames, 2, generator),
    "flip": flip,
    "cutout": lambda frames, generator: cutout(frames, 3, generator),
    "roll": lambda frames, generator: roll(frames, 2, generator),
    "rotate": lambda frames, generator: rotate(frames, 70, generator),
    "shear": lambda frames, generator: shear(frames, 60, generator),
    "nda": nda,
}
CHANGES = MOVES | {"mix": lambda frames, g: mix(frames, LABELS[: len(frames)], g)[0]}
every_move = pytest.mark.parametrize("move", MOVES.values(), ids=MOVES)
every_change = pytest.mark.parametrize("change", CHANGES.values(), ids=CHANGES)


def seeded(seed=0):
    return torch.Generator().manual_seed(seed)


def numbered(count, steps=3, channels=2, height=7, width=6, dtype=torch.int32):
    """Recordings in which no two voxels of a batch are equal and none is zero."""
    shape = (count, steps, channels, height, width)
    return torch.arange(1, math.prod(shape) + 1).reshape(shape).to(dtype)


def sources(changed):
    """Where in its plane each pixel was, -1 for nowhere: ``[N, H, W]``.

    Holds a move to keep samples, frames and polarities apart and to move all frames of a
    sample alike.
    """
    planes, pixels = changed.shape[:3], changed.shape[3] * changed.shape[4]
    own = torch.arange(planes.numel()).view(*planes, 1, 1)
    number = changed.long() - 1
    there = number >= 0
    assert torch.equal(number // pixels * there, own * there), "a count changed its plane"
    place = torch.where(there, number % pixels, -1)
    assert (place == place[:, :1, :1]).all(), "frames of a sample move apart"
    return place[:, 0, 0]


@every_move
@given(
    count=st.integers(1, 4),
    steps=st.integers(1, 3),
    height=st.integers(3, 9),
    width=st.integers(3, 9),
    seed=st.integers(0, 2**32 - 1),
)
def test_a_move_is_one_for_all_frames_and_repeats_no_count(
    move, count, steps, height, width, seed
):
    changed = move(numbered(count, steps, 2, height, width), seeded(seed))
    for place in sources(changed):
        kept = place[place >= 0]
        assert len(kept.unique()) == len(kept)
        if move in (MOVES["flip"], MOVES["roll"]):
            assert len(kept) == height * width, "an event is lost"


@every_move
def test_each_sample_draws_its_own_move(move):
    places = sources(move(numbered(40), seeded()))
    assert len({tuple(place.flatten().tolist()) for place in places}) > 1


def test_a_roll_goes_round_the_edges_and_every_shift_occurs():
    frames = numbered(300)
    shifts = set()
    for before, after in zip(frames, roll(frames, 1, seeded()), strict=True):
        steps = [(down, right) for down in (-1, 0, 1) for right in (-1, 0, 1)]
        shifts |= {s for s in steps if torch.equal(before.roll(s, (-2, -1)), after)}
        assert any(torch.equal(before.roll(s, (-2, -1)), after) for s in steps)
    assert len(shifts) == 9


@pytest.mark.parametrize(("height", "width"), [(24, 24), (25, 33)])
@pytest.mark.parametrize("degrees", [20, 90])
def test_a_turn_puts_every_pixel_near_where_the_angle_says(height, width, degrees):
    middle = torch.tensor([(height - 1) / 2, (width - 1) / 2], dtype=torch.float64)
    grid = torch.cartesian_prod(torch.arange(height), torch.arange(width)) - middle
    angles = []
    for place in sources(rotate(numbered(50, 1, 1, height, width), degrees, seeded())):
        place = place.flatten()
        there = place >= 0
        (y, x), (to_y, to_x) = grid[place[there]].T, grid[there].T
        angle = torch.atan2((x * to_y - y * to_x).sum(), (x * to_x + y * to_y).sum())
        cos, sin = angle.cos(), angle.sin()
        exact = torch.stack([grid[:, 0] * cos + grid[:, 1] * sin,
                             grid[:, 1] * cos - grid[:, 0] * sin], 1)  # fmt: skip
        assert ((exact[place[there]] - grid[there]).norm(dim=1) < 1.5).all()
        well_inside = (exact.abs() < middle - 1.5).all(1).nonzero().flatten()
        assert set(well_inside.tolist()) <= set(place[there].tolist())
        angles.append(math.degrees(angle))
    assert -degrees - 1 < min(angles) < -0.8 * degrees
    assert 0.8 * degrees < max(angles) < degrees + 1


def test_a_slant_slides_whole_rows_in_proportion_to_their_height():
    height, width, slopes = 9, 31, []
    column, row = torch.arange(width), torch.arange(height)
    for place in sources(shear(numbered(100, 1, 1, height, width), 45, seeded())):
        low, high = -math.inf, math.inf
        for y in range(height):
            (there,) = (place[y] >= 0).nonzero(as_tuple=True)
            assert (place[y][there] // width == row[y]).all()
            slid = (place[y][there] % width - column[there]).unique().tolist()
            assert len(slid) == 1
            assert len(there) == width - abs(slid[0])
            if y != 4:
                ends = ((slid[0] - 0.5) / (y - 4), (slid[0] + 0.5) / (y - 4))
                low, high = max(low, min(ends)), min(high, max(ends))
        assert low <= high, "no slope slides the rows like this"
        slopes.append((low + high) / 2)
    assert -1.05 < min(slopes) < -0.8
    assert 0.8 < max(slopes) < 1.05


def kind_of(place):
    """Which of the four changes of `nda` a sample got; `place` is square, unflipped."""
    size = len(place)
    there = place >= 0
    moved = place[there] - torch.arange(size * size).view(size, size)[there]
    if there.all():
        return "roll" if moved.any() else "nothing"
    if not moved.any():
        return "cutout"
    rows = torch.arange(size)[:, None].expand_as(place)[there]
    return "shear" if torch.equal(place[there] // size, rows) else "rotate"


def test_nda_flips_half_and_does_one_of_four_at_the_stated_strength():
    size, seen, flipped, cut, far = 24, Counter(), 0, set(), set()
    for place in sources(nda(numbered(400, 1, 1, size, size), seeded())):
        middle = place[:, size // 2 - 1 : size // 2 + 1]
        columns = middle[(middle >= 0).all(1)] % size
        backwards = bool((columns.diff() < 0).float().mean() > 0.5)
        flipped += backwards
        if backwards:  # the flip came first, so it is undone in what was taken
            place = torch.where(
                place >= 0, place // size * size + size - 1 - place % size, -1
            )
        seen[kind := kind_of(place)] += 1
        if kind == "cutout":
            cut.add(int((place < 0).sum()))
        if kind == "roll":
            far.add(int(place[0, 0] % size))
    assert 150 < flipped < 250
    assert all(60 < seen[kind] < 140 for kind in ("roll", "rotate", "shear", "cutout")), (
        seen
    )
    assert max(cut) == 64  # a third of 24, squared
    assert far == {22, 23, 0, 1, 2}  # 5/48 of 24 is 2.5, of which Python makes 2


@given(count=st.integers(1, 4), seed=st.integers(0, 2**32 - 1))
def test_mix_takes_a_region_from_one_partner_and_weighs_the_labels(count, seed):
    frames = torch.randint(0, 3, (count, 4, 2, 5, 6), generator=seeded(seed))
    tagged = frames + 10 * torch.arange(1, count + 1).view(-1, 1, 1, 1, 1)
    labels = torch.arange(count) + 5
    counts = mix(frames, labels, seeded(seed))
    mixed, own, other, share = mix(tagged, labels, seeded(seed))
    assert torch.equal(own, labels)
    assert torch.equal(other.sort().values, labels), "someone is mixed in twice"
    for n in range(count):
        partner = int(other[n]) - 5
        from_partner = mixed[n] // 10 != n + 1
        assert torch.equal(mixed[n], torch.where(from_partner, tagged[partner], tagged[n]))
        filled = torch.where(from_partner, frames[partner], frames[n])
        assert torch.equal(counts[0][n], filled)
        if partner == n:
            continue
        assert torch.equal(from_partner[:, 0], from_partner[:, 1])
        kept = frames[n][~from_partner].sum() / frames[n].sum()
        taken = frames[partner][from_partner].sum() / frames[partner].sum()
        assert counts[3][n].item() == pytest.approx(float(kept / (kept + taken)))
    assert ((share >= 0) & (share <= 1)).all()


def test_many_events_weigh_no_more_than_few():
    frames = torch.ones(40, 4, 2, 8, 8, dtype=torch.uint8)
    some = frames * torch.arange(1, 41, dtype=torch.uint8).view(-1, 1, 1, 1, 1)
    share = mix(frames, LABELS, seeded())[3]
    torch.testing.assert_close(mix(some, LABELS, seeded())[3], share)


def test_regions_have_every_size_and_are_balls_in_time_too():
    frames = torch.arange(200, dtype=torch.float32).view(-1, 1, 1, 1, 1)
    frames = frames.expand(200, 6, 2, 12, 12)
    mixed = mix(frames, torch.arange(200), seeded())[0]
    region = (mixed != frames)[:, :, 0].float()
    volume = region.flatten(1).mean(1).sort().values
    assert (volume - torch.linspace(0, 1, 200)).abs().max() < 0.15
    in_time = region.flatten(2).mean(2)
    assert (in_time.amax(1) - in_time.amin(1)).mean() > 0.2
    # neighbours belong together: balls, not noise
    assert (region[..., 1:] != region[..., :-1]).float().mean() < 0.15


def test_of_empty_recordings_the_volume_counts():
    frames = torch.zeros(20, 3, 2, 6, 6, dtype=torch.uint8)
    full = mix(frames + 1, LABELS[:20], seeded())
    empty = mix(frames, LABELS[:20], seeded())
    torch.testing.assert_close(empty[3], full[3])


def test_a_mix_without_any_event_keeps_its_label():
    frames = torch.zeros(64, 1, 1, 1, 2, dtype=torch.uint8)
    frames[::2, ..., 0], frames[1::2, ..., 1] = 1, 1
    mixed, _, _, share = mix(frames, torch.arange(64), seeded())
    nothing = mixed.flatten(1).sum(1) == 0
    assert nothing.any()
    assert (share[nothing] == 1).all()


@pytest.mark.parametrize("dtype", [torch.float16, torch.bfloat16, torch.float32])
def test_labels_are_weighed_alike_whatever_the_type_of_the_frames(dtype):
    frames = torch.randint(0, 200, (6, 5, 2, 20, 20), generator=seeded(3))
    labels = torch.arange(6)
    _, _, _, wanted = mix(frames.to(torch.uint8), labels, seeded())
    mixed, _, _, share = mix(frames.to(dtype), labels, seeded())
    assert mixed.dtype == dtype
    assert frames.flatten(1).sum(1).min() > torch.finfo(torch.float16).max
    assert share == pytest.approx(wanted, abs=1e-6)
    assert (share < 1).any()


@pytest.mark.parametrize("wrong", [-1.0, float("nan")])
def test_frames_that_are_no_counts_are_not_mixed(wrong):
    frames = torch.ones(2, 3, 2, 4, 4)
    frames[1, 2, 0, 3, 3] = wrong
    with pytest.raises(ValueError, match=r"`frames` must be counts, at least 0"):
        mix(frames, torch.arange(2), seeded())


@every_change
def test_a_change_follows_its_generator_and_nothing_else(change):
    frames = numbered(30)
    before, state = frames.clone(), torch.random.get_rng_state()
    first = change(frames, seeded(1))
    torch.manual_seed(5)
    assert torch.equal(first, change(frames, seeded(1)))
    assert not torch.equal(first, change(frames, seeded(2)))
    assert torch.equal(frames, before)
    torch.random.set_rng_state(state)
    change(frames, seeded(1))
    assert torch.equal(torch.random.get_rng_state(), state)


@every_change
@pytest.mark.parametrize("dtype", [torch.uint8, torch.float32, torch.bfloat16])
def test_a_change_keeps_shape_and_dtype(change, dtype):
    frames = numbered(4, 2, 2, 5, 6, dtype=dtype)
    changed = change(frames, seeded())
    assert changed.dtype == dtype
    assert changed.shape == frames.shape
    assert change(frames[:0], seeded()).shape == frames[:0].shape


@every_move
def test_images_move_as_recordings_of_one_frame_do(move):
    frames = numbered(20, 1)
    assert torch.equal(move(frames[:, 0], seeded()), move(frames, seeded())[:, 0])


def test_nothing_to_do_changes_nothing():
    frames = numbered(5)
    for still in (roll, rotate, shear):
        assert torch.equal(still(frames, 0, seeded()), frames)


@every_change
def test_a_generator_on_another_device_is_refused(change):
    with pytest.raises(ValueError, match=r"on the images' device, meta, .*Generator\("):
        change(numbered(2).to("meta"), seeded())


@pytest.mark.parametrize(
    ("change", "strength", "says"),
    [
        (roll, -1, "`most` must not be negative, got -1"),
        (rotate, 91, r"`degrees` must lie in \[0, 90\], got 91"),
        (shear, 90, r"`degrees` must lie in \[0, 90\), got 90"),
        (rotate, math.nan, "`degrees` must lie in .* got nan"),
    ],
)
def test_an_impossible_strength_is_refused(change, strength, says):
    with pytest.raises(ValueError, match=says):
        change(numbered(2), strength, seeded())


def test_a_label_for_every_sample_is_asked_for(as_user):
    with pytest.raises(ValueError, match="one per sample, but there are 3 for 2 samples"):
        mix(numbered(2), LABELS[:3], seeded())
