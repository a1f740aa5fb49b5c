"""The files of CIFAR-10: Hugging Face's parquet, or the original Python batches."""

import pickle
import tarfile
from io import BytesIO

import numpy as np

from skfairaug.datasets._decode import decode_images, import_extra
from skfairaug.datasets._files import DataFile, damage, get_data_home, locate_files

ARCHIVE = DataFile(
    "cifar-10-python.tar.gz",
    "https://www.cs.toronto.edu/~kriz/cifar-10-python.tar.gz",
    ("c58f30108f718f92721af3b95e74349a",),
)

CLASSES = (
    "airplane",
    "automobile",
    "bird",
    "cat",
    "deer",
    "dog",
    "frog",
    "horse",
    "ship",
    "truck",
)

PARQUET = {part: f"{part}-00000-of-00001.parquet" for part in ("train", "test")}

BATCHES = {
    "train": tuple(f"data_batch_{i}" for i in range(1, 6)),
    "test": ("test_batch",),
}

#: Folder of the batches, in the archive too.
FOLDER = "cifar-10-batches-py"

SHAPE = (3, 32, 32)

#: Images of each part.
N_IMAGES = {"train": 50_000, "test": 10_000}


def open_cifar10(data_home=None, *, download_if_missing=True):
    """Find the files of CIFAR-10, or download the original ones.

    Parameters
    ----------
    data_home : str or path-like, default=None
        See `get_data_home`. The files lie there or in its subfolder `cifar10`.
    download_if_missing : bool, default=True
        Whether to download the archive if neither format is there.

    Returns
    -------
    source : ParquetFiles or PythonBatches
        With ``labels(part)`` and ``images(part, rows)`` for the parts "train" and "test".

    Raises
    ------
    OSError
        If the files are missing and are not or cannot be downloaded, or lack images.
    """
    source = _find_source(data_home, download_if_missing)
    for part, expected in N_IMAGES.items():
        found = len(source.labels(part))
        if found != expected:
            reason = f"the {part} part has {found} images, expected {expected}"
            raise OSError(damage(source.place, reason, ARCHIVE))
    return source


def _find_source(data_home, download_if_missing):
    home = get_data_home(data_home)
    for folder in (home / "cifar10", home):
        if all((folder / name).is_file() for name in PARQUET.values()):
            return ParquetFiles(folder)
        for batches in (folder / FOLDER, folder):
            names = (name for part in BATCHES.values() for name in part)
            if all((batches / name).is_file() for name in names):
                return PythonBatches(
                    batches, lambda name, batches=batches: _load(batches / name)
                )
    try:
        (archive,) = locate_files(
            "cifar10", (ARCHIVE,), data_home=data_home, download_if_missing=download_if_missing
        )
    except OSError as error:
        raise OSError(
            f"{error}\nThe same folder may hold, in its place, the archive's folder {FOLDER}, "
            f"or Hugging Face's {' and '.join(PARQUET.values())}."
        ) from error
    return PythonBatches(archive, _archive_reader(archive))


class ParquetFiles:
    """Images as compressed files in the column `img`, classes in the column `label`.

    Parameters
    ----------
    folder : Path
        Where the two files are.
    """

    def __init__(self, folder):
        self.folder = self.place = folder

    def labels(self, part):
        """Classes of all images, ndarray of int64 of shape (n_samples,)."""
        return self._column(part, "label").to_numpy().astype("int64")

    def images(self, part, rows):
        """Pixels of some images, ndarray of uint8 of shape (n_rows, 3, 32, 32)."""
        compute = import_extra("pyarrow.compute", "pyarrow")
        files = compute.struct_field(self._column(part, "img"), "bytes").take(rows)
        X = decode_images(files.to_pylist(), names=[f"image {row}" for row in rows])
        _check_shape(X, self.folder / PARQUET[part])
        return X

    def _column(self, part, name):
        parquet = import_extra("pyarrow.parquet", "pyarrow")
        path = self.folder / PARQUET[part]
        invalid = import_extra("pyarrow", "pyarrow").ArrowInvalid
        try:
            found = parquet.read_schema(path).names
            if name in found:
                return parquet.read_table(path, columns=[name])[name]
        except (invalid, OSError) as error:
            raise OSError(damage(path, error, ARCHIVE)) from error
        raise ValueError(f"{path} has the columns {found}, expected img and label.")


class PythonBatches:
    """Pixels and classes in the pickles of the original release.

    Parameters
    ----------
    place : Path
        Folder or archive that they are in.
    load : callable
        From the name of a batch to its dictionary.
    """

    def __init__(self, place, load):
        self.place = place
        self.load = load
        self._parts = {}

    def labels(self, part):
        """Classes of all images, ndarray of int64 of shape (n_samples,)."""
        return self._read(part)[1]

    def images(self, part, rows):
        """Pixels of some images, ndarray of uint8 of shape (n_rows, 3, 32, 32)."""
        return self._read(part)[0][rows]

    def _read(self, part):
        if part not in self._parts:
            batches = [self._load(name) for name in BATCHES[part]]
            X = np.concatenate([batch[b"data"] for batch in batches]).reshape(-1, *SHAPE)
            y = np.concatenate([batch[b"labels"] for batch in batches]).astype("int64")
            self._parts[part] = X, y
        return self._parts[part]

    def _load(self, name):
        try:
            return self.load(name)
        except (EOFError, KeyError, pickle.UnpicklingError) as error:
            raise pickle.UnpicklingError(damage(self.place / name, error, ARCHIVE)) from error


class BatchUnpickler(pickle.Unpickler):
    """Reads arrays of numbers and nothing that could run code."""

    def find_class(self, module, name):
        """What a name in the file stands for."""
        if name == "_reconstruct":
            return np._core.multiarray._reconstruct
        if name == "dtype":
            # The release states `align` as a number, of which some versions of NumPy warn.
            return lambda code, *_: np.dtype(code)
        if (module, name) == ("numpy", "ndarray"):
            return np.ndarray
        if (module, name) == ("_codecs", "encode"):
            return super().find_class(module, name)
        raise pickle.UnpicklingError(f"{module}.{name} has no place in a batch of CIFAR-10")


def _load(path):
    with open(path, "rb") as file:
        return BatchUnpickler(file, encoding="bytes").load()


def _archive_reader(path):
    """Read the archive once, as going back in it means unpacking it again."""
    wanted = {name for part in BATCHES.values() for name in part}
    with tarfile.open(path) as archive:
        found = {
            member.name.rsplit("/", 1)[-1]: archive.extractfile(member).read()
            for member in archive
            if member.isfile() and member.name.rsplit("/", 1)[-1] in wanted
        }
    return lambda name: BatchUnpickler(BytesIO(found[name]), encoding="bytes").load()


def _check_shape(X, path):
    if X.shape[1:] != SHAPE:
        raise ValueError(f"{path} has images of shape {X.shape[1:]}, expected {SHAPE}.")
