"""Training batches: who is seen, in which order, and that processes share them fairly."""

from dataclasses import replace

import pytest
import torch
from small_runs import RECIPE, pictures, recordings

from bntt.training.augment.events import mix, probabilities
from bntt.training.batches import PURPOSES, Batches, generator, likeliest

CPU = torch.device("cpu")
# 50 to learn from: 6 batches of 8, and two images left over in every epoch
PLAIN = replace(RECIPE, augment="none", validation=10)


def numbered(count=60):
    """Image k is k all over, and so is its label."""
    data = pictures(count)
    numbers = torch.arange(count)
    images = numbers.to(torch.uint8)[:, None, None, None].expand(count, 1, 8, 8)
    return replace(data, train_images=images.contiguous(), train_labels=numbers)


def visits(batches, epoch):
    """Which images an epoch shows, in order."""
    n = batches.steps_per_epoch
    shown = [batches.batch(step) for step in range(epoch * n, epoch * n + n)]
    for images, labels in shown:
        assert images.dtype == torch.uint8
        assert torch.equal(images[:, 0, 0, 0].long(), labels), "labels of other images"
    return torch.cat([labels for _, labels in shown]).tolist()


@pytest.mark.parametrize("seed", [0, 7])
def test_an_epoch_shows_each_image_once_and_none_that_is_held_out(seed):
    batches = Batches(replace(PLAIN, seed=seed), numbered(), CPU)
    held = set(batches.validation()[1].tolist())
    assert len(held) == 10
    left_out = set()
    for epoch in range(8):
        shown = visits(batches, epoch)
        assert len(shown) == 48 == len(set(shown))
        assert not held & set(shown)
        left_out |= set(range(60)) - held - set(shown)
    assert len(left_out) > 2, "the same images are left out of every epoch"


def test_without_a_split_nothing_is_held_out():
    batches = Batches(replace(PLAIN, validation=0, batch_size=60), numbered(), CPU)
    assert sorted(visits(batches, 0)) == list(range(60))
    assert [len(part) for part in batches.validation()] == [0, 0]


def test_the_order_is_new_in_every_epoch_and_for_every_seed():
    orders = {
        tuple(visits(Batches(replace(PLAIN, seed=seed, validation=0), numbered(), CPU), e))
        for seed in (0, 1, 2)
        for e in (0, 1, 2)
    }
    assert len(orders) == 9


def test_a_batch_is_the_same_whenever_it_is_asked_for():
    recipe = replace(PLAIN, augment="crop-flip", cutout=3)
    one = Batches(recipe, pictures(60), CPU)
    once = [one.batch(step) for step in range(2 * one.steps_per_epoch)]
    other = Batches(recipe, pictures(60), CPU)
    for step in (7, 3, 11, 3, 0):  # as a resumed run does, in the middle
        images, labels = other.batch(step)
        assert torch.equal(images, once[step][0])
        assert torch.equal(labels, once[step][1])


@pytest.mark.parametrize(
    "change", [{"augment": "crop-flip"}, {"augment": "shift"}, {"cutout": 3}]
)
def test_images_change_anew_at_every_step_and_for_every_seed(change):
    data = pictures(8)  # the same one eight times, so that the order does not matter
    data = replace(data, train_images=data.train_images[:1].repeat(8, 1, 1, 1))
    recipe = replace(PLAIN, validation=0)
    seen = []
    for seed, step in ((0, 0), (0, 1), (1, 0)):
        batches = Batches(replace(recipe, seed=seed, **change), data, CPU)
        seen.append(batches.batch(step)[0])
        assert not torch.equal(seen[-1], data.train_images), "nothing was changed"
        assert not (seen[-1] == seen[-1][:1]).all(), "every image changes alike"
    assert not torch.equal(seen[0], seen[1])
    assert not torch.equal(seen[0], seen[2])


def test_no_change_is_made_that_was_not_asked_for():
    images, labels = Batches(PLAIN, numbered(), CPU).batch(0)
    assert (images == labels[:, None, None, None]).all()


@pytest.mark.parametrize("processes", [2, 4, 8])
def test_processes_share_the_batch_that_one_would_see(processes):
    recipe = replace(PLAIN, augment="crop-flip", cutout=3)
    data = pictures(60)
    images, labels = Batches(recipe, data, CPU).batch(9)
    every = [Batches(recipe, data, CPU, k, processes).batch(9) for k in range(processes)]
    assert {len(share) for share, _ in every} == {8 // processes}
    assert torch.equal(torch.stack([x for x, _ in every], 1).flatten(0, 1), images)
    assert torch.equal(torch.stack([y for _, y in every], 1).flatten(), labels)


def test_held_out_images_are_not_changed():
    data = pictures(60)
    batches = Batches(replace(PLAIN, augment="crop-flip", cutout=3), data, CPU)
    images, labels = batches.validation()
    assert torch.equal(images, data.train_images[batches.held_out])
    assert torch.equal(labels, data.train_labels[batches.held_out])


def test_a_batch_that_processes_cannot_share_is_refused():
    said = "`batch_size` 8 cannot be shared evenly by 3 processes. Set a multiple of 3"
    with pytest.raises(ValueError, match=said):
        Batches(PLAIN, numbered(), CPU, 0, 3)


def test_a_batch_of_more_images_than_there_are_is_refused():
    said = "needs 51 images, but only 50 are left to train on. Set a smaller batch_size"
    with pytest.raises(ValueError, match=said):
        Batches(replace(PLAIN, batch_size=51), numbered(), CPU)


def test_every_purpose_and_place_has_numbers_of_its_own():
    places = [
        (seed, purpose, *where)
        for seed in (0, 1)
        for purpose in PURPOSES
        for where in ((0, 0), (0, 1), (1, 0), (1, 1))
    ]
    draws = {tuple(torch.rand(4, generator=generator(*p)).tolist()) for p in places}
    assert len(draws) == len(places)
    again = {tuple(torch.rand(4, generator=generator(*p)).tolist()) for p in places}
    assert again == draws


@pytest.mark.parametrize(
    ("change", "side"), [({"cutout": 100}, 8), ({"augment": "crop-flip"}, 4)]
)
def test_a_change_larger_than_the_images_is_refused_before_the_first_step(change, side):
    data = numbered()
    train, test = (x[..., :side, :side] for x in (data.train_images, data.test_images))
    small = replace(data, train_images=train, test_images=test)
    with pytest.raises(ValueError, match=rf"have {side} x {side} pixels, but"):
        Batches(replace(PLAIN, **change), small, CPU)


MIXED = replace(PLAIN, augment="none", encoder="events", dataset="npz", validation=0)
MIXED = replace(MIXED, augment="event-mix")


def test_event_mix_takes_a_part_of_every_label_from_another_recording():
    data = recordings()
    plain, labels = Batches(replace(MIXED, augment="none"), data, CPU).batch(5)
    random = generator(MIXED.seed, "augmentation", 5)
    images, own, other, share = mix(plain, labels, random)
    got, mixed = Batches(MIXED, data, CPU).batch(5)
    assert torch.equal(got, images)
    assert torch.equal(mixed, probabilities(own, other, share, 4))
    assert torch.equal(mixed.sum(1), torch.ones(len(mixed)))
    assert not torch.equal(got, plain)
    shares = mixed[torch.arange(len(mixed)), own]
    assert torch.equal(shares[own != other], share[own != other])


def test_of_a_mixture_the_likelier_class_counts():
    labels = torch.tensor([2, 0, 3])
    assert torch.equal(likeliest(labels), labels)
    share = torch.tensor([0.75, 0.25, 0.5])
    mixed = probabilities(labels, torch.tensor([1, 1, 3]), share, 4)
    assert likeliest(mixed).tolist() == [2, 1, 3]
    want = [[0, 0.25, 0.75, 0], [0.25, 0.75, 0, 0], [0, 0, 0, 1]]
    assert mixed.tolist() == want


@pytest.mark.parametrize("processes", [2, 4])
def test_processes_share_mixed_recordings_too(processes):
    images, labels = Batches(MIXED, recordings(), CPU).batch(4)
    every = [Batches(MIXED, recordings(), CPU, k, processes) for k in range(processes)]
    shares = [one.batch(4) for one in every]
    assert torch.equal(torch.stack([x for x, _ in shares], 1).flatten(0, 1), images)
    assert torch.equal(torch.stack([y for _, y in shares], 1).flatten(0, 1), labels)


@pytest.mark.parametrize(
    ("change", "said"),
    [
        ({"encoder": "direct"}, "mixes recordings .* encoder='direct' codes images"),
        ({"early_steps": 1, "early_epochs": 1}, "labels by the events of all time-steps"),
    ],
)
def test_event_mix_is_refused_where_its_labels_would_be_wrong(change, said):
    with pytest.raises(ValueError, match=said):
        replace(MIXED, **change)
