"""Records of TFRecord files, the form in which TensorFlow Datasets prepares sets: found, checked, and read one by one.

A record is its length (8 bytes), a checksum of the length (4), its content, and a checksum of the content (4).

Source: TensorFlow's `tensorflow/core/lib/io/record_writer.h`; CRC-32C is Castagnoli's polynomial, RFC 3720, section 12.1.
"""

import os
import struct
import weakref
from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path
from typing import NamedTuple

import numpy as np

HEAD, TAIL = 12, 4  # bytes round a record's content
BLOCK = 2**25  # bytes of records read and checked together
LARGEST = 2**30  # bytes of one record; above it the length itself is wrong
OPEN = 64  # files kept open at once; a system may allow a process no more than a few hundred
POLYNOMIAL = 0x82F63B78
MASK = 0xA282EAD8


class Index(NamedTuple):
    """Where the records of some files are: number of the file, first byte and length of the content, class label."""

    file: np.ndarray
    offset: np.ndarray
    length: np.ndarray
    label: np.ndarray


class Block(NamedTuple):
    """Some whole records: their bytes, and of each where its content starts in them, its length, and its place in the file."""

    content: np.ndarray
    start: np.ndarray
    length: np.ndarray
    offset: np.ndarray


class Records:
    """Encoded images inside records, read by the number of the record; may be read from several threads.

    Args:
        files: the TFRecord files.
        index: where in them the records are.
        key: name of the image among the features of a record.
    """

    def __init__(self, files: list[Path], index: Index, key: str) -> None:
        self.files, self.index, self.key = files, index, key
        self._handles: dict[int, int] = {}
        weakref.finalize(self, _close, self._handles)

    def read(self, number: int, limit: int) -> bytes:
        """The encoded image of one record."""
        length = int(self.index.length[number])
        record = self._bytes(int(self.index.file[number]), int(self.index.offset[number]), length)
        if len(record) < length:
            raise ValueError(f"A whole record is needed. Received: {self.where(number)}, which is cut off; prepare the set anew.")
        found = example(record, partial(self.where, number))[self.key].bytes_list.value
        if len(found) != 1 or len(found[0]) > limit:
            raise ValueError(f"A record with one image of at most {limit:,} bytes is needed. Received: {self.where(number)}.")
        return found[0]

    def _bytes(self, file: int, offset: int, length: int) -> bytes:
        """A stretch of a file. Few files stay open: opening costs as much as decoding a small image. Windows has no `pread`."""
        if len(self.files) > OPEN or not hasattr(os, "pread"):
            with self.files[file].open("rb", buffering=0) as stream:
                stream.seek(offset)
                return stream.read(length)
        if file not in self._handles:
            handle = os.open(self.files[file], os.O_RDONLY)
            if self._handles.setdefault(file, handle) != handle:  # another thread was first
                os.close(handle)
        return os.pread(self._handles[file], length, offset)

    def where(self, number: int) -> str:
        """The record in words."""
        return f"'{self.files[self.index.file[number]]}', record at byte {int(self.index.offset[number]) - HEAD}"


def _close(handles: dict[int, int]) -> None:
    for handle in handles.values():
        os.close(handle)


def example(record: bytes, where: Callable[[], str]):
    """The features of one record by their names.

    Raises:
        ValueError: it is no `Example`.
    """
    from google.protobuf.message import DecodeError
    from tensorflow_datasets.proto import tf_example_pb2

    try:
        return tf_example_pb2.Example.FromString(record).features.feature
    except DecodeError as error:
        raise ValueError(f"A record with features is needed. Received: {where()} ({error}); prepare the set anew.") from error


def scan(files: list[Path], label: str) -> Index:
    """Where the records of the files are, after a check of every checksum; memory holds one block of records at a time.

    Args:
        files: TFRecord files, in order.
        label: name of the class label among the features.

    Raises:
        ValueError: the first damaged record; the message names its file and place.
        OSError: a file cannot be read.
    """
    parts = []
    for number, path in enumerate(files):
        for block in blocks(path):
            labels = np.empty(len(block.start), np.int32)
            for row, (start, length) in enumerate(zip(block.start.tolist(), block.length.tolist())):
                where = partial("'{}', record at byte {}".format, path, int(block.offset[row]) - HEAD)
                values = example(block.content[start : start + length].tobytes(), where)[label].int64_list.value
                if len(values) != 1:
                    raise ValueError(f"A record with one label is needed. Received: {where()} with {len(values)}.")
                labels[row] = values[0]
            parts.append((np.full(len(labels), number, np.int32), block.offset, block.length, labels))
    empty = tuple(np.empty(0, kind) for kind in (np.int32, np.int64, np.int64, np.int32))
    return Index(*(np.concatenate(column) for column in zip(empty, *parts)))


def count(path: Path, told: Callable[[int], None] = lambda records: None) -> int:
    """The number of records of one file, after a check of every checksum.

    Raises:
        ValueError, OSError: as `scan`.
    """
    total = 0
    for block in blocks(path):
        total += len(block.start)
        told(total)
    return total


def blocks(path: Path) -> Iterator[Block]:
    """The records of a file, checked, some at a time.

    Raises:
        ValueError: a length or content does not fit its checksum, or the file ends within a record.
    """
    size, place = path.stat().st_size, 0
    with path.open("rb") as file:
        while place < size:
            file.seek(place)
            content = file.read(BLOCK)
            starts, lengths, used = _frames(content, path, place, size)
            if not starts:  # one record larger than a block
                length = struct.unpack_from("<Q", content)[0]
                content += file.read(HEAD + length + TAIL - len(content))
                starts, lengths, used = _frames(content, path, place, size)
            block = np.frombuffer(content, np.uint8)
            found = Block(block, np.array(starts), np.array(lengths), np.array(starts, np.int64) + place)
            _check(found, path)
            yield found
            place += used


def _frames(content: bytes, path: Path, place: int, size: int) -> tuple[list[int], list[int], int]:
    """(starts, lengths, bytes used) of the whole records in some bytes of a file, read from `place` on."""
    starts, lengths, at = [], [], 0
    while at < len(content):
        rest = size - place - at
        length = struct.unpack_from("<Q", content, at)[0] if at + HEAD <= len(content) else 0
        if rest < HEAD + TAIL or length > min(LARGEST, rest - HEAD - TAIL):
            words = f"a record at byte {place + at} that its {size:,} bytes do not hold"
            raise ValueError(f"Whole records are needed. Received: {str(path)!r} with {words}.")
        end = at + HEAD + length + TAIL
        if at + HEAD > len(content) or end > len(content):
            break
        starts.append(at + HEAD)
        lengths.append(length)
        at = end
    return starts, lengths, at


def _check(block: Block, path: Path) -> None:
    """Compare both checksums of every record."""
    heads = block.start - HEAD
    eight = np.full(len(heads), 8)
    for first, lengths, stored in ((heads, eight, heads + 8), (block.start, block.length, block.start + block.length)):
        wanted = sum(block.content[stored + byte].astype(np.uint32) << np.uint32(8 * byte) for byte in range(4))
        wrong = np.flatnonzero(masked(crc32c(block.content, first, lengths)) != wanted)
        if len(wrong):
            words = f"a record at byte {int(block.offset[wrong[0]]) - HEAD} that does not fit its checksum"
            raise ValueError(f"Records as they were written are needed. Received: {str(path)!r} with {words}.")


def crc32c(content: np.ndarray, starts: np.ndarray, lengths: np.ndarray) -> np.ndarray:
    """CRC-32C of many pieces of one array of bytes at once, uint32: four bytes of every piece in each step."""
    tables = _tables()
    order = np.argsort(-lengths, kind="stable")
    at, left = starts[order].copy(), lengths[order]
    crc = np.full(len(order), 0xFFFFFFFF, np.uint32)
    for step in range(0, int(left[0]) if len(left) else 0, 4):
        whole = int(np.searchsorted(-left, -(step + 4), side="right"))  # pieces with four more bytes
        if whole:
            here = at[:whole] + step
            word = crc[:whole]
            mixed = [content[here + byte] ^ (word >> np.uint32(8 * byte)).astype(np.uint8) for byte in range(4)]
            crc[:whole] = tables[3][mixed[0]] ^ tables[2][mixed[1]] ^ tables[1][mixed[2]] ^ tables[0][mixed[3]]
        some = int(np.searchsorted(-left, -step, side="left"))  # pieces with any
        for byte in range(3):
            rows = np.arange(whole, some)[left[whole:some] > step + byte]
            if not len(rows):
                break
            low = (crc[rows] & np.uint32(255)).astype(np.uint8) ^ content[at[rows] + step + byte]
            crc[rows] = tables[0][low] ^ (crc[rows] >> np.uint32(8))
    out = np.empty_like(crc)
    out[order] = crc ^ np.uint32(0xFFFFFFFF)
    return out


def masked(crc: np.ndarray) -> np.ndarray:
    """A checksum as it stands in a file."""
    return ((crc >> np.uint32(15)) | (crc << np.uint32(17))) + np.uint32(MASK)


def _tables() -> np.ndarray:
    """(4, 256), uint32: what a byte does to the checksum, followed by 0 to 3 bytes of zero."""
    table = np.arange(256, dtype=np.uint32)
    for _ in range(8):
        table = (table >> np.uint32(1)) ^ np.where(table & np.uint32(1), np.uint32(POLYNOMIAL), np.uint32(0))
    tables = [table]
    for _ in range(3):
        tables.append(table[tables[-1] & np.uint32(255)] ^ (tables[-1] >> np.uint32(8)))
    return np.stack(tables)
