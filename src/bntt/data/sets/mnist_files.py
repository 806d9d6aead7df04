"""What MNIST and Fashion-MNIST publish under the same four file names."""

from dataclasses import dataclass

from .download import Published

PARTS = ("train-images", "train-labels", "t10k-images", "t10k-labels")
SIDE = 28


@dataclass(frozen=True)
class File:
    """One published archive."""

    name: str
    """Of the file in the archive, which adds ``.gz``."""
    md5: str
    """Of the archive."""
    unpacked_md5: str = ""
    """Of the file in it; empty if it is not known."""

    @property
    def md5s(self) -> tuple[str, ...]:
        """What is known of the archive and of the file in it."""
        return tuple(filter(None, (self.md5, self.unpacked_md5)))

    @property
    def names(self) -> tuple[str, ...]:
        """What it is called on disk, the archive first, whose checksum is published.

        Some programs that unpack write a dot for the first hyphen of the ending.
        """
        dotted = self.name.replace("-idx", ".idx")
        return f"{self.name}.gz", self.name, dotted


@dataclass(frozen=True, kw_only=True)
class MnistSet:
    """Four files in idx format and what must be in them."""

    title: str
    folders: tuple[str, ...]
    """Where they lie in the folder that the user names; the first one holds downloads."""
    homes: tuple[str, ...]
    files: dict[str, File]
    """By part."""
    train_counts: tuple[int, ...]
    """Images of each class."""
    test_counts: tuple[int, ...]
    class_names: tuple[str, ...]

    def most_bytes(self, file: File) -> int:
        """What one file can take, unpacked, with room for one of another set."""
        per_image = SIDE * SIDE if "images" in file.name else 1
        return 2 * per_image * sum(self.train_counts) + (1 << 20)

    def published(self, file: File) -> Published:
        """What to download of one file."""
        return Published(
            title=self.title,
            file=f"{file.name}.gz",
            checksum=f"md5:{file.md5}",
            urls=tuple(f"{home}{file.name}.gz" for home in self.homes),
        )


def _files(*md5s: tuple[str, ...]) -> dict[str, File]:
    files = {}
    for part, sums in zip(PARTS, md5s, strict=True):
        dimensions = 3 if part.endswith("images") else 1
        files[part] = File(f"{part}-idx{dimensions}-ubyte", *sums)
    return files


SETS = {
    "mnist": MnistSet(
        title="MNIST",
        folders=("MNIST/raw", "mnist", "raw", ""),
        homes=(
            "https://ossci-datasets.s3.amazonaws.com/mnist/",
            "https://storage.googleapis.com/cvdf-datasets/mnist/",
        ),
        files=_files(
            ("f68b3c2dcbeaaa9fbdd348bbdeb94873", "6bbc9ace898e44ae57da46a324031adb"),
            ("d53e105ee54ea40749a09fcbcd1e9432", "a25bea736e30d166cdddb491f175f624"),
            ("9fb629c4189551a2d022fa330f9573f3", "2646ac647ad5339dbf082846283269ea"),
            ("ec29112dd5afa0611ce80d1b7f02629c", "27ae3e4e09519cfbb04c329615203637"),
        ),
        train_counts=(5923, 6742, 5958, 6131, 5842, 5421, 5918, 6265, 5851, 5949),
        test_counts=(980, 1135, 1032, 1010, 982, 892, 958, 1028, 974, 1009),
        class_names=tuple("0123456789"),
    ),
    "fashion-mnist": MnistSet(
        title="Fashion-MNIST",
        folders=("FashionMNIST/raw", "fashion-mnist", "fashion", "raw", ""),
        homes=("http://fashion-mnist.s3-website.eu-central-1.amazonaws.com/",),
        files=_files(
            ("8d4fb7e6c68d591d4c3dfef9ec88bf0d",),
            ("25c81989df183df01b3e8a0aad5dffbe",),
            ("bef4ecab320f06d8554ea6380940ec79",),
            ("bb300cfdad3c16e7a12a480ee83cd310",),
        ),
        train_counts=(6000,) * 10,
        test_counts=(1000,) * 10,
        class_names=(
            "T-shirt/top",
            "trouser",
            "pullover",
            "dress",
            "coat",
            "sandal",
            "shirt",
            "sneaker",
            "bag",
            "ankle boot",
        ),
    ),
}


def owners_of(md5s: set[str]) -> list[MnistSet]:
    """Return the sets that publish a file with one of these checksums."""
    return [s for s in SETS.values() if any(md5s & {*f.md5s} for f in s.files.values())]
