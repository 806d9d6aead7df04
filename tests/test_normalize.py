"""Images as networks learned them: bytes or numbers in [0, 1], in the weights' type."""

import math

import pytest
import torch

from bntt import vgg5

SMALL = {"num_classes": 3, "num_steps": 2, "leak": 0.9, "image_size": 4}
pytestmark = pytest.mark.usefixtures("as_user")


def small(**config):
    images = {"in_channels": 2, "mean": (0.4914, 0.25), "std": (0.2023, 0.125)}
    return vgg5(**SMALL | images | config)


def every_byte():
    return torch.arange(256, dtype=torch.uint8).reshape(8, 2, 4, 4)


def test_bytes_come_as_they_always_did_bit_for_bit():
    net, x = small(), every_byte()
    assert torch.equal(net.normalize(x), (x / 255 - net.mean) / net.std)


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64, torch.float16])
def test_numbers_in_the_unit_interval_are_the_same_pictures(dtype):
    net, x = small(), every_byte()
    unit = (x.double() / 255).to(dtype)
    tolerance = 4 * torch.finfo(dtype).eps / 0.125 + 1e-6
    got = net.normalize(unit)
    torch.testing.assert_close(got, net.normalize(x), rtol=0, atol=tolerance)
    assert torch.equal(got, (unit.float() - net.mean) / net.std)


@pytest.mark.parametrize("dtype", [torch.float16, torch.bfloat16, torch.float64])
def test_images_come_in_the_type_of_the_weights(dtype):
    net = small(encoder="direct").to(dtype).eval()
    x = net.normalize(every_byte())
    assert x.dtype == net.dtype == dtype
    assert net(x).isfinite().all()
    wide = torch.promote_types(dtype, torch.float32)
    mean, std = net.mean.to(wide), net.std.to(wide)
    want = (every_byte().to(wide) / 255 - mean) / std
    assert torch.equal(x, want.to(dtype))


def test_frames_come_time_first():
    frames = every_byte().reshape(2, 4, 2, 4, 4)
    x = small().normalize(frames)
    assert x.shape == (4, 2, 2, 4, 4)
    assert torch.equal(x[3, 1], small().normalize(frames[1, 3:4])[0])


@pytest.mark.parametrize(
    ("images", "said"),
    [
        (torch.full((1, 2, 4, 4), 255.0), r"in \[0, 1\].* from 255 to 255.* Divide"),
        (torch.tensor([-0.1, 1.0] * 16).reshape(1, 2, 4, 4), r"from -0.1 to 1"),
        (torch.full((1, 2, 4, 4), math.nan), "from nan to nan"),
        (torch.full((1, 2, 4, 4), 7), r"got torch.int64.*\.to\(torch.uint8\)"),
        (torch.zeros(1, 2, 4, 4, dtype=torch.bool), "got torch.bool"),
        (torch.zeros(1, 1, 4, 4), r"\(N, 2, H, W\).*got shape \(1, 1, 4, 4\)"),
        (torch.zeros(1, 3, 4, 4, dtype=torch.uint8), r"\(N, 2, H, W\)"),
        (torch.zeros(2, 4, 4, dtype=torch.uint8), r"got shape \(2, 4, 4\)"),
    ],
)
def test_what_is_no_image_is_refused(images, said):
    with pytest.raises(ValueError, match=said):
        small().normalize(images)


def test_meta_tensors_are_not_looked_at():
    x = torch.empty(1, 2, 4, 4, device="meta")
    assert small().to("meta").normalize(x).shape == (1, 2, 4, 4)
