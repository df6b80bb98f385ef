"""Redaction of the key in answers: some relays repeat it in their refusals."""

from __future__ import annotations

import html
import re

from attrs import define, field

_SHORTEST_PLAIN_KEY = 8
"""Characters. A shorter key may be an ordinary word or number: it is redacted as a whole word, and only in refusals."""
_SHORTEST_CUT_KEY = 4
"""Characters. A shorter piece of a key reveals nothing."""
_REFUSALS = 400


@define(eq=False, repr=False)
class Redaction:
    """Redacts one key, so that no error, log or repr shows it."""

    _key: str
    _spellings: tuple[bytes, ...] = field(init=False)
    """The forms of the key to redact in answers; empty if the key is short."""
    _in_texts: re.Pattern[str] = field(init=False)
    """The same, in any case."""

    def __attrs_post_init__(self) -> None:
        spellings = _spellings(self._key)
        either = "|".join(re.escape(spelling.decode()) for spelling in spellings)
        self._spellings = spellings if len(self._key) >= _SHORTEST_PLAIN_KEY else ()
        self._in_texts = re.compile(either if self._spellings else rf"(?<![\w-])(?:{either})(?![\w-])", re.IGNORECASE)

    def text(self, text: str) -> str:
        """Return *text* with the key redacted in any case; a short key as a whole word."""
        return self._in_texts.sub("[key]", text)

    def header(self, text: str | None) -> str | None:
        """Do the same for the text of a header."""
        return self.text(text) if text else text

    def body(self, body: bytes, status: int) -> bytes:
        """Do the same for the body of an answer with *status*."""
        if not self._spellings and status >= _REFUSALS:
            return self.text(body.decode("utf-8", "surrogateescape")).encode("utf-8", "surrogateescape")
        for spelling in self._spellings:
            if spelling in body:
                body = body.replace(spelling, b"[key]")
        return body

    def cut_body(self, body: bytes, status: int) -> bytes:
        """Do the same for a body that breaks off, even in the middle of the key."""
        body, key = self.body(body, status), self._key.encode()
        lengths = (length for length in range(len(key), _SHORTEST_CUT_KEY - 1, -1) if body.endswith(key[:length]))
        cut = next(lengths, 0)
        return body[:-cut] + b"[key]" if cut else body


def _spellings(key: str) -> tuple[bytes, ...]:
    """Return the forms in which relays write *key*: plain, in JSON as PHP or Go escapes it, and in HTML."""
    plain = key.replace("\\", r"\\").replace('"', r"\"")
    for_html = plain.replace("&", r"\u0026").replace("<", r"\u003c").replace(">", r"\u003e")
    spellings = (key, plain, plain.replace("/", r"\/"), for_html, html.escape(key))
    return tuple({spelling.encode(): None for spelling in spellings})
