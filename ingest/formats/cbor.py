"""A strict reader of CBOR (RFC 8949): what sensors send of it, bounded in depth and size.

Whole numbers, floats of 16, 32 and 64 bits, texts, bytes, lists, maps, true, false, null and undefined (None), strings,
lists and maps of indefinite length (3.2), large whole numbers (tags 2 and 3, 3.4.3), decimal fractions and bigfloats
(tags 4 and 5, 3.4.4). Other tags are skipped, what they stand before is read. Keys of maps are numbers or texts; of two
equal ones the last holds.
"""

import struct
from math import inf
from typing import Any, Final

DEEPEST: Final = 32
"""Lists, maps and tags within each other."""

LONGEST_NUMBER: Final = 256
"""Bytes of a whole number (tags 2 and 3)."""

_MOST_DIGITS: Final = 1100
"""Binary digits before the point of no float (1024 is the most), and noughts behind it of none but 0 (1074)."""

_WIDTHS: Final = {24: 1, 25: 2, 26: 4, 27: 8}
_FLOATS: Final = {25: ">e", 26: ">f", 27: ">d"}
_SIMPLE: Final = {20: False, 21: True, 22: None, 23: None}
_INDEFINITE: Final = 31
_BREAK: Final = 0xFF
_NUMBER, _NEGATIVE, _BYTES, _TEXT, _LIST, _MAP, _TAG = range(7)
_KINDS: Final = {_BYTES: "bytes", _TEXT: "a text", _LIST: "a list", _MAP: "a map"}


class CborError(ValueError):
    """Bytes that are not CBOR, or CBOR that is not read here; says at which byte, and what is there."""


def loads(data: bytes) -> Any:
    """The one item that the bytes are. Raises CborError, also for what stands behind it."""
    if not data:
        raise CborError("no bytes at all")
    reader = _Reader(data)
    item = reader.item(0)
    if reader.at < len(data):
        raise CborError(f"byte {reader.at}: {len(data) - reader.at} bytes behind the end")
    return item


class _Reader:
    """Reads from ``at`` on."""

    def __init__(self, data: bytes) -> None:
        self.data = data
        self.at = 0

    def item(self, deep: int) -> Any:
        """The next item, whatever it is."""
        begin = self.at
        kind, info = self._head()
        if deep > DEEPEST:
            raise CborError(f"byte {begin}: nested deeper than {DEEPEST}")
        if kind > _TAG:
            return self._simple(begin, info)
        if info == _INDEFINITE:
            return self._indefinite(begin, kind, deep)
        return self._definite(begin, kind, self._argument(begin, info), deep)

    def _definite(self, begin: int, kind: int, argument: int, deep: int) -> Any:
        if kind in (_NUMBER, _NEGATIVE):
            return argument if kind == _NUMBER else -1 - argument
        if kind in (_BYTES, _TEXT):
            return self._string(begin, kind, argument)
        if kind == _TAG:
            return self._tagged(begin, argument, deep)
        self._room(begin, kind, argument, argument * (2 if kind == _MAP else 1))  # every item takes a byte at least
        if kind == _LIST:
            return [self.item(deep + 1) for _ in range(argument)]
        return dict(self._pair(deep) for _ in range(argument))

    def _room(self, begin: int, kind: int, length: int, least: int) -> None:
        """Raise CborError where so many bytes cannot come: nothing is made for them."""
        left = len(self.data) - self.at
        if least > left:
            raise CborError(f"byte {begin}: {_KINDS[kind]} of {length} in {left} bytes")

    def _head(self) -> tuple[int, int]:
        first = self._take(1)[0]
        return first >> 5, first & 0x1F

    def _take(self, count: int) -> bytes:
        piece = self.data[self.at : self.at + count]
        if len(piece) < count:
            raise CborError(f"byte {self.at}: breaks off, {count - len(piece)} bytes are missing")
        self.at += count
        return piece

    def _argument(self, begin: int, info: int) -> int:
        if info < 24:
            return info
        if info not in _WIDTHS:
            raise CborError(f"byte {begin}: 0x{self.data[begin]:02x}, which means nothing")
        return int.from_bytes(self._take(_WIDTHS[info]), "big")

    def _string(self, begin: int, kind: int, length: int) -> bytes | str:
        self._room(begin, kind, length, length)
        piece = self._take(length)
        if kind == _BYTES:
            return piece
        try:
            return piece.decode()
        except UnicodeDecodeError:
            raise CborError(f"byte {begin}: a text that is not UTF-8") from None

    def _simple(self, begin: int, info: int) -> Any:
        if info in _FLOATS:
            return struct.unpack(_FLOATS[info], self._take(_WIDTHS[info]))[0]
        if info in _SIMPLE:
            return _SIMPLE[info]
        what = "an end of nothing" if info == _INDEFINITE else f"0x{self.data[begin]:02x}, a value that is not known"
        raise CborError(f"byte {begin}: {what}")

    def _indefinite(self, begin: int, kind: int, deep: int) -> Any:
        if kind == _LIST:
            items = []
            while not self._ended():
                items.append(self.item(deep + 1))
            return items
        if kind == _MAP:
            pairs = {}
            while not self._ended():
                key, value = self._pair(deep)
                pairs[key] = value
            return pairs
        if kind not in (_BYTES, _TEXT):
            raise CborError(f"byte {begin}: 0x{self.data[begin]:02x}, which means nothing")
        pieces: list[Any] = []
        while not self._ended():
            piece_begin = self.at
            piece_kind, info = self._head()
            if piece_kind != kind or info == _INDEFINITE:
                raise CborError(f"byte {piece_begin}: a piece of {_KINDS[kind]} that is none")
            pieces.append(self._string(piece_begin, kind, self._argument(piece_begin, info)))
        return (b"" if kind == _BYTES else "").join(pieces)

    def _ended(self) -> bool:
        if self._peek() != _BREAK:
            return False
        self.at += 1
        return True

    def _peek(self) -> int:
        if self.at >= len(self.data):
            raise CborError(f"byte {self.at}: breaks off, an end is missing")
        return self.data[self.at]

    def _pair(self, deep: int) -> tuple[int | float | str, Any]:
        begin = self.at
        key = self.item(deep + 1)
        if not isinstance(key, int | float | str):
            raise CborError(f"byte {begin}: a key that is neither number nor text")
        return key, self.item(deep + 1)

    def _tagged(self, begin: int, tag: int, deep: int) -> Any:
        content = self.item(deep + 1)
        if tag in (2, 3):
            if not isinstance(content, bytes) or len(content) > LONGEST_NUMBER:
                raise CborError(f"byte {begin}: a whole number that is not up to {LONGEST_NUMBER} bytes")
            number = int.from_bytes(content, "big")
            return number if tag == 2 else -1 - number
        if tag in (4, 5):
            return _fraction(begin, content, decimal=tag == 4)
        return content


def _fraction(begin: int, content: Any, *, decimal: bool) -> float:
    whole = isinstance(content, list) and len(content) == 2 and all(type(one) is int for one in content)
    if not whole:
        raise CborError(f"byte {begin}: a fraction that is not a list of two whole numbers")
    exponent, mantissa = content
    if decimal:
        return float(f"{mantissa}e{exponent}")  # the nearest one, whatever the text
    return _nearest(mantissa, exponent)


def _nearest(mantissa: int, exponent: int) -> float:
    """The float nearest to mantissa · 2^exponent; infinite only where that is beyond all floats itself."""
    sign = -1.0 if mantissa < 0 else 1.0
    digits = mantissa.bit_length() + exponent  # before the point: without this bound a shift could take all memory
    if mantissa and digits > _MOST_DIGITS:
        return sign * inf
    if not mantissa or digits < -_MOST_DIGITS:
        return sign * 0.0
    try:
        return float(mantissa << exponent) if exponent >= 0 else mantissa / (1 << -exponent)  # both are rounded once
    except OverflowError:
        return sign * inf
