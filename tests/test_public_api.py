"""The public names and signatures, spelled out: changing one of them changes this file."""

from __future__ import annotations

import ast
import inspect
import re
import tomllib
from collections.abc import Callable
from itertools import pairwise
from pathlib import Path
from typing import Any, get_args, get_type_hints

import attrs
import pytest

import luma_async
import luma_async.testing
from luma_async import (
    GenerateResult,
    GenerationOptions,
    Limits,
    LumaClient,
    LumaError,
    Outcome,
    PollPolicy,
    Role,
    State,
    fleet,
)

PUBLIC = [getattr(luma_async, name) for name in luma_async.__all__ if isinstance(getattr(luma_async, name), type)]
TEST_KIT = [getattr(luma_async.testing, name) for name in luma_async.testing.__all__]

CALLS = {
    "__init__": "(self, base_url=None, api_key=None, *, polling=@polling, limits=@limits, batch='auto', dialect=None, "
    "connector=None, proxy=None, ssl_context=None, trust_env=False, headers=None, media_headers=None, "
    "gate=None, callback_url=None, on_event=None)",
    "get_generation": "(self, task_id)",
    "get_generations": "(self, task_ids)",
    "wait_until_done": "(self, task_id, *, timeout=1800.0, raise_on_failure=True, on_update=None)",
    "outcome": "(self, task_id, *, timeout=1800.0)",
    "wait_all": "(self, task_ids, *, timeout=1800.0)",
    "as_completed": "(self, task_ids, *, timeout=1800.0, max_in_flight=None)",
    "watch": "(self, task_id, *, timeout=1800.0)",
    "events": "(self)",
    "download": "(self, generation, directory, *, role='video', name=None, overwrite=False, on_progress=None)",
    "submit": "(self, prompt, options=@options, *, record=None)",
    "extend": "(self, task_id, prompt, options=@options)",
    "clean_video_url": "(self, task_id)",
    "notify": "(self, task_id)",
    "recent": "(self, limit=20)",
    "generate": "(self, prompt, options=@options, *, download_to=None, timeout=1800.0, on_submitted=None)",
    "aclose": "(self)",
}
PROPERTIES = {"statistics", "relay_address"}
COROUTINES = {
    *("get_generation", "get_generations", "wait_until_done", "outcome", "wait_all", "download", "aclose"),
    *("submit", "extend", "clean_video_url", "generate", "recent"),
}

POLLING = {
    "initial_interval": 2.0,
    "max_interval": 15.0,
    "multiplier": 1.5,
    "min_interval": None,
    "max_consecutive_failures": 10,
    "max_outage": 120.0,
    "adaptive": True,
    "wait": None,
}
LIMITS = {
    "request_timeout": 30.0,
    "max_concurrency": 64,
    "requests_per_second": None,
    "batch_size": 100,
    "max_answer_bytes": 2 * 2**20,
    "max_downloads": 8,
    "allow_insecure_http": False,
    "allow_private_media": False,
    "key_for_relay_media": False,
}
OPTIONS = dict.fromkeys(
    [
        *("aspect_ratio", "expand_prompt", "loop", "image_url", "image_end_url"),
        *("model_name", "duration", "resolution", "notify_hook"),
    ]
)

ERRORS = {
    "ConfigurationError": (LumaError, ValueError),
    "ClientClosedError": (LumaError,),
    "TransportError": (LumaError,),
    "RequestTimeoutError": (luma_async.TransportError, TimeoutError),
    "APIError": (LumaError,),
    "AuthenticationError": (luma_async.APIError,),
    "PermissionDeniedError": (luma_async.APIError,),
    "QuotaExceededError": (luma_async.APIError,),
    "NotFoundError": (luma_async.APIError,),
    "RateLimitError": (luma_async.APIError,),
    "ServerError": (luma_async.APIError,),
    "ProtocolError": (LumaError,),
    "UncertainSubmitError": (LumaError,),
    "GenerationFailedError": (LumaError,),
    "WaitTimeoutError": (LumaError, TimeoutError),
    "DownloadError": (LumaError,),
    "JournalError": (LumaError,),
}


def _shape(function: Callable[..., Any]) -> str:
    """Return names, kinds and defaults, without annotations."""
    signature = inspect.signature(function)
    bare = [parameter.replace(annotation=inspect.Parameter.empty) for parameter in signature.parameters.values()]
    return str(signature.replace(parameters=bare, return_annotation=inspect.Signature.empty))


@pytest.mark.parametrize(("name", "shape"), CALLS.items())
def test_each_call_has_its_promised_shape(name: str, shape: str) -> None:
    """Names, kinds and defaults of the client's arguments are those that users were promised."""
    defaults = {"@polling": PollPolicy(), "@limits": Limits(), "@options": GenerationOptions()}
    promised = re.sub("@[a-z]+", lambda name: repr(defaults[name[0]]), shape)

    assert _shape(getattr(LumaClient, name)) == promised


def test_the_client_has_no_other_call() -> None:
    """What a user can call or read on a client is listed here, and what needs awaiting is a coroutine."""
    public = {name for name in vars(LumaClient) if not name.startswith("_")}

    assert public == (set(CALLS) - {"__init__"}) | PROPERTIES
    assert {name for name in public if inspect.iscoroutinefunction(getattr(LumaClient, name))} == COROUTINES


@pytest.mark.parametrize(("kind", "defaults"), [(PollPolicy, POLLING), (Limits, LIMITS), (GenerationOptions, OPTIONS)])
def test_options_are_frozen_values_with_these_defaults(kind: type, defaults: dict[str, Any]) -> None:
    """Every option is keyword-only, has its promised default, and cannot be changed once it is made."""
    value = kind()

    assert attrs.asdict(value) == defaults
    assert all(field.kw_only for field in attrs.fields(kind))
    with pytest.raises(attrs.exceptions.FrozenInstanceError):
        setattr(value, next(iter(defaults)), 1)


@pytest.mark.parametrize(
    ("kind", "names"),
    [(Outcome, ["task_id", "generation", "error", "elapsed", "polls"]), (GenerateResult, ["generation", "path"])],
)
def test_results_have_these_fields(kind: type, names: list[str]) -> None:
    """An outcome tells the id, what became of it and what that took; a result the generation and its file."""
    assert [field.name for field in attrs.fields(kind)] == names


def test_an_outcome_becomes_a_line_and_back_by_these_calls() -> None:
    """Names, kinds and defaults of their arguments."""
    assert _shape(luma_async.outcome_to_json) == "(outcome, *, brief=False)"
    assert _shape(luma_async.outcome_from_json) == "(line)"


def test_the_words_are_few() -> None:
    """The states are the specification's four and one for the rest; the roles are three."""
    assert [state.value for state in State] == ["pending", "processing", "completed", "failed", "unknown"]
    assert get_args(Role) == ("video", "thumbnail", "last_frame")


@pytest.mark.parametrize(("name", "bases"), ERRORS.items())
def test_the_error_tree_is_the_promised_one(name: str, bases: tuple[type, ...]) -> None:
    """Each error stands where users catch it."""
    assert getattr(luma_async, name).__bases__ == bases


def test_no_error_is_missing_from_the_tree() -> None:
    """Every public error is in the tree above."""
    public = {kind.__name__ for kind in PUBLIC if isinstance(kind, type) and issubclass(kind, Exception)}

    assert public == {"LumaError", *ERRORS}


def test_the_version_is_the_project_files() -> None:
    """It can be asked for, and goes out with each request."""
    project = tomllib.loads((Path(__file__).parent.parent / "pyproject.toml").read_text(encoding="utf-8"))

    assert luma_async.__version__ == project["project"]["version"]


@pytest.mark.parametrize("module", [luma_async, luma_async.testing], ids=lambda module: module.__name__)
def test_public_names_are_sorted_and_exist(module: Any) -> None:
    """Each name in ``__all__`` is there, once, where one looks for it; a wrong name is told apart."""
    assert module.__all__ == sorted(set(module.__all__))
    assert [name for name in module.__all__ if not hasattr(module, name)] == []
    assert not hasattr(module, "LumaCleint")


@pytest.mark.parametrize("kind", [*PUBLIC, *TEST_KIT], ids=lambda kind: kind.__name__)
def test_everything_public_explains_itself(kind: type) -> None:
    """Each public class, and each public method and property of its own, has a docstring."""
    members = {f"{kind.__name__}.{name}": member for name, member in vars(kind).items() if not name.startswith("_")}
    explained = {kind.__name__: kind} | {
        name: member
        for name, member in members.items()
        if inspect.isfunction(member) or isinstance(member, classmethod | property)
    }

    assert [name for name, member in explained.items() if not (member.__doc__ or "").strip()] == []


@pytest.mark.parametrize("kind", [PollPolicy, Limits, GenerationOptions], ids=lambda kind: kind.__name__)
def test_every_option_explains_itself(kind: type) -> None:
    """Each field of the options has a string under it that says what it does."""
    (definition,) = ast.parse(inspect.getsource(kind)).body
    statements = getattr(definition, "body", [])

    unexplained = [
        ast.unparse(field)
        for field, below in pairwise([*statements, None])
        if isinstance(field, ast.AnnAssign)
        and not (isinstance(below, ast.Expr) and isinstance(below.value, ast.Constant))
    ]

    assert unexplained == []


def test_what_the_status_of_a_fleet_consists_of_can_be_imported() -> None:
    """Its classes have public names, so a function that takes one can be annotated."""
    returned = get_type_hints(fleet.status)["return"]

    assert returned is fleet.FleetStatus
    assert get_args(get_type_hints(returned)["holders"])[0] is fleet.Holder
