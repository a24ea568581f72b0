"""Check the boxes of an AVIF (ISO/IEC 14496-12 and 23008-12) and the AV1 sequence header of its image."""

from collections.abc import Iterator
from dataclasses import dataclass, field

from product_classifier.errors import InvalidImage
from product_classifier.images.image_info import ImageInfo
from product_classifier.limits import PHOTO_SEGMENTS

_MAX_ITEMS = 64
_BRANDS, _SEQUENCE = {b"avif", b"mif1", b"MA1A", b"MA1B", b"miaf"}, b"avis"
_TOP_LEVEL = {b"ftyp", b"meta", b"mdat", b"free", b"skip"}
_GRIDS = {b"grid", b"iovl"}
_SEQUENCE_HEADER, _FRAME_HEADER, _FRAME = 1, 3, 6

_FIXED_MS = 6.0
_NS_PER_PIXEL, _NS_PER_PIXEL_OF_ALPHA, _NS_PER_BYTE = 20.0, 10.0, 100.0


@dataclass(slots=True)
class _Item:
    """An item of the `meta` box: its type, and where its bytes are."""

    kind: bytes = b""
    in_idat: bool = False
    extents: list[tuple[int, int]] = field(default_factory=list)
    properties: list[int] = field(default_factory=list)


@dataclass(slots=True)
class _Meta:
    primary: int = 0
    items: dict[int, _Item] = field(default_factory=dict)
    properties: list[tuple[bytes, int, int]] = field(default_factory=list)
    """Type, start and end of each property; items name them from 1."""
    idat: tuple[int, int] = (0, 0)


class _Reader:
    """Reads big-endian integers of a range of bytes; raises InvalidImage at its end."""

    def __init__(self, data: bytes, at: int, end: int) -> None:
        self._data, self.at, self.end = data, at, end

    def take(self, size: int) -> int:
        """Return the next integer of some bytes; 0 of none."""
        if self.at + size > self.end:
            raise InvalidImage("a box of the AVIF is truncated")
        self.at += size
        return int.from_bytes(self._data[self.at - size : self.at], "big")

    def kind(self) -> bytes:
        """Return the next four bytes."""
        return self.take(4).to_bytes(4, "big")


class _Bits:
    """Reads bits of an AV1 header."""

    def __init__(self, data: bytes) -> None:
        self._value, self._left = int.from_bytes(data, "big"), 8 * len(data)

    def take(self, count: int) -> int:
        """Return the next bits as an integer."""
        self._left -= count
        if self._left < 0:
            raise InvalidImage("the sequence header of the AVIF is truncated")
        return self._value >> self._left & (1 << count) - 1


def is_avif(data: bytes) -> bool:
    """Return whether data begins as an AVIF: its brands say so."""
    size = int.from_bytes(data[:4], "big")
    if data[4:8] != b"ftyp" or not 16 <= size <= 1024:
        return False
    brands = {data[at : at + 4] for at in (8, *range(16, min(size, len(data)), 4))}
    return b"avif" in brands or _SEQUENCE in brands


def read_avif(data: bytes) -> ImageInfo:
    """Check the boxes that the image consists of; what follows them is not read."""
    if data[8:12] == _SEQUENCE:
        raise InvalidImage("an animated AVIF is not accepted; send a still image")
    meta, boxes = _read_boxes(data)
    primary = meta.items.get(meta.primary)
    if primary is None:
        raise InvalidImage("the AVIF has no primary image")
    if primary.kind != b"av01":
        what = "a grid of images" if primary.kind in _GRIDS else f"an item of type {primary.kind!a}"
        raise InvalidImage(f"the AVIF is {what}; send one AV1 image")
    size = _declared_size(data, meta, primary)
    _check_av1(_item_bytes(data, meta, primary), size)
    channels = 4 if any(_is_alpha(data, meta, item) for item in meta.items.values()) else 3
    end = _end(data, meta, boxes)
    pixels = size[0] * size[1]
    ns = pixels * (_NS_PER_PIXEL + (_NS_PER_PIXEL_OF_ALPHA if channels == 4 else 0)) + end * _NS_PER_BYTE
    memory = pixels * 12 + end + 6_000_000
    return ImageInfo("AVIF", *size, channels, 1, end, _FIXED_MS + ns / 1e6, memory)


def _read_boxes(data: bytes) -> tuple[_Meta, list[tuple[bytes, int, int]]]:
    """Return the `meta` box, and type, start and end of each box of the file up to one that an AVIF does not have."""
    meta, at = None, 0
    found: list[tuple[bytes, int, int]] = []
    for kind, start, end in _boxes(data, 0, len(data), stop_at_unknown=True):
        if kind == b"moov":
            raise InvalidImage("an animated AVIF is not accepted; send a still image")
        if kind not in _TOP_LEVEL or (kind == b"ftyp") != (at == 0):
            break
        if kind == b"meta":
            if meta is not None:
                raise InvalidImage("the AVIF has more than one meta box")
            meta = _read_meta(data, start, end)
        found.append((kind, at, end))
        at = end
    if meta is None:
        raise InvalidImage("the AVIF has no meta box")
    return meta, found


def _boxes(data: bytes, at: int, end: int, *, stop_at_unknown: bool = False) -> Iterator[tuple[bytes, int, int]]:
    """Yield type, start of the payload and end of each box; the last one may extend to the end of the file."""
    for _ in range(PHOTO_SEGMENTS):
        if at >= end:
            return
        size, kind, start = int.from_bytes(data[at : at + 4], "big"), data[at + 4 : at + 8], at + 8
        if stop_at_unknown and kind not in _TOP_LEVEL | {b"moov"}:
            return
        if size == 1:
            size, start = int.from_bytes(data[at + 8 : at + 16], "big"), at + 16
        elif size == 0 and stop_at_unknown:
            size = end - at
        if at + size > end or at + size < start:
            raise InvalidImage("the AVIF is truncated")
        yield kind, start, at + size
        at += size
    raise InvalidImage(f"the AVIF has more than {PHOTO_SEGMENTS} boxes")


def _read_meta(data: bytes, start: int, end: int) -> _Meta:
    meta = _Meta()
    seen: set[bytes] = set()
    for kind, at, until in _boxes(data, start + 4, end):
        if kind in seen:
            raise InvalidImage(f"the AVIF has more than one box {kind!a}")
        seen.add(kind)
        reader = _Reader(data, at, until)
        if kind == b"idat":
            meta.idat = at, until
        elif kind == b"iprp":
            _read_properties(data, meta, at, until)
        elif kind in _META_READERS:
            version = reader.take(1)
            reader.take(3)
            _META_READERS[kind](data, meta, reader, version)
    return meta


def _read_primary(_: bytes, meta: _Meta, reader: _Reader, version: int) -> None:
    meta.primary = reader.take(2 if version == 0 else 4)


def _read_items(data: bytes, meta: _Meta, reader: _Reader, version: int) -> None:
    count = reader.take(2 if version == 0 else 4)
    _check_items(count)
    for kind, at, until in _boxes(data, reader.at, reader.end):
        if kind != b"infe":
            raise InvalidImage("the list of items of the AVIF is damaged")
        entry = _Reader(data, at, until)
        entry_version = entry.take(1)
        if entry_version not in (2, 3):
            raise InvalidImage(f"an item of the AVIF has version {entry_version}; send one AV1 image")
        entry.take(3)
        item_id = entry.take(2 if entry_version == 2 else 4)
        entry.take(2)
        item = meta.items.setdefault(item_id, _Item())
        if item.kind:
            raise InvalidImage("the AVIF has two items of one number")
        item.kind = entry.kind()
        _check_items(len(meta.items))


def _read_locations(_data: bytes, meta: _Meta, reader: _Reader, version: int) -> None:
    sizes = reader.take(2)
    offset_size, length_size, base_size, index_size = (sizes >> shift & 15 for shift in (12, 8, 4, 0))
    if version == 0:
        index_size = 0
    if {offset_size, length_size, base_size, index_size} - {0, 4, 8}:
        raise InvalidImage("the item locations of the AVIF are damaged")
    count = reader.take(4 if version == 2 else 2)
    _check_items(count)
    for _ in range(count):
        item = meta.items.setdefault(reader.take(4 if version == 2 else 2), _Item())
        method = reader.take(2) & 15 if version else 0
        if method > 1 or reader.take(2):
            raise InvalidImage("an item of the AVIF is outside of the file")
        item.in_idat = method == 1
        base, extents = reader.take(base_size), reader.take(2)
        _check_items(extents)
        if item.extents:
            raise InvalidImage("the AVIF has two locations of one item")
        for _ in range(extents):
            reader.take(index_size)
            offset = base + reader.take(offset_size)
            item.extents.append((offset, reader.take(length_size)))


def _check_items(count: int) -> None:
    if count > _MAX_ITEMS:
        raise InvalidImage(f"the AVIF has {count} items, more than {_MAX_ITEMS}")


_META_READERS = {b"pitm": _read_primary, b"iinf": _read_items, b"iloc": _read_locations}


def _read_properties(data: bytes, meta: _Meta, start: int, end: int) -> None:
    seen: set[bytes] = set()
    for kind, at, until in _boxes(data, start, end):
        if kind in seen:
            raise InvalidImage(f"the AVIF has more than one box {kind!a}")
        seen.add(kind)
        if kind == b"ipco":
            meta.properties += list(_boxes(data, at, until))
        elif kind == b"ipma":
            reader = _Reader(data, at, until)
            version, flags = reader.take(1), reader.take(3)
            count = reader.take(4)
            _check_items(count)
            for _ in range(count):
                item = meta.items.setdefault(reader.take(2 if version == 0 else 4), _Item())
                for _ in range(reader.take(1)):
                    item.properties.append(reader.take(2) & 0x7FFF if flags & 1 else reader.take(1) & 0x7F)


def _properties(meta: _Meta, item: _Item, kind: bytes) -> Iterator[tuple[int, int]]:
    for index in item.properties:
        if 1 <= index <= len(meta.properties) and meta.properties[index - 1][0] == kind:
            yield meta.properties[index - 1][1:]


def _declared_size(data: bytes, meta: _Meta, item: _Item) -> tuple[int, int]:
    found = list(_properties(meta, item, b"ispe"))
    if len(found) != 1:
        raise InvalidImage(f"the AVIF declares {len(found)} sizes of its image")
    reader = _Reader(data, *found[0])
    reader.take(4)
    return reader.take(4), reader.take(4)


def _is_alpha(data: bytes, meta: _Meta, item: _Item) -> bool:
    return any(b"alpha" in data[at : min(until, at + 64)] for at, until in _properties(meta, item, b"auxC"))


def _ranges(meta: _Meta, item: _Item) -> Iterator[tuple[int, int]]:
    shift, limit = (meta.idat[0], meta.idat[1]) if item.in_idat else (0, None)
    for offset, length in item.extents:
        end = shift + offset + length
        if limit is not None and end > limit:
            raise InvalidImage("an item of the AVIF is outside of its data")
        yield shift + offset, end


def _item_bytes(data: bytes, meta: _Meta, item: _Item) -> bytes:
    ranges = list(_ranges(meta, item))
    if not ranges or max(end for _, end in ranges) > len(data) or sum(b - a for a, b in ranges) > len(data):
        raise InvalidImage("the AVIF is truncated")
    parts = [data[start:end] for start, end in ranges]
    return b"".join(parts)


def _end(data: bytes, meta: _Meta, boxes: list[tuple[bytes, int, int]]) -> int:
    """Return the end of the last box that holds the meta box or bytes of an item."""
    last = max((end for item in meta.items.values() for _, end in _ranges(meta, item)), default=0)
    last = max(last, *(end for kind, _, end in boxes if kind == b"meta"))
    for _, start, end in boxes:
        if end >= last:
            to_the_end_of_the_file = data[start : start + 4] == b"\x00" * 4
            return last if to_the_end_of_the_file else end
    raise InvalidImage("the AVIF is truncated")


def _check_av1(data: bytes, size: tuple[int, int]) -> None:
    """Refuse an AV1 stream that has not exactly one frame and one sequence header, of the declared size."""
    headers = frames = at = 0
    for _ in range(PHOTO_SEGMENTS):
        if at >= len(data):
            break
        kind, at, end = _read_obu(data, at)
        if kind == _SEQUENCE_HEADER:
            headers += 1
            found = _sequence_size(data[at : min(end, at + 64)])
            if found != size:
                raise InvalidImage(f"the AVIF is {size[0]}x{size[1]} pixels, but its image is {found[0]}x{found[1]}")
        frames += kind in (_FRAME, _FRAME_HEADER)
        at = end
    if at < len(data) or headers != 1 or frames != 1:
        raise InvalidImage(f"the AVIF has {headers} sequence headers and {frames} frames; send a still image")


def _read_obu(data: bytes, at: int) -> tuple[int, int, int]:
    """Return type, start of the payload and end of an open bitstream unit."""
    header = data[at]
    at += 2 if header & 4 else 1
    if not header & 2:
        return header >> 3 & 15, at, len(data)
    length = 0
    for shift in range(0, 56, 7):
        if at >= len(data):
            break
        byte = data[at]
        at += 1
        length |= (byte & 0x7F) << shift
        if not byte & 0x80:
            break
    if header & 0x80 or at + length > len(data):
        raise InvalidImage("the AV1 data of the AVIF is truncated")
    return header >> 3 & 15, at, at + length


def _sequence_size(data: bytes) -> tuple[int, int]:
    """Return the largest frame of a sequence header (AV1, section 5.5.1)."""
    bits = _Bits(data)
    bits.take(4)  # profile and still_picture
    if bits.take(1):  # reduced_still_picture_header
        bits.take(5)
    else:
        if bits.take(1):
            raise InvalidImage("the AVIF has timing information; send a still image")
        delays = bits.take(1)
        for _ in range(bits.take(5) + 1):
            bits.take(12)
            if bits.take(5) > 7:
                bits.take(1)
            if delays and bits.take(1):
                bits.take(4)
    width_bits, height_bits = bits.take(4) + 1, bits.take(4) + 1
    return bits.take(width_bits) + 1, bits.take(height_bits) + 1
