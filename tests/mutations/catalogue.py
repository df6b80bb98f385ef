"""What is broken on purpose: the tests that should notice, a short text of the package, and the rule that it was."""

from __future__ import annotations

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


_NOTICED_BY: dict[tuple[str, ...], list[tuple[str, str, str]]] = {
    ("relay/test_refusals.py",): [
        ("408 passes", "408: Cause(APIError, Verdict.PASSING)", "408: Cause(APIError, Verdict.FINAL)"),
        ("a wrong key is final", "FINAL, _KEY_ADVICE", "PASSING, _KEY_ADVICE"),
        ("402 is about credit, 403 about permission", ": Cause(QuotaExceededError", ": Cause(PermissionDeniedError"),
        ("an unknown task is unconfirmed at first", 'Verdict.UNCONFIRMED, "', 'Verdict.FINAL, "'),
        ("a task that is gone is final at once", 'FINAL, "the relay', 'UNCONFIRMED, "the relay'),
        ("429 slows all ids down", 'Verdict.SLOW_DOWN, "send', 'Verdict.PASSING, "send'),
        ("501 is final", "501: Cause(ServerError, Verdict.FINAL", "501: Cause(ServerError, Verdict.PASSING"),
        ("other 5xx pass", 'Cause(ServerError, Verdict.PASSING, "', 'Cause(ServerError, Verdict.FINAL, "'),
        ("saturation behind 403 passes", 'SLOW_DOWN, "the', 'FINAL, "the'),
        ("503 slows down only with a hint", "is_hinted and status in _MAY_BE_HINTED", "status in _MAY_BE_HINTED"),
        ("an error inside 200 passes", "else Verdict.PASSING", "else Verdict.FINAL"),
        ("Retry-After is heeded", "if _SECONDS.fullmatch(digits :=", "if not (digits :="),
        ("a page is not an answer", "if answer.is_html:\n        raise", "if False:\n        raise"),
        ("a firewall's page passes", "evolve(cause, verdict=Verdict.PASSING, advice=_FIREWALL_ADVICE)", "cause"),
        ("a challenge passes with any body", "if answer.is_challenge or", "if"),
        ("only the relay's own words refuse a key", "evolve(cause, verdict=Verdict.UNCONFIRMED)", "cause"),
        ("an upstream's refusal is not about the key", '{"fail_to_fetch_task", "not_authenticated"}', ""),
        ("another missing thing is not the task", "not _ANOTHER_THING.search(match[0]) for match in ", ""),
        ("dates count from the relay's own clock", "sent or datetime.now(UTC)", "datetime.now(UTC)"),
    ],
    ("waiting/test_batching.py",): [
        (
            "a row belongs to its own id",
            "_observe(observed, task_id, (LastAnswer.of(body, seen), seen))",
            "_observe(observed, next(iter(known)), (LastAnswer.of(body, seen), seen))",
        ),
        ("nothing is remembered of an id that left", "left_out = still_wanted(left_out)", "pass"),
        ("nothing is remembered of a single poll", "batcher.forget(task_id)", "pass"),
        (
            "one id's answer is not another's",
            "else:\n            pending.answer(observation",
            "else:\n            pending.answer(next(iter(observed.values()))",
        ),
        ("a batch is cut at the latest deadline", "max(pending.poller.deadline()", "min(pending.poller.deadline()"),
        ("an id without a waiter is not polled", "self._due.pop(pending, None)", "pass"),
        (
            "a batch has no more ids than allowed",
            "take(self.support.size.most(asyncio.get_running_loop().time()))",
            "take()",
        ),
        ("a defect is not a failed poll", "on_defect(defect)\n        if", "on_error(defect)\n        if"),
        ("a defect of a request reaches all its ids", "                pending.fail(defect)", "                pass"),
        ("ids answered together stay together", "lambda: requests.chance", '__import__("random").random'),
        (
            "a poll that is not wanted ends its request",
            "                pending.alone.cancel()",
            "                pass",
        ),
        ("requests have jitter", "        self.chance = random()", "        self.chance = 0.5"),
        ("StopIteration becomes an error", " and not isinstance(raised, StopIteration)", ""),
        ("a strategy cancels no waiter", ":\n        raise error from ", ":\n        raise "),
    ],
    ("waiting/test_batch_support.py",): [
        ("a relay without the query is recognised", "frozenset({405, 501})", "frozenset({405})"),
        (
            "batches of a relay without the query stop",
            "_switch_off(now)\n        return Remedy",
            "_suspects\n        return Remedy",
        ),
        ("a switched-off query has one trial at a time", "now + _TRIAL, True", "now, True"),
        ("each failed trial doubles the delay", "min(2 * self._delay, self.longest)", "self.longest and self._delay"),
        ("a query that worked is tried again soon", "IT_WORKED = 1.0, 30.0", "IT_WORKED = 60.0, 3600.0"),
        ("an id that is left out rejoins", "apart.polls_left -= 1", "pass"),
        ("an id that spoils batches rejoins", "Again(*_REJOIN, at", "Again(math.inf, math.inf, at"),
        (
            "a forgotten id leaves no suspicion",
            "self._suspects.pop(task_id, None)\n\n    def failed",
            "\n    def failed",
        ),
        ("a size that was learned is tried larger", "return min(2 * self._most, self.limit)", "return self._most"),
        ("scouts become rarer", "self._scout_at = 2 * self._failures + 1", "pass"),
        (
            "trouble that is new to some ids splits no batch",
            "if not firsts or None in",
            "if not firsts else now if None in",
        ),
    ],
    ("waiting/test_batch_search.py",): [
        ("a refused batch is split", "return Remedy.SPLIT if len(task_ids) > 1 else self", "return self"),
        ("a bad id is polled alone for a while", "            self._spoils(task_id, now)", "            pass"),
        (
            "no id is blamed where every batch fails",
            "return self.found if self._largest_success else []",
            "return self.found",
        ),
        ("an outage ends a search", "self.error.verdict is Verdict.PASSING and not self._largest_success", "False"),
        ("slow down ends a search", "if self.error.verdict is Verdict.SLOW_DOWN or", "if False or"),
        ("a search without success ends", "self.failures > self.most_failures", "False"),
        (
            "only batches that all fail are switched off",
            "self.relay_works and not self._largest_success and",
            "self.relay_works and",
        ),
        (
            "a half that fails is halved before the other is sent",
            "return self.is_about_this_batch and not",
            "return False and not",
        ),
        ("a limit of size is learned", "            self.size.limit_to(search.size, now)", "            pass"),
        (
            "a limit of size blames no id",
            "self._largest_success < self._smallest_failure and not",
            "self._largest_success and not",
        ),
        ("larger batches of late prove that size is no problem", "if larger > bits", "if False"),
        ("rows dropped at random are not a limit", "min(answered, len(left_out))", "len(left_out) - len(still_out)"),
        ("a scout's refusal is its own", "type(trouble) is type(error)", "True"),
        ("a scout that is refused gets its error", "                pending.refuse(trouble)", "                pass"),
        ("a short answer is completed", "while len(left_out) > 1:", "while False:"),
        (
            "a short answer shows the size",
            "self.support.size.limit_to(answered, asyncio.get_running_loop().time())",
            "pass",
        ),
        ("ids that are left out go alone", "        self.support.left_out(_ids(left_out))", "        pass"),
    ],
    ("relay/test_structure.py",): [
        ("a huge integer is not JSON", "elif kind is int and not -_LARGEST < value < _LARGEST:", "elif kind is None:"),
        ("1e400 is not JSON", "elif kind is float and not isfinite(value):", "elif kind is None:"),
        ("NaN is not JSON", "parse_constant=_refuse", ""),
        ("true is not 1", "float:\n    if isinstance(value, bool) or ", "float:\n    if "),
        ("only an http(s) URL is a link", 'in ("http", "https") and parts.hostname ', ""),
        ("a row is recognised at its place", "expected = iter(known)", "expected = iter(())"),
        ("rows are recognised in any order", "by_prefix.get(body[at : at + _PREFIX], _NO_ROW)", "_NO_ROW"),
        ("long links are not remembered", "if len(value) <= _LONG else", "if True else"),
    ],
    ("properties/test_answers.py",): [
        ("an answer's depth can be written down", "check(fields, deepest=inf)", "check(fields)"),
    ],
    ("test_text.py",): [
        ("no control character is shown", "c if c.isprintable() else", "c if c else"),
    ],
    ("network/test_transport.py",): [
        ("answers are capped", "if not whole:", "if False:"),
        ("reading ends at the cap", " and len(body) <= limit:", ":"),
        ("a foreign answer's connection is given up", "isinstance(error, ProtocolError) and error.foreign", "False"),
        ("a connection that is given up is closed", "            if pool.retired:", "            if False:"),
        ("closing ends polls under way", "self._deadlines.expire_all()\n        await", "await"),
        ("a single poll is three tries", "_MOST_TRIES = 3\n", "_MOST_TRIES = 30\n"),
        ("final trouble ends a single poll", "error.retryable and ", ""),
    ],
    (
        "testing/test_plugin.py::test_the_fixtures_follow_the_loop_of_the_test",
        "testing/test_plugin.py::test_a_test_without_an_asyncio_loop_is_told_what_to_write",
    ): [
        ("fixtures follow the test's loop", 'scope = marker.kwargs.get("loop_scope") or', 'scope = "function" or'),
        ("the usual scope of tests counts", 'request.config.getini("asyncio_default_test_loop_scope")', '"function"'),
        ("a test without a loop is told so", "pytest.fail(_WITHOUT_LOOP", "print(_WITHOUT_LOOP"),
    ],
    ("testing/test_clock.py",): [
        ("a loop has one clock", "if not isinstance(loop.time, _Clock):", "if True:"),
    ],
    ("relay/test_work.py",): [
        ("objects that cannot be tasks cost nothing", "not needed.isdisjoint(item))", "True)"),
        ("a string is opened once", "self._opened[id(value)] = opened(value)", "return opened(value)"),
        ("an answer has a limit of visits", "        self.left -= cost\n", ""),
        ("long lists are read at once", "            if parsed > most:", "            if False:"),
        ("a wording is searched in a few texts", "        if left <= 0:\n            break", "        pass"),
        ("candidates are searched in some tokens", "_MOST_TOKENS = 2**16", "_MOST_TOKENS = 2**40"),
    ],
    ("relay/test_field_cases.py",): [
        ("a failed task is read inside an error status", "if seen.state is State.FAILED:", "if False:"),
        ("only the object with the id has the state there", "and seen.carries_state:", ":"),
        ("an envelope's reason is the last one", "or (None if raw is task else _reason([raw], reading))", ""),
        ("all is well is not a reason", "not in _NO_REASON and", "and"),
        ("a request's id is not a task's", "if key not in _OF_REQUESTS]", "]"),
        ("a small number is not an id", "_LEAST_ID = 1000", "_LEAST_ID = 1"),
        ("milliseconds are times too", "            seconds /= 1000\n", "            pass\n"),
        ("per cents are a share", "number / _WHOLE", "number"),
        ("a weak word gives way to another", "if weak is None and plain in may_be_weak:", "if False:"),
    ],
    ("relay/test_links.py",): [
        (
            "the link of a list of media is not a picture's",
            "and not _is_another_medium(value):\n        inside",
            ":\n        inside",
        ),
        ("the user's input is not the result", "and not _NOT_THE_RESULT.search(key[:100])", ""),
        ("one of several links is not guessed", "if len(set(videos.values())) == 1:", "if videos:"),
        ("a guess is noted", "return link, (place,)", "return link, ()"),
        ("a picture's ending is not a video's", "if link is None or _OTHER_ENDING.search(link)", "if link is None"),
    ],
    ("test_dialect.py",): [
        ("what is declared comes first", "[*value, *usual.split()]", "[*usual.split(), *value]"),
        ("a declared link is the best one", "if declared is not None:", "if False:"),
        ("a dialect's path has one id", "len(places) != 1 + has_id", "False"),
        ("a dialect cannot set the key's header", "also_refused=instance.key_header", ""),
        ("constants go along with their option", "_put(body, name, constant)", "pass"),
        ("a dialect's file has a limit", "if len(content) > _LARGEST_FILE:", "if False:"),
        ("an argument comes before the environment", "dialect if dialect is not None else _from", "_from"),
    ],
    ("relay/test_tasks.py",): [
        ("another task's answer is never handed out", "if found.task_id != task_id:", "if not found.task_id:"),
        (
            "the row that tells an end wins",
            "seen[0].state.is_terminal and not observed[task_id][0].state.is_terminal",
            "False",
        ),
        (
            "so it does in a single poll",
            "reading.dialect).is_terminal and not seen.state.is_terminal",
            "reading.dialect).is_terminal and False",
        ),
        ("a batch about other tasks is not an answer", "if has_foreign and not observed:", "if False:"),
        ("a row goes by its task_id", '_ID_KEYS = "task_id id ', '_ID_KEYS = "id task_id '),
        ("a row's status is its own", 'keys = ("status", *', 'keys = ("state", *'),
        (
            "a row's outer status wins",
            "    for level in levels:\n        present",
            "    for level in reversed(levels):\n        present",
        ),
        ("only 200 to 203 carry an answer", "_LAST_WITH_BODY = 203", "_LAST_WITH_BODY = 206"),
        ("an unknown word means still running", "plain_word(word), State.UNKNOWN)", "plain_word(word), State.FAILED)"),
        ("a task id cannot leave its folder", ' and text not in (".", "..")', ""),
        ("a task id holds nothing that changes a path", "*+,;=:@]{1,1024}", "*+,;=:@%/]{1,1024}"),
        ("only the same answer is known already", "and known.is_from(answer.body)", ""),
        ("deep nesting is not an answer", "if depth > deepest:", "if False:"),
        ("a row is UTF-8", "row = decoder.decode(new.decode())", "new.decode()"),
        ("a row of bad UTF-8 is not a row", "new.decode()", "new.decode(errors='replace')"),
        ("the text around the rows is UTF-8", "+ body[end:]).decode()", "+ body[end:]).decode('latin-1')"),
        ("a long answer is not kept", "if len(text) <= _LONGEST_KEPT:", "if True:"),
        ("a long answer is recognised", "_digest(text) == self.digest", "False"),
        ("what fits of a long answer is kept", "if len(value) > room[0]:", "if True:"),
        ("a word is cut", "word.strip()[:_LONGEST_WORD]", "word"),
        ("digits make no kind", '_DIGITS.sub("0", word.casefold())', "word.casefold()"),
    ],
    ("network/test_brought.py",): [
        (
            "a shared connector's stray bytes are noticed",
            'if cast("ResponseHandler", conn.protocol).should_close:',
            "if False:",
        ),
        ("a closed connector is our error", "            if session.closed:", "            if False:"),
        ("a connector of another loop is refused", "connector._loop is not asyncio.get_running_loop()", "False"),
        ("a proxy's refusal is the proxy's", "if isinstance(error, aiohttp.ClientHttpProxyError):", "if False:"),
        ("a refused CONNECT names the proxy", 'error.request_info.method == "CONNECT"', "False"),
        ("an unreachable proxy is named", "if not _concerns(error, URL(proxy.reveal())):", "if True:"),
        ("a 407 is the proxy's", "response.status == _PROXY_AUTHENTICATION", "False"),
        ("a 407 is certain", "request.sent = False\n            raise", "raise"),
        ("a proxy that has worked is in trouble", "is_passing = has_worked or", "is_passing ="),
    ],
    ("faults/test_a35_key.py",): [
        ("an echoed key is redacted", 'body = body.replace(spelling, b"[key]")', "pass"),
        ("the key is in no repr, not even in a frame's", "return \"'[secret]'\"", "return str.__repr__(self)"),
        ("a slice of the header shows no key", "def __getitem__(self, _: object)", "def at(self, _: object)"),
        (
            "no local variable holds the key",
            "del api_key, proxy, headers, media_headers  # tracebacks show local variables",
            "pass",
        ),
        (
            "a secret shows nothing",
            'return "[secret]"\n\n    def __eq__',
            "return str(self.reveal())\n\n    def __eq__",
        ),
        (
            "a secret cannot be pickled",
            'raise TypeError("a secret cannot be pickled")',
            "return Secret, (self.reveal(),)",
        ),
    ],
    ("faults/test_security_faults.py",): [
        ("the key stays with its origin", "if not same_origin(target, start) or", "if False or"),
        (
            "another port is another origin",
            "(url.scheme, url.raw_host, url.port) == (start.scheme, start.raw_host, start.port)",
            "url.raw_host == start.raw_host",
        ),
        (
            "aiohttp follows no redirect",
            "headers=headers, allow_redirects=False)",
            "headers=headers, allow_redirects=True)",
        ),
        ("redirects are followed five times", "_MOST = 5\n", "_MOST = 50\n"),
        ("an unknown certificate is final", "isinstance(error, aiohttp.ClientSSLError | ssl.SSLError)", "False"),
    ],
    ("faults/test_further_faults.py::test_no_cookie_goes_out",): [
        ("cookies are not kept", "cookie_jar=aiohttp.DummyCookieJar(),", "cookie_jar=aiohttp.CookieJar(unsafe=True),"),
    ],
    ("faults/test_transport_faults.py::test_a05_garbage_status_line",): [
        (
            "aiohttp's errors become ours",
            "response.release()\n        except (aiohttp.ClientError, OSError)",
            "response.release()\n        except aiohttp.ClientConnectionError",
        ),
    ],
    ("faults/test_a34_environment.py",): [
        ("the environment is ignored", "trust_env=False", "trust_env=True"),
    ],
    ("media/test_download.py",): [
        ("closing ends downloads", "self._deadlines.expire_all()\n        sessions,", "sessions,"),
        ("only the relay gets the key", "trust_env=False,", 'trust_env=False, headers={"Authorization": "Bearer sk"},'),
        ("lengths are compared", "if total and part.size != total:", "if False:"),
        ("a cut box is noticed", "if has_end and ends_early(content, part.size):", "if False:"),
        ("a body that is too large is not read", "if part.size + len(chunk) > (total or self.largest):", "if False:"),
        (
            "each redirect is checked",
            "allow_redirects=False,\n            auto",
            "allow_redirects=True,\n            auto",
        ),
        ("a failed download leaves no file", "order.part.discard()", "pass"),
        ("an error has no signature in it", "str(url.with_query(None)", "str(url"),
        ("403 is an expired link", "_EXPIRED = frozenset({401, 403, 404, 410})", "_EXPIRED = frozenset({404, 410})"),
        ("a page is refused at its start", "if len(head) >= HEAD and ending_of(head, role) is None:", "if False:"),
        ("a file without a length shows its end", "if not has_end and not is_whole(content, part.size):", "if False:"),
        ("a compressed file is refused", "    if _packing(headers):", "    if False:"),
    ],
    ("network/test_transport.py", "test_client.py"): [
        (
            "only aiohttp's and the system's errors are caught",
            "response.release()\n        except (aiohttp.ClientError, OSError)",
            "response.release()\n        except BaseException",
        ),
    ],
    ("network/test_transport.py", "network/test_cooldown.py"): [
        ("a cancelled probe makes room for another", "self.cooldown.probe_ended(accepted=False)", "pass"),
    ],
    ("network/test_deadlines.py",): [
        ("a timeout takes back its cancellation", "self._task.uncancel() <= self._cancelling and ", ""),
        ("a block's own error is not a timeout", " and kind is asyncio.CancelledError:", ":"),
        ("a late timer gives a request its grace period", "if now < self.at + _LATE or self._had_grace:", "if True:"),
    ],
    ("faults/test_a32_keys.py",): [
        ("a key has no line breaks", "[\\x21-\\x7e]{1,4096}", "[\\x00-\\x7e]{1,4096}"),
    ],
    ("faults/test_a31_addresses.py",): [
        ("plain http is for loopback", 'if parts.scheme == "http" and not', "if False and not"),
        ("an address holds no password", "if parts.username is not None or parts.password is not None:", "if False:"),
    ],
    ("test_settings.py",): [
        ("certificates are verified", "or context.verify_mode != ssl.CERT_REQUIRED", "or False"),
    ],
    ("network/test_cooldown.py",): [
        (
            "one id's hint delays others at most max_interval",
            "min(max(pause, self.policy.shortest_interval), self.policy.max_interval",
            "max(pause, self.policy.shortest_interval",
        ),
        (
            "waiting requests are released one by one",
            "min(_RELEASED_WITHIN * self.policy.max_interval, self._waiting / _RELEASED_PER_SECOND)",
            "0.0",
        ),
        ("the pause is the relay's hint", "pause = hint or min(", "pause = min("),
        ("one probe goes first", "if not self._probing:", "if self._complained or not self._probing:"),
    ],
    ("waiting/test_pacing.py",): [
        ("pauses have jitter", "return low + (high - low) * self.randomness()", "return (low + high) / 2"),
        ("a hint is a lower bound", "pause, hint or 0.0)", "pause)"),
        ("no poll comes before the interval is over", "self._policy.shortest_interval, ", ""),
        (
            "an outage does not make the load grow",
            "max(min(longer, self._policy.max_interval), self._backoff.pause(progress.failures)",
            "self._backoff.pause(progress.failures",
        ),
        ("each age has a pause of its own", "self._asked or at != self._at", "self._asked"),
        ("a new plan holds at once", "        self._at = -1.0\n        pause", "        pause"),
        ("each state has a schedule of its own", "if timetable is not self._asked or", "if"),
        ("cheap polls are not paid for later", "densest or policy)", "policy)"),
        (
            "watched time is not forgotten",
            "[kept + lost for kept, lost in zip(self.watched, self.faded, strict=True)]",
            "self.watched.copy()",
        ),
    ],
    ("waiting/test_progress.py",): [
        ("not found is final at the third", "_CONFIRMED_AFTER = 3", "_CONFIRMED_AFTER = 2"),
        ("a good poll resets the count", "self.error = self._trouble = None", "self.error = None"),
        ("a key that worked is not refused at once", "key_works)", "self.good)"),
        ("a known task is not refused at once", "error.status in _REFUSES_TASK and self.good > 0", "False"),
        ("another id says nothing about a task", "_REFUSES_TASK and self.good > 0", "_REFUSES_TASK and key_works"),
        ("refusals have to last longer beside good answers", "if others_are_answered else", "if False else"),
        ("refusals have to come three times", "trouble.refusals >= _CONFIRMED_AFTER and now", "now"),
    ],
    ("waiting/test_polls.py",): [
        ("an unknown state with a link is reported each minute", "[1] >= _MINUTE:", "[1] >= 1e9:"),
        ("digits are no event", " and kind_of(before) != kind:", ":"),
        ("kinds have a limit", "len(self._unknown_kinds) < _MOST_KINDS:", "True:"),
        ("a kind is warned of once", "kind not in self._unknown_kinds and ", ""),
        (
            "waiters share the last generation",
            "if self._recalled is None or self._recalled[0] is not last_answer:",
            "if True:",
        ),
        ("slowing down does not count as a failure", "error.verdict is not Verdict.SLOW_DOWN and ", ""),
        ("giving up needs failures and time", "and now - trouble.since", "or now - trouble.since"),
        ("completed without a link is polled again", "return self._without_link > _POLLS_FOR_A_LINK", "return True"),
        ("a poll that was cut hides nothing", "if self.error is None or not is_cut", "if True"),
        ("each waiter gets its own exception", "None if error is None else error.for_task(task_id)", "error"),
        ("only the last waiter ends the loop", "not self.waiters:\n            self", "True:\n            self"),
        ("a poll is cut at the latest deadline", "waiters.latest", "waiters.soonest"),
        ("failed is an error in a wait", "generation is not None and generation.state is State.FAILED", "False"),
        ("no id wakes too early", "_EAGERNESS = 2.5", "_EAGERNESS = 3.0"),
        ("each controller has its own statistics", "self).setdefault", "self.wait).setdefault"),
    ],
    ("waiting/test_waiters.py",): [
        ("joining a crowd looks at none of it", "if not self._some_had_last_poll:", "if False:"),
        ("leaving takes no search", "last.place = waiter.place", "pass"),
    ],
    ("waiting/test_polls.py", "waiting/test_rest.py"): [
        ("a new waiter keeps the interval", "max(self.min_interval, ", "("),
        ("a new waiter keeps the hint", "max(self.min_interval, hint or 0.0)", "self.min_interval"),
    ],
    ("waiting/test_rest.py",): [
        ("in trouble fewer requests go out", " and not is_failing", ""),
        ("in trouble no id waits for others", "if not is_ours or not is_failing:", "if True:"),
        ("no poll comes within the interval", "            at = max(at, self.not_before)\n", "            pass\n"),
        ("a pause of the user's is not shortened", "if is_ours:", "if True:"),
    ],
    ("waiting/test_scheduler.py",): [
        ("a waiter that left is not kept", "self.on_turn = _do_nothing", "pass"),
        ("an id that goes along needs no timer", "taken += self._resting.pop(", "taken += self._resting.get("),
        ("the same window is one place", "together.append(resting)", "pass"),
        ("a waiter that left wakes with no other", "[resting for resting in taken if not resting.is_over]", "taken"),
        ("an empty place is removed", "            self._resting.pop(window, None)\n", ""),
        ("a timer is only cancelled", "latest < self._armed_for", "self._timer is None or latest < self._timer.when()"),
    ],
    ("waiting/test_learning.py",): [
        ("ids seen together all count", "(high - age) * together", "(high - age)"),
        ("what is read is up to date", "self._settle()\n        left, watched", "left, watched"),
        ("nothing is counted twice", "        self._together = 0", "        pass"),
    ],
    ("test_streams.py",): [
        ("an id asked for twice is one id", "if digest in self._seen:", "if False:"),
        ("leaving the block stops the waiting", "waiter.leave()\n        if", "pass\n        if"),
        (
            "a source that breaks off is an error",
            "feeder.cancelling() or (error := presentable(raised, _SOURCE)) is raised",
            "presentable(raised, _SOURCE)",
        ),
        ("a cancelled feeder is an error", "if not self._recalled:", "if False:"),
        ("our own cancellation is not an error", "if not self._recalled:", "if True:"),
    ],
    ("test_client.py",): [
        ("a client belongs to one event loop", "self._loop is not None and self._loop is not _running_loop()", "False"),
        ("closing closes the connections", "closing.push_async_callback(self._transport.aclose)", "pass"),
    ],
    ("test_errors.py",): [
        ("a wait that timed out can be taken up again", "PASSING,\n        )", "FINAL,\n        )"),
    ],
    ("faults/test_a43_files.py",): [
        ("discarding a file waits for no disk", "self._lock.acquire(blocking=False)", "self._lock.acquire()"),
        (
            "a step removes a file that is discarded meanwhile",
            "if self._discarded:\n                self.discard()",
            "pass",
        ),
        ("bytes are on the disk before the name", "os.fsync(file.fileno())", "pass"),
        ("no file is written that somebody put there", "os.O_CREAT | os.O_EXCL", "os.O_CREAT"),
        ("what another process writes is not touched", "        lock(file.fileno())\n        if not", "        if not"),
        ("nothing is resumed after a crash", 'parts["boot"] != _boot()', "False"),
        ("another user's leftover is not resumed", "status.st_uid != _user()", "False"),
        ("a leftover with another name is not resumed", "status.st_nlink != 1", "False"),
        ("the last byte is always asked for", "min(status.st_size, version.total - 1)", "status.st_size"),
        ("names are short enough", "if len(name) <= _LONGEST_NAME:\n            return", "return"),
        ("nothing is overwritten by default", "target, overwrite=order.overwrite)", "target, overwrite=True)"),
        ("a whole leftover is asked for its last byte", "version.total - 1))", "version.total))"),
    ],
    ("faults/test_a42_media.py",): [
        ("a slow server is given up", "        if self._owed <= 0:\n", "        if True:\n"),
        ("a try that brings bytes is not the last", "0 if fruitful else self._in_vain + 1", "self._in_vain + 1"),
        ("links are not renewed forever", "renewals == _RENEWALS or (", "("),
        ("a wrong range is not asked for again", "part.drop()\n            response", "response"),
        ("only the same version is resumed", 'and _only(headers, "ETag") == self.etag', ""),
        ("only the rest is read", 'f"bytes {start}-{self.total - 1}/{self.total}"', '_only(headers, "Content-Range")'),
    ],
    ("faults/test_a44_links.py::test_a_name_with_one_private_address_among_others_is_refused",): [
        ("any private address of a name is enough", 'if all(is_global(each["host"]) for each in found):', "if True:"),
    ],
    ("faults/test_a44_links.py::test_no_socket_is_opened_for_a_private_address",): [
        ("the final address is checked", '"socket_factory": guarded_socket, ', ""),
    ],
    ("faults/test_a44_links.py",): [
        ("private media are refused", "if rules.allow_private or (", "if True or ("),
        ("no redirect gives up TLS", '== ("https", "http")', '== ("https", "ftp")'),
        ("a redirect is judged by where it comes from", "if base is not None and (base", "if False and (base"),
        ("a link has no user name", "`{|}%@]", "`{|}%]"),
    ],
    ("media/test_addresses.py",): [
        ("other servers cannot redirect to the relay", "and (base is None or rules.are_own(base))", ""),
        ("an IPv4 address inside IPv6 counts as what it is", "return ip.ipv4_mapped or ip.sixtofour", "return None"),
    ],
    ("media/test_own_media.py",): [
        ("a redirect drops the key", "key, target = None, checked_url", "target = checked_url"),
        ("only the relay's own link gets the key", "response.url == url and self.rules.are_own(url)", "True"),
        ("a refusal behind a redirect is not the link's", "response.url == url and self.rules", "self.rules"),
        ("the key is sent if the option says so", "if self.limits.key_for_relay_media and self._is", "if self._is"),
        ("a link with the key in it is not told", "key.reveal() in location", "False"),
        (
            "a link to this machine is the relay's mistake",
            "if base is None and rules.misses_the_relay(url):",
            "if False:",
        ),
        (
            "a server address is named after a failure",
            "trouble.advice = trouble.advice or WRONG_SERVER_ADDRESS",
            "pass",
        ),
        ("base64 is strict", "strict_mode=True", "strict_mode=False"),
        ("a fresh link has not expired", "        if not is_fresh:\n", "        if True:\n"),
    ],
    ("network/test_way_out.py",): [
        ("media use the user's connector", "if shared is not None:", "if False:"),
        ("the peer is checked", "_GuardedRequest if is_guarded and", "CarefulRequest if is_guarded and"),
        ("a tunnel's end is not the peer", "if is_guarded and _connects_directly(shared)", "if is_guarded"),
        ("half of a connector is for polls", "min(self.network.connections) / 2", "min(self.network.connections)"),
        ("NO_PROXY is respected", 'or proxy_bypass(f"{url.raw_host}:{url.port}")', ""),
        ("trust_env is for media too", "self.relay is not None and self.relay.trust_env", "False"),
        ("trust_env is for polls", "trust_env=self.settings.trust_env)", "trust_env=False)"),
        ("a header's value is hidden", "name: _HiddenText(value)", "name: value"),
        ("headers of downloads are ours", "if header.lower() in _OF_DOWNLOADS:", "if False:"),
    ],
    ("media/test_files.py",): [
        ("a long id is not a name", "A-Za-z0-9._~-]{1,100}", "A-Za-z0-9._~-]{1,200}"),
        ("a name is not hidden", 'f"{start}-{digest}.{role}".lstrip("-.")', 'f"{start}-{digest}.{role}"'),
        ("ids with the same start have their own names", 'f"{start}-{digest}.', 'f"{start}-.'),
    ],
    ("media/test_boxes.py",): [
        ("chunks are inside the file", "offset < size for offset", "True for offset"),
        ("fragments may go on", ' or b"moof" in kinds:', ":"),
        ("boxes end at the end of the file", "boxes[-1].end != size", "boxes[-1].end > size"),
        ("a file has its media", 'b"mdat" not in kinds', "False"),
    ],
    ("media/test_formats.py",): [
        ("labels are not packing", '.split(",")} & _PACKING', '.split(",")} - {"", "identity", "chunked"}'),
        ("a 206 is whole up to its last byte", "int(found[1]) == total - 1 and ", ""),
        ("a weak ETag proves nothing", "_STRONG.fullmatch(etag)", "True"),
    ],
    ("test_journal.py",): [
        (
            "a line is on the disk before it counts",
            "os.write(self.descriptor, left) :]\n            os.fsync(self.descriptor)",
            "os.write(self.descriptor, left) :]",
        ),
        ("a journal is for its owner's eyes", '0o600\n"""For nobody else:', '0o644\n"""For nobody else:'),
        ("one journal has one writer", "fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)", "pass"),
        ("a torn line is removed", "os.ftruncate(self.descriptor, whole)", "pass"),
        ("a line that was not written is not recorded", "if error is None:", "if True:"),
        ("only ends are recorded", "if task_id in self or not _is_end(record):", "if task_id in self:"),
        ("what a failed write left is removed", "self._cut_torn_line()\n        status", "status"),
        ("a journal that was moved is noticed", "if not self._is_in_its_place(status):", "if False:"),
        ("a journal's place is absolute", "place = path.absolute()", "place = path"),
        (
            "a journal becomes private",
            "            os.fchmod(self.descriptor, _MODE)",
            "            pass",
        ),
        ("closing a journal waits for no disk", "self._busy.acquire(blocking=False)", "self._busy.acquire()"),
        ("a stalled write closes its file at its end", "if self._closed:  # meanwhile", "if False:"),
        ("a cancelled writer leaves nobody waiting", "self._settle({**lines, **self._lines}, self._stopped())", "pass"),
        ("nor does one that never started", "if self._writer is writer:", "if False:"),
        ("any error of a write reaches the caller", "except Exception as cause:", "except OSError as cause:"),
        ("a line of a journal has a limit", "file.readline(LONGEST_LINE + 1)", "file.readline()"),
        ("a line that is too long is not written", "if len(line) > LONGEST_LINE:  #", "if False:  #"),
    ],
    ("test_calls.py",): [
        ("an uncertain submit is not repeated", "uncertain(error, request.partial_answer, transport.redact)", "error"),
        ("an unsent submit is not uncertain", " or not request.sent:", ":"),
        ("a final refusal is not submitted again", "return refused_for_now and", "return"),
        ("a sent request is marked as sent", "self._request.sent = True", "pass"),
        ("the start of a cut answer is kept", "if not whole and request.method", "if False and request.method"),
        ("what on_submitted raises names the task", "raised.add_note(", "str("),
        ("three tries are within one request's time", "retry_state.attempt_number >= _MOST_TRIES", "False"),
    ],
    ("relay/test_submissions.py",): [
        ("half an answer is uncertain", " if refused else uncertain(error, answer.body, redact)", ""),
        ("a proxy's 503 is uncertain", 'refused = answer.body.lstrip()[:1] in (b"{", b"[")', "refused = True"),
        ("a possible id does not hold the key", " if redact(candidate) == candidate", ""),
    ],
    ("test_options.py",): [
        ("a prompt is not blank", " or not prompt.strip():\n        raise", ":\n        raise"),
        ("an extension has fewer options", 'fields.keys() - _OF_AN_EXTENSION - {"prompt"}', "()"),
        ("a lone CR is not a line break", "\\r?\\n)[", "\\r|\\n)["),
    ],
    ("cli/test_gallery_page.py",): [
        ("text is escaped", "return escape(text)", "return text"),
        ("the page allows only what is listed", "\"default-src 'none'\"", '"default-src *"'),
        ("a page of stored files loads nothing", '("\'self\'", "file:")', '("https:",)'),
    ],
    ("cli/test_markup.py",): [
        ("control characters are made visible", "text = shown(value, _LONGEST)", "text = str(value)"),
    ],
    ("cli/test_entries.py",): [
        ("a deadline does not undo a video", "before is None or not _has_ended(before) or _has_ended(record)", "True"),
        ("no time is guessed", "if start is None or end is None or end < start:", "if start is None or end is None:"),
    ],
    ("cli/test_gallery.py",): [
        ("an id stays in the directory", "(?![-.])[A-Za-z0-9._~-]", "(?s:.)"),
        ("a page is replaced only when asked", "options.overwrite)", "True)"),
        ("complaints about lines are cut at ten", "if len(self.first) < _FEW:", "if True:"),
        (
            "complaints about files are cut at ten",
            "islice(collection.unreadable.items(), _MOST_SOURCES)",
            "collection.unreadable.items()",
        ),
        ("a page is for its owner's eyes", '"\n_MODE = 0o600', '"\n_MODE = 0o644'),
    ],
    ("relay/test_health.py",): [
        ("a 503 of two ids is load", "self._unavailable_before[1] >= window_start", "False"),
        ("a 503 of a batch is load", "(together or", "(False or"),
        ("without a good answer it is an outage", "self.good_at >= window_start and", "True and"),
        ("one id alone slows no other", "not together and self._times >= _ALONE_AFTER", "False"),
        ("one id is alone only while others are answered", " and self.good_at >= self._slowed_since", ""),
    ],
    ("network/test_deadlines.py", "faults/test_blocked_loop.py"): [
        ("what came in the same turn is taken first", "_LAST_TURNS = 3", "_LAST_TURNS = 1"),
    ],
    ("relay/test_candidates.py",): [
        ("a cut text is not an id", 'elif token["end"]:', 'elif token["text"]:'),
    ],
    ("cli/test_endings.py::test_a41_a_signal_keeps_what_was_done",): [
        ("SIGHUP ends a command", "_SIGNALS[signal.SIGHUP] = Status.HUNG_UP", "pass"),
    ],
    ("cli/test_endings.py::test_a41_a_second_signal_at_the_exit_of_the_interpreter_changes_nothing",): [
        (
            "no signal changes a status",
            "is None else signal.SIG_IGN",
            "is None else signal.SIG_DFL",
        ),
    ],
    ("cli/test_endings.py::test_a_size_that_no_terminal_has_hides_no_result",): [
        ("a size that no terminal has is ignored", "            del os.environ[name]", "            pass"),
    ],
    ("cli/test_summary.py",): [
        (
            "times in the summary are monotonic",
            "now = self.clock()\n            if",
            "now = event.at\n            if",
        ),
    ],
    ("media/test_places.py",): [
        ("slow downloads keep half of the places", "return max(1, self.limit // 2)", "return self.limit"),
        ("a free place goes to the host with the fewest", "if host not in self._per_host), None)", "if True), None)"),
        ("a slow download goes on beside healthy ones", "(not slow or (", "(False or ("),
        ("a slow download past its half is left alone", " or 0 < self._total < 2 * self._stored", ""),
        ("a file that gets its name keeps its place", "None if self._is_kept or", "None if"),
        ("so it does if it is to give up in the same moment", "if self.has_given_up:  #", "if False:  #"),
        ("a cancelled download gets no place", "if not waiter.done():", "if True:"),
        (
            "a place of a cancelled download is free",
            "                self._release(place)\n            elif",
            "                pass\n            elif",
        ),
    ],
    ("media/test_download.py::test_no_more_are_fetched_at_once_than_the_limit_says",): [
        ("downloads have a limit", "max(1, int(min(self.limits.max_downloads, half)))", "1"),
    ],
    ("cli/test_storing.py",): [
        ("files that come slowly hold up no id", "_MOST_TO_STORE = 10_000", "_MOST_TO_STORE = 8"),
    ],
    ("cli/test_trouble.py",): [
        ("a good poll without a change ends trouble", "if self.good_polls() > self._good_then:", "if False:"),
        (
            "trouble lasts from its first failure on",
            "if self._failure is None:\n            self._since",
            "if True:\n            self._since",
        ),
        ("good polls before a failure end no trouble", "now, self.good_polls(), now", "now, 0, now"),
        (
            "an end with an error is not a good answer",
            "isinstance(event.outcome.error, None | GenerationFailedError)",
            "True",
        ),
        ("a cool-down has one line", "and not (self._pause and", "and not (False and"),
        ("a further pause does not start the time again", "now if self._pause is None else self._paused", "now"),
        ("a signal keeps what is wrong", "WaitEnded) and event.outcome is not None:", "WaitEnded):"),
        ("an id that moves on is in no unknown state", "self._words[before][0] -= 1", "pass"),
    ],
    ("cli/test_progress.py",): [
        ("trouble has no estimate", "None if in_trouble else seconds_left", "seconds_left"),
        ("no estimate where a state is not learned", "here is None or not here.is_learned or", "here is None or"),
        ("a repeated state is not a new one", "if event.state_text != event.before:", "if True:"),
        ("ids that are not started take time too", "longest + waves * (typical or 0.0)", "longest"),
    ],
    ("cli/test_table.py",): [
        ("counts by state are those of open ids", "self._leave(row)\n        self.has", "self.has"),
        (
            "an id is cut in the middle",
            "most = max(_LEAST_ID, min(width - beside, max(",
            "most = max(_LEAST_ID, max(width, max(",
        ),
        ("a prompt is cut between words", 'start = start.rpartition(" ")[0]', "pass"),
        ("texts above the table are written once", "            self.above.clear()", "            pass"),
    ],
    ("cli/test_result_lines.py",): [
        (
            "a link that cannot be clicked is text",
            "if link and (self.console.color_system is None or not is_safe):",
            "if False:",
        ),
        ("a reason is whole", "_LONGEST_TEXT = 5000", "_LONGEST_TEXT = 60"),
        ("quiet tells errors", "if status_of(outcome) is not Status.UNFINISHED:", "if False:"),
        (
            "a submit that waits prints no new ids quietly",
            '"" if self.waits or task_id is None',
            '"" if task_id is None',
        ),
    ],
    ("cli/test_output.py::test_a_terminal_that_goes_away_harms_no_result_in_a_file",): [
        (
            "a table that cannot be drawn ends no command",
            "    except OSError:\n        _give_up(sys.stderr)\n\n",
            "    except ():\n        pass\n\n",
        ),
    ],
    ("cli/test_output.py",): [
        ("brief lines have no answer", "line(brief=self.brief)", "line()"),
        (
            "a pipe has progress each minute",
            "enter_async_context(progress.reported())",
            "enter_async_context(AsyncExitStack())",
        ),
        ("a JSON line without an id makes the status 1", "Status.ERROR if without else Status.DONE", "Status.DONE"),
    ],
    ("cli/test_ids.py",): [
        ("any error of reading ends the ids", "except (OSError, MemoryError) as error:", "except () as error:"),
        ("a JSON line has the limit of our lines", "or not _is_json(pieces)", "or True"),
        ("a JSON line gives its own id", 'fields.get("task_id") if', "next(iter(fields.values()), None) if"),
        ("an argument that is a file gets a hint", "            cls.warn_of_file(name)", "            pass"),
    ],
    ("cli/test_endings.py::test_a41_a_signal_that_was_ignored_at_the_start_stays_so",): [
        ("a signal that is ignored stays so", "not in (signal.SIG_IGN, None)", "is not None"),
    ],
    ("cli/test_endings.py::test_a41_ids_of_a_pipe_are_in_a_file_when_the_terminal_is_closed",): [
        ("what was given up is remembered", "_given_up.add(descriptor)", "pass"),
    ],
    ("cli/test_endings.py::test_a41_that_generations_go_on_is_said_of_a_relay_that_knows_them",): [
        ("that generations go on is known of a good poll", "luma.statistics.polls > 0", "True"),
    ],
    ("cli/test_endings.py::test_a41_a_terminal_that_is_closed_ends_it_quietly",): [
        ("a signal is reported with any error", "is_stopping() or ", ""),
    ],
    ("cli/test_lines.py",): [
        ("zeros here and there do not make it UTF-16", "_CLEARLY = 3 / 4", "_CLEARLY = 0"),
        ("NUL is not text", 'if "\\0" in text:', "if False:"),
        ("a line of ids has a limit", "if length > _LONGEST and (", "if False and ("),
    ],
    ("test_callbacks.py", "waiting/test_batching.py"): [
        ("listeners harm no wait", "event)\n            except BaseException", "event)\n            except Exception"),
    ],
    ("test_callbacks.py",): [
        ("a log handler's exception harms no wait", "2)\n    except BaseException", "2)\n    except Exception"),
        ("a group may end the program", "            raise_if_exit(part)", "            pass"),
    ],
    ("network/test_slots.py",): [
        ("polls that hang are abandoned", "            limit.expire()", "            pass"),
        ("half of the slots may be slow", "- self.limit // 2 if self._queue else 0", "if self._queue else 0"),
        ("nothing is abandoned where no one waits", "- self.limit // 2 if self._queue else 0", "- self.limit // 2"),
        ("slow polls hold at most half", "self._slow >= max(self.limit // 2, 1)", "False"),
        ("a submit is not abandoned", "        if request.pace is Pace.USUAL:\n", "        if True:\n"),
        ("the usual time is learned", "max(_ANSWERED, 1 / self._answered) *", "0 *"),
        (
            "a slot that was granted and cancelled is given on",
            "if not place.is_free.cancelled():\n                self.release",
            "if False:\n                self.release",
        ),
        ("a cancelled place is not waited for", "            queue.pop(place, None)\n", ""),
    ],
    ("waiting/test_polls.py::test_a_loop_that_was_blocked_over_the_deadline_makes_the_last_poll",): [
        ("a late last poll has its time", "max(now + _GRACE, self._started + self._next.lead)", "now + _GRACE"),
    ],
    ("network/test_rate.py",): [
        (
            "a request cancelled before its turn frees its slot",
            "self._slots.release(request)\n                raise",
            "raise",
        ),
        ("an unused turn is given back", "                self._rate.give_back()", "                pass"),
        ("redirects wait for their turn", "            await turn()", "            pass"),
        ("waiting for a turn costs no request time", "limit.move(deadline)", "pass"),
        ("the request time goes on after the turn", "clock.time() + left, deadline", "math.inf, deadline"),
        ("a cancelled turn leaves no hole", "                self.give_back()", "                pass"),
        ("idle time is not saved up", "self._next = max(self._next, loop.time())", "pass"),
        ("missed turns make no burst", "max(self._next, now - _MOST_LATE)", "self._next"),
        ("a late timer delays no turn", "max(self._next, now - _MOST_LATE)", "now"),
    ],
    ("test_streams.py::test_ids_of_a_stream_never_stand_in_memory_at_once",): [
        ("no id stays in memory", "        self._seen.add(digest)", "        self._seen |= {digest, task_id}"),
    ],
    ("waiting/test_tenacity.py",): [
        ("a strategy gets its exception", "policy.wait is not None and _needs_exception(policy.wait)", "False"),
        ("a failed poll is tenacity's exception", "outcome.set_exception", "outcome.set_result"),
        ("attempts are counted", "state.prepare_for_next_attempt()", "pass"),
    ],
    ("testing/test_flavours.py",): [
        ("a row follows its task in rounds", "        if not seconds:", "        if True:"),
        ("a bare key is good where gateways take it", " or (not scheme and self.flavour.takes_bare_key)", ""),
        (
            "a slash after a GET is redirected",
            'asked.target.slash and (method != "POST"',
            'False and (method != "POST"',
        ),
        ("times are not ahead of the clock", "timedelta(seconds=age / self.speed)", "timedelta(seconds=age)"),
        ("an origin may read answers", 'if "Origin" in asked.headers else {}', "if False else {}"),
        ("a batch without ids has an empty list", "rows or (None if asked else [])", "rows or None"),
        ("a link may be for GET only", 'asked.method != "GET" and self.flavour.signs_methods', "False"),
        ("a picture needs no prompt", ' and not document.get("image_url"):', ":"),
    ],
    ("testing/test_media.py",): [
        ("If-Match is obeyed", 'if "If-Match" in headers and', "if False and"),
        ("If-None-Match is obeyed", 'if "If-None-Match" in headers and', "if False and"),
    ],
    ("testing/test_rules.py",): [
        (
            "a refused request does not count",
            "            if left > self.burst:\n",
            "            last, excess = asked.now, left\n            if left > self.burst:\n",
        ),
        ("a lost session comes back", "< self.starts_at + self.seconds", "< inf"),
        ("jobs under way are counted", "running >= self.most", "running > self.most"),
        ("a cap leaves rows out", "found[: fault.most_rows]", "found[:]"),
    ],
    ("testing/test_mocking.py",): [
        ("arguments that a mock does not know are given", "for name in _NEEDED if name not in given", "for name in ()"),
    ],
    ("cli/test_diagnosis.py",): [
        ("an address is compared with no path", "not self.poll.is_like(self.absent) or self._is_guarded", "True"),
        ("a key is compared with a wrong one", "return False if self.poll.turns_away else None", "return None"),
        ("ids and times make no difference", 'return _VARIABLE.sub("0", ', "return ("),
        ("trouble elsewhere shows nothing", "is_steady or not absent.is_trouble", "True"),
        ("a page that forbids everything is an answer", "return is_steady or not", "return not"),
        (
            "a busy server is not a wrong address",
            "ServerError), Result.UNSURE, _LATER",
            "ServerError), Result.BAD, _LATER",
        ),
        ("a guarded path is there", " or self._is_guarded:", ":"),
    ],
    ("cli/test_check.py",): [
        ("what a limit refuses is asked again", "        await asyncio.sleep(pause)\n", "        break\n"),
        ("check sends a wrong key", "partial(_poll, theirs, task_path)", "partial(_poll, ours, task_path)"),
    ],
}
"""Rules as ``(rule, text of the package, text that breaks it)``."""

MUTATIONS = [Mutation(*rule, tests) for tests, rules in _NOTICED_BY.items() for rule in rules]
