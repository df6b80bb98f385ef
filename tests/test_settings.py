"""Address, key and limits, checked when they are made."""

from __future__ import annotations

import ssl
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from yarl import URL

from luma_async import ConfigurationError, Limits
from luma_async._checks import check_number
from luma_async.settings import Secret, Settings, check_base_url, check_proxy, check_ssl_context, hidden
from tests.kit import KEY

ADDRESS = "https://relay.example"


def load(environ: dict[str, str] | None = None, **arguments: Any) -> Settings:
    """Load settings from *environ* and nothing else but *arguments*."""
    given = {"base_url": None, "api_key": None, "limits": Limits(), **arguments}
    return Settings.load(**given, environ=environ or {})


def refusal(**arguments: Any) -> str:
    """Return the text of the error that these settings are."""
    with pytest.raises(ConfigurationError) as caught:
        load(**arguments)
    assert caught.value.__cause__ is None
    return str(caught.value)


# --- the address ---


@pytest.mark.parametrize(
    ("given", "kept"),
    [
        (ADDRESS, ADDRESS),
        (ADDRESS + "/", ADDRESS),
        (ADDRESS + "//", ADDRESS),
        ("https://relay.example:8443/v1/", "https://relay.example:8443/v1"),
        ("HTTPS://Relay.Example.", "HTTPS://Relay.Example."),
        ("https://10.0.0.1", "https://10.0.0.1"),
        ("https://[2001:db8::1]:8443", "https://[2001:db8::1]:8443"),
        ("https://xn--fiq228c.example/%E4%B8%AD", "https://xn--fiq228c.example/%E4%B8%AD"),
        ("http://127.0.0.1:8000", "http://127.0.0.1:8000"),
        ("http://127.8.8.8", "http://127.8.8.8"),
        ("http://127.255.0.9", "http://127.255.0.9"),
        ("http://localhost:8000/x", "http://localhost:8000/x"),
        ("http://LocalHost", "http://LocalHost"),
        ("http://[::1]:8000", "http://[::1]:8000"),
    ],
)
def test_an_address_is_kept_without_its_slash(given: str, kept: str) -> None:
    """It may carry a port and a path; plain http is fine on this machine."""
    assert load(base_url=given, api_key=KEY).base_url == kept


@given(st.one_of(st.text(max_size=30), st.from_regex(r"https?://[a-zA-Z0-9.:\[\]@%/_~{}<>?#-]{0,30}")))
def test_an_accepted_address_makes_urls(address: str) -> None:
    """With the same scheme and host, and our path at its end; everything else is a ConfigurationError."""
    try:
        base = check_base_url(address, Limits(allow_insecure_http=True))
    except ConfigurationError:
        return

    url = URL(base + "/luma/generations/t", encoded=True)
    assert url.scheme in ("http", "https")
    assert url.host
    assert url.raw_path.endswith("/luma/generations/t")
    assert not url.user
    assert not url.query_string


# --- the key ---


def test_the_key_is_in_no_repr() -> None:
    """Nor in the text of the settings."""
    settings = load(base_url=ADDRESS, api_key=KEY)

    assert KEY not in repr(settings)
    assert KEY not in str(settings)
    assert ADDRESS in repr(settings)


# --- what comes from where ---


def test_an_argument_wins_over_the_environment_and_a_variable_over_a_file(tmp_path: Path) -> None:
    """Argument, then LUMA_API_KEY, then LUMA_API_KEY_FILE; an empty variable is none."""
    file = tmp_path / "key"
    file.write_text("sk-file")
    both = {"LUMA_API_KEY": "sk-variable", "LUMA_API_KEY_FILE": str(file), "LUMA_BASE_URL": "https://env.example"}
    empty = {**both, "LUMA_API_KEY": ""}

    assert load(both, base_url=ADDRESS, api_key="sk-argument").api_key == Secret("sk-argument")
    assert load(both, base_url=ADDRESS).base_url == ADDRESS
    assert load(both).api_key == Secret("sk-variable")
    assert load(both).base_url == "https://env.example"
    assert load(empty).api_key == Secret("sk-file")


@pytest.mark.parametrize(
    ("environ", "advice"),
    [
        ({"LUMA_API_KEY": KEY}, "LUMA_BASE_URL"),
        ({"LUMA_API_KEY": KEY, "LUMA_BASE_URL": "  "}, "LUMA_BASE_URL"),
        ({"LUMA_BASE_URL": ADDRESS}, "LUMA_API_KEY"),
        ({"LUMA_BASE_URL": ADDRESS, "LUMA_API_KEY": "", "LUMA_API_KEY_FILE": ""}, "LUMA_API_KEY_FILE"),
    ],
)
def test_what_is_missing_is_asked_for(environ: dict[str, str], advice: str) -> None:
    """By the name of its variable."""
    assert advice in refusal(environ=environ)


def test_blanks_around_an_address_in_the_environment_do_not_matter() -> None:
    """They come from files with such variables."""
    assert load({"LUMA_BASE_URL": f" {ADDRESS}/\n"}, api_key=KEY).base_url == ADDRESS


def test_the_real_environment_is_the_usual_one(monkeypatch: pytest.MonkeyPatch) -> None:
    """Where no other is given."""
    monkeypatch.setenv("LUMA_BASE_URL", ADDRESS)
    monkeypatch.setenv("LUMA_API_KEY", KEY)

    settings = Settings.load(None, None, Limits())

    assert (settings.base_url, settings.api_key) == (ADDRESS, Secret(KEY))


# --- limits ---


_WRONG = [0, -1, -0.5, float("nan"), float("inf"), float("-inf"), 10**400, "5", True, False, [1], 1j]


@pytest.mark.parametrize("value", _WRONG, ids=lambda value: repr(value)[:10])
@pytest.mark.parametrize(
    "name", ["request_timeout", "max_concurrency", "max_downloads", "requests_per_second", "max_answer_bytes"]
)
def test_a_limit_that_is_no_positive_number_is_refused(name: str, value: Any) -> None:
    """The text names the field."""
    with pytest.raises(ConfigurationError, match=name) as caught:
        Limits(**{name: value})

    assert len(str(caught.value)) < 200


@pytest.mark.parametrize("name", ["request_timeout", "max_concurrency", "max_downloads", "max_answer_bytes"])
def test_only_the_rate_may_be_unlimited(name: str) -> None:
    """None is a value for no other limit."""
    assert Limits(requests_per_second=None).requests_per_second is None
    with pytest.raises(ConfigurationError, match=name):
        Limits(**{name: None})  # type: ignore[arg-type]


@pytest.mark.parametrize("name", ["max_concurrency", "max_downloads", "max_answer_bytes"])
def test_counts_are_whole(name: str) -> None:
    """Half a connection is none, while times and rates may be fractions."""
    assert Limits(request_timeout=0.5, requests_per_second=0.5).request_timeout == 0.5
    with pytest.raises(ConfigurationError, match="whole number"):
        Limits(**{name: 1.5})  # type: ignore[arg-type]


@pytest.mark.parametrize("name", ["allow_insecure_http", "allow_private_media", "key_for_relay_media"])
@pytest.mark.parametrize("value", ["no", 0, 1, None])
def test_a_safeguard_is_switched_by_a_bool_only(name: str, value: Any) -> None:
    """``"no"`` would switch it off."""
    with pytest.raises(ConfigurationError, match=name):
        Limits(**{name: value})


@pytest.mark.parametrize("limits", [None, {"request_timeout": 1}, 5])
def test_limits_are_a_limits_value(limits: Any) -> None:
    """Nothing that merely looks like one."""
    assert "limits is not a Limits value" in refusal(base_url=ADDRESS, api_key=KEY, limits=limits)


@pytest.mark.parametrize("value", [-5, 0, 1e308])
def test_a_number_without_a_bound_may_be_any_finite_one(value: float) -> None:
    """Infinite ones are never wanted."""
    check_number(value, "x")
    with pytest.raises(ConfigurationError, match="x=inf is not a number"):
        check_number(float("inf"), "x")


# --- proxy and TLS ---


@pytest.mark.parametrize("proxy", [None, "http://proxy.example:3128", "https://u:p@proxy.example", "http://[::1]:1"])
def test_an_http_proxy_is_fine(proxy: str | None) -> None:
    """With a password too: it is the user's word."""
    assert check_proxy(hidden(proxy)) == hidden(proxy)


@pytest.mark.parametrize(
    "proxy", ["", "proxy.example:3128", "socks5://u:s3cret@x", "http://u:s3cret@", "http://[::1", "http://x:s3cret", 5]
)
def test_any_other_proxy_is_refused_unseen(proxy: Any) -> None:
    """The text never holds a password."""
    with pytest.raises(ConfigurationError, match="proxy is not the URL") as caught:
        check_proxy(hidden(proxy))

    assert "s3cret" not in str(caught.value)


def test_a_context_that_verifies_is_fine() -> None:
    """And none is the usual one."""
    context = ssl.create_default_context()

    assert check_ssl_context(context) is context
    assert check_ssl_context(None) is None


def test_a_context_that_does_not_verify_is_refused() -> None:
    """Neither without certificates, nor without host names, nor ``False`` in place of one."""
    nameless = ssl.create_default_context()
    nameless.check_hostname = False
    trusting = ssl.create_default_context()
    trusting.check_hostname = False
    trusting.verify_mode = ssl.CERT_NONE

    indifferent = ssl.create_default_context()
    indifferent.verify_mode = ssl.CERT_OPTIONAL

    for context in (nameless, trusting, indifferent, False, True, 0, "no", "none"):
        with pytest.raises(ConfigurationError, match="verifies"):
            check_ssl_context(context)
