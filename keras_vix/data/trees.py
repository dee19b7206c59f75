"""Read-only access to many small files in a folder, or in a zip that is never unpacked: one interface for both."""

import os
import zipfile
import zlib
from abc import ABC, abstractmethod
from collections.abc import Callable
from pathlib import Path
from threading import Lock

from ..checks import plain

TEXT_LIMIT = 2**24  # bytes of a list of names; above it something else lies there
METHODS = (zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED)
ENCRYPTED = 1  # the bit of a member's flags
# What zipfile raises where bytes are not what they should be; a nonsensical offset gives OSError too.
DAMAGE = (zipfile.BadZipFile, zlib.error, EOFError, ValueError, NotImplementedError)


class Tree(ABC):
    """Files by their names below `path`, parts joined by `/`; may be read from several threads.

    Args:
        path: The folder or the zip.
    """

    def __init__(self, path: Path) -> None:
        self.path = path

    @abstractmethod
    def names(self, folder: str) -> list[str]:
        """The files directly in a folder (`""` for the topmost), sorted; none when there is no such folder."""

    @abstractmethod
    def folders(self, folder: str) -> list[str]:
        """The folders directly in a folder, sorted, without hidden ones; none when there is no such folder."""

    @abstractmethod
    def read(self, name: str, limit: int) -> bytes:
        """The content of one file of at most `limit` bytes.

        Raises:
            ValueError: The file is larger or damaged, or its name would lead out of the tree.
            OSError: It cannot be read.
        """

    def lines(self, name: str) -> list[str]:
        """The lines of a text, without space around them and without empty ones at its end.

        Raises:
            ValueError, OSError: As `read`, or no UTF-8.
        """
        try:
            text = self.read(name, TEXT_LIMIT).decode()
        except UnicodeDecodeError as error:
            raise ValueError(f"A text in UTF-8 is needed. Received: {self.where(name)}, which is none ({error}).") from error
        return [line.strip() for line in text.rstrip().splitlines()]

    def where(self, name: str) -> str:
        """The file's full name, for messages."""
        return repr(f"{self.path}/{name}")


class Folder(Tree):
    """The files of a folder on disk."""

    def names(self, folder: str) -> list[str]:
        return self._listed(folder, os.DirEntry.is_file)

    def folders(self, folder: str) -> list[str]:
        return [name for name in self._listed(folder, os.DirEntry.is_dir) if not name.startswith(".")]

    def read(self, name: str, limit: int) -> bytes:
        with self._place(name).open("rb") as file:
            content = file.read(limit + 1)
        _check_size(self.where(name), len(content), limit)
        return content

    def _listed(self, folder: str, kind: Callable[[os.DirEntry], bool]) -> list[str]:
        place = self._place(folder) if folder else self.path
        if not place.is_dir():
            return []
        with os.scandir(place) as entries:
            return sorted(entry.name for entry in entries if kind(entry))

    def _place(self, name: str) -> Path:
        if not all(plain(part) for part in name.split("/")):
            raise ValueError(f"A name must stay within its folder. Received: {name!r} in {str(self.path)!r}.")
        return self.path / name


class Zip(Tree):
    """The files of a zip. Only members that a reader asks for are opened; nothing is written to disk."""

    def __init__(self, path: Path) -> None:
        super().__init__(path)
        self._lock = Lock()  # zipfile counts its open members without one
        try:
            self._archive = zipfile.ZipFile(path)  # closes itself when the tree goes
        except DAMAGE as error:
            raise ValueError(f"A whole zip is needed. Received: path={str(path)!r} ({error}); copy it anew.") from error
        self._folders: dict[str, set[str]] = {}
        for member in self._archive.namelist():
            folder, _, name = member.rpartition("/")
            if name and name in self._folders.get(folder, ()):
                raise ValueError(f"A zip must hold each file once. Received: {self.where(member)} twice; zip the files anew.")
            self._folders.setdefault(folder, set()).add(name)  # a folder's own entry ends in "/": its name here is ""

    def names(self, folder: str) -> list[str]:
        return sorted(name for name in self._folders.get(folder, ()) if name)

    def folders(self, folder: str) -> list[str]:
        front = f"{folder}/" if folder else ""
        found = {name[len(front) :].partition("/")[0] for name in self._folders if name.startswith(front) and name != folder}
        return sorted(name for name in found if plain(name) and not name.startswith("."))

    def read(self, name: str, limit: int) -> bytes:
        member = self._archive.getinfo(name)
        _check_size(self.where(name), member.file_size, limit)
        if member.compress_type not in METHODS or member.flag_bits & ENCRYPTED:
            raise ValueError(f"Plain members, stored or deflated, are needed. Received: {self.where(name)}; zip the files anew.")
        try:
            # With a number given, a member that declares less than it unpacks to is not inflated beyond that number.
            with self._lock, self._archive.open(member) as file:
                return file.read(limit)
        except (*DAMAGE, OSError) as error:
            raise ValueError(f"A whole zip is needed. Received: {self.where(name)} ({error}); copy it anew.") from error


def open_tree(path: Path) -> Tree:
    """The files of a folder or a zip.

    Raises:
        FileNotFoundError: There is neither.
        ValueError: A file that is no zip.
    """
    if path.is_dir():
        return Folder(path)
    if not path.is_file():
        raise FileNotFoundError(f"A folder or a zip is needed. Received: path={str(path)!r}; there is nothing of that name.")
    return Zip(path)


def _check_size(where: str, size: int, limit: int) -> None:
    if size > limit:
        raise ValueError(f"A file of at most {limit:,} bytes is expected. Received: {where} with {size:,} or more; look into it.")
