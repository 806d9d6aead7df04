"""The sets that can be loaded: what each is, on what terms, and where it is published."""

from dataclasses import dataclass
from pathlib import Path
from typing import Literal


@dataclass(frozen=True, kw_only=True)
class Description:
    """What is known of a set before a file of it is opened."""

    name: str
    """One of ``bntt.data.NAMES``."""
    title: str
    kind: Literal["images", "events", "either"]
    """Pictures, or recordings of an event camera."""
    shape: str
    """Channels, rows and columns; empty for a user's own set, as are the numbers below."""
    classes: int = 0
    train: int = 0
    test: int = 0
    """0, beside a number of training samples, means that there is no official test set."""
    terms: str = ""
    """Licence or terms of use; empty for a user's own set."""
    place: str = ""
    """Address at which its makers publish it."""
    downloads: bool = False
    """Whether ``load`` and ``bntt data`` download it."""
    layout: str
    """What must lie in the folder that is named, or in the cache."""
    signs: tuple[str, ...] = ()
    """Patterns of paths, any of which shows that the set lies in a folder."""

    @property
    def own(self) -> bool:
        """Whether it is the user's own set rather than a published one."""
        return not self.terms

    def lies_in(self, folder: Path) -> bool:
        """Whether the set, or a part of it, lies in `folder`."""
        return any(next(folder.glob(sign), None) for sign in self.signs)

    def check_obtainable(self, cache: Path) -> None:
        """Refuse what is neither in the cache nor downloaded, and say where to get it.

        Raises:
            FileNotFoundError: If it is so.
        """
        by_hand = not self.downloads and not self.own and bool(self.signs)
        if by_hand and not self.lies_in(cache):
            raise FileNotFoundError(
                f"{self.title} is not in {cache}, and bntt does not download it "
                f"({self.terms}). Get it from {self.place} and put {self.layout} into "
                f"that folder, or name the one that holds it with --from DIR."
            )


def _cifar(name: str, title: str, folder: str, classes: int) -> Description:
    forms = ("python", "batches-py", "binary", "batches-bin")
    return Description(
        name=name,
        title=title,
        kind="images",
        shape="3 x 32 x 32",
        classes=classes,
        train=50_000,
        test=10_000,
        terms="no formal licence; cite Krizhevsky 2009",
        place="https://www.cs.toronto.edu/~kriz/cifar.html",
        downloads=True,
        layout=f"{folder}-python.tar.gz or {folder}-binary.tar.gz, or what is in them",
        signs=tuple(f"{folder}-{form}*" for form in forms),
    )


def _mnist(name: str, title: str, folder: str, terms: str, place: str) -> Description:
    return Description(
        name=name,
        title=title,
        kind="images",
        shape="1 x 28 x 28",
        classes=10,
        train=60_000,
        test=10_000,
        terms=terms,
        place=place,
        downloads=True,
        layout=f"{folder}/raw with the four idx files, gzipped or not",
        signs=(f"{folder}/raw/train-images*", f"{name}/train-images*"),
    )


_SETS = (
    Description(
        name="digits",
        title="Handwritten digits (scikit-learn)",
        kind="images",
        shape="1 x 8 x 8",
        classes=10,
        train=1797,
        terms="CC BY 4.0; cite Alpaydin & Kaynak 1998",
        place="https://archive.ics.uci.edu/dataset/80",
        layout="nothing: it ships inside scikit-learn",
    ),
    _cifar("cifar10", "CIFAR-10", "cifar-10", 10),
    _cifar("cifar100", "CIFAR-100", "cifar-100", 100),
    _mnist(
        "mnist",
        "MNIST",
        "MNIST",
        "CC BY-SA 3.0; cite LeCun 1998",
        "http://yann.lecun.com/exdb/mnist/",
    ),
    _mnist(
        "fashion-mnist",
        "Fashion-MNIST",
        "FashionMNIST",
        "MIT; cite Xiao 2017",
        "https://github.com/zalandoresearch/fashion-mnist",
    ),
    Description(
        name="tiny-imagenet",
        title="Tiny-ImageNet",
        kind="images",
        shape="3 x 64 x 64",
        classes=200,
        train=100_000,
        test=10_000,
        terms="ImageNet's terms: research and education, not commerce",
        place="http://cs231n.stanford.edu/tiny-imagenet-200.zip",
        layout="tiny-imagenet-200 with wnids.txt, train and val",
        signs=("wnids.txt", "*/wnids.txt"),
    ),
    Description(
        name="cifar10dvs",
        title="CIFAR10-DVS",
        kind="events",
        shape="2 x 128 x 128",
        classes=10,
        train=10_000,
        terms="CC BY 4.0; cite Li 2017",
        place="https://figshare.com/articles/dataset/CIFAR10-DVS_New/4724671",
        layout="the class folders airplane to truck with their .aedat files",
        signs=("airplane/cifar10_airplane_*", "*/airplane/cifar10_airplane_*"),
    ),
    Description(
        name="nmnist",
        title="N-MNIST",
        kind="events",
        shape="2 x 34 x 34",
        classes=10,
        train=60_000,
        test=10_000,
        terms="CC BY-SA 4.0; cite Orchard 2015",
        place="https://data.mendeley.com/datasets/468j46mzdv/1",
        layout="Train and Test (unpacked from Train.zip and Test.zip)",
        signs=("Train/0", "*/Train/0"),
    ),
    Description(
        name="dvs-gesture",
        title="DVS128 Gesture",
        kind="events",
        shape="2 x 128 x 128",
        classes=11,
        train=1_176,
        test=288,
        terms="CC BY 4.0; cite Amir 2017",
        place="https://research.ibm.com/interactive/dvsgesture/",
        layout="the folder with trials_to_train.txt and the .aedat files",
        signs=("trials_to_*.txt", "*/trials_to_*.txt"),
    ),
    Description(
        name="digits-dvs",
        title="Digits before a simulated event camera",
        kind="events",
        shape="2 x 16 x 16",
        classes=10,
        train=1797,
        terms="as digits, of which it is made",
        place="https://archive.ics.uci.edu/dataset/80",
        layout="nothing: it is made of scikit-learn's digits",
    ),
    Description(
        name="imagefolder",
        title="A folder of pictures",
        kind="images",
        shape="",
        layout="train/CLASS/*.png and test/CLASS/*.png (or .jpg), or CLASS/* and a split",
    ),
    Description(
        name="eventfolder",
        title="A folder of event recordings",
        kind="events",
        shape="",
        layout="train/CLASS/* and test/CLASS/*, or CLASS/* and a split",
    ),
    Description(
        name="npz",
        title="Arrays in a .npz file",
        kind="either",
        shape="",
        layout="x_train, y_train, x_test and y_test, or x, y and a split",
    ),
)

CATALOGUE = {description.name: description for description in _SETS}
