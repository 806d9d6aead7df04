"""Evaluation: every image counts once, after every time-step."""

# pyright: reportArgumentType=false, reportCallIssue=false, reportIndexIssue=false
# pyright: reportAttributeAccessIssue=false, reportPrivateImportUsage=false
import statistics

import pytest
import torch
from present import present
from small_runs import pictures, same

from bntt.analysis.accuracy import count_correct, evaluate
from bntt.networks.vgg import vgg5

T, IMAGES = 4, 37


def network(encoder="direct", **config):
    sizes = {"num_classes": 4, "num_steps": T, "leak": 0.9, "image_size": 8}
    net = vgg5(in_channels=1, encoder=encoder, mean=(0.2,), std=(0.2,), **sizes | config)
    for layer in net.layers:
        layer.norm.momentum = 1.0  # one batch is all the training there is
    net.train()(net.normalize(pictures(64).train_images))
    return net.double().eval()


@pytest.fixture(scope="module")
def net():
    torch.manual_seed(0)
    return network()


@pytest.fixture(scope="module")
def images():
    return pictures(IMAGES, seed=1).train_images


@pytest.fixture(scope="module")
def one_by_one(net, images):
    """The class of every image after every time-step, each image on its own."""
    with torch.no_grad():
        logits = [net(net.normalize(image[None]), per_step=True) for image in images]
    return torch.cat(logits, 1).argmax(-1)


@pytest.fixture(scope="module")
def labels(one_by_one):
    """Labels that the network gets right at step 1, and more or less at the others."""
    assert (one_by_one != one_by_one[1]).any(), "every step says the same"
    return one_by_one[1].clone()


@pytest.mark.parametrize("size", [1, 5, IMAGES, 100, None])
def test_every_image_counts_whatever_the_batch(net, images, labels, one_by_one, size):
    done = []
    got = count_correct(net, images, labels, batch_size=size, advance=done.append)
    assert got.tolist() == (one_by_one == labels).sum(1).tolist()
    assert got[1] == IMAGES
    assert sum(done) == IMAGES


def test_shares_are_of_all_images(net, images, labels, one_by_one):
    result = evaluate(net, images, labels, dataset="mine", batch_size=10)
    want = [(classes == labels).sum().item() / IMAGES for classes in one_by_one]
    assert result.accuracy == (tuple(want),)
    assert result.mean == want
    assert result.std is None, "one evaluation has no deviation"
    assert (result.dataset, result.images, result.batch_size) == ("mine", IMAGES, 10)
    assert result.to_dict()["mean"] == want


@pytest.mark.parametrize("steps", range(1, T + 1))
def test_fewer_steps_are_the_first_ones(net, images, labels, steps):
    whole = evaluate(net, images, labels)
    assert evaluate(net, images, labels, num_steps=steps).mean == whole.mean[:steps]


@pytest.mark.parametrize("steps", [0, -1, T + 1])
def test_steps_that_were_not_trained_are_refused(net, images, labels, steps, as_user):
    said = f"trained for 4 time-steps .* but num_steps is {steps}. Ask for 1 to 4"
    for call in (evaluate, count_correct):
        with pytest.raises(ValueError, match=said):
            call(net, images, labels, num_steps=steps)


def test_seeds_have_a_mean_and_a_deviation(images):
    net = network("poisson")
    labels = pictures(IMAGES, seed=1).train_labels
    result = evaluate(net, images, labels)
    assert result.seeds == (0, 1, 2)
    assert len(set(result.accuracy)) > 1, "the seeds change nothing"
    std = present(result.std)
    for step in range(T):
        values = [row[step] for row in result.accuracy]
        assert result.mean[step] == pytest.approx(statistics.fmean(values))
        assert std[step] == pytest.approx(statistics.stdev(values))
    assert evaluate(net, images, labels, seeds=(2,)).accuracy == result.accuracy[2:]


def test_direct_coding_needs_one_seed(net, images, labels):
    assert evaluate(net, images, labels).seeds == (0,)


@pytest.mark.parametrize("training", [True, False])
def test_the_network_is_left_as_it_was(net, images, labels, training):
    net.train(training)
    before = {name: value.clone() for name, value in net.state_dict().items()}
    evaluate(net, images, labels)
    assert net.training is training
    assert {module.training for module in net.modules()} == {training}
    assert same(dict(net.state_dict()), before)
    net.eval()


@pytest.mark.parametrize("precision", ["float32", "bfloat16"])
def test_bfloat16_is_used_where_asked(images, precision):
    net, seen = network().float(), []
    watch = lambda *_: seen.append(torch.is_autocast_enabled("cpu"))  # noqa: E731
    net.register_forward_pre_hook(watch)
    labels = torch.zeros(IMAGES, dtype=torch.int64)
    result = evaluate(net, images, labels, precision=precision)
    assert seen == [precision == "bfloat16"]
    assert result.precision == precision


def test_nothing_to_classify_is_refused(net, images, labels):
    with pytest.raises(ValueError, match="no image"):
        evaluate(net, images[:0], labels[:0])
