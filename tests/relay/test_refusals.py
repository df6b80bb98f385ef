"""What an answer that says no becomes (contract section 4)."""

from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from email.utils import format_datetime
from typing import Any

import pytest
from attrs import frozen
from hypothesis import given
from hypothesis import strategies as st

from luma_async import (
    APIError,
    AuthenticationError,
    LumaError,
    NotFoundError,
    PermissionDeniedError,
    ProtocolError,
    QuotaExceededError,
    RateLimitError,
    ServerError,
)
from luma_async._relay.answer import Answer
from luma_async._relay.causes import cause_of
from luma_async._relay.refusals import retry_after
from luma_async._relay.submissions import read_submitted
from luma_async._relay.tasks import read_batch, read_task
from luma_async.errors import Verdict
from luma_async.models import State
from tests.kit import TASK_ID, answer, sample, sample_names

FINAL, UNCONFIRMED, PASSING, SLOW_DOWN = Verdict.FINAL, Verdict.UNCONFIRMED, Verdict.PASSING, Verdict.SLOW_DOWN
REQUEST_ID = "20250411233132123456789AbCdEfGh"


def error_of(body: Any, status: int, content_type: str = "application/json", **rest: str | None) -> LumaError:
    """Return the error that an answer about a task is."""
    with pytest.raises(LumaError) as caught:
        read_task(answer(body, status, content_type, **rest), TASK_ID)
    return caught.value


def api_error_of(body: Any, status: int, content_type: str = "application/json", **rest: str | None) -> APIError:
    """Return it where the relay itself speaks."""
    error = error_of(body, status, content_type, **rest)
    assert isinstance(error, APIError)
    return error


# --- the samples ---


@frozen
class Refused:
    """What a sample of a refusal becomes."""

    error: type[LumaError]
    verdict: Verdict
    status: int | None
    message: str
    code: str | None = None
    request_id: str | None = None


_TELLING = f"(request id: {REQUEST_ID})"
_PANIC = (
    "Panic detected, error: runtime error: invalid memory address or nil pointer dereference. "
    "Please submit a issue here: https://github.com/Calcium-Ion/new-api"
)
_NO_CHANNEL = f"当前分组 default 下对于模型 luma_video_fetch_tasks 无可用渠道 {_TELLING}"
_NO_QUOTA = "预扣费额度失败, 用户剩余额度: ¥5.200000, 需要预扣费额度: ¥27.600000"
_NO_PATH = f"Invalid URL (GET /v1/luma/generations/{TASK_ID})"

REFUSED = {
    "error__200_html_page": Refused(ProtocolError, PASSING, None, ""),
    "error__400_task_not_exist": Refused(NotFoundError, UNCONFIRMED, 400, "task_not_exist", "task_not_exist"),
    "error__401_detail_text": Refused(AuthenticationError, UNCONFIRMED, 401, "Invalid API key is provided"),
    "error__401_invalid_key": Refused(AuthenticationError, FINAL, 401, f"无效的令牌 {_TELLING}", request_id=REQUEST_ID),
    "error__401_invalid_key__one_api": Refused(
        AuthenticationError, FINAL, 401, f"无效的令牌 {_TELLING}", request_id=REQUEST_ID
    ),
    "error__403_model_forbidden": Refused(
        PermissionDeniedError,
        FINAL,
        403,
        f"该令牌无权访问模型 luma_video_fetch_tasks {_TELLING}",
        request_id=REQUEST_ID,
    ),
    "error__403_nested_json": Refused(QuotaExceededError, FINAL, 403, _NO_QUOTA, "insufficient_user_quota"),
    "error__403_quota_not_enough": Refused(
        QuotaExceededError, FINAL, 403, "user quota is not enough", "quota_not_enough"
    ),
    "error__404_invalid_url": Refused(NotFoundError, FINAL, 404, _NO_PATH),
    "error__429_empty_body": Refused(RateLimitError, SLOW_DOWN, 429, "", request_id=REQUEST_ID),
    "error__429_request_rate_limit": Refused(
        RateLimitError, SLOW_DOWN, 429, f"您已达到请求数限制：1分钟内最多请求60次 {_TELLING}", request_id=REQUEST_ID
    ),
    "error__429_upstream_saturated": Refused(
        RateLimitError, SLOW_DOWN, 429, "当前分组上游负载已饱和，请稍后再试", "fail_to_fetch_task"
    ),
    "error__500_panic": Refused(ServerError, PASSING, 500, _PANIC),
    "error__502_upstream_masked": Refused(ServerError, PASSING, 502, "请求上游地址失败", "fail_to_fetch_task"),
    "error__503_no_channel": Refused(ServerError, PASSING, 503, _NO_CHANNEL, request_id=REQUEST_ID),
    "error__520_html_page": Refused(
        ServerError, PASSING, 520, "relay.example | 520: Web server is returning an unknown error"
    ),
    "tasks__no_match": Refused(APIError, PASSING, 200, "", "success"),
    "download_video_url__ok": Refused(ProtocolError, PASSING, None, ""),
}


def test_every_sample_of_an_error_has_an_expectation() -> None:
    """A sample of an error that nobody reads here is a failure."""
    assert {name for name in sample_names() if name.startswith("error__")} <= REFUSED.keys()


@pytest.mark.parametrize(("name", "refused"), REFUSED.items(), ids=REFUSED)
def test_a_sample_becomes_exactly_its_error(name: str, refused: Refused) -> None:
    """Class, verdict, status, code, text and request id come out of the sample."""
    with pytest.raises(LumaError) as caught:
        read_task(sample(name).answer, TASK_ID)

    error = caught.value
    seen = Refused(
        error=type(error),
        verdict=error.verdict,
        status=getattr(error, "status", None),
        message=getattr(error, "message", ""),
        code=getattr(error, "code", None),
        request_id=getattr(error, "request_id", None),
    )
    assert seen == refused


# --- the table, row by row ---

_ROWS = [
    *((status, APIError, FINAL) for status in (400, 405, 406, 411, 412, 413, 415, 418, 421, 422, 431, 451, 499)),
    (402, QuotaExceededError, FINAL),
    (404, NotFoundError, UNCONFIRMED),
    (408, APIError, PASSING),
    (409, APIError, UNCONFIRMED),
    (410, NotFoundError, FINAL),
    (425, APIError, PASSING),
    (429, RateLimitError, SLOW_DOWN),
    *((status, ServerError, PASSING) for status in (500, 502, 503, 504, 507, 520, 522, 524, 529, 530, 599)),
    (501, ServerError, FINAL),
    (505, ServerError, FINAL),
]


@pytest.mark.parametrize(("status", "kind", "verdict"), _ROWS)
@pytest.mark.parametrize("body", ["", "null", {"message": "no"}, "plain text", "[]", '{"half": '])
def test_each_status_has_its_class_and_verdict(status: int, kind: type[APIError], verdict: Verdict, body: Any) -> None:
    """Whatever the body, as long as it has no word that tells more."""
    error = api_error_of(body, status)

    assert type(error) is kind
    assert error.verdict is verdict
    assert error.status == status


@pytest.mark.parametrize(("status", "kind"), [(401, AuthenticationError), (403, PermissionDeniedError)])
@pytest.mark.parametrize(
    ("body", "verdict"),
    [
        ({"message": "no"}, FINAL),
        ({"error": {"message": "invalid token", "type": "new_api_error"}}, FINAL),
        ({"error": '{"message": "invalid token"}'}, FINAL),
        ({"detail": {"reason": "unauthorized secret token", "code": 1}}, FINAL),
        ("", UNCONFIRMED),
        ("null", UNCONFIRMED),
        ("plain text", UNCONFIRMED),
        ("[]", UNCONFIRMED),
        ('{"half": ', UNCONFIRMED),
        ({"message": ""}, UNCONFIRMED),
        ({"error": {"message": None, "code": 5}}, UNCONFIRMED),
        ({"detail": "Invalid API key is provided"}, UNCONFIRMED),
        ({"detail": "Not authenticated"}, UNCONFIRMED),
        ({"message": "Not authenticated"}, UNCONFIRMED),
        ({"code": "fail_to_fetch_task", "message": "401 from upstream", "data": None}, UNCONFIRMED),
        ({"error": {"message": "401 from upstream", "code": "fail_to_fetch_task"}}, UNCONFIRMED),
        ({"fault": {"faultstring": "Invalid ApiKey"}}, UNCONFIRMED),
    ],
)
def test_a_refused_key_is_final_in_the_relays_own_words_alone(
    status: int, kind: type[APIError], body: Any, verdict: Verdict
) -> None:
    """Any other 401 or 403 may speak of the gateway at its own upstream."""
    error = api_error_of(body, status)

    assert type(error) is kind
    assert error.verdict is verdict


@pytest.mark.parametrize("title", ["Just a moment...", "Attention Required! | Cloudflare", "403 Forbidden"])
def test_the_page_of_a_firewall_passes(title: str) -> None:
    """A 403 with a page comes from something in front of the relay."""
    error = error_of(f"<html><head><title>{title}</title></head></html>", 403, "text/html")

    assert type(error) is PermissionDeniedError
    assert error.verdict is PASSING
    assert "firewall" in error.advice


@pytest.mark.parametrize("status", [400, 401, 403, 404, 503])
def test_a_challenge_passes_whatever_its_body(status: int) -> None:
    """``cf-mitigated`` says that a firewall answered; some of them answer in JSON."""
    told = answer({"message": "blocked"}, status, is_challenge=True)

    with pytest.raises(APIError) as caught:
        read_task(told, TASK_ID)
    assert caught.value.verdict is PASSING


@pytest.mark.parametrize("status", [400, 401, 403, 409, 422, 423, 503])
@pytest.mark.parametrize("hint", ["1", "2.5"])
def test_a_refusal_with_a_hint_says_slow_down(status: int, hint: str) -> None:
    """Whoever says when to come back does not mean for good."""
    told = answer({"message": "come back later"}, status, retry_after=hint)

    with pytest.raises(APIError) as caught:
        read_task(told, TASK_ID)
    assert caught.value.verdict is SLOW_DOWN
    assert caught.value.retry_after == float(hint)


@pytest.mark.parametrize("status", [400, 403, 500])
@pytest.mark.parametrize(
    "body",
    [
        {"message": "Too many requests, please slow down"},
        {"error": {"type": "rate_limit_error", "message": "busy"}},
        {"code": 429, "message": "busy"},
        {"code": "429"},
        {"message": "请求过于频繁，请稍后再试"},
    ],
    ids=str,
)
def test_a_refusal_under_load_says_slow_down_whatever_its_status(body: Any, status: int) -> None:
    """Some gateways have 403 for a limit of requests."""
    error = api_error_of(body, status)

    assert (type(error), error.verdict) == (RateLimitError, SLOW_DOWN)


_FASTER_THAN_ALLOWED = [
    "ThrottlingException",
    "Throttling.User",
    "RequestLimitExceeded",
    "TooManyRequestsException",
    "SlowDown",
    "RateLimitExceeded",
    "CONCURRENCY_LIMIT",
    "Rate exceeded",
    "Request was throttled.",
    "Too many attempts, try later",
    "Too many API calls",
    "The request limit has been reached",
    "You exceeded your current request rate",
    "Please reduce your request rate.",
    "Limit exceeded: 20 requests per minute exceeded",
    "Quota exceeded for requests per minute",
    "requests are too frequent",
    "接口调用频率过高",
    "您的操作太频繁了",
    "访问频率超限",
    "系统限流，请稍后",
    "当前请求数过多",
    "并发任务数已达上限",
    "调用次数超过限制",
    "QPS超限",
    "請求過於頻繁",
    "リクエスト数が多すぎます",
    "レート制限を超えました",
    "요청이 너무 많습니다",
    "요청 한도를 초과했습니다",
    "Слишком много запросов, попробуйте позже",
    "Превышен лимит запросов",
    "Demasiadas peticiones",
    "Límite de solicitudes alcanzado",
    "Muitas solicitações",
    "Troppe richieste",
    "Trop de requêtes",
    "Zu viele Anfragen",
    "Te veel verzoeken",
    "Quá nhiều yêu cầu",
    "Çok fazla istek gönderildi",
    "Terlalu banyak permintaan",
]


@pytest.mark.parametrize("status", [200, 400, 401, 403, 404, 500])
@pytest.mark.parametrize("text", _FASTER_THAN_ALLOWED)
def test_a_refusal_that_asks_for_fewer_requests_slows_down_in_any_language(text: str, status: int) -> None:
    """As a text, and as a code."""
    for body in ({"error": {"message": text}}, {"code": text, "message": ""}):
        error = api_error_of(body, status)
        assert (type(error), error.verdict) == (RateLimitError, SLOW_DOWN)


@pytest.mark.parametrize(
    "text",
    [
        "frame rate exceeded",
        "bit rate exceeded",
        "too many images",
        "more than 30 frames per second exceed what this model can do",
        "you have reached the limit of the length of a prompt",
        "Daily request limit reached",
        "monthly quota exceeded",
        "The request limit per day is reached",
        "今日请求次数超过限制",
        "余额不足，请求过多",
        "视频时长超过限制",
        "本月调用次数已达到上限",
        "Límite de solicitudes diario alcanzado",
        "слишком много изображений",
        "Zu viele Bilder",
        "trop de personnes sur cette image",
        "リクエストが無効です",
        "요청이 잘못되었습니다",
        "the job failed after too many attempts",
    ],
)
@pytest.mark.parametrize("status", [200, 400, 403])
def test_a_used_up_quota_or_another_limit_does_not_slow_down(text: str, status: int) -> None:
    """A pause of seconds would not help."""
    error = api_error_of({"code": 1, "message": text}, status)

    assert not isinstance(error, RateLimitError)


def test_a_used_up_quota_stays_one_in_other_words() -> None:
    """Its code says more than the text beside it."""
    body = {"code": "insufficient_user_quota", "message": "too many calls"}

    assert isinstance(api_error_of(body, 403), QuotaExceededError)


_TOO_MANY = [
    {"error_code": 429},
    {"error_code": "429", "error_msg": "busy"},
    {"errorCode": 429, "data": []},
    {"error_code": 429, "data": None},
    {"code": "success", "data": None, "error_code": 429},
    {"data": {"error_code": 429, "message": "busy"}},
    {"error": {"status": 429, "message": "busy"}},
    {"errors": [{"status": "429", "title": "busy"}]},
    {"success": False, "error": {"http_status": 429}},
    {"code": 0, "error": {"status_code": 429, "message": "busy"}},
    {"code": 500, "message": '{"error": {"code": 429}}'},
    {"base_resp": {"status_code": 429, "status_msg": "busy"}},
    {"status": 429, "message": "busy"},
    {"statusCode": "429"},
    {"ret": 429, "msg": "busy"},
    {"error": 429},
]
_READERS: dict[str, Callable[[Answer], Any]] = {
    "poll": lambda it: read_task(it, TASK_ID),
    "batch": lambda it: read_batch(it, {TASK_ID: None, "task-2": None}),
    "submit": read_submitted,
}


@pytest.mark.parametrize("body", _TOO_MANY, ids=str)
@pytest.mark.parametrize("reader", _READERS)
def test_429_inside_a_200_slows_down(body: dict[str, Any], reader: str) -> None:
    """As the code or the status of an envelope, or of an error in it; a submit was not taken."""
    with pytest.raises(RateLimitError) as caught:
        _READERS[reader](answer(body))

    assert caught.value.verdict is SLOW_DOWN


@pytest.mark.parametrize(
    "body",
    [
        {"code": 4290, "message": "x"},
        {"code": 1, "message": "x", "count": 429},
        {"message": "429 frames", "code": 1},
        {"message": "x", "data": {"width": 429}},
        {"message": "x", "data": {"status": 429}},
        {"message": "x", "user": {"status": 429}},
        {"message": "x", "result": 429},
    ],
    ids=str,
)
@pytest.mark.parametrize("reader", _READERS)
def test_another_429_does_not_slow_down(body: dict[str, Any], reader: str) -> None:
    """A size, a count, or the status of something else."""
    with pytest.raises(LumaError) as caught:
        _READERS[reader](answer(body))

    assert not isinstance(caught.value, RateLimitError)


def test_429_beside_a_task_is_not_about_the_poll() -> None:
    """The task is there."""
    body = {"id": TASK_ID, "status": "processing", "error_code": 429}

    assert read_task(answer(body), TASK_ID).state is State.PROCESSING


@pytest.mark.parametrize("status", [402, 405, 410, 451])
def test_some_refusals_are_final_with_a_hint_too(status: int) -> None:
    """Waiting changes nothing about them."""
    with pytest.raises(APIError) as caught:
        read_task(answer({"message": "no"}, status, retry_after="1"), TASK_ID)

    assert caught.value.verdict is FINAL


_NO_SUCH_TASK = [
    "任务不存在",
    "任務不存在",
    "该任务不存在或已过期",
    "未找到该任务",
    "找不到任务",
    "task not found",
    "Task 4665a07c-7641-4809-a133-10786201bb56 not found",
    "Generation with id 4665a07c-7641-4809-a133-10786201bb56 does not exist",
    "no such task",
    "Unknown task id",
    "record not found",
    "The requested generation doesn't exist.",
    "could not find generation",
    "TaskNotFound",
    "TASK_NOT_EXISTS",
    "generation-not-found",
    "タスクが見つかりません",
    "작업을 찾을 수 없습니다",
    "La tarea no existe",
    "Tâche introuvable",
    "Aufgabe nicht gefunden",
    "Задача не найдена",
    "没有该任务",
    "查无此任务",
    "无效的任务ID",
    "未查询到该任务信息",
    "タスクIDが無効です",
    "존재하지 않는 작업입니다",
    "태스크를 찾을 수 없습니다",
    "No se encontró la tarea",
    "Attività non trovata",
    "Không tìm thấy tác vụ",
    "Görev bulunamadı",
    "Taak niet gevonden",
    "Nie znaleziono zadania",
    "invalid task_id",
    "Task id invalid: 77",
    "No generation found with that id",
    "no such generation luma_gen_abc123",
    "get task failed: record not found",
    "No se ha encontrado la tarea",
    "La tarea solicitada no fue encontrada",
    "Tarefa inexistente",
    "La tâche demandée n'a pas été trouvée",
    "Aucune tâche trouvée",
    "Diese Aufgabe ist nicht mehr vorhanden",
    "Auftrag nicht gefunden",
    "Задача с таким id не была найдена",
    "لم يتم العثور على المهمة",
    "任务ID错误",
    "查询的任务ID不正确",
    "任务已被删除",
    "Task has expired and been removed",
    "This task was deleted",
    "Prediction not found",
    "Request not found",
    "id not found",
    "task expired",
    "Task has expired",
    "task record expired",
    "The task `abc-1` has already expired.",
    "TASK_EXPIRED",
    "job with id 77 has expired",
    "This generation is no longer available",
    "任务已过期",
    "任務記錄已過期",
    "该任务已失效",
    "タスクの有効期限が切れています",
    "la tarea ha expirado",
    "Auftrag abgelaufen",
    "срок действия задачи истек",
    "get task failed: redis: nil",
    "failed to query task: sql: no rows in result set",
    "select generation: no rows in result set",
    "mongo: no documents in result: task",
    "GET task:123: redis: nil",
    "redis: key 'luma:task:55' does not exist",
    "the task key does not exist in redis",
    "gorm: record not found",
    "查询记录不存在",
    "the task does not exist on this server",
    "task 12 not found in queue",
    "task service: task not found",
    "No Job matches the given query.",
    "No query results for model [App\\Models\\Job] 77",
    "No query results for model [Generation].",
    "Unable to find com.acme.luma.Generation with id 77",
    "There is no job with this id",
    "no generation with the given id",
    "Generation ID was not recognised",
    "unrecognized task id",
    "task with id 77 is missing",
    "Die Generierung konnte nicht gefunden werden",
    "Der Auftrag wurde leider nicht gefunden",
    "該当するジョブがありません",
    "タスクはございません",
    "Görev yok",
    "Úloha nebyla nalezena",
    "Uppgiften kunde inte hittas",
    "Opgaven findes ikke",
    "Oppgaven finnes ikke",
    "यह कार्य मौजूद नहीं है",
    "Tugas tidak dijumpai",
    "Database: generation not found",
    "task is not in the table: task not found",
    "任务服务: 任务不存在",
]
_NOT_STORED = [
    "No row was found when one was required",
    "redis: nil",
    "redigo: nil returned",
    "key does not exist",
    "etcd: key not found",
    "sql: no rows in result set",
    "rpc error: code = Unknown desc = pgx: no rows in result set",
    "mongo: no documents in result",
    "internal error: redis key not found",
]


@pytest.mark.parametrize("text", [*_NO_SUCH_TASK, *_NOT_STORED])
@pytest.mark.parametrize("status", [200, 400, 500])
def test_an_unknown_task_is_not_found_in_any_wording(text: str, status: int) -> None:
    """It is final at the third in a row, whatever the status and the language."""
    error = api_error_of({"code": "fail_to_fetch_task", "message": text, "data": None}, status)

    assert type(error) is NotFoundError
    assert error.verdict is UNCONFIRMED


@pytest.mark.parametrize(
    "body",
    [
        {"errmsg": "任务不存在"},
        {"ERR_MSG": "task not exist"},
        {"error-msg": "task not exist", "error_code": 17},
        {"code": 5, "StatusMessage": "task not exist"},
        {"base_resp": {"status_code": 2013, "status_msg": "invalid params, task not exist"}},
        {"Response": {"Error": {"Code": "ResourceNotFound", "Message": "the task does not exist"}}},
        {"error": {"details": "no such task"}},
        {"fault": {"faultstring": "task not found"}},
        {"error": "Bad Request", "errorMessage": "task not found"},
    ],
)
@pytest.mark.parametrize("status", [200, 400])
def test_an_unknown_task_is_not_found_at_any_key_for_a_text(body: dict[str, Any], status: int) -> None:
    """However a gateway spells the key, and whatever it puts around it; the error has the relay's words."""
    error = api_error_of(body, status)

    assert type(error) is NotFoundError
    assert error.verdict is UNCONFIRMED
    assert error.message in str(body)
    assert error.message


@pytest.mark.parametrize(
    "body",
    [
        {"code": 500, "data": {"message": "task not found"}},
        {"code": 400, "result": "task not found"},
        {"message": "failed", "result": "task not found"},
        {"info": "task not found"},
        {"errors": {TASK_ID: ["task not found"]}},
        {"errors": [{"code": "x", "text": "task not found"}]},
        {"detail": [{"loc": ["path", "id"], "msg": "task not found", "type": "value_error"}]},
        {"data": {"error": {"info": "task not found"}}},
        {"response": {"body": '{"message": "task not found"}'}},
        {"status": "task not found", "error": "x"},
        {"error": {"metadata": {"raw": "task not found"}}},
        {"ok": False, "why": "task not found"},
        ["task not found"],
        '"task not found"',
        "task not found",
        "<html><h1>task not found</h1></html>",
    ],
    ids=str,
)
@pytest.mark.parametrize("status", [400, 404, 422, 500])
def test_an_unknown_task_is_not_found_at_any_place_of_a_refusal(body: Any, status: int) -> None:
    """An error status makes all of the answer a refusal; the message is what the relay says, if nothing else is."""
    error = api_error_of(body, status)

    assert type(error) is NotFoundError
    assert (error.verdict, error.names_task) == (UNCONFIRMED, True)
    assert error.message.endswith(("task not found", "failed", "x"))


@pytest.mark.parametrize("status", [400, 422, 500])
def test_a_bare_not_found_counts_at_any_place_where_nothing_else_is_said(status: int) -> None:
    """Beside a text that says why, it is about something else."""
    error = api_error_of({"errors": {TASK_ID: ["not found"]}}, status)

    assert (type(error), error.verdict) == (NotFoundError, UNCONFIRMED)
    assert not isinstance(api_error_of({"message": "no", "cdn": "not found"}, status), NotFoundError)


@pytest.mark.parametrize(
    "body",
    [
        {"error": "x", "request": {"prompt": "task not found"}},
        {"message": "bad", "prompt": "no such task"},
        {"message": "bad", "data": {"title": "task not found"}},
        {"message": "bad", "data": {"input": {"text": "no such task"}}},
        {"message": "no", "user": {"note": "task not found"}},
        {"detail": [{"loc": ["body", "prompt"], "msg": "bad", "input": "no such task"}]},
        {"message": "x", "previous_task": {"message": "task not found"}},
        {"message": "x", "webhook": {"error": "task not found"}},
    ],
    ids=str,
)
@pytest.mark.parametrize("status", [400, 422, 500])
def test_what_a_refusal_repeats_of_the_user_is_not_its_cause(body: Any, status: int) -> None:
    """Nor is what it says of a callback, or of another task."""
    assert not isinstance(api_error_of(body, status), NotFoundError)


def test_inside_a_200_only_a_refusal_says_it_at_any_place() -> None:
    """What reports a success is not searched."""
    refused = [
        {"code": 400, "data": {"message": "task not found"}},
        {"success": False, "result": "task expired"},
    ]
    well = {"code": 200, "message": "success", "data": {"text": "task not found"}}

    assert [type(api_error_of(body, 200)) for body in refused] == [NotFoundError] * 2
    assert type(api_error_of(well, 200)) is APIError


@pytest.mark.parametrize("body", [{"title": "unknown task"}, {"prompt": "no such task"}, {"text": "no such task"}])
def test_what_a_user_wrote_is_no_refusal(body: dict[str, Any]) -> None:
    """A video has a title too: inside a 200 only texts that are about a refusal make one."""
    assert error_of(body, 200).summary == "the relay's answer contains no task"


@pytest.mark.parametrize(
    ("text", "status"),
    [
        ("model not found", 400),
        ("channel for this task not found", 500),
        ("the file of your video was not found", 400),
        ("Tarea fallida: archivo no encontrado", 500),
        ("Aufgabe fehlgeschlagen: Datei nicht gefunden", 500),
        ("Задача завершена с ошибкой: файл не найден", 500),
        ("bad request: not allowed", 400),
        ("no video was attached", 400),
        ("failed to fetch task: channel not found", 500),
        ("任务失败: 渠道不存在", 500),
        ("模型不存在", 400),
        ("Invalid token", 400),
        ("the video has no audio", 400),
        ("task failed", 500),
        ("task failed: unknown error", 500),
        ("upstream job error: file not found", 500),
        ("任务失败：无效的图片", 500),
        ("unknown task type", 400),
        *(
            (text, status)
            for status in (400, 500)
            for text in [
                "user record not found",
                "get user failed: record not found",
                "find customer: record not found",
                "get channel: sql: no rows in result set",
                "wallet: redis: nil",
                "redis: key 'token:5' does not exist",
                "API key does not exist",
                "secret key does not exist",
                "sk-abc key not found",
                "image cache key not found",
                "user id not found",
                "model record not found",
                "用户记录不存在",
                "token expired",
                "task token expired",
                "task expired token",
                "session for task expired",
                "video url expired",
                "the image of the task has expired",
                "视频链接已失效",
                "任务令牌已过期",
                "task key expired",
                "task type not found",
                "任务类型不存在",
                "tasks endpoint not found",
                "任务接口不存在",
                "path /luma/generations/1 does not exist",
                "The API endpoint /luma/tasks does not exist",
                "task signing key does not exist",
            ]
        ),
        ("invalid video duration", 400),
        ("unknown parameter: video", 400),
        ("no such video model", 400),
        ({"loc": ["body", "video"], "msg": "unknown field"}, 422),
    ],
)
def test_what_else_is_missing_is_not_the_task(text: Any, status: int) -> None:
    """A channel, a model or a user that is not there says nothing about the task, nor does what failed in it."""
    assert not isinstance(api_error_of({"message": text, "detail": [text]}, status), NotFoundError)


_MACHINERY_MISSING = [
    "Table 'gateway.generations' doesn't exist",
    'ERROR: relation "public.jobs" does not exist (SQLSTATE 42P01)',
    "collection `tasks` not found",
    "schema 'task' does not exist",
    'database "jobs" does not exist',
    "procedure get_task does not exist",
    "task consumer not found",
    "TaskService not found",
    "job executor does not exist",
    "generation server not found",
    "task node not found",
    "task database not found",
    "video api not found",
    "bean named 'jobRepository' not found",
    "Target class [GenerationController] does not exist.",
    "bucket for videos does not exist",
    "NoSuchBucket: luma-videos not found",
    "queue 'task' not found",
    "任务调度器不存在",
    "任务处理程序未找到",
    "数据表 generation 不存在",
    "模型 luma_task 不存在",
    "タスクのキューが見つかりません",
    "作業サーバが見つかりません",
    "작업 서버를 찾을 수 없습니다",
    "таблица задач не существует",
    "очередь задач не найдена",
    "la tabla de tareas no existe",
    "o servidor de tarefas não existe",
    "le modèle de la tâche est introuvable",
    "Dienst für die Aufgabe nicht gefunden",
    "model luma_video not found",
    "Model 'acme-generation-2' does not exist",
    "No query results for model [App\\Models\\TaskTemplate] 7",
    "No query results for model [App\\Models\\User].",
    "No User matches the given query.",
    "Unable to find com.acme.TaskOwner with id 7",
    "no task with this model",
    "タスクに問題はありません",
    "タスクの権限がありません",
    "Görevin kanalı yok",
    "Uppgiftens modell hittades inte",
    "Opgavens bruger findes ikke",
    "video is missing",
]


@pytest.mark.parametrize("text", _MACHINERY_MISSING)
@pytest.mark.parametrize("status", [200, 400, 500])
def test_what_works_on_tasks_or_holds_them_is_not_the_task(text: str, status: int) -> None:
    """A table, a worker or a model that is missing is the relay's trouble."""
    error = api_error_of({"code": 500, "message": text}, status)

    assert not isinstance(error, NotFoundError)
    assert error.verdict is (FINAL if status == 400 else PASSING)


@pytest.mark.parametrize(
    "text",
    [
        "The task was not found yet",
        "Video of task not found yet",
        "task not found: the video is still being rendered",
        "generation is still being processed: record not found",
        "video not ready yet",
        "任务尚未完成，记录不存在",
        "タスクはまだ完了していません",
        "Die Aufgabe ist noch nicht bereit",
        "задача ещё не готова",
    ],
)
@pytest.mark.parametrize("status", [200, 400, 404, 409, 422, 500])
def test_a_task_that_is_not_there_yet_passes(text: str, status: int) -> None:
    """It is still in the making, whatever the status."""
    assert api_error_of({"code": 1, "message": text}, status).verdict is PASSING


@pytest.mark.parametrize("text", ["videos of this size are not supported yet", "the model is not available yet"])
def test_what_else_is_not_there_yet_stays_a_refusal(text: str) -> None:
    """A feature or a model does not come while we wait."""
    assert api_error_of({"message": text}, 400).verdict is FINAL


def test_a_date_to_come_back_at_counts_from_the_relays_own_clock() -> None:
    """A relay whose clock is an hour ahead asks for what it means, not for an hour more."""
    ahead = datetime.now(UTC) + timedelta(hours=1)
    dates = {
        "date": format_datetime(ahead, usegmt=True),
        "retry_after": format_datetime(ahead + timedelta(seconds=2), usegmt=True),
    }

    with pytest.raises(APIError) as caught:
        read_task(answer({"message": "busy"}, 503, **dates), TASK_ID)
    assert caught.value.retry_after == 2.0


@pytest.mark.parametrize("status", [0, 99, 101, 204, 304, 302, 600, 999])
def test_no_row_fits_a_status_that_is_no_refusal(status: int) -> None:
    """There is no cause to look up: the answer is none."""
    assert cause_of(status, ["anything"]) is None


_NAMED = [
    ("task_not_exist", NotFoundError, UNCONFIRMED),
    ("task_not_exists", NotFoundError, UNCONFIRMED),
    ("task_not_found", NotFoundError, UNCONFIRMED),
    ("quota_not_enough", QuotaExceededError, FINAL),
    ("insufficient_user_quota", QuotaExceededError, FINAL),
    ("insufficient_quota", QuotaExceededError, FINAL),
    ("pre_consume_token_quota_failed", QuotaExceededError, FINAL),
    ("upstream_load_saturated", RateLimitError, SLOW_DOWN),
    ("当前分组上游负载已饱和，请稍后再试", RateLimitError, SLOW_DOWN),
]


@pytest.mark.parametrize(("word", "kind", "verdict"), _NAMED)
@pytest.mark.parametrize("status", [200, 400, 403, 404, 500, 503])
@pytest.mark.parametrize(
    "form",
    [
        lambda word: {"code": word, "message": "", "data": None},
        lambda word: {"error": {"message": "", "type": word}},
        lambda word: {"code": "fail_to_fetch_task", "message": f"upstream: {word}!"},
        lambda word: {"error": {"code": 1, "message": f'{{"error": "{{\\"code\\": \\"{word}\\"}}"}}'}},
        lambda word: {"errors": [{"message": word.upper().replace("_", " ")}]},
        lambda word: {"detail": word.title().replace("_", "-")},
    ],
    ids=["code", "type", "in-a-text", "json-in-json", "as-words-in-a-list", "with-hyphens"],
)
def test_a_word_that_tells_more_than_the_status_counts_wherever_it_stands(
    word: str, kind: type[APIError], verdict: Verdict, status: int, form: Any
) -> None:
    """Also behind another status, inside a 200, and levels deep in strings."""
    error = api_error_of(form(word), status)

    assert type(error) is kind
    assert error.verdict is verdict
    assert error.status == status


def test_the_innermost_word_counts() -> None:
    """A relay's own code is only a wrapping around its upstream's."""
    body = {"code": "task_not_exist", "message": '{"code": "upstream_load_saturated", "message": "busy"}'}

    assert type(api_error_of(body, 403)) is RateLimitError


@pytest.mark.parametrize(
    "body", ["Invalid URL (GET /x)", {"error": {"message": "Invalid URL (GET /x)"}}, "invalid url"]
)
def test_an_unknown_path_is_final_and_says_so(body: Any) -> None:
    """404 ``Invalid URL`` is about the address, not about the task; behind another status it is nothing special."""
    error = api_error_of(body, 404)

    assert type(error) is NotFoundError
    assert error.verdict is FINAL
    assert "may not be a relay with Luma" in str(error)
    assert type(api_error_of(body, 400)) is APIError


@pytest.mark.parametrize(
    ("status", "hint", "verdict"),
    [(503, "2", SLOW_DOWN), (503, None, PASSING), (503, "soon", PASSING), (502, "2", PASSING), (429, None, SLOW_DOWN)],
)
def test_a_503_with_a_hint_slows_all_down(status: int, hint: str | None, verdict: Verdict) -> None:
    """Only a usable hint, and only behind 503; 429 does in any case."""
    assert api_error_of("", status, retry_after=hint).verdict is verdict
    assert cause_of(503, []) == cause_of(500, [])


@pytest.mark.parametrize(
    ("status", "body", "advice"),
    [
        (401, "", "LUMA_API_KEY"),
        (402, "", "out of credit"),
        (403, "", "may not do this"),
        (404, "", "check the task id"),
        (404, "Invalid URL", "check base_url"),
        (410, "", "forgotten"),
        (429, "", "requests_per_second"),
        (500, "", "in trouble"),
        (501, "", "check base_url"),
        (505, "", "check base_url"),
        (403, "quota_not_enough", "out of credit"),
        (403, "upstream_load_saturated", "saturated"),
        (400, "", ""),
        (408, "", ""),
        (425, "", ""),
    ],
)
def test_each_cause_says_what_to_do(status: int, body: str, advice: str) -> None:
    """At the end of the text, where there is anything to be done."""
    error = api_error_of(body, status)

    assert advice in error.advice
    assert bool(error.advice) is bool(advice)
    assert str(error).endswith(f"({error.advice})" if advice else f"HTTP {status}")


@pytest.mark.parametrize("status", [401, 402, 403, 200])
@pytest.mark.parametrize(
    "told",
    [
        {"code": "fail_to_fetch_task", "message": '{"detail": "Insufficient credits"}', "data": None},
        {"error": {"code": "fail_to_fetch_task", "message": '{"code": "insufficient_user_quota", "message": "no"}'}},
        {"code": 401, "message": "fail_to_fetch_task: 401 Unauthorized"},
    ],
    ids=str,
)
def test_what_the_gateways_upstream_refused_is_not_about_the_user(told: dict[str, Any], status: int) -> None:
    """Neither the key nor the credit of the user is the reason."""
    body = told if status != 200 else {**told, "code": 401, "msg": "fail_to_fetch_task"}

    advice = api_error_of(body, status).advice

    assert "the relay's own account at its upstream" in advice
    assert "LUMA_API_KEY" not in advice


def test_the_upstream_advice_is_for_refused_accounts_alone() -> None:
    """Saturation, an unknown task and other statuses keep their own."""
    fetch = {"code": "fail_to_fetch_task", "message": "no"}

    assert "account" not in api_error_of(fetch, 400).advice + api_error_of(fetch, 502).advice
    assert "saturated" in api_error_of({**fetch, "message": "upstream_load_saturated"}, 403).advice
    assert "task id" in api_error_of({**fetch, "message": "task_not_exist"}, 403).advice


def test_the_first_of_two_objects_decides_whose_refusal_it_is() -> None:
    """The second is the gateway's stumble over the first: it has no key, code or cause to speak of."""
    error = api_error_of('{"detail": "Session expired"}{"detail": {"code": 1, "reason": "task_not_exist"}}', 401)

    assert type(error) is AuthenticationError
    assert (error.verdict, error.code, error.message) == (UNCONFIRMED, None, "Session expired")


def test_a_hint_behind_503_is_given_on() -> None:
    """To whoever reads the text."""
    assert "retry later" in api_error_of("", 503, retry_after="2").advice


# --- what it says ---


_EXPRESS = "<!DOCTYPE html>\n<html>\n<head><title>Error</title></head>\n<body>\n<pre>{}</pre>\n</body>\n</html>\n"
_NGINX = (
    "<html>\r\n<head><title>{0}</title></head>\r\n<body>\r\n<center><h1>{0}</h1></center>\r\n</body>\r\n</html>\r\n"
)


@pytest.mark.parametrize(
    ("body", "code", "message"),
    [
        pytest.param({"error": {"message": "m", "type": "t", "param": "", "code": "c"}}, "c", "m", id="openai"),
        pytest.param({"code": 1, "message": "m", "data": None}, 1, "m", id="envelope"),
        pytest.param({"detail": "d"}, None, "d", id="fastapi"),
        pytest.param({"detail": {"reason": "r", "code": 1}}, 1, "r", id="proxy"),
        pytest.param({"detail": [{"loc": ["path"], "msg": "a"}, {"msg": "b"}]}, None, "path: a", id="validation"),
        pytest.param(
            {"detail": [{"type": "missing", "loc": ["body", "frames", 0], "msg": "Field required", "input": {}}]},
            None,
            "body.frames.0: Field required",
            id="validation-of-a-field",
        ),
        pytest.param({"message": "", "type": "bad", "param": None, "code": "c"}, "c", "bad", id="flat"),
        pytest.param({"message": "", "type": "", "code": ""}, None, "", id="all-empty"),
        pytest.param({"error": "Forbidden", "message": "m", "statusCode": 400}, None, "m", id="message-before-error"),
        pytest.param({"success": False, "msg": "m"}, None, "m", id="msg"),
        pytest.param({"code": 4, "description": "d"}, 4, "d", id="description"),
        pytest.param({"errors": [{"message": "m", "code": "c"}]}, "c", "m", id="errors"),
        pytest.param(
            {"code": "a", "message": '{"code": "b", "message": "{\\"message\\": \\"m\\"}"}'}, "b", "m", id="deep"
        ),
        pytest.param({"code": "a", "message": '"{\\"message\\": \\"m\\"}"'}, "a", "m", id="text-of-text"),
        pytest.param({"code": 1, "message": '{"a": ["b"]}'}, 1, '{"a": ["b"]}', id="json-that-says-nothing"),
        pytest.param({"errors": {"id": ["x"]}, "message": "m"}, None, "m", id="errors-by-field"),
        pytest.param({"code": True, "message": "{not json"}, None, "{not json", id="nearly-json"),
        pytest.param('{"error": {"message": "one"}}{"message": "two", "code": "c"}', None, "one", id="run-together"),
        pytest.param('{"data": null}{"message": "two", "code": "c"}', "c", "two", id="run-together-with-nothing"),
        pytest.param("no healthy upstream", None, "no healthy upstream", id="plain"),
        pytest.param("<html><title>502 &amp; Bad</title></html>", None, "502 & Bad", id="title"),
        pytest.param("<html><body><h1>503 Service Unavailable</h1>", None, "503 Service Unavailable", id="heading"),
        pytest.param("<html></html>", None, "", id="no-title"),
        pytest.param(_EXPRESS.format("Cannot GET /x"), None, "Cannot GET /x", id="express"),
        pytest.param(
            _EXPRESS.format("Error: no room<br> &nbsp; at f (a.js)"), None, "Error: no room", id="express-trace"
        ),
        pytest.param(_NGINX.format("413 Request Entity Too Large"), None, "413 Request Entity Too Large", id="nginx"),
        pytest.param("<title>404</title><h1>Nothing here</h1>", None, "Nothing here", id="title-that-says-nothing"),
        pytest.param("<title>Error</title><p>The disk is full.", None, "The disk is full.", id="paragraph"),
        pytest.param("404 page not found", None, "404 page not found", id="gin"),
        pytest.param({"detail": "Not Found"}, None, "Not Found", id="fastapi-path"),
        pytest.param(
            {"message": "status 502, body: " + _NGINX.format("502 Bad Gateway")},
            None,
            "status 502, body: 502 Bad Gateway",
            id="page-in-a-text",
        ),
        pytest.param({"message": "<b>Out</b> of&nbsp;credit<br/>"}, None, "Out of credit", id="tags-in-a-text"),
        pytest.param({"message": "send Bearer <token>"}, None, "send Bearer <token>", id="not-a-tag"),
        pytest.param(b"\xff\xfe\x1b[31m", None, "��\\x1b[31m", id="garbage"),
        pytest.param({"a": "b"}, None, "", id="says-nothing"),
        pytest.param({"message": 5, "detail": "d"}, None, "d", id="number-for-a-text"),
        pytest.param({"errMsg": "other", "message": "m", "errCode": 5, "code": 7}, 7, "m", id="usual-keys-first"),
        pytest.param(
            {"error": {"message": "m", "code": 4, "details": [{"reason": "R", "errorCode": 5}]}}, 4, "m", id="details"
        ),
        pytest.param(
            {"type": "about:blank", "title": "Too many tasks", "status": 409}, None, "Too many tasks", id="rfc"
        ),
        pytest.param({"fault": {"faultstring": "m", "detail": {"errorcode": "c"}}}, "c", "m", id="fault"),
        pytest.param({"status": {"code": 9, "Message": "m"}}, 9, "m", id="status-object"),
        pytest.param({"message": " \n", "detail": "d"}, None, "d", id="blanks-for-a-text"),
    ],
)
def test_code_and_text_are_found(body: Any, code: str | int | None, message: str) -> None:
    """Wherever they stand: the innermost text, of several the one that is meant for people."""
    error = api_error_of(body, 409)

    assert error.code == code
    assert error.message == message
    assert message in str(error)
    assert ("HTTP 409, code " if code is not None else "HTTP 409") in str(error)
    assert ("code" in str(error)) is (code is not None)


@pytest.mark.parametrize("key", ["message", "msg", "detail", "description", "error", "errors", "reason", "fail_reason"])
def test_each_place_for_a_text_is_read(key: str) -> None:
    """Behind a refusal, and inside a 200 that has no task."""
    assert api_error_of({key: "why"}, 409).message == "why"
    assert api_error_of({key: "why"}, 200).message == "why"


@pytest.mark.parametrize(
    ("body", "status", "text"),
    [
        ({"code": "c", "message": "m"}, 409, "the relay answered HTTP 409, code c: m"),
        ("", 409, "the relay answered HTTP 409"),
        ({"code": "c"}, 200, "the relay answered HTTP 200 without a task, code c"),
        ("", 204, "the relay answered HTTP 204, which is not a usable status"),
        ("", 200, "the relay's answer is an empty body"),
        ("{}", 200, "the relay's answer contains no task"),
        ("<p>", 200, "the relay answered with a web page instead of JSON"),
        (b"<title>\xff</title>", 200, "the relay answered with a web page instead of JSON (\N{REPLACEMENT CHARACTER})"),
    ],
)
def test_the_texts_say_what_came(body: Any, status: int, text: str) -> None:
    """Word for word, without what there is not."""
    assert error_of(body, status).summary == text


@pytest.mark.parametrize(
    "body", [{"errors": {"prompt": ["is too long"]}}, {"error": {"errors": {"prompt": "is too long"}}}]
)
@pytest.mark.parametrize("status", [200, 400, 500])
def test_an_error_about_a_field_is_told(body: Any, status: int) -> None:
    """With its field, as frameworks for forms have it; it says nothing of the cause."""
    assert error_of({"success": False, **body}, status).summary.endswith(": prompt: is too long")


def test_a_long_text_is_cut_and_made_visible() -> None:
    """A megabyte with escapes in it is a short printable line."""
    error = api_error_of({"message": "\x1b[2J" + "x" * 2**20}, 400)

    assert error.message.startswith("\\x1b[2Jxxx")
    assert error.message.endswith("…")
    assert len(error.message) < 400


@pytest.mark.parametrize(
    ("body", "header", "request_id"),
    [
        ({"message": f"no (request id: {REQUEST_ID})"}, None, REQUEST_ID),
        ({"message": f"no (request id: {REQUEST_ID})"}, "from-the-header", "from-the-header"),
        ({"message": "x" * 1000 + f" (request id: {REQUEST_ID})"}, None, REQUEST_ID),
        ({"message": f'{{"message": "in (request id: {REQUEST_ID})", "code": 1}} '}, None, REQUEST_ID),
        (f"plain (request id: {REQUEST_ID})", None, REQUEST_ID),
        ({"message": "no"}, None, None),
        ({"message": "no"}, "", None),
        ("", "\x1b[0m", "\\x1b[0m"),
    ],
)
def test_what_support_asks_for_is_found(body: Any, header: str | None, request_id: str | None) -> None:
    """The request id stands in a header, or at the end of a text."""
    assert api_error_of(body, 500, request_id=header).request_id == request_id


# --- pages ---

_PAGE = "\ufeff \n<!DOCTYPE html><html><head><title>\n Sign in </title></head></html>"


def test_a_page_where_json_belongs_says_that_this_may_be_no_relay() -> None:
    """At 200 it is no answer; the title helps to see what came instead."""
    error = error_of(_PAGE, 200, "text/html; charset=utf-8")

    assert type(error) is ProtocolError
    assert error.retryable
    assert "the relay answered with a web page instead of JSON (Sign in)" in str(error)
    assert "may not be a relay with Luma" in str(error)


@pytest.mark.parametrize("status", [401, 404, 405])
def test_a_page_behind_a_final_status_is_about_the_address(status: int) -> None:
    """A page of a proxy says nothing about a key or a task."""
    assert "may not be a relay with Luma" in error_of(_PAGE, status, "text/html").advice
    assert "may not be a relay with Luma" not in error_of({"message": "no"}, status, "text/html").advice


@pytest.mark.parametrize("status", [429, 500, 502, 520])
def test_a_page_behind_a_passing_status_is_not(status: int) -> None:
    """Content delivery networks answer with pages when the relay behind them is in trouble."""
    assert "no relay" not in error_of(_PAGE, status, "text/html").advice


@pytest.mark.parametrize(
    ("body", "content_type", "is_html"),
    [
        ("<html>", "application/json", True),
        (" \r\n\t<html>", "", True),
        ("\ufeff<html>", "", True),
        ("Welcome", "Text/HTML", True),
        ("Welcome", "text/plain", False),
        ('{"a": 1}', "text/html", False),
        ("[]", "text/html", False),
        ("", "text/html", False),
    ],
)
def test_the_body_decides_what_is_a_page(body: str, content_type: str, is_html: bool) -> None:  # noqa: FBT001
    """The content type counts only where the body looks like neither."""
    assert answer(body, content_type=content_type).is_html is is_html


# --- errors inside a 200 ---


@pytest.mark.parametrize(
    ("body", "kind", "verdict"),
    [
        ({"code": 400, "message": "fail_to_fetch_task"}, APIError, PASSING),
        ({"code": "400", "message": ""}, APIError, PASSING),
        ({"code": 401, "message": ""}, AuthenticationError, PASSING),
        ({"code": 403, "message": ""}, PermissionDeniedError, PASSING),
        ({"code": 404, "message": ""}, NotFoundError, PASSING),
        ({"code": 429, "message": ""}, RateLimitError, SLOW_DOWN),
        ({"code": 500, "message": ""}, ServerError, PASSING),
        ({"code": 200, "data": None}, APIError, PASSING),
        ({"code": 0, "data": {}}, APIError, PASSING),
        ({"code": -1, "msg": "no"}, APIError, PASSING),
        ({"code": 1000, "msg": "no"}, APIError, PASSING),
        ({"code": "success", "data": None}, APIError, PASSING),
        ({"success": False, "message": "no"}, APIError, PASSING),
        ({"success": True, "data": None}, APIError, PASSING),
        ({"id": TASK_ID, "error": {"message": "no"}}, APIError, PASSING),
        ({"type": "task", "id": TASK_ID}, ProtocolError, PASSING),
        ({"message": "", "data": None}, ProtocolError, PASSING),
    ],
)
def test_an_error_inside_200_passes(body: Any, kind: type[LumaError], verdict: Verdict) -> None:
    """It keeps its class, and is asked for again unless it has a name."""
    error = error_of(body, 200)

    assert type(error) is kind
    assert error.verdict is verdict


def test_an_error_inside_200_keeps_the_status_and_the_relays_code() -> None:
    """And says that there was no task in the answer."""
    error = api_error_of({"code": 401, "message": "no"}, 200)

    assert error.status == 200
    assert error.code == 401
    assert "HTTP 200 without a task, code 401: no" in str(error)


# --- when to come back ---

_NOW = datetime(2025, 4, 11, 23, 31, 32, tzinfo=UTC)


@pytest.mark.parametrize(
    ("value", "seconds"),
    [
        (None, None),
        ("", None),
        ("0", 0.0),
        ("2", 2.0),
        (" 120 ", 120.0),
        ("3600", 3600.0),
        ("999999999", 999_999_999.0),
        ("9999999999", None),
        ("2.5", 2.5),
        ("0.25", 0.25),
        ("2.", None),
        (".5", None),
        ("1.2.3", None),
        ("1,5", None),
        ("2.5e3", None),
        ("1.0123456789", None),
        ("7\x1f", None),
        ("-1", None),
        ("+1", None),
        ("٣", None),
        *((word, None) for word in ("soon", "nan", "inf", "-5", "9" * 30, "Mon, 00 Jan 0000 00:00:00 GMT")),
        ("2 seconds", None),
        (format_datetime(_NOW + timedelta(seconds=90), usegmt=True), 90.0),
        (format_datetime(_NOW - timedelta(days=1), usegmt=True), 0.0),
        ("Fri, 11 Apr 2025 23:31:42", 10.0),
        ("Fri, 11 Apr 2025 23:31:42 -0100", 3610.0),
        ("Fri, 11 Apr 2025 25:61:42 GMT", None),
        ("Fri, 11 Apr 99999 23:31:42 GMT", None),
        ("1 Jan", None),
        ("Fri, 11 Apr 2025 23:31:42 +999999999999999", None),
        ("Fri, 11 Apr 2025 23:31:42 +2400", None),
    ],
)
def test_a_hint_is_digits_or_a_date(value: str | None, seconds: float | None) -> None:
    """Anything else says nothing; a date that is over means now."""
    assert retry_after(value, _NOW) == seconds


@given(st.one_of(st.text(max_size=30), st.from_regex(r"[0-9:, a-zA-Z+-]{0,30}"), st.from_regex(r"[A-Z][a-z]{2}, .*")))
def test_no_hint_can_break_anything(value: str) -> None:
    """Any text is None or a number of seconds that one can wait."""
    seconds = retry_after(value, _NOW)

    assert seconds is None or 0 <= seconds < 1e12


def test_the_error_carries_the_hint() -> None:
    """Also where the relay hides it behind a 200."""
    assert api_error_of("", 429, retry_after="7").retry_after == 7.0
    assert api_error_of({"code": 429, "message": "x"}, 200, retry_after="7").retry_after == 7.0


# --- hostile bodies ---


@pytest.mark.parametrize(
    "body",
    [
        b"<title" * 300_000,
        b"<title>" * 300_000,
        b"{}" * 1_000_000,
        b"1 " * 1_000_000,
        b'"' * 2_000_000,
        b'["{' * 500_000,
        b'{"message":' * 200_000,
        b" " * 2_000_000,
    ],
    ids=["titles", "open-titles", "objects", "numbers", "quotes", "brackets", "messages", "blanks"],
)
def test_no_two_megabytes_keep_us_busy(body: bytes) -> None:
    """Reading time grows with the size of an answer, not with its square: this test would run for hours else."""
    errors = [error_of(body, status) for status in (200, 500)]

    assert [type(error) for error in errors] == [ProtocolError, ServerError]
