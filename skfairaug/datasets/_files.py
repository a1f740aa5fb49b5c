"""Where the files of a data set lie, and how missing ones are downloaded."""

import csv
import hashlib
import os
import tempfile
import zipfile
from dataclasses import dataclass
from pathlib import Path


@dataclass(frozen=True)
class DataFile:
    """A file as its publisher offers it.

    Attributes
    ----------
    name : str
        File name on disk.
    url : str
        Where the publisher offers it, or the zip archive that holds it.
    md5 : tuple of str
        Checksums accepted, of a download and of a file on disk, whatever its line ends.
    member : str or None
        Path inside the zip archive at `url`; None if `url` is the file itself.
    columns : tuple of str or None
        Columns of a CSV file that are stored on disk after a download; None means all.
    n_rows : int or None
        Rows of the copy with these columns, whose checksum depends on how it was written.
    """

    name: str
    url: str
    md5: tuple[str, ...]
    member: str | None = None
    columns: tuple[str, ...] | None = None
    n_rows: int | None = None


def get_data_home(data_home=None):
    """Return the folder that holds the data sets, one subfolder each.

    Parameters
    ----------
    data_home : str or path-like, default=None
        None means the environment variable SKFAIRAUG_DATA, else `~/skfairaug_data`.

    Returns
    -------
    data_home : Path
        The folder, which need not exist; a leading `~` is expanded.
    """
    if data_home is None:
        data_home = os.environ.get("SKFAIRAUG_DATA") or Path("~", "skfairaug_data")
    return Path(data_home).expanduser()


def locate_files(folder, files, *, data_home=None, download_if_missing=True):
    """Return the paths of a data set's files, downloading those that are missing.

    Parameters
    ----------
    folder : str
        Subfolder of `data_home` in which they are looked for, unless `data_home` itself
        holds one of them.
    files : tuple of DataFile
        The files.
    data_home : str or path-like, default=None
        See `get_data_home`.
    download_if_missing : bool, default=True
        Whether to ask the publisher for missing files.

    Returns
    -------
    paths : list of Path
        One path per file.

    Raises
    ------
    OSError
        If a file is missing and is not or cannot be downloaded; the message says where
        each file goes and where to get it. If a file is there and is not the published one,
        or half of it; the message says which one to get again.
    """
    home = get_data_home(data_home)
    direct = any((home / file.name).is_file() for file in files)
    target = home if direct else home / folder
    missing = [file for file in files if not (target / file.name).is_file()]
    for file in files:
        if file not in missing:
            check_file(target / file.name, file)
    if missing and not download_if_missing:
        raise OSError(_instructions(target, missing, "download_if_missing is False"))
    for file in missing:
        try:
            target.mkdir(parents=True, exist_ok=True)
            _install(file, target)
        except (OSError, ImportError) as error:
            reason = f"the download failed: {error}"
            left = [file for file in files if not (target / file.name).is_file()]
            raise OSError(_instructions(target, left, reason)) from error
    return [target / file.name for file in files]


def check_file(path, file):
    """Check that a file on disk is the published one, or our copy with fewer columns.

    Parameters
    ----------
    path : Path
        The file on disk.
    file : DataFile
        What it should be.

    Raises
    ------
    OSError
        If it is not. Half a file would be read as a smaller data set, and a page that says
        that the data has moved as an empty one.
    """
    content = path.read_bytes()
    unix = content.replace(b"\r\n", b"\n")
    spellings = (content, unix, unix.replace(b"\n", b"\r\n"))
    if any(_md5(spelling) in file.md5 for spelling in spellings):
        return
    if file.columns is None or not _is_whole_copy(path, file):
        raise OSError(
            damage(path, f"it has {len(content)} bytes and md5 {_md5(content)}", file)
        )


def damage(path, reason, file):
    """Say that a file is damaged, why we think so, and where to get it again."""
    archive = f" (in the archive: {file.member})" if file.member else ""
    return (
        f"{path} is damaged or not the published file: {reason}. Get it again from "
        f"{file.url}{archive}, and put it there unchanged."
    )


def download(url, path):
    """Write what `url` serves to `path`.

    Parameters
    ----------
    url : str
        An http or https address.
    path : path-like
        The file to write.

    Raises
    ------
    ImportError
        If pooch is not installed.
    OSError
        If the address cannot be reached.
    """
    try:
        import pooch
    except ImportError as error:
        raise ImportError(
            "downloading data needs pooch, which is not installed; run "
            "`pip install pooch` or put the files in place yourself"
        ) from error
    pooch.HTTPDownloader()(url, str(path), None)


def _install(file, target):
    """Download a file into `target`; it appears there checked and whole, or not at all."""
    with tempfile.TemporaryDirectory(dir=target) as scratch:
        path = Path(scratch, "download")
        download(file.url, path)
        if file.member is not None:
            path = _unzip(path, file)
        found = _md5(path.read_bytes())
        if found not in file.md5:
            raise OSError(
                f"{file.url} gave a {file.name} with md5 {found}, expected "
                f"{' or '.join(file.md5)}"
            )
        if file.columns is not None:
            path = _keep_columns(path, file.columns)
        os.replace(path, target / file.name)


def _md5(content):
    return hashlib.md5(content, usedforsecurity=False).hexdigest()


def _is_whole_copy(path, file):
    """Whether a file is what `_keep_columns` makes of the published one, to its last row."""
    try:
        with path.open(encoding="utf-8", newline="") as source:
            header, *rows = csv.reader(source, strict=True)
    except (ValueError, csv.Error):  # nothing in it, or no such text
        return False
    whole = all(len(row) == len(header) for row in rows)
    return whole and tuple(header) == file.columns and len(rows) == file.n_rows and rows[-1][-1]


def _unzip(path, file):
    """Extract the member from the archive at `path` and return its new path."""
    try:
        with zipfile.ZipFile(path) as archive:
            return Path(archive.extract(file.member, path.parent))
    except (zipfile.BadZipFile, KeyError) as error:
        raise OSError(f"{file.url} is not a zip archive with {file.member}: {error}") from error


def _keep_columns(path, columns):
    """Copy the first column of each name, text unchanged, and return the copy's path."""
    copy = path.with_name("columns")
    with (
        path.open(encoding="utf-8", newline="") as source,
        copy.open("w", encoding="utf-8", newline="") as sink,
    ):
        rows = csv.reader(source)
        header = next(rows)
        kept = [header.index(column) for column in columns]
        writer = csv.writer(sink, lineterminator="\n")
        writer.writerow(columns)
        writer.writerows([row[i] for i in kept] for row in rows if row)
    return copy


def _instructions(target, missing, reason):
    """Say which files are missing, where they go, where to get them, and why we ask."""
    lines = [
        f"  {target / file.name}\n    from {file.url}"
        + (f" (in the archive: {file.member})" if file.member else "")
        for file in missing
    ]
    return (
        f"{', '.join(file.name for file in missing)} not found, and {reason}. "
        "Put the missing files, unchanged, here:\n"
        + "\n".join(lines)
        + "\nor name another folder with `data_home` or the environment variable "
        "SKFAIRAUG_DATA."
    )
