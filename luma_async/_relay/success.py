"""Whether an envelope, or a text, says that all is well."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any

from luma_async._relay.complaints import innermost_text, says_too_many

_TAKEN = frozenset({"accepted", "created", "submitted"})
"""Words of an envelope that has taken a request."""
_NO_ERROR = frozenset({"none", "null", "n/a", "false"})
_FALSE = (False, 0, "0", "false", "no")


def is_success(document: Mapping[str, Any]) -> bool:
    """Whether an envelope reports a success, with its code as a word or a number, and no text as its error."""
    code = document.get("code")
    if document.get("success") in _FALSE or isinstance(code, float | list | dict) or says_too_many(document):
        return False
    error = (innermost_text(document.get("error")) or "").strip()
    if error.casefold() not in _NO_ERROR and not says_all_is_well(error):
        return False
    plain = ("" if code is None else str(code)).strip().casefold()
    number = int(plain) if plain.isdecimal() and len(plain) < _LONG_CODE else None
    if number is not None and number != 0 and number // 100 != 2:  # noqa: PLR2004 - as of HTTP
        # To each gateway another number is a success, or an error: the text beside it says which.
        return number // 100 not in (4, 5) and any(map(_says_taken, map(document.get, ("message", "msg"))))
    return number is not None or plain in ("", "true") or _says_taken(plain)


def _says_taken(word: Any) -> bool:
    """Whether a *word* says that a request was taken."""
    plain = str(word or "").strip(" .!").casefold()
    if plain in _TAKEN or _WAS_TAKEN.fullmatch(plain[:_LONGEST_PRAISE]):
        return True
    return plain != "" and says_all_is_well(plain)


_WAS_TAKEN = re.compile(
    r"(?:(?:the|your|new|video|generation)\s+){0,3}(?:request|task|job|generation|video|submission|order)"
    r"(?:\s+(?:has|have|been|is|was|were|successfully)){0,4}"
    r"\s+(?:accepted|created|submitted|queued|received|scheduled|started|added|enqueued)(?:\s+to(?:\s+the)?\s+queue)?"
    r"|(?:任务|请求|作业)?已(?:成功)?(?:提交|创建|受理|接收|加入队列)"
)
"""A whole sentence about the request."""
_LONG_CODE = 20
"""Digits of a code that no gateway has."""


_LONGEST_PRAISE = 80
_NOTHING_WRONG = re.compile(
    r"\b(?:0+|200)\b|\b(?:no|without) (?:errors?|failures?|problems?|issues?)\b|\berrors?: none\b"
    r"|(?:没有|无)(?:错误|异常)"
    r"|\b(?:sin|sem|senza) err\w+|\bohne fehler\b|\bsans erreurs?\b|\b(?:нет ошибок|ошибок нет|без ошибок)\b"
)
"""Also as a number of HTTP or of an envelope."""
_ALL_IS_WELL = re.compile(
    r"(?:.*(?:\b(?:success(?:ful(?:ly)?)?|succeed(?:ed)?|ok|okay|completed?|done|finished|all good)"
    r"|成功|完成|正常|성공|완료|успешно|éxito|sucesso))?|successfully\b.*|成功(?!率).*"
)
_ALL_IS_WELL_ELSEWHERE = re.compile(
    r"(?:\S+ ){0,3}(?:erfolg|erfolgreich|exitos[oa]|éxito|riuscit[oa]|réussie?|succès|успех|успешн[оаы]?"
    r"|gelukt|geslaagd|sukces"
    r"|pomyślnie|thành công|thanh cong|başarılı|başarıyla|berhasil|sukses|สำเร็จ|نجاح|بنجاح|correctamente)(?: \S+){0,2}"
    r"|\S{0,20}(?:成功|完了|正常終了)(?:しました|です|いたしました)?|.{0,30}(?:성공|완료)(?:되었습니다|했습니다|하였습니다|됨)"
)
_BUT_ELSEWHERE = re.compile(
    r"\b(?:nicht|kein\w*|niet|geen|nie|brak|pas|sans|sin|sem|senza|ohne|aucune?|nunca|não|не|нет|без|но|ни|không|chưa"
    r"|tidak|belum|gagal|değil|aber|pero|mais|sed|ma|doch|nur|teilweise|solo|seulement|частично|только)\b"
    r"|неуда|неусп|ошиб|fall[oi]|fehl|échec|erreur|hata|başarısız|ไม่|غير|لم|실패|않|못|안 |失敗|ません"
)
_BUT = re.compile(
    r"\b(?:not?|non|never|un\w+|cannot|without|before|but|only|partial\w*|must|please|retry|try|fail\w*|err\w*|low|too"
    r"|reject\w*|refus\w*|den(?:y|ied)|block\w*|violat\w*|cancel\w*|require[sd]?|needs?)\b|n['’]t\b"
    r"|[不未没沒无無非错錯拒但需]|失败|失敗|部分"
)
"""Words with which the same text denies it."""


def says_all_is_well(text: str) -> bool:
    """Whether a short *text* says that all is well, and nothing else (design, *Reading what relays say*)."""
    if len(text) > _LONGEST_PRAISE:
        return False
    plain = _NOTHING_WRONG.sub("", " ".join(text.casefold().replace("_", " ").split())).strip(" .,;!:()。，！")
    if _BUT.search(plain) is not None or _BUT_ELSEWHERE.search(plain) is not None:
        return False
    return _ALL_IS_WELL.fullmatch(plain) is not None or _ALL_IS_WELL_ELSEWHERE.fullmatch(plain) is not None
