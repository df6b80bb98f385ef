"""Why a task failed: the text, at any key that names a reason, and the code beside it."""

from __future__ import annotations

from typing import Any

import pytest

from luma_async import GenerationFailedError
from luma_async._relay.tasks import read_task
from tests.kit import TASK_ID, answer

_FAILED = {"task_id": TASK_ID, "status": "FAILURE"}
_WHY = "no face found"


def reason_in(body: Any) -> str | None:
    """Return the reason that is read from *body*."""
    return read_task(answer(body), TASK_ID).failure_reason


@pytest.mark.parametrize(
    "key",
    [
        *("failure", "failure_message", "failedReason", "fail-reasons", "rejection_reason", "reason_text", "FailMsg"),
        *("status_message", "statusReason", "status_detail", "StateReason", "task_error", "err", "errmsg", "exception"),
        *("error_detail", "lastErrorMessage", "base_resp", "blocked_reason", "refusal", "violations", "root_cause"),
    ],
)
@pytest.mark.parametrize("told", [_WHY, [_WHY], {"code": "E1", "reason": _WHY}, {"status_code": 7, "Details": _WHY}])
def test_text_at_any_key_that_names_a_reason_is_the_reason(key: str, told: Any) -> None:
    """In the task's own object, in one inside it, or in any envelope around it, however the key is spelled."""
    assert reason_in({**_FAILED, key: told}) == _WHY
    assert reason_in({**_FAILED, "metadata": {"attempts": [{key: told}]}}) == _WHY
    assert reason_in({"code": 0, key: told, "data": _FAILED}) == _WHY
    assert reason_in({"code": 0, "data": {key: told, "task": _FAILED}}) == _WHY


@pytest.mark.parametrize(
    "key",
    [
        *(
            "error_code",
            "failCode",
            "error_id",
            "errorId",
            "failed_at",
            "failTime",
            "error_url",
            "error_type",
            "fail_count",
        ),
        *("on_error", "failover", "fail_callback", "reasoning", "error_trace", "failed_task", "failure_stage", "errno"),
        *(
            "callback_error",
            "webhookErrorMessage",
            "failed_inputs",
            "error_field",
            "reasonId",
            "preferred_text",
            "error_at",
        ),
    ],
)
def test_a_code_an_id_or_a_setting_is_not_a_reason(key: str) -> None:
    """Though its key speaks of a failure."""
    assert reason_in({"data": {**_FAILED, key: "abc"}, key: "abc"}) is None


@pytest.mark.parametrize(
    "text", [TASK_ID, "https://docs.example/e/7", "/errors/7", "7d3c2a10-5b6e-4f00-9a4e-0123456789ab", "Done", "failed"]
)
def test_a_link_an_id_or_a_state_is_not_a_reason(text: str) -> None:
    """Even at a key for reasons; the reason beside it is found."""
    assert reason_in({**_FAILED, "fail_reason": text, "error": text}) is None
    assert reason_in({**_FAILED, "fail_reason": text, "message": _WHY}) == _WHY


def test_the_tasks_own_id_is_not_a_reason() -> None:
    """An id may look like a word."""
    assert read_task(answer({"id": "cat", "state": "failed", "error": "cat"}), "cat").failure_reason is None


@pytest.mark.parametrize("around", ["input", "request", "callback", "webhook", "parameters", "parent_task"])
def test_what_the_users_input_or_a_callback_says_is_not_a_reason(around: str) -> None:
    """A hook that cannot be reached fails no task."""
    assert reason_in({**_FAILED, around: {"error": "connection refused"}}) is None


def test_the_reason_comes_from_the_innermost_object_and_the_usual_keys_first() -> None:
    """The envelope comes last, and the objects below the task after its own keys."""
    inner = {**_FAILED, "metadata": {"error": "below"}}

    assert reason_in({"message": "outer", "data": {"message": "middle", "task": inner}}) == "below"
    assert reason_in({"message": "outer", "data": {"message": "middle", "task": _FAILED}}) == "middle"
    assert reason_in({**inner, "refusal": "own"}) == "own"
    assert reason_in({**inner, "refusal": "own", "message": "usual"}) == "usual"
    assert reason_in({**inner, "message": "Task failed", "failure": {"reason": "named"}}) == "named"


@pytest.mark.parametrize(
    "text",
    [
        *(
            "成功",
            "操作成功",
            "请求成功！",
            "成功获取任务",
            "查询完成",
            "没有错误",
            "query success",
            "Request successful.",
        ),
        *("Task retrieved successfully", "Successfully retrieved the task", "SUBMIT_SUCCESS", "200 OK", "success (0)"),
        *(
            "取得に成功しました",
            "処理が完了しました",
            "正常終了",
            "조회가 완료되었습니다",
            "Operación exitosa",
            "Erfolgreich abgerufen",
        ),
        *(
            "Die Abfrage war erfolgreich",
            "Requête réussie",
            "Operazione riuscita",
            "Thành công",
            "Başarılı",
            "İşlem başarılı",
        ),
        *("Berhasil", "สำเร็จ", "نجاح", "Gelukt", "Sukces", "успех", "Sin errores", "ошибок нет", "ohne Fehler"),
        *("{}", "[]", "无", "なし", "없음"),
        *("No error", "errors: none", "N/A", "-", "--", "nil", "Operation completed.", "processing", "0"),
    ],
)
def test_a_short_text_that_says_all_is_well_hides_no_reason(text: str) -> None:
    """In any words, in the task or around it."""
    assert reason_in({"message": text, "data": {**_FAILED, "fail_reason": text}}) is None
    assert reason_in({**_FAILED, "fail_reason": text, "message": _WHY}) == _WHY


@pytest.mark.parametrize(
    "text",
    [
        *(
            "the upload was not successful",
            "unsuccessful",
            "could not be processed successfully",
            "生成未成功",
            "没有成功",
        ),
        *("nicht erfolgreich", "Operación no exitosa", "sin éxito", "sans succès", "niet gelukt", "не успешно"),
        *("không thành công", "tidak berhasil", "ไม่สำเร็จ", "başarısız", "İşlem başarılı değil", "完了しませんでした"),
        *("조회가 완료되지 않았습니다", "Teilweise erfolgreich", "non riuscito", "ошибка"),
        *("成功率过低", "success rate too low", "prompt not ok", "failed to complete", "the task failed after success"),
        *("Only 1 of 3 frames done", "timeout", "expired", "cancelled", "NSFW_CONTENT", "error 7", "用户取消"),
    ],
)
def test_a_text_that_speaks_of_success_and_denies_it_is_a_reason(text: str) -> None:
    """So is a word for a failure that says more than that the task failed."""
    assert reason_in({**_FAILED, "fail_reason": text}) == text


@pytest.mark.parametrize(
    ("fields", "code", "may_retry"),
    [
        ({"err_code": "TaskPromptPolicyViolation"}, "TaskPromptPolicyViolation", False),
        ({"failCode": 501}, "501", None),
        ({"error_code": 5, "failure_code": "moderation_blocked"}, "moderation_blocked", False),
        ({"failureCode": "SAFETY.INPUT.TEXT"}, "SAFETY.INPUT.TEXT", False),
        ({"base_resp": {"status_code": 1027, "status_msg": "new"}}, "1027", None),
        ({"failure": {"code": "INTERNAL", "reason": "x"}}, "INTERNAL", None),
        ({"error": {"errCode": "content_filter"}}, "content_filter", False),
        ({"code": "DataInspectionFailed", "message": "bad"}, "DataInspectionFailed", None),
        ({"error": "bad", "code": "E2"}, "E2", None),
        ({"code": "E2", "error_code": "E1"}, "E1", None),
        ({"code": 200}, None, None),
        ({"code": "500"}, None, None),
        ({"code": "success"}, None, None),
        ({"code": "completed"}, None, None),
        ({"code": "it is not a word"}, None, None),
        ({"failure_code": "generation_failed"}, "generation_failed", True),
        ({"base_resp": {"status_code": 0}, "errCode": "0", "error_code": "SUCCESS", "status_code": 200}, None, None),
    ],
)
def test_the_code_of_a_failure_is_found_and_says_whether_to_retry(
    fields: dict[str, Any], code: str | None, may_retry: object
) -> None:
    """However it is spelled, also without a text; what says that all is well is not a code of a failure."""
    error = GenerationFailedError(read_task(answer({**_FAILED, **fields}), TASK_ID))

    assert (error.code, error.may_retry) == (code, may_retry)
