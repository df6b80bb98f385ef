"""What a few answers of one relay say together: they are compared with each other, not with known words; no I/O."""

from __future__ import annotations

import re
from html import unescape
from urllib.parse import unquote

from attrs import frozen

from luma_async import errors
from luma_async._relay.answer import Answer
from luma_async.errors import LumaError, Verdict

_OK = range(200, 300)
_LONGEST = 4000
"""Bytes of an answer that are compared: pages differ, if at all, where they start."""
_VARIABLE = re.compile(r"[\w.:+-]*[0-9][\w.:+-]*")
"""Ids, times, counters and nonces: they differ between two answers that say the same."""


@frozen
class Reply:
    """The answer to one request, or the error in its place."""

    answer: Answer | None
    """None where no complete answer arrived."""
    error: LumaError | None
    seconds: float
    path: str = ""
    """Of the request: many relays repeat it."""

    @property
    def is_page(self) -> bool:
        """Whether the answer is a web page instead of JSON."""
        return self.answer is not None and self.answer.is_html

    @property
    def is_firewall(self) -> bool:
        """Whether a firewall or CDN refused the request: it often lets the next one through."""
        return isinstance(self.error, errors.PermissionDeniedError) and self.error.verdict is Verdict.PASSING

    @property
    def is_trouble(self) -> bool:
        """Whether the answer may be another one in a minute, so that it says nothing about address and key."""
        if self.error is None or self.error.verdict not in (Verdict.PASSING, Verdict.SLOW_DOWN):
            return False
        has_passed = self.answer is not None and self.answer.status in _OK
        return self.error.verdict is Verdict.SLOW_DOWN or not has_passed

    @property
    def may_be_about_a_task(self) -> bool:
        """Whether a relay with Luma can give this answer to a poll when all is well."""
        is_nonsense = isinstance(self.error, errors.ServerError | errors.ProtocolError)
        return self.answer is not None and not (is_nonsense or self.is_trouble or self.is_page)

    @property
    def is_final(self) -> bool:
        """Whether another poll would give the same answer."""
        return self.error is not None and not self.is_unknown_task and not self.error.retryable

    @property
    def is_unknown_task(self) -> bool:
        """Whether the answer may be the right one about a task that does not exist."""
        return isinstance(self.error, errors.NotFoundError) and self.error.verdict is Verdict.UNCONFIRMED

    @property
    def names_task(self) -> bool:
        """Whether the answer says that the task does not exist, and not only that something does not."""
        return isinstance(self.error, errors.NotFoundError) and self.error.names_task

    @property
    def refuses(self) -> bool:
        """Whether the answer turns the caller away, in its status or inside a 200."""
        refused = isinstance(self.error, errors.AuthenticationError | errors.PermissionDeniedError)
        status = self.answer.status if self.answer is not None else 0
        return refused or status in _REFUSED

    @property
    def turns_away(self) -> bool:
        """Whether the answer, if any key gets it, is about the key: it is not the one about an unknown task."""
        if self.refuses or self.error is None or self.answer is None:
            return self.refuses
        return not (self.is_trouble or self.is_unknown_task or self.answer.status in _OK)

    def is_like(self, other: Reply) -> bool:
        """Whether both answers say the same, but for ids, times and the path that was asked for."""
        if self.answer is None or other.answer is None:
            return False
        return self.answer.status == other.answer.status and self._plain == other._plain

    @property
    def _plain(self) -> str:
        body = self.answer.body if self.answer is not None else b""
        text = unquote(unescape(body[:_LONGEST].decode("utf-8", "replace"))).replace("\\/", "/")
        return _VARIABLE.sub("0", text.replace(self.path[1:], "") if self.path else text)


_REFUSED = frozenset({401, 402, 403, 407, 423})


@frozen(kw_only=True)
class Evidence:
    """The answers about made-up tasks at one address."""

    poll: Reply
    """The best of a few polls."""
    absent: Reply | None = None
    """To a path that cannot exist, beside the one of polls: a proxy that forwards one of them forwards both."""
    elsewhere: Reply | None = None
    """To a path that cannot exist, far from the one of polls."""
    wrong_key: Reply | None = None
    """To the poll, with a wrong key."""
    wrong_both: Reply | None = None
    """To the path beside the one of polls, with a wrong key."""
    batch: Reply | None = None
    may_batch: bool = True
    """Whether the dialect has a batch query."""

    @property
    def has_path(self) -> bool | None:
        """Whether the address has a path for polls; None where the answers do not show it."""
        if self.batch is not None and self.batch.error is None:
            return True
        if self.absent is None or not (self.poll.may_be_about_a_task and self._shows_what_is_absent(self.absent)):
            return None
        if not self.poll.is_like(self.absent) or self._is_guarded:
            return True
        if self.elsewhere is not None and not self.elsewhere.is_trouble and not self.poll.is_like(self.elsewhere):
            return True if self.poll.names_task else None
        return None if self.wrong_key is None or self.wrong_key.refuses else False

    def _shows_what_is_absent(self, absent: Reply) -> bool:
        """Whether the relay always gives this answer there; some servers give a firewall's page."""
        is_steady = absent.is_firewall and self.elsewhere is not None and absent.is_like(self.elsewhere)
        return is_steady or not absent.is_trouble

    @property
    def _is_guarded(self) -> bool:
        """Whether a wrong key is turned away from polls, but not from a path that cannot exist."""
        if self.wrong_key is None or self.wrong_both is None or self.wrong_both.is_trouble:
            return False
        return self.wrong_key.refuses and not self.wrong_key.is_like(self.wrong_both)

    @property
    def ignores_key(self) -> bool:
        """Whether a wrong key gets the answer that a good one may get."""
        is_same = self.wrong_key is not None and self.poll.is_like(self.wrong_key)
        return is_same and self.poll.may_be_about_a_task and not self.poll.turns_away

    @property
    def accepts_key(self) -> bool | None:
        """Whether the key is good; None where the answers do not show it."""
        if self.batch is not None and self.batch.error is None:
            return True
        refused = isinstance(self.poll.error, _ABOUT_THE_KEY)
        if refused and self.poll.error is not None and self.poll.error.verdict is Verdict.FINAL:
            return False
        if self.poll.answer is None or self.poll.is_page or self.has_path is False:
            return None
        if self.wrong_key is None or self.wrong_key.is_trouble or isinstance(self.poll.error, errors.RateLimitError):
            return None
        if self.poll.is_like(self.wrong_key):
            return False if self.poll.turns_away else None
        return True if self.wrong_key.refuses and not self.poll.refuses else None


_ABOUT_THE_KEY = (errors.AuthenticationError, errors.PermissionDeniedError, errors.QuotaExceededError)
