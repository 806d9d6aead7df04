"""Small sets of image files in the layouts that users have."""

import numpy as np
from PIL import Image

CLASSES = 200


def pixels(seed, height=64, width=64, channels=3):
    """Coarse squares of colour, which JPEG keeps nearly as they are."""
    random = np.random.default_rng(seed)
    coarse = random.integers(0, 256, (height // 8 + 1, width // 8 + 1, channels), np.uint8)
    fine = coarse.repeat(8, axis=0).repeat(8, axis=1)[:height, :width]
    return fine[..., 0] if channels == 1 else fine


def write_image(path, seed, height=64, width=64, channels=3):
    path.parent.mkdir(parents=True, exist_ok=True)
    Image.fromarray(pixels(seed, height, width, channels)).save(path)


def tiny_imagenet(folder, per_class=2, test_per_class=1, classes=CLASSES):
    """Write the official layout into `folder` and return the folder of the set in it."""
    root = folder / "tiny-imagenet-200"
    # as published, the list is not sorted
    wnids = [f"n{k:08d}" for k in range(1, classes + 1)][::-1]
    root.mkdir(parents=True)
    (root / "wnids.txt").write_text("".join(f"{wnid}\n" for wnid in wnids))
    words = [f"{wnid}\tthing {wnid}, synonym\n" for wnid in wnids[1:]]
    (root / "words.txt").write_text("n99999999\tnothing\n" + "".join(words))
    for k, wnid in enumerate(wnids):
        (root / "train" / wnid).mkdir(parents=True)
        (root / "train" / wnid / f"{wnid}_boxes.txt").touch()
        for image in range(per_class):
            path = root / "train" / wnid / "images" / f"{wnid}_{image}.JPEG"
            write_image(path, k * per_class + image)
    annotations = []
    for k in range(classes * test_per_class):
        write_image(root / "val" / "images" / f"val_{k}.JPEG", 10_000 + k)
        annotations.append(f"val_{k}.JPEG\t{wnids[k % classes]}\t0\t0\t63\t63\n")
    (root / "val" / "val_annotations.txt").write_text("".join(annotations))
    write_image(root / "test" / "images" / "test_0.JPEG", 20_000)
    return root


def imagefolder(
    folder, parts=("train", "test"), classes=("cat", "dog"), per_class=4, **kind
):
    """Write class folders of PNG files under each part and return `folder`."""
    for part in parts:
        for label, name in enumerate(classes):
            for k in range(per_class):
                path = folder / part / name / f"{k}.png"
                write_image(path, 10_000 * len(part) + 100 * label + k, **kind)
    return folder
