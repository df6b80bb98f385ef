"""What is broken on purpose: one short text of one module each, the rule that it was, and who should notice."""

from __future__ import annotations

from attrs import field, frozen


@frozen
class Mutation:
    """One rule, broken."""

    module: str
    """Below ``luma_async/``, without its ending."""
    rule: str
    """What does not hold any more."""
    old: str
    """Stands exactly once in the module."""
    new: str
    tests: tuple[str, ...] = field()
    """Files or tests, as pytest takes them, below ``tests/``; by default the module's own."""

    @tests.default
    def _own(self) -> tuple[str, ...]:
        return _TESTS_ELSEWHERE.get(self.module, (f"test_{self.module.strip('_')}.py",))

    @property
    def path(self) -> str:
        """The module's file."""
        return f"luma_async/{self.module}.py"


_TESTS_ELSEWHERE = {"_files": ("faults/test_a43_files.py",)}

_RATE = ("test_rate.py",)

_STATUS_ROWS = [
    Mutation(
        "_refusals",
        "408 passes",
        "408: Cause(APIError, Verdict.PASSING)",
        "408: Cause(APIError, Verdict.FINAL)",
    ),
    Mutation(
        "_refusals",
        "a wrong key is final",
        "401: Cause(AuthenticationError, Verdict.FINAL",
        "401: Cause(AuthenticationError, Verdict.PASSING",
    ),
    Mutation(
        "_refusals",
        "402 is about credit, 403 about permission",
        "402: Cause(QuotaExceededError",
        "402: Cause(PermissionDeniedError",
    ),
    Mutation(
        "_refusals",
        "an unknown task is unconfirmed at first",
        "404: Cause(NotFoundError, Verdict.UNCONFIRMED",
        "404: Cause(NotFoundError, Verdict.FINAL",
    ),
    Mutation(
        "_refusals",
        "a task that is gone is final at once",
        "410: Cause(NotFoundError, Verdict.FINAL",
        "410: Cause(NotFoundError, Verdict.UNCONFIRMED",
    ),
    Mutation(
        "_refusals",
        "429 slows all ids down",
        "429: Cause(RateLimitError, Verdict.SLOW_DOWN",
        "429: Cause(RateLimitError, Verdict.PASSING",
    ),
    Mutation(
        "_refusals",
        "501 is final",
        "501: Cause(ServerError, Verdict.FINAL",
        "501: Cause(ServerError, Verdict.PASSING",
    ),
    Mutation(
        "_refusals",
        "other 5xx pass",
        "_SERVER_ERROR = Cause(ServerError, Verdict.PASSING",
        "_SERVER_ERROR = Cause(ServerError, Verdict.FINAL",
    ),
    Mutation(
        "_refusals",
        "saturation behind 403 passes",
        "_SATURATED = Cause(RateLimitError, Verdict.SLOW_DOWN",
        "_SATURATED = Cause(RateLimitError, Verdict.FINAL",
    ),
    Mutation("_refusals", "503 slows down only with a hint", "status == 503 and hinted:", "status == 503:"),
    Mutation(
        "_refusals",
        "an error inside 200 passes",
        "cause = evolve(cause, verdict=Verdict.SLOW_DOWN if slow else Verdict.PASSING)",
        "cause = evolve(cause, verdict=Verdict.SLOW_DOWN if slow else Verdict.FINAL)",
    ),
    Mutation("_refusals", "Retry-After is heeded", "if _DIGITS.fullmatch(digits :=", "if not (digits :="),
]

_ANSWERS = [
    Mutation("_wire", "another task's answer is never handed out", "if owner == task_id:", "if owner:"),
    Mutation(
        "_wire",
        "a row belongs to its own id",
        "sighted[task_id] = Known(body), News.of",
        "sighted[next(iter(known))] = Known(body), News.of",
        ("test_batching.py",),
    ),
    Mutation("_wire", "a batch about strangers is no answer", "if strangers and not sighted:", "if False:"),
    Mutation(
        "_wire",
        "a row's task_id is its identity",
        'return _filled(task.get("task_id")) or _filled(task.get("id"))',
        'return _filled(task.get("id")) or _filled(task.get("task_id"))',
    ),
    Mutation("_wire", "a row's status is its own", 'keys = ("status", "state") if', 'keys = ("state", "status") if'),
    Mutation(
        "_wire",
        "a row's outer status wins",
        "    for level in levels:\n        for key in keys:",
        "    for level in reversed(levels):\n        for key in keys:",
    ),
    Mutation("_wire", "only 200 to 203 carry an answer", "_LAST_WITH_BODY = 203", "_LAST_WITH_BODY = 206"),
    Mutation("_wire", "a page is no answer", "if answer.is_html:", "if False:", ("test_refusals.py",)),
    Mutation("_wire", "an unknown word means still running", '"_"), State.UNKNOWN)', '"_"), State.FAILED)'),
    Mutation("_wire", "a task id cannot leave its folder", ' and text not in (".", "..")', ""),
    Mutation(
        "_wire", "a task id has nothing that changes a path", 'r"[A-Za-z0-9._~-]{1,128}"', 'r"[A-Za-z0-9._~%/-]{1,128}"'
    ),
    Mutation(
        "_wire",
        "only the very same answer is the one before",
        "if known is not None and answer.body == known.text and answer.status == HTTP_OK:",
        "if known is not None and answer.status == HTTP_OK:",
    ),
    Mutation(
        "_structure",
        "a huge integer is no JSON",
        "elif kind is int and not -_LARGEST < value < _LARGEST:",
        "elif kind is None:",
    ),
    Mutation("_structure", "1e400 is no JSON", "elif kind is float and not isfinite(value):", "elif kind is None:"),
    Mutation(
        "_structure",
        "an answer's depth can be written down",
        "_check(record, deepest=inf)",
        "_check(record)",
        ("properties/test_answers.py",),
    ),
    Mutation("_structure", "NaN is no JSON", "parse_constant=_refuse", ""),
    Mutation("_structure", "deep nesting is no answer", "if depth > deepest:", "if False:", ("test_wire.py",)),
    Mutation("_structure", "true is not 1", "if isinstance(value, bool) or not isinstance", "if not isinstance"),
    Mutation(
        "_structure",
        "only an http(s) URL is a link",
        'if parts.scheme in ("http", "https") and parts.hostname else None',
        "if parts.scheme else None",
    ),
    Mutation("_text", "nothing that a terminal would obey is shown", "c if c.isprintable() else", "c if c else"),
]

_TRANSPORT = [
    Mutation("_transport", "answers are capped", "if len(body) > limit:", "if False:"),
    Mutation("_transport", "reading ends at the cap", " and len(body) <= limit:", ":"),
    Mutation("_transport", "the key stays with its origin", "if not _same_origin(url, start) or", "if False or"),
    Mutation(
        "_transport",
        "another port is another origin",
        "(url.scheme, url.raw_host, url.port) == (start.scheme, start.raw_host, start.port)",
        "url.raw_host == start.raw_host",
    ),
    Mutation("_transport", "redirects are followed by hand", "allow_redirects=False", "allow_redirects=True"),
    Mutation("_transport", "redirects are followed five times", "_MAX_REDIRECTS = 5", "_MAX_REDIRECTS = 50"),
    Mutation(
        "_transport",
        "the environment is not heeded",
        "trust_env=False",
        "trust_env=True",
        ("faults/test_a34_environment.py",),
    ),
    Mutation(
        "_transport",
        "cookies are not kept",
        "cookie_jar=aiohttp.DummyCookieJar(),",
        "cookie_jar=aiohttp.CookieJar(unsafe=True),",
    ),
    Mutation(
        "_transport",
        "the relay's echo of the key is blanked out",
        'said = said.replace(spelling, b"[key]")',
        "pass",
    ),
    Mutation(
        "_transport",
        "the key goes to the relay alone",
        "        trust_env=False,",
        '        trust_env=False, headers={"Authorization": "Bearer sk-test-0123456789"},',
        ("test_download.py",),
    ),
    Mutation(
        "_transport",
        "a stranger's connection is given up",
        "if isinstance(error, ProtocolError) and error.foreign:",
        "if False:",
    ),
    Mutation("_transport", "what is given up is closed", "            if pool.retired:", "            if False:"),
    Mutation(
        "_transport",
        "aiohttp's errors become ours",
        "except (aiohttp.ClientError, OSError) as error:",
        "except aiohttp.ClientConnectionError as error:",
    ),
    Mutation(
        "_transport",
        "only aiohttp's and the system's errors are caught",
        "except (aiohttp.ClientError, OSError) as error:",
        "except BaseException as error:",
        ("test_transport.py", "test_client.py"),
    ),
    Mutation(
        "_transport",
        "an unknown certificate is final",
        "if isinstance(error, aiohttp.ClientSSLError | ssl.SSLError) and not",
        "if False and not",
    ),
    Mutation(
        "_transport",
        "a probe that is cancelled leaves its place to another",
        "self.cooldown.probe_ended(welcome=False)",
        "pass",
        ("test_transport.py", "test_cooldown.py"),
    ),
    Mutation(
        "_transport",
        "closing ends looks under way",
        "self._deadlines.expire_all()",
        "pass",
    ),
    Mutation(
        "_transport",
        "who leaves before his turn leaves his slot",
        "                self._slots.release()\n                raise",
        "                raise",
        _RATE,
    ),
    Mutation(
        "_transport",
        "a turn that is not used is given back",
        "                self._rate.give_back()",
        "                pass",
        _RATE,
    ),
    Mutation(
        "_transport", "redirects wait for their turn", "                await turn()", "                pass", _RATE
    ),
    Mutation("_transport", "waiting for a turn is not the request's time", "limit.move(deadline)", "pass", _RATE),
    Mutation(
        "_transport",
        "the request's time goes on after it",
        "clock.time() + left, deadline",
        "math.inf, deadline",
        _RATE,
    ),
    Mutation("_rate", "who leaves leaves no hole", "                self.give_back()", "                pass"),
    Mutation("_rate", "idle time is not saved up", "self._next = max(self._next, loop.time())", "pass"),
    Mutation("_rate", "what was missed is no burst", "max(self._next, now - _MOST_LATE)", "self._next"),
    Mutation("_rate", "a timer that is late delays nobody", "max(self._next, now - _MOST_LATE)", "now"),
    Mutation(
        "_deadlines",
        "a time-out takes its cancelling back",
        "if self._is_over and self._task.uncancel() <= self._cancelling and kind",
        "if self._is_over and kind",
    ),
    Mutation(
        "_deadlines",
        "an error of its own is no time-out",
        " and kind is asyncio.CancelledError:",
        ":",
    ),
    Mutation(
        "settings",
        "the key is in no repr, not even in a frame's",
        """return "'[secret]'\"""",
        "return str.__repr__(self)",
        ("faults/test_a35_key.py",),
    ),
    Mutation(
        "settings",
        "a key has no line breaks",
        r"[\x21-\x7e]{1,4096}",
        r"[\x00-\x7e]{1,4096}",
        ("faults/test_a32_keys.py",),
    ),
    Mutation(
        "settings",
        "plain http is for loopback",
        'if parts.scheme == "http" and not',
        "if False and not",
        ("faults/test_a31_addresses.py",),
    ),
    Mutation(
        "settings",
        "an address holds no password",
        "if parts.username is not None or parts.password is not None:",
        "if False:",
        ("faults/test_a31_addresses.py",),
    ),
    Mutation("settings", "certificates are verified", "or context.verify_mode != ssl.CERT_REQUIRED", "or False"),
]

_WAITING = [
    Mutation(
        "_cooldown",
        "one id's long hint delays the others by the maximum",
        "pause = min(max(pause, self.policy.min_interval), self.policy.maximum)",
        "pause = max(pause, self.policy.min_interval)",
    ),
    Mutation(
        "_cooldown",
        "those who waited are released one by one",
        "spread = min(_RELEASED_WITHIN * self.policy.maximum, self._waiting / _RELEASED_PER_SECOND)",
        "spread = 0.0",
    ),
    Mutation("_cooldown", "the pause is the relay's hint", "pause = hint or min(", "pause = min("),
    Mutation("_cooldown", "one probe goes first", "if not self._probing:", "if self._complained or not self._probing:"),
    Mutation("pacing", "pauses have jitter", "return low + (high - low) * randomness()", "return (low + high) / 2"),
    Mutation("pacing", "a hint is a lower bound", "pause, look.hint or 0.0)", "pause)"),
    Mutation(
        "pacing",
        "no look comes before the interval is over",
        "return max(policy.min_interval, pause",
        "return max(pause",
    ),
    Mutation(
        "pacing",
        "an outage does not make the load grow",
        "pause = max(min(longer, policy.maximum), policy.backoff(look.failures, self._randomness))",
        "pause = policy.backoff(look.failures, self._randomness)",
    ),
    Mutation("_watching", "not found is final at the third", "_NOT_FOUND_IS_FINAL = 3", "_NOT_FOUND_IS_FINAL = 2"),
    Mutation(
        "_watching",
        "a good look resets the count",
        "self._failures = self._counted = self._not_found = 0",
        "self._failures = self._not_found = 0",
    ),
    Mutation(
        "_watching",
        "being told to slow down counts for nothing",
        "error.verdict is not Verdict.SLOW_DOWN and self._is_outage",
        "self._is_outage",
    ),
    Mutation(
        "_watching",
        "a wait gives up after enough failures and enough time",
        "policy.max_consecutive_failures and now",
        "policy.max_consecutive_failures or now",
    ),
    Mutation(
        "_watching",
        "each waiter gets his own exception",
        "error=None if error is None else error.for_task(self.task_id),",
        "error=error,",
    ),
    Mutation(
        "_watching", "the last to go ends the loop, no other", "        if not self._waiters:", "        if True:"
    ),
    Mutation(
        "_watching",
        "completed without a link is looked at again",
        "return self._without_link > _LOOKS_FOR_A_LINK",
        "return True",
    ),
    Mutation(
        "_watching",
        "a newcomer keeps the interval",
        "if look.failures else interval)",
        "if look.failures else 0.0)",
    ),
    Mutation(
        "_watching",
        "a newcomer keeps the hint",
        "(max(interval, look.hint or 0.0) if",
        "(interval if",
    ),
    Mutation(
        "_watching",
        "a look is cut at the latest deadline",
        "self.deadline = max(self.deadline, waiter.deadline)",
        "self.deadline = min(self.deadline or waiter.deadline, waiter.deadline)",
    ),
    Mutation("_watching", "failed is an error in a wait", "generation.state is State.FAILED", "False"),
    Mutation("_looking", "a single look is three tries", "_MOST_TRIES = 3", "_MOST_TRIES = 30", ("test_transport.py",)),
    Mutation(
        "_looking",
        "final trouble ends a single look",
        "is_last=not self._trouble.retryable",
        "is_last=False",
        ("test_transport.py",),
    ),
]

_MANY = [
    Mutation(
        "_batching",
        "who is missing in an answer is asked alone from then on",
        "self._part(missing)",
        "pass",
    ),
    Mutation(
        "_batching",
        "of who has left nothing is remembered",
        " for ask in asks if not ask.is_over)",
        " for ask in asks)",
    ),
    Mutation(
        "_looking", "of a single look nothing is remembered", "batcher.forget(task_id)", "pass", ("test_batching.py",)
    ),
    Mutation(
        "_batching",
        "what one id hears is not for another",
        "ask.tell(sighting, now)",
        "ask.tell(next(iter(sighted.values())), now)",
    ),
    Mutation("_batching", "a refused batch is no id's fate", "        if not passing:", "        if False:"),
    Mutation(
        "_batching",
        "a relay without the query is recognised",
        "_NO_SUCH_QUERY = frozenset({404, 405, 501})",
        "_NO_SUCH_QUERY = frozenset({404})",
    ),
    Mutation(
        "_batching",
        "a batch is cut at the latest deadline",
        "deadline=max([ask.asker.deadline for ask in asks])",
        "deadline=min([ask.asker.deadline for ask in asks])",
    ),
    Mutation(
        "_batching",
        "who has left is not asked for",
        "self._due.pop(ask, None)",
        "pass",
    ),
    Mutation(
        "_batching",
        "a batch has no more ids than allowed",
        "self._go_together(self._take(self.most))",
        "self._go_together(self._take(len(self._due)))",
    ),
    Mutation(
        "_batching",
        "where only batches fail, the ids go alone",
        "if self._failures and self._found >= _TRIALS:",
        "if False:",
    ),
    Mutation(
        "_batching",
        "one look that works is no proof against batches",
        "self._found >= _TRIALS:",
        "self._found:",
    ),
    Mutation(
        "_watching",
        "in trouble fewer requests go out",
        "patience > _LONGEST_PATIENCE and not self._failures:",
        "patience > _LONGEST_PATIENCE:",
    ),
    Mutation(
        "_batching",
        "a defect is no failed look",
        "    def _broke(self, defect: BaseException) -> None:\n        self.asker.broke(defect)",
        "    def _broke(self, defect: BaseException) -> None:\n        self.asker.missed(defect)",
    ),
    Mutation(
        "_batching", "a defect of a request reaches all", "                ask.fail(defect)", "                pass"
    ),
    Mutation(
        "_batching",
        "who has left is not waited for",
        "                ask.alone.cancel()",
        "                pass",
        (
            "test_batching.py",
            "test_watching.py",
            "test_client.py",
            "test_transport.py",
            "properties/test_cancelling.py",
        ),
    ),
    Mutation(
        "client",
        "who is answered together stays together",
        "lambda: batcher.chance",
        '__import__("random").random',
        ("test_batching.py",),
    ),
    Mutation(
        "_batching", "no request comes like clockwork", "        self.chance = random()", "        self.chance = 0.5"
    ),
    Mutation("_agenda", "who has left is not kept", "self.on_turn = _nobody", "pass", ("test_agenda.py",)),
    Mutation(
        "_agenda",
        "who goes along needs no timer",
        "taken += self._resting.pop(",
        "taken += self._resting.get(",
    ),
    Mutation(
        "_telling",
        "whatever a listener raises harms nobody",
        "except BaseException as raised:  # noqa: BLE001 - such",
        "except Exception as raised:  # noqa: BLE001 - such",
        ("test_callbacks.py", "test_batching.py"),
    ),
    Mutation(
        "_telling",
        "whatever a log raises harms nobody",
        "except BaseException as raised:  # noqa: BLE001 - logging",
        "except Exception as raised:  # noqa: BLE001 - logging",
        ("test_callbacks.py",),
    ),
    Mutation("_callbacks", "a group may end the program", "            heed_the_end(part)", "            pass"),
    Mutation(
        "_callbacks",
        "what no future takes becomes an error",
        " and not isinstance(raised, StopIteration)",
        "",
        ("test_batching.py",),
    ),
    Mutation("pacing", "a strategy cancels nobody", "raise error from raised", "raise", ("test_batching.py",)),
    Mutation("client", "what on_submitted raises names the task", "raised.add_note(", "str(", ("test_asking.py",)),
    Mutation(
        "_agenda",
        "a timer is only ever cancelled",
        "if latest < self._armed_for:",
        "if self._timer is None or latest < self._timer.when():",
    ),
    Mutation("_agenda", "the same window is one place", "together.append(resting)", "pass"),
    Mutation(
        "_agenda",
        "who has left does not wake with others",
        "return [resting for resting in taken if not resting.is_over]",
        "return taken",
    ),
    Mutation("_agenda", "an empty place is none", "            self._resting.pop(window, None)\n", ""),
    Mutation("_structure", "a row is UTF-8", "row = _decoder.decode(new.decode())", "new.decode()", ("test_wire.py",)),
    Mutation(
        "_structure",
        "a row of bad UTF-8 is none",
        "_decoder.decode(new.decode())",
        "_decoder.decode(new.decode(errors='replace'))",
        ("test_wire.py",),
    ),
    Mutation(
        "_structure",
        "all around the rows is UTF-8",
        "+ body[end:]).decode()",
        "+ body[end:]).decode('latin-1')",
        ("test_wire.py",),
    ),
    Mutation("_structure", "rows are known where they are expected", "expected = iter(known)", "expected = iter(())"),
    Mutation(
        "_structure", "rows are known in any order", "beginnings.get(body[at : at + _BEGINNING], _NO_ROW)", "_NO_ROW"
    ),
    Mutation("_structure", "long links are not remembered", "if len(value) <= _LONG else", "if True else"),
    Mutation("_learning", "all who were seen together count", "(high - age) * together", "(high - age)"),
    Mutation("_learning", "what is read is up to date", "self._settle()\n        left, watched", "left, watched"),
    Mutation("_learning", "nothing is counted twice", "        self._together = 0", "        pass"),
    Mutation("_watching", "nobody comes too early", "_EAGERNESS = 2.5", "_EAGERNESS = 3.0"),
    Mutation("_watching", "in trouble nobody waits", "is not None or not self._failures:", "is None or True:"),
    Mutation("pacing", "each age has a pause of its own", "self._asked or at != self._at", "self._asked"),
    Mutation("pacing", "a new plan holds at once", "        self._at = -1.0\n        pause", "        pause"),
    Mutation(
        "_looking",
        "controllers have statistics of their own",
        "        return threading.local()",
        "        return vars(self.wait).setdefault('local', threading.local())",
        ("test_watching.py",),
    ),
    Mutation(
        "_watching",
        "no look comes within the interval",
        "            at = max(at, self._not_before)",
        "            pass",
    ),
    Mutation("pacing", "each state has a schedule of its own", "if timetable is not self._asked or", "if"),
    Mutation(
        "pacing",
        "looks that were cheap are not paid for later",
        "densest or policy)",
        "policy)",
    ),
    Mutation(
        "_learning",
        "what was spent is not forgotten",
        "[kept + lost for kept, lost in zip(self.watched, self.faded, strict=True)]",
        "self.watched.copy()",
        ("test_pacing.py",),
    ),
    Mutation("_streams", "an id that is asked for twice is one", "if digest in self._seen:", "if False:"),
    Mutation(
        "_streams",
        "no id stays in memory for having been there",
        "        self._seen.add(digest)",
        "        self._seen |= {digest, task_id}",
        ("test_streams.py::test_ids_of_a_stream_never_stand_in_memory_at_once",),
    ),
    Mutation(
        "_streams",
        "a source that breaks off is no quiet end",
        "if feeder.cancelling() or (error := presentable(raised, _SOURCE)) is raised:",
        "if presentable(raised, _SOURCE):",
    ),
    Mutation("_streams", "a feeder that is cancelled is no quiet end", "if not self._recalled:", "if False:"),
    Mutation("_streams", "our own cancelling is no error of the source", "if not self._recalled:", "if True:"),
    Mutation("_streams", "leaving the block stops the waiting", "            waiter.leave()", "            pass"),
    Mutation(
        "client",
        "a client belongs to one event loop",
        "if self._loop is not None and self._loop is not _running_loop():",
        "if False:",
    ),
    Mutation("client", "closing closes the connections", "closing.push_async_callback(self._transport.aclose)", "pass"),
    Mutation(
        "errors",
        "a wait that timed out can be taken up again",
        "            verdict=Verdict.PASSING,",
        "            verdict=Verdict.FINAL,",
    ),
]

_DISK = ("faults/test_a43_files.py",)
_LINKS = ("faults/test_a44_links.py",)
_MEDIA = ("faults/test_a42_media.py",)

_FILES = [
    Mutation("_files", "bytes are on the disk before the name", "os.fsync(file.fileno())", "pass", _DISK),
    Mutation("_files", "no file is written that somebody put there", "os.O_CREAT | os.O_EXCL", "os.O_CREAT", _DISK),
    Mutation(
        "_files",
        "what another process writes is not touched",
        "        lock(file.fileno())\n        if not",
        "        if not",
        _DISK,
    ),
    Mutation("_files", "after a crash nothing is gone on with", 'told["boot"] != _boot()', "False", _DISK),
    Mutation("_files", "what another user left is not gone on with", "status.st_uid != _user()", "False", _DISK),
    Mutation("_files", "what has another name is not gone on with", "status.st_nlink != 1", "False", _DISK),
    Mutation(
        "_files", "the last byte is always asked for", "min(status.st_size, version.total - 1)", "status.st_size", _DISK
    ),
    Mutation(
        "_files",
        "names are short enough",
        "        if len(name) <= _LONGEST_NAME:\n            return name",
        "        return name",
        _DISK,
    ),
    Mutation("download", "lengths are compared", "if total and part.size != total:", "if False:"),
    Mutation("download", "a cut box is noticed", "if ends_early(content, part.size):", "if False:"),
    Mutation("download", "a slow server is given up", "        if self._owed <= 0:\n", "        if True:\n", _MEDIA),
    Mutation(
        "download",
        "what is never whole is not waited for",
        "if part.size + len(chunk) > (total or self.largest):",
        "if False:",
    ),
    Mutation(
        "download", "what brings something goes on", "0 if fruitful else self._in_vain + 1", "self._in_vain + 1", _MEDIA
    ),
    Mutation("download", "links are not renewed for ever", "renewals == _RENEWALS or (", "(", _MEDIA),
    Mutation(
        "download",
        "a wrong rest is not asked for again",
        "            part.drop()\n            response",
        "            response",
        _MEDIA,
    ),
    Mutation(
        "download",
        "any private address of a name is enough",
        'if all(is_global(each["host"]) for each in found):',
        "if True:",
        ("faults/test_a44_links.py::test_a_name_with_one_private_address_among_others_is_refused",),
    ),
    Mutation(
        "download",
        "the final address is checked",
        '"socket_factory": guarded_socket, ',
        "",
        ("faults/test_a44_links.py::test_no_socket_is_opened_for_a_private_address",),
    ),
    Mutation("download", "each redirect is checked", "allow_redirects=False", "allow_redirects=True"),
    Mutation(
        "download",
        "nothing is overwritten unasked",
        "target, overwrite=order.overwrite)",
        "target, overwrite=True)",
        _DISK,
    ),
    Mutation("_files", "a whole leftover is asked for its last byte", "version.total - 1))", "version.total))"),
    Mutation("_addresses", "private media are refused", "if allow_private:", "if True:", _LINKS),
    Mutation("_addresses", "no redirect gives up TLS", '== ("https", "http")', '== ("https", "ftp")', _LINKS),
    Mutation(
        "download",
        "nothing is left behind",
        "            finally:\n                order.part.discard()",
        "            finally:\n                pass",
    ),
    Mutation("_addresses", "private media are refused", "    if allow_private:", "    if True:", _LINKS),
    Mutation("_addresses", "no redirect gives up TLS", "if base is not None and (base", "if False and (base", _LINKS),
    Mutation("_addresses", "a link brings no user along", 'and "@" not in url.raw_authority', "", _LINKS),
    Mutation(
        "_addresses",
        "an IPv4 address inside IPv6 counts as what it is",
        "return ip.ipv4_mapped or ip.sixtofour",
        "return None",
    ),
    Mutation(
        "_addresses", "an error has no signature in it", "str(url.with_query(None)", "str(url", ("test_download.py",)
    ),
    Mutation(
        "_medium",
        "403 is an expired link",
        "_EXPIRED = frozenset({401, 403, 404, 410})",
        "_EXPIRED = frozenset({404, 410})",
        ("test_download.py",),
    ),
    Mutation(
        "_medium", "a page is no medium", '_NO_MEDIA = ("text/", ', '_NO_MEDIA = ("text/plain", ', ("test_download.py",)
    ),
    Mutation("_medium", "only the same version is gone on with", 'and _only(headers, "ETag") == self.etag', "", _MEDIA),
    Mutation(
        "_medium",
        "only the missing range is read",
        'f"bytes {start}-{self.total - 1}/{self.total}"',
        '_only(headers, "Content-Range")',
        _MEDIA,
    ),
    Mutation("_medium", "a weak ETag proves nothing", "_STRONG.fullmatch(etag)", "True"),
    Mutation(
        "_medium", "what is packed is refused", "    if _packing(headers):", "    if False:", ("test_download.py",)
    ),
    Mutation(
        "journal",
        "a line is on the disk before it counts",
        "_write_whole(self.descriptor, lines)\n                os.fsync(self.descriptor)",
        "_write_whole(self.descriptor, lines)",
    ),
    Mutation("journal", "a journal is for its owner's eyes", "_MODE = 0o600", "_MODE = 0o644"),
    Mutation(
        "_disk",
        "one journal has one writer",
        "fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)",
        "pass",
        ("test_journal.py",),
    ),
    Mutation("journal", "a torn line goes", "os.ftruncate(self.descriptor, whole)", "pass"),
    Mutation(
        "journal",
        "what was not written is not recorded",
        "                    if error is None:",
        "                    if True:",
    ),
    Mutation("journal", "only ends are recorded", "if task_id in self or not _is_end(outcome):", "if task_id in self:"),
    Mutation(
        "journal",
        "what a failed write left is removed",
        "            self._mend()\n            status",
        "            status",
    ),
]

_GALLERY = [
    Mutation("cli/_markup", "text is escaped", "return escape(text)", "return text", ("cli/test_gallery_page.py",)),
    Mutation(
        "cli/_markup",
        "control characters are made visible",
        "text = shown(value, _LONGEST)",
        "text = str(value)",
        ("cli/test_markup.py",),
    ),
    Mutation(
        "cli/_gallery",
        "nothing is allowed but what is listed",
        "\"default-src 'none'\"",
        '"default-src *"',
        ("cli/test_gallery_page.py",),
    ),
    Mutation(
        "cli/_gallery",
        "a page of stored files asks nobody",
        '("\'self\'", "file:")',
        '("https:",)',
        ("cli/test_gallery_page.py",),
    ),
    Mutation(
        "cli/_exhibits",
        "a deadline does not undo a video",
        "if before is None or not _has_ended(before) or _has_ended(record):",
        "if True:",
        ("cli/test_exhibits.py",),
    ),
    Mutation(
        "cli/_exhibits",
        "no time is guessed",
        "if start is None or end is None or end < start:",
        "if start is None or end is None:",
        ("cli/test_exhibits.py",),
    ),
    Mutation(
        "cli/_gallery_files",
        "an id is no way out of the directory",
        " or not _is_task_id(task_id)",
        "",
        ("cli/test_gallery.py",),
    ),
    Mutation(
        "cli/_gallery_files",
        "a page is replaced only when asked",
        "part.finish(order.page, overwrite=order.overwrite)",
        "part.finish(order.page, overwrite=True)",
        ("cli/test_gallery.py",),
    ),
    Mutation(
        "cli/_gallery_files",
        "a page is for its owner's eyes",
        "_MODE = 0o600",
        "_MODE = 0o644",
        ("cli/test_gallery.py",),
    ),
]

_ORDERS = [
    Mutation(
        "_asking",
        "a submit that the relay may have taken is not repeated",
        "not request.sent else UncertainSubmitError(error)",
        "not request.sent else error",
    ),
    Mutation(
        "_asking",
        "a submit that never went out is no uncertain one",
        " or not request.sent else",
        " else",
    ),
    Mutation(
        "_asking",
        "an order is asked for three times at most",
        "self._tries >= _MOST_TRIES or (",
        "(",
    ),
    Mutation(
        "_asking",
        "what was refused for good is not handed in again",
        "return error.retryable and (",
        "return (",
    ),
    Mutation("_transport", "what went out is known to have", "self._request.sent = True", "pass", ("test_asking.py",)),
    Mutation(
        "_wire",
        "half an answer leaves open whether a task was made",
        "return error if refused else UncertainSubmitError(error)",
        "return error",
        ("test_wire_orders.py",),
    ),
    Mutation(
        "_wire",
        "a proxy's 503 leaves open whether a task was made",
        'refused = answer.body.lstrip()[:1] in (b"{", b"[")',
        "refused = True",
        ("test_wire_orders.py",),
    ),
    Mutation("orders", "a prompt is not blank", "prompt.strip() and", ""),
    Mutation("orders", "an extension has fewer options", 'order.keys() - _OF_AN_EXTENSION - {"user_prompt"}', "()"),
]

MUTATIONS = [*_STATUS_ROWS, *_ANSWERS, *_TRANSPORT, *_WAITING, *_MANY, *_FILES, *_ORDERS, *_GALLERY]
"""All of them."""
