"""Redaction of the key in answers: some relays repeat it in their refusals."""

from __future__ import annotations

import html
import re

from attrs import define, field

from luma_async.settings import Secret

_SHORTEST_PLAIN_KEY = 8
"""Characters. A shorter key may be an ordinary word or number: it is redacted as a whole word, and only in refusals."""
_SHORTEST_CUT_KEY = 4
"""Characters. A shorter piece of a key reveals nothing."""
_REFUSALS = 400


@define(eq=False, repr=False)
class Redaction:
    """Redacts one key, so that no error, log or repr shows it."""

    _key: Secret[str]
    _spellings: Secret[tuple[bytes, ...]] = field(init=False)
    """The forms of the key to redact in answers; empty if the key is short."""
    _in_texts: Secret[re.Pattern[str]] = field(init=False)
    """The same, in any case."""

    def __attrs_post_init__(self) -> None:
        is_long = len(self._key.reveal()) >= _SHORTEST_PLAIN_KEY
        self._spellings = Secret(_spellings(self._key.reveal()) if is_long else ())
        self._in_texts = Secret(_pattern(_spellings(self._key.reveal()), is_long=is_long))

    def text(self, text: str) -> str:
        """Return *text* with the key redacted in any case; a short key as a whole word."""
        return self._in_texts.reveal().sub("[key]", text)

    def header(self, text: str | None) -> str | None:
        """Do the same for the text of a header."""
        return self._in_texts.reveal().sub("[key]", text) if text else text

    def body(self, body: bytes, status: int) -> bytes:
        """Do the same for the body of an answer with *status*."""
        if status >= _REFUSALS and not self._spellings.reveal():
            return self.text(body.decode("utf-8", "surrogateescape")).encode("utf-8", "surrogateescape")
        for spelling in self._spellings.reveal():
            if spelling in body:
                body = body.replace(spelling, b"[key]")
        return body

    def cut_body(self, body: bytes, status: int) -> bytes:
        """Do the same for a body that breaks off, even in the middle of the key."""
        body, key = self.body(body, status), self._key.reveal().encode()
        lengths = (length for length in range(len(key), _SHORTEST_CUT_KEY - 1, -1) if body.endswith(key[:length]))
        cut = next(lengths, 0)
        return body[:-cut] + b"[key]" if cut else body


def _pattern(spellings: tuple[bytes, ...], *, is_long: bool) -> re.Pattern[str]:
    either = "|".join(re.escape(spelling.decode()) for spelling in spellings)
    return re.compile(either if is_long else rf"(?<![\w-])(?:{either})(?![\w-])", re.IGNORECASE)


def _spellings(key: str) -> tuple[bytes, ...]:
    """Return the forms in which relays write *key*: plain, in JSON as PHP or Go escapes it, and in HTML."""
    plain = key.replace("\\", r"\\").replace('"', r"\"")
    for_html = plain.replace("&", r"\u0026").replace("<", r"\u003c").replace(">", r"\u003e")
    spellings = (key, plain, plain.replace("/", r"\/"), for_html, html.escape(key))
    return tuple({spelling.encode(): None for spelling in spellings})
