"""Skies for posters, painted without any library: the simulated relay's own picture is one for all."""

from __future__ import annotations

import struct
import zlib

WIDTH, HEIGHT = 640, 360
_BANDS = 24
"""Of the sky: a picture of few colours is a small file."""

Colour = tuple[int, int, int]


def sky(top: Colour, bottom: Colour, sun: Colour, *, at: tuple[float, float] = (0.5, 0.6), ground: Colour) -> bytes:
    """Return a PNG of a sun in a sky over flat ground; *at* is the sun's place in parts of the width and height."""
    rows = []
    horizon = round(HEIGHT * 0.72)
    for y in range(HEIGHT):
        if y >= horizon:
            rows.append(bytes(ground) * WIDTH)
            continue
        part = y * _BANDS // horizon / _BANDS
        air = tuple(round(a + (b - a) * part) for a, b in zip(top, bottom, strict=True))
        rows.append(b"".join(bytes(sun if _is_sun(x, y, at) else air) for x in range(WIDTH)))
    return png(WIDTH, rows)


def _is_sun(x: int, y: int, at: tuple[float, float]) -> bool:
    return (x - at[0] * WIDTH) ** 2 + (y - at[1] * HEIGHT) ** 2 < (HEIGHT / 7) ** 2


def png(width: int, rows: list[bytes]) -> bytes:
    """Return a PNG of *rows*, three bytes a pixel."""
    header = struct.pack(">IIBBBBB", width, len(rows), 8, 2, 0, 0, 0)
    pixels = zlib.compress(b"".join(b"\0" + row for row in rows), 9)
    chunks = ((b"IHDR", header), (b"IDAT", pixels), (b"IEND", b""))
    return b"\x89PNG\r\n\x1a\n" + b"".join(_chunk(*chunk) for chunk in chunks)


def _chunk(name: bytes, data: bytes) -> bytes:
    return struct.pack(">I", len(data)) + name + data + struct.pack(">I", zlib.crc32(name + data))
