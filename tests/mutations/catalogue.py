"""What is broken on purpose: a short text of the package, the rule that it was, and the tests that should notice."""

from __future__ import annotations

from collections.abc import Iterator

from attrs import frozen


@frozen
class Mutation:
    """One rule, broken."""

    rule: str
    """What does not hold any more."""
    old: str
    """A text that stands exactly once in the package, in any module."""
    new: str
    tests: tuple[str, ...]
    """Files or tests, as pytest takes them, below ``tests/``."""


def _noticed_by(*tests: str, rules: list[tuple[str, str, str]]) -> Iterator[Mutation]:
    """Yield the mutations of *rules*, each a rule, its text and the text that breaks it."""
    return (Mutation(rule, old, new, tests) for rule, old, new in rules)


MUTATIONS = [
    *_noticed_by(
        "relay/test_refusals.py",
        rules=[
            ("408 passes", "408: Cause(APIError, Verdict.PASSING)", "408: Cause(APIError, Verdict.FINAL)"),
            (
                "a wrong key is final",
                "401: Cause(AuthenticationError, Verdict.FINAL",
                "401: Cause(AuthenticationError, Verdict.PASSING",
            ),
            (
                "402 is about credit, 403 about permission",
                "402: Cause(QuotaExceededError",
                "402: Cause(PermissionDeniedError",
            ),
            (
                "an unknown task is unconfirmed at first",
                "404: Cause(NotFoundError, Verdict.UNCONFIRMED",
                "404: Cause(NotFoundError, Verdict.FINAL",
            ),
            (
                "a task that is gone is final at once",
                "410: Cause(NotFoundError, Verdict.FINAL",
                "410: Cause(NotFoundError, Verdict.UNCONFIRMED",
            ),
            (
                "429 slows all ids down",
                "429: Cause(RateLimitError, Verdict.SLOW_DOWN",
                "429: Cause(RateLimitError, Verdict.PASSING",
            ),
            ("501 is final", "501: Cause(ServerError, Verdict.FINAL", "501: Cause(ServerError, Verdict.PASSING"),
            (
                "other 5xx pass",
                "_SERVER_ERROR = Cause(ServerError, Verdict.PASSING",
                "_SERVER_ERROR = Cause(ServerError, Verdict.FINAL",
            ),
            (
                "saturation behind 403 passes",
                "_SATURATED = Cause(RateLimitError, Verdict.SLOW_DOWN",
                "_SATURATED = Cause(RateLimitError, Verdict.FINAL",
            ),
            ("503 slows down only with a hint", "is_hinted and status in _MAY_BE_HINTED", "status in _MAY_BE_HINTED"),
            (
                "an error inside 200 passes",
                "cause = evolve(cause, verdict=Verdict.SLOW_DOWN if slow else Verdict.PASSING)",
                "cause = evolve(cause, verdict=Verdict.SLOW_DOWN if slow else Verdict.FINAL)",
            ),
            ("Retry-After is heeded", "if _SECONDS.fullmatch(digits :=", "if not (digits :="),
            ("a page is no answer", ("if answer.is_html:\n        raise"), ("if False:\n        raise")),
            (
                "a firewall's page passes",
                "return evolve(cause, verdict=Verdict.PASSING, advice=_FIREWALL_ADVICE)",
                "return cause",
            ),
            ("a challenge passes whatever its body", "if answer.is_challenge or", "if"),
            (
                "a key is refused in the relay's own words alone",
                "return evolve(cause, verdict=Verdict.UNCONFIRMED)",
                "return cause",
            ),
            (
                "the gateway's upstream does not speak of the key",
                'frozenset({"fail_to_fetch_task", "not_authenticated"})',
                "frozenset[str]()",
            ),
            (
                "another thing that is missing is not the task",
                "any(not _ANOTHER_THING.search(match[0]) for match in found)",
                "any(found)",
            ),
            ("dates count from the relay's own clock", "sent or datetime.now(UTC)", "datetime.now(UTC)"),
        ],
    ),
    *_noticed_by(
        "relay/test_tasks.py",
        rules=[
            ("another task's answer is never handed out", "if found_id == task_id:", "if found_id:"),
            ("a batch about strangers is no answer", "if has_foreign and not observed:", "if False:"),
            (
                "a row's task_id is its identity",
                'return _not_blank(task.get("task_id")) or _not_blank(task.get("id"))',
                'return _not_blank(task.get("id")) or _not_blank(task.get("task_id"))',
            ),
            ("a row's status is its own", 'keys = ("status", "state") if', 'keys = ("state", "status") if'),
            (
                "a row's outer status wins",
                ("    for level in levels:\n        for key in keys:"),
                ("    for level in reversed(levels):\n        for key in keys:"),
            ),
            ("only 200 to 203 carry an answer", "_LAST_WITH_BODY = 203", "_LAST_WITH_BODY = 206"),
            ("an unknown word means still running", '"_"), State.UNKNOWN)', '"_"), State.FAILED)'),
            ("a task id cannot leave its folder", ' and text not in (".", "..")', ""),
            ("a task id has nothing that changes a path", 'r"[A-Za-z0-9._~-]{1,128}"', 'r"[A-Za-z0-9._~%/-]{1,128}"'),
            (
                "only the very same answer is the one before",
                "if known is not None and answer.body == known.text and answer.status == HTTP_OK:",
                "if known is not None and answer.status == HTTP_OK:",
            ),
            ("deep nesting is no answer", "if depth > deepest:", "if False:"),
            ("a row is UTF-8", "row = _decoder.decode(new.decode())", "new.decode()"),
            (
                "a row of bad UTF-8 is none",
                "_decoder.decode(new.decode())",
                "_decoder.decode(new.decode(errors='replace'))",
            ),
            ("all around the rows is UTF-8", "+ body[end:]).decode()", "+ body[end:]).decode('latin-1')"),
        ],
    ),
    *_noticed_by(
        "waiting/test_batching.py",
        rules=[
            (
                "a row belongs to its own id",
                "observed[task_id] = LastAnswer(body), TaskAnswer.of",
                "observed[next(iter(known))] = LastAnswer(body), TaskAnswer.of",
            ),
            (
                "who is missing in an answer is asked alone from then on",
                "self.support.exclude(_open_ids(missing))",
                "pass",
            ),
            (
                "of who has left nothing is remembered",
                " for pending in polls if not pending.is_over]",
                " for pending in polls]",
            ),
            ("of a single look nothing is remembered", "batcher.forget(task_id)", "pass"),
            (
                "what one id hears is not for another",
                "pending.answer(observation, now)",
                "pending.answer(next(iter(observed.values())), now)",
            ),
            (
                "a relay without the query is recognised",
                "_NO_SUCH_QUERY = frozenset({404, 405, 501})",
                "_NO_SUCH_QUERY = frozenset({404})",
            ),
            (
                "a batch is cut at the latest deadline",
                "deadline=max([pending.poller.deadline for pending in polls])",
                "deadline=min([pending.poller.deadline for pending in polls])",
            ),
            ("who has left is not asked for", "self._due.pop(pending, None)", "pass"),
            (
                "a batch has no more ids than allowed",
                "self._go_together(self._queue.take(self.most))",
                "self._go_together(self._queue.take())",
            ),
            ("where only batches fail, the ids go alone", "if self._failures and self._found >= _TRIALS:", "if False:"),
            ("one look that works is no proof against batches", "self._found >= _TRIALS:", "self._found:"),
            (
                "a defect is no failed look",
                ("    def _report(self, defect: BaseException) -> None:\n        self.poller.on_defect(defect)"),
                ("    def _report(self, defect: BaseException) -> None:\n        self.poller.on_error(defect)"),
            ),
            ("a defect of a request reaches all", "                pending.fail(defect)", "                pass"),
            ("who is answered together stays together", "lambda: batcher.chance", '__import__("random").random'),
            ("no request comes like clockwork", "        self.chance = random()", "        self.chance = 0.5"),
            ("what no future takes becomes an error", " and not isinstance(raised, StopIteration)", ""),
            (
                "a strategy cancels nobody",
                ('"PollPolicy(wait=...)")) is not raised:\n        raise error from raised'),
                ('"PollPolicy(wait=...)")) is not raised:\n        raise raised'),
            ),
        ],
    ),
    *_noticed_by(
        "waiting/test_batch_support.py",
        rules=[
            ("a refused batch is no id's fate", "        if not is_passing:", "        if False:"),
            (
                "a relay without the query is remembered",
                ("        self.works = False\n        return _EACH_ALONE"),
                "        return _EACH_ALONE",
            ),
            ("scouts go rarer", "self._scout_at = 2 * self._failures + 1", "pass"),
        ],
    ),
    *_noticed_by(
        "relay/test_structure.py",
        rules=[
            (
                "a huge integer is no JSON",
                "elif kind is int and not -_LARGEST < value < _LARGEST:",
                "elif kind is None:",
            ),
            ("1e400 is no JSON", "elif kind is float and not isfinite(value):", "elif kind is None:"),
            ("NaN is no JSON", "parse_constant=_refuse", ""),
            (
                "true is not 1",
                "isinstance(value, bool) or not isinstance(value, int | float):",
                "not isinstance(value, int | float):",
            ),
            (
                "only an http(s) URL is a link",
                'if parts.scheme in ("http", "https") and parts.hostname else None',
                "if parts.scheme else None",
            ),
            ("rows are known where they are expected", "expected = iter(known)", "expected = iter(())"),
            ("rows are known in any order", "by_prefix.get(body[at : at + _PREFIX], _NO_ROW)", "_NO_ROW"),
            ("long links are not remembered", "if len(value) <= _LONG else", "if True else"),
        ],
    ),
    *_noticed_by(
        "properties/test_answers.py",
        rules=[
            ("an answer's depth can be written down", "_check(fields, deepest=inf)", "_check(fields)"),
        ],
    ),
    *_noticed_by(
        "test_text.py",
        rules=[
            ("nothing that a terminal would obey is shown", "c if c.isprintable() else", "c if c else"),
        ],
    ),
    *_noticed_by(
        "network/test_transport.py",
        rules=[
            ("answers are capped", "if not whole:", "if False:"),
            ("reading ends at the cap", " and len(body) <= limit:", ":"),
            ("the relay's echo of the key is blanked out", 'body = body.replace(spelling, b"[key]")', "pass"),
            (
                "a stranger's connection is given up",
                "if isinstance(error, ProtocolError) and error.foreign:",
                "if False:",
            ),
            ("what is given up is closed", "            if pool.retired:", "            if False:"),
            ("closing ends looks under way", "self._deadlines.expire_all()", "pass"),
            ("a single look is three tries", ("_MOST_TRIES = 3\n"), ("_MOST_TRIES = 30\n")),
            (
                "final trouble ends a single look",
                "return error.retryable and not self._is_out_of_time",
                "return not self._is_out_of_time",
            ),
        ],
    ),
    *_noticed_by(
        "faults/test_security_faults.py",
        rules=[
            ("the key stays with its origin", "if not _same_origin(url, start) or", "if False or"),
            (
                "another port is another origin",
                "(url.scheme, url.raw_host, url.port) == (start.scheme, start.raw_host, start.port)",
                "url.raw_host == start.raw_host",
            ),
            (
                "redirects are followed by hand",
                "headers=self._headers, allow_redirects=False",
                "headers=self._headers, allow_redirects=True",
            ),
            (
                "redirects are followed five times",
                ("_MAX_REDIRECTS = 5\n_REDIRECTS = frozenset({301, 302, 303, 307, 308})\n"),
                ("_MAX_REDIRECTS = 50\n_REDIRECTS = frozenset({301, 302, 303, 307, 308})\n"),
            ),
            (
                "an unknown certificate is final",
                "if isinstance(error, aiohttp.ClientSSLError | ssl.SSLError) and not",
                "if False and not",
            ),
        ],
    ),
    *_noticed_by(
        "faults/test_further_faults.py::test_no_cookie_goes_out",
        rules=[
            (
                "cookies are not kept",
                "cookie_jar=aiohttp.DummyCookieJar(),",
                "cookie_jar=aiohttp.CookieJar(unsafe=True),",
            ),
        ],
    ),
    *_noticed_by(
        "faults/test_transport_faults.py::test_a05_garbage_status_line",
        rules=[
            (
                "aiohttp's errors become ours",
                ("except (aiohttp.ClientError, OSError) as error:\n            trouble = self.translated"),
                ("except aiohttp.ClientConnectionError as error:\n            trouble = self.translated"),
            ),
        ],
    ),
    *_noticed_by(
        "faults/test_a34_environment.py",
        rules=[
            ("the environment is not heeded", "trust_env=False", "trust_env=True"),
        ],
    ),
    *_noticed_by(
        "media/test_download.py",
        rules=[
            (
                "the key goes to the relay alone",
                "        trust_env=False,",
                '        trust_env=False, headers={"Authorization": "Bearer sk-test-0123456789"},',
            ),
            ("lengths are compared", "if total and part.size != total:", "if False:"),
            ("a cut box is noticed", "if ends_early(content, part.size):", "if False:"),
            (
                "what is never whole is not waited for",
                "if part.size + len(chunk) > (total or self.largest):",
                "if False:",
            ),
            ("each redirect is checked", "allow_redirects=False, auto", "allow_redirects=True, auto"),
            (
                "nothing is left behind",
                ("            finally:\n                order.part.discard()"),
                ("            finally:\n                pass"),
            ),
            ("an error has no signature in it", "str(url.with_query(None)", "str(url"),
            (
                "403 is an expired link",
                "_EXPIRED = frozenset({401, 403, 404, 410})",
                "_EXPIRED = frozenset({404, 410})",
            ),
            ("a page is no medium", '_NO_MEDIA = ("text/", ', '_NO_MEDIA = ("text/plain", '),
            ("what is packed is refused", "    if _packing(headers):", "    if False:"),
        ],
    ),
    *_noticed_by(
        "network/test_transport.py",
        "test_client.py",
        rules=[
            (
                "only aiohttp's and the system's errors are caught",
                ("except (aiohttp.ClientError, OSError) as error:\n            trouble = self.translated"),
                ("except BaseException as error:\n            trouble = self.translated"),
            ),
        ],
    ),
    *_noticed_by(
        "network/test_transport.py",
        "network/test_cooldown.py",
        rules=[
            (
                "a probe that is cancelled leaves its place to another",
                "self.cooldown.probe_ended(accepted=False)",
                "pass",
            ),
        ],
    ),
    *_noticed_by(
        "network/test_deadlines.py",
        rules=[
            (
                "a time-out takes its cancelling back",
                "if self._is_over and self._task.uncancel() <= self._cancelling and kind",
                "if self._is_over and kind",
            ),
            ("an error of its own is no time-out", " and kind is asyncio.CancelledError:", ":"),
            ("a late timer gives a request its grace", "if now < self.at + _LATE or self._had_grace:", "if True:"),
        ],
    ),
    *_noticed_by(
        "faults/test_a35_key.py",
        rules=[
            ("the key is in no repr, not even in a frame's", "return \"'[secret]'\"", "return str.__repr__(self)"),
        ],
    ),
    *_noticed_by(
        "faults/test_a32_keys.py",
        rules=[
            ("a key has no line breaks", "[\\x21-\\x7e]{1,4096}", "[\\x00-\\x7e]{1,4096}"),
        ],
    ),
    *_noticed_by(
        "faults/test_a31_addresses.py",
        rules=[
            ("plain http is for loopback", 'if parts.scheme == "http" and not', "if False and not"),
            (
                "an address holds no password",
                "if parts.username is not None or parts.password is not None:",
                "if False:",
            ),
        ],
    ),
    *_noticed_by(
        "test_settings.py",
        rules=[
            ("certificates are verified", "or context.verify_mode != ssl.CERT_REQUIRED", "or False"),
        ],
    ),
    *_noticed_by(
        "network/test_cooldown.py",
        rules=[
            (
                "one id's long hint delays the others by the maximum",
                "pause = min(max(pause, self.policy.shortest_interval), self.policy.max_interval)",
                "pause = max(pause, self.policy.shortest_interval)",
            ),
            (
                "those who waited are released one by one",
                "spread = min(_RELEASED_WITHIN * self.policy.max_interval, self._waiting / _RELEASED_PER_SECOND)",
                "spread = 0.0",
            ),
            ("the pause is the relay's hint", "pause = hint or min(", "pause = min("),
            ("one probe goes first", "if not self._probing:", "if self._complained or not self._probing:"),
        ],
    ),
    *_noticed_by(
        "waiting/test_pacing.py",
        rules=[
            ("pauses have jitter", "return low + (high - low) * self.randomness()", "return (low + high) / 2"),
            ("a hint is a lower bound", "pause, hint or 0.0)", "pause)"),
            (
                "no look comes before the interval is over",
                "return max(self._policy.shortest_interval, pause",
                "return max(pause",
            ),
            (
                "an outage does not make the load grow",
                "pause = max(min(longer, self._policy.max_interval), self._backoff.pause(progress.failures))",
                "pause = self._backoff.pause(progress.failures)",
            ),
            ("each age has a pause of its own", "self._asked or at != self._at", "self._asked"),
            ("a new plan holds at once", ("        self._at = -1.0\n        pause"), "        pause"),
            ("each state has a schedule of its own", "if timetable is not self._asked or", "if"),
            ("looks that were cheap are not paid for later", "densest or policy)", "policy)"),
            (
                "what was spent is not forgotten",
                "[kept + lost for kept, lost in zip(self.watched, self.faded, strict=True)]",
                "self.watched.copy()",
            ),
        ],
    ),
    *_noticed_by(
        "waiting/test_progress.py",
        rules=[
            ("not found is final at the third", "_CONFIRMED_AFTER = 3", "_CONFIRMED_AFTER = 2"),
            ("a good look resets the count", "self.error = self._trouble = None", "self.error = None"),
            (
                "being told to slow down counts for nothing",
                "error.verdict is not Verdict.SLOW_DOWN and self._is_outage",
                "self._is_outage",
            ),
            (
                "a wait gives up after enough failures and enough time",
                "policy.max_consecutive_failures and now",
                "policy.max_consecutive_failures or now",
            ),
            (
                "completed without a link is looked at again",
                "return self._without_link > _POLLS_FOR_A_LINK",
                "return True",
            ),
            (
                "a key that worked is not refused at once",
                "error.status in _REFUSES_KEY and key_works",
                "error.status in _REFUSES_KEY and self.good",
            ),
            (
                "a task that was answered about is not refused at once",
                "error.status in _REFUSES_TASK and self.good > 0",
                "False",
            ),
            ("another id says nothing about a task", "_REFUSES_TASK and self.good > 0", "_REFUSES_TASK and key_works"),
            ("refusals have to last longer beside good answers", "if others_are_answered else", "if False else"),
            ("refusals have to come three times", "trouble.refusals >= _CONFIRMED_AFTER and now", "now"),
            ("a poll that was cut hides nothing", "if self.error is None or not is_cut", "if True"),
        ],
    ),
    *_noticed_by(
        "waiting/test_polls.py",
        rules=[
            (
                "each waiter gets his own exception",
                "error=None if error is None else error.for_task(task_id),",
                "error=error,",
            ),
            (
                "the last to go ends the loop, no other",
                ("        if not self.waiters:\n            self.loops.forget"),
                ("        if True:\n            self.loops.forget"),
            ),
            (
                "a look is cut at the latest deadline",
                "        return self.waiters.latest",
                "        return self.waiters.soonest",
            ),
            (
                "failed is an error in a wait",
                "failed = generation is not None and generation.state is State.FAILED",
                "failed = False",
            ),
            ("nobody comes too early", "_EAGERNESS = 2.5", "_EAGERNESS = 3.0"),
            (
                "controllers have statistics of their own",
                'vars(self).setdefault("_kept_local"',
                'vars(self.wait).setdefault("_kept_local"',
            ),
        ],
    ),
    *_noticed_by(
        "waiting/test_waiters.py",
        rules=[
            ("leaving takes no search", "last.place = waiter.place", "pass"),
        ],
    ),
    *_noticed_by(
        "waiting/test_polls.py",
        "waiting/test_rest.py",
        rules=[
            (
                "a newcomer keeps the interval",
                "self.not_before = now + max(self.min_interval, hint or 0.0)",
                "self.not_before = now + (hint or 0.0)",
            ),
            ("a newcomer keeps the hint", "max(self.min_interval, hint or 0.0)", "self.min_interval"),
        ],
    ),
    *_noticed_by(
        "waiting/test_rest.py",
        rules=[
            (
                "in trouble fewer requests go out",
                "patience > _LONGEST_PATIENCE and not is_failing:",
                "patience > _LONGEST_PATIENCE:",
            ),
            ("in trouble nobody waits", "if not is_ours or not is_failing:", "if True:"),
            (
                "no look comes within the interval",
                ("            at = max(at, self.not_before)\n"),
                ("            pass\n"),
            ),
            (
                "a pause of the user's is not shortened",
                ("        if is_ours:\n            self.due"),
                ("        if True:\n            self.due"),
            ),
        ],
    ),
    *_noticed_by(
        "waiting/test_batching.py",
        "waiting/test_polls.py",
        "test_client.py",
        "network/test_transport.py",
        "properties/test_cancelling.py",
        rules=[
            ("who has left is not waited for", "                pending.alone.cancel()", "                pass"),
        ],
    ),
    *_noticed_by(
        "waiting/test_scheduler.py",
        rules=[
            ("who has left is not kept", "self.on_turn = _do_nothing", "pass"),
            ("who goes along needs no timer", "taken += self._resting.pop(", "taken += self._resting.get("),
            ("the same window is one place", "together.append(resting)", "pass"),
            (
                "who has left does not wake with others",
                "return [resting for resting in taken if not resting.is_over]",
                "return taken",
            ),
            ("an empty place is none", ("            self._resting.pop(window, None)\n"), ""),
            (
                "a timer is only ever cancelled",
                "if latest < self._armed_for:",
                "if self._timer is None or latest < self._timer.when():",
            ),
        ],
    ),
    *_noticed_by(
        "waiting/test_learning.py",
        rules=[
            ("all who were seen together count", "(high - age) * together", "(high - age)"),
            ("what is read is up to date", ("self._settle()\n        left, watched"), "left, watched"),
            ("nothing is counted twice", "        self._together = 0", "        pass"),
        ],
    ),
    *_noticed_by(
        "test_streams.py",
        rules=[
            ("an id that is asked for twice is one", "if digest in self._seen:", "if False:"),
            (
                "leaving the block stops the waiting",
                ("in waiters.values():\n            waiter.leave()"),
                ("in waiters.values():\n            pass"),
            ),
            (
                "a source that breaks off is no quiet end",
                "if feeder.cancelling() or (error := presentable(raised, _SOURCE)) is raised:",
                "if presentable(raised, _SOURCE):",
            ),
            ("a feeder that is cancelled is no quiet end", "if not self._recalled:", "if False:"),
            ("our own cancelling is no error of the source", "if not self._recalled:", "if True:"),
        ],
    ),
    *_noticed_by(
        "test_client.py",
        rules=[
            (
                "a client belongs to one event loop",
                "if self._loop is not None and self._loop is not _running_loop():",
                "if False:",
            ),
            ("closing closes the connections", "closing.push_async_callback(self._transport.aclose)", "pass"),
        ],
    ),
    *_noticed_by(
        "test_errors.py",
        rules=[
            (
                "a wait that timed out can be taken up again",
                "            verdict=Verdict.PASSING,",
                "            verdict=Verdict.FINAL,",
            ),
        ],
    ),
    *_noticed_by(
        "faults/test_a43_files.py",
        rules=[
            ("bytes are on the disk before the name", "os.fsync(file.fileno())", "pass"),
            ("no file is written that somebody put there", "os.O_CREAT | os.O_EXCL", "os.O_CREAT"),
            (
                "what another process writes is not touched",
                ("        lock(file.fileno())\n        if not"),
                "        if not",
            ),
            ("after a crash nothing is gone on with", 'parts["boot"] != _boot()', "False"),
            ("what another user left is not gone on with", "status.st_uid != _user()", "False"),
            ("what has another name is not gone on with", "status.st_nlink != 1", "False"),
            ("the last byte is always asked for", "min(status.st_size, version.total - 1)", "status.st_size"),
            (
                "names are short enough",
                ("        if len(name) <= _LONGEST_NAME:\n            return name"),
                "        return name",
            ),
            ("nothing is overwritten unasked", "target, overwrite=order.overwrite)", "target, overwrite=True)"),
            ("a whole leftover is asked for its last byte", "version.total - 1))", "version.total))"),
        ],
    ),
    *_noticed_by(
        "faults/test_a42_media.py",
        rules=[
            ("a slow server is given up", ("        if self._owed <= 0:\n"), ("        if True:\n")),
            ("what brings something goes on", "0 if fruitful else self._in_vain + 1", "self._in_vain + 1"),
            ("links are not renewed for ever", "renewals == _RENEWALS or (", "("),
            (
                "a wrong rest is not asked for again",
                ("            part.drop()\n            response"),
                "            response",
            ),
            ("only the same version is gone on with", 'and _only(headers, "ETag") == self.etag', ""),
            (
                "only the missing range is read",
                'f"bytes {start}-{self.total - 1}/{self.total}"',
                '_only(headers, "Content-Range")',
            ),
        ],
    ),
    *_noticed_by(
        "faults/test_a44_links.py::test_a_name_with_one_private_address_among_others_is_refused",
        rules=[
            (
                "any private address of a name is enough",
                'if all(is_global(each["host"]) for each in found):',
                "if True:",
            ),
        ],
    ),
    *_noticed_by(
        "faults/test_a44_links.py::test_no_socket_is_opened_for_a_private_address",
        rules=[
            ("the final address is checked", '"socket_factory": guarded_socket, ', ""),
        ],
    ),
    *_noticed_by(
        "faults/test_a44_links.py",
        rules=[
            ("private media are refused", "if allow_private:", "if True:"),
            ("no redirect gives up TLS", '== ("https", "http")', '== ("https", "ftp")'),
            ("a redirect is judged by where it comes from", "if base is not None and (base", "if False and (base"),
            ("a link brings no user along", 'named and "@" not in url.raw_authority', "named"),
        ],
    ),
    *_noticed_by(
        "media/test_addresses.py",
        rules=[
            (
                "an IPv4 address inside IPv6 counts as what it is",
                "return ip.ipv4_mapped or ip.sixtofour",
                "return None",
            ),
        ],
    ),
    *_noticed_by(
        "media/test_formats.py",
        rules=[
            ("a weak ETag proves nothing", "_STRONG.fullmatch(etag)", "True"),
        ],
    ),
    *_noticed_by(
        "test_journal.py",
        rules=[
            (
                "a line is on the disk before it counts",
                ("_write_whole(self.descriptor, lines)\n                os.fsync(self.descriptor)"),
                "_write_whole(self.descriptor, lines)",
            ),
            (
                "a journal is for its owner's eyes",
                ('_MODE = 0o600\n"""For nobody else: the'),
                ('_MODE = 0o644\n"""For nobody else: the'),
            ),
            ("one journal has one writer", "fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)", "pass"),
            ("a torn line goes", "os.ftruncate(self.descriptor, whole)", "pass"),
            (
                "what was not written is not recorded",
                "                    if error is None:",
                "                    if True:",
            ),
            ("only ends are recorded", "if task_id in self or not _is_end(record):", "if task_id in self:"),
            (
                "what a failed write left is removed",
                ("            self._cut_torn_line()\n            status"),
                "            status",
            ),
        ],
    ),
    *_noticed_by(
        "test_calls.py",
        rules=[
            (
                "a submit that the relay may have taken is not repeated",
                "return uncertain(error, request.partial_answer, transport.redact)",
                "return error",
            ),
            ("a submit that never went out is no uncertain one", " or not request.sent:", ":"),
            ("what was refused for good is not handed in again", "return refused_for_now and", "return"),
            ("what went out is known to have", "self._request.sent = True", "pass"),
            ("what came of a cut answer is kept", "if not whole and request.method", "if False and request.method"),
            ("what on_submitted raises names the task", "raised.add_note(", "str("),
            (
                "three tries are within one request's time",
                ("            retry_state.attempt_number >= _MOST_TRIES\n            or"),
                ("            False\n            or"),
            ),
        ],
    ),
    *_noticed_by(
        "relay/test_submissions.py",
        rules=[
            (
                "half an answer leaves open whether a task was made",
                "return error if refused else uncertain(error, answer.body, redact)",
                "return error",
            ),
            (
                "a proxy's 503 leaves open whether a task was made",
                'refused = answer.body.lstrip()[:1] in (b"{", b"[")',
                "refused = True",
            ),
            ("what may be an id does not hold the key", " if redact(candidate) == candidate", ""),
        ],
    ),
    *_noticed_by(
        "test_options.py",
        rules=[
            (
                "a prompt is not blank",
                ("if not isinstance(prompt, str) or not prompt.strip():\n        raise Conf"),
                ("if not isinstance(prompt, str):\n        raise Conf"),
            ),
            ("an extension has fewer options", 'fields.keys() - _OF_AN_EXTENSION - {"user_prompt"}', "()"),
            ("a return alone is no line break", "\\r?\\n)[", "\\r|\\n)["),
        ],
    ),
    *_noticed_by(
        "cli/test_gallery_page.py",
        rules=[
            ("text is escaped", "return escape(text)", "return text"),
            ("nothing is allowed but what is listed", "\"default-src 'none'\"", '"default-src *"'),
            ("a page of stored files asks nobody", '("\'self\'", "file:")', '("https:",)'),
        ],
    ),
    *_noticed_by(
        "cli/test_markup.py",
        rules=[
            ("control characters are made visible", "text = shown(value, _LONGEST)", "text = str(value)"),
        ],
    ),
    *_noticed_by(
        "cli/test_entries.py",
        rules=[
            (
                "a deadline does not undo a video",
                "if before is None or not _has_ended(before) or _has_ended(record):",
                "if True:",
            ),
            (
                "no time is guessed",
                "if start is None or end is None or end < start:",
                "if start is None or end is None:",
            ),
        ],
    ),
    *_noticed_by(
        "cli/test_gallery.py",
        rules=[
            (
                "an id is no way out of the directory",
                ("    if not is_task_id(task_id):\n        return None\n    names"),
                "    names",
            ),
            (
                "a page is replaced only when asked",
                "part.finish(options.page, overwrite=options.overwrite)",
                "part.finish(options.page, overwrite=True)",
            ),
            (
                "a page is for its owner's eyes",
                ('_MODE = 0o600\n"""For nobody else, like'),
                ('_MODE = 0o644\n"""For nobody else, like'),
            ),
        ],
    ),
    *_noticed_by(
        "relay/test_health.py",
        rules=[
            ("a 503 of two ids is load", "self._unavailable_before[1] >= window_start", "False"),
            ("a 503 of a batch is load", "(together or", "(False or"),
            ("without a good answer it is an outage", "self.good_at >= window_start and", "True and"),
            ("one id alone slows nobody else", "not together and self._times >= _ALONE_AFTER", "False"),
            (
                "one id is alone only while others are answered",
                "_ALONE_AFTER and self.good_at >= self._slowed_since",
                "_ALONE_AFTER",
            ),
        ],
    ),
    *_noticed_by(
        "network/test_deadlines.py",
        "faults/test_blocked_loop.py",
        rules=[
            ("what came in the same turn is taken first", "_LAST_TURNS = 3", "_LAST_TURNS = 1"),
        ],
    ),
    *_noticed_by(
        "relay/test_candidates.py",
        rules=[
            ("a cut text is not an id", 'elif token["end"]:', 'elif token["text"]:'),
        ],
    ),
    *_noticed_by(
        "cli/test_endings.py::test_a41_a_signal_keeps_what_was_done",
        rules=[
            ("SIGHUP ends a command", "_SIGNALS[signal.SIGHUP] = Status.HUNG_UP", "pass"),
        ],
    ),
    *_noticed_by(
        "cli/test_endings.py::test_a41_a_signal_that_was_ignored_at_the_start_stays_so",
        rules=[
            ("a signal that is ignored stays so", "not in (signal.SIG_IGN, None)", "is not None"),
        ],
    ),
    *_noticed_by(
        "cli/test_endings.py::test_a41_ids_of_a_pipe_are_in_a_file_when_the_terminal_is_closed",
        rules=[
            ("what was given up is remembered", "_given_up.add(descriptor)", "pass"),
        ],
    ),
    *_noticed_by(
        "cli/test_endings.py::test_a41_that_generations_go_on_is_said_of_a_relay_that_knows_them",
        rules=[
            ("that generations go on is known of a good poll", "self.luma.statistics.polls > 0", "True"),
        ],
    ),
    *_noticed_by(
        "cli/test_endings.py::test_a41_a_terminal_that_is_closed_ends_it_quietly",
        rules=[
            ("a signal is told, whatever error comes with it", "is_stopping() or ", ""),
            (
                "a closed terminal has no cursor",
                ("    finally:\n        with guarded():\n            live.stop()"),
                ("    finally:\n        live.stop()"),
            ),
        ],
    ),
    *_noticed_by(
        "cli/test_lines.py",
        rules=[
            ("zeros here and there do not make it UTF-16", "_CLEARLY = 3 / 4", "_CLEARLY = 0"),
            ("NUL is no text", 'if "\\0" in text:', "if False:"),
        ],
    ),
    *_noticed_by(
        "test_callbacks.py",
        "waiting/test_batching.py",
        rules=[
            (
                "whatever a listener raises harms nobody",
                "except BaseException as raised:  # noqa: BLE001 - such",
                "except Exception as raised:  # noqa: BLE001 - such",
            ),
        ],
    ),
    *_noticed_by(
        "test_callbacks.py",
        rules=[
            (
                "whatever a log raises harms nobody",
                "except BaseException as raised:  # noqa: BLE001 - logging",
                "except Exception as raised:  # noqa: BLE001 - logging",
            ),
            ("a group may end the program", "            raise_if_exit(part)", "            pass"),
        ],
    ),
    *_noticed_by(
        "network/test_rate.py",
        rules=[
            (
                "who leaves before his turn leaves his slot",
                ("                self._slots.release()\n                raise"),
                "                raise",
            ),
            ("a turn that is not used is given back", "                self._rate.give_back()", "                pass"),
            ("redirects wait for their turn", "                await turn()", "                pass"),
            ("waiting for a turn is not the request's time", "limit.move(deadline)", "pass"),
            ("the request's time goes on after it", "clock.time() + left, deadline", "math.inf, deadline"),
            ("who leaves leaves no hole", "                self.give_back()", "                pass"),
            ("idle time is not saved up", "self._next = max(self._next, loop.time())", "pass"),
            ("what was missed is no burst", "max(self._next, now - _MOST_LATE)", "self._next"),
            ("a timer that is late delays nobody", "max(self._next, now - _MOST_LATE)", "now"),
        ],
    ),
    *_noticed_by(
        "test_streams.py::test_ids_of_a_stream_never_stand_in_memory_at_once",
        rules=[
            (
                "no id stays in memory for having been there",
                "        self._seen.add(digest)",
                "        self._seen |= {digest, task_id}",
            ),
        ],
    ),
    *_noticed_by(
        "waiting/test_tenacity.py",
        rules=[
            (
                "a strategy that needs an exception is not asked without one",
                "self._own_at_results = policy.wait is not None and _needs_exception(policy.wait)",
                "self._own_at_results = False",
            ),
            (
                "a failed poll is tenacity's exception",
                "            outcome.set_exception(progress.error)",
                "            outcome.set_result(progress.error)",
            ),
            ("attempts are counted", "state.prepare_for_next_attempt()", "pass"),
        ],
    ),
]
"""All of them."""
