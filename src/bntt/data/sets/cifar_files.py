"""What the published CIFAR files are called, and the checksums they were published with."""

from dataclasses import dataclass

from .download import Published

HOME = "https://www.cs.toronto.edu/~kriz/"

TRAIN = 50_000
TEST = 10_000


@dataclass(frozen=True, kw_only=True)
class Version:
    """One published form of a set."""

    folder: str
    archive: str
    archive_md5: str
    train: tuple[str, ...]
    test: str
    names: str
    md5: dict[str, str]
    """Checksum of each file; empty for the binary version, which has none published."""

    @property
    def files(self) -> tuple[str, ...]:
        """Every file that is read."""
        return (*self.train, self.test, self.names)


@dataclass(frozen=True, kw_only=True)
class CifarSet:
    """A set in its two published forms."""

    title: str
    versions: tuple[Version, ...]
    """The python version first: it is the one with checksums, and the one downloaded."""
    label_ranges: tuple[int, ...]
    """Classes of each label byte in a binary record; the last is the one to learn."""
    labels_key: bytes
    names_key: bytes
    mean: tuple[float, ...]
    """Of all training pixels divided by 255."""
    std: tuple[float, ...]

    @property
    def published(self) -> Published:
        """The archive of the python version, which is the one downloaded."""
        version = self.versions[0]
        return Published(
            title=self.title,
            file=version.archive,
            checksum=f"md5:{version.archive_md5}",
            urls=(HOME + version.archive,),
        )


SETS = {
    "cifar10": CifarSet(
        title="CIFAR-10",
        versions=(
            Version(
                folder="cifar-10-batches-py",
                archive="cifar-10-python.tar.gz",
                archive_md5="c58f30108f718f92721af3b95e74349a",
                train=tuple(f"data_batch_{k}" for k in range(1, 6)),
                test="test_batch",
                names="batches.meta",
                md5={
                    "data_batch_1": "c99cafc152244af753f735de768cd75f",
                    "data_batch_2": "d4bba439e000b95fd0a9bffe97cbabec",
                    "data_batch_3": "54ebc095f3ab1f0389bbae665268c751",
                    "data_batch_4": "634d18415352ddfa80567beed471001a",
                    "data_batch_5": "482c414d41f54cd18b22e5b47cb7c3cb",
                    "test_batch": "40351d587109b95175f43aff81a1287e",
                    "batches.meta": "5ff9c542aee3614f3951f8cda6e48888",
                },
            ),
            Version(
                folder="cifar-10-batches-bin",
                archive="cifar-10-binary.tar.gz",
                archive_md5="c32a1d4ab5d03f1284b67883e8d87530",
                train=tuple(f"data_batch_{k}.bin" for k in range(1, 6)),
                test="test_batch.bin",
                names="batches.meta.txt",
                md5={},
            ),
        ),
        label_ranges=(10,),
        labels_key=b"labels",
        names_key=b"label_names",
        mean=(0.4914, 0.4822, 0.4465),
        std=(0.2470, 0.2435, 0.2616),
    ),
    "cifar100": CifarSet(
        title="CIFAR-100",
        versions=(
            Version(
                folder="cifar-100-python",
                archive="cifar-100-python.tar.gz",
                archive_md5="eb9058c3a382ffc7106e4002c42a8d85",
                train=("train",),
                test="test",
                names="meta",
                md5={
                    "train": "16019d7e3df5f24257cddd939b257f8d",
                    "test": "f0ef6b0ae62326f3e7ffdfab6717acfc",
                    "meta": "7973b15100ade9c7d40fb424638fde48",
                },
            ),
            Version(
                folder="cifar-100-binary",
                archive="cifar-100-binary.tar.gz",
                archive_md5="03b5dce01913d631647c71ecec9e9cb8",
                train=("train.bin",),
                test="test.bin",
                names="fine_label_names.txt",
                md5={},
            ),
        ),
        label_ranges=(20, 100),
        labels_key=b"fine_labels",
        names_key=b"fine_label_names",
        mean=(0.5071, 0.4865, 0.4409),
        std=(0.2673, 0.2564, 0.2762),
    ),
}
