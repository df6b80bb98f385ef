"""Whether the text or the code of a refusal asks for fewer requests, in the wordings and languages of gateways."""

from __future__ import annotations

import re

_LONGEST_WORDING = 500

_THROTTLED = re.compile(
    r"throttl(?:ed|ing)|(?:request|rate)[ _-]?limit[ _-]?exceeded|too[ _-]?many[ _-]?requests"
    r"|\bslow[ _-]?down\b|\bslowdown|concurrency[ _-]?limit|スロットリング|限流(?!量)"
)
"""Words for nothing else."""
_A_RATE = (
    r"(?:request[ _-]?rate|(?<![a-z])(?<!frame )(?<!bit )rate[ _-]?limits?"
    r"|\b(?:qps|rpm|tps)(?:[ _-]limits?)?|requests? limit)"
)
_REACHED = r"(?: has| have| was| is| been)*[ _-]?(?:exceeded|reached|hit)\b"
_TOO_OFTEN = re.compile(
    r"(?<!after )\btoo[ _-]?many[ _-](?:\w+[ _-]){0,2}?(?:requests?|attempts?|calls?|queries)\b"
    r"|\btoo[ _-]many concurrent"
    rf"|(?:{_A_RATE}|\b(?:requests?|api|calls?|concurren\w+)[ _-]limits?){_REACHED}"
    rf"|\bexceed\w* (?:\w+ ){{0,3}}{_A_RATE}"
    r"|(?<!frame )(?<!bit )(?<!sample )\brate exceeded"
    r"|\b(?:reduce|lower|limit) (?:your |the )?(?:request\w*|call|query|api)? ?(?:rate|frequency|concurrency)\b"
    r"|\brequests?(?: rate| frequency)? (?:is |are |come )?too (?:high|fast|often|frequent)|\btoo frequent(?:ly)?\b"
    r"|\bexceed.{0,80}\b(?:requests?|calls|queries)['\")]* per (?:minute|second)"
    r"|\b(?:requests?|calls|queries) per (?:minute|second).{0,40}exceed"
    # Chinese
    r"|(?<!帧)(?:频率|頻率|频次|頻次)(?:已|太|过|過|超|受限|限制)|(?:过于|太|过|過於|太過|過)(?:频繁|頻繁)"
    r"|(?:请求|請求|访问|訪問|调用|操作|查询)(?:数|量|次数)?(?:过多|過多|太多|过快|過快|太快)"
    r"|(?:并发|並發).{0,8}?(?:上限|过高|過高|超限|超过|超出|限制|过多|已满)"
    r"|(?:请求|請求|调用|访问|查询)(?:次)?(?:数|量)(?:已)?(?:超过|超出|达到|超限)|(?:qps|rpm|tps).{0,6}(?:超|上限|限制|过高)"
    # Japanese and Korean
    r"|リクエスト.{0,6}(?:多すぎ|多過ぎ|制限|過多|頻繁|上限)|レート.{0,2}(?:制限|超過|上限)|アクセスが集中|同時実行数.{0,4}上限"
    r"|(?:요청|호출|시도)\w{0,4} ?(?:횟수가 )?(?:너무|지나치게) ?(?:많|잦|빠)"
    r"|(?:요청|호출|속도)\w{0,2} ?\w{0,3} ?(?:한도|제한)\w{0,2} ?(?:초과|도달)"
    # Russian and Ukrainian
    r"|слишком (?:много|больш\w+ (?:число|количество)) (?:\w+ )?(?:запрос|попыт|обращ)|слишком част|забагато запит"
    r"|превышен\w* (?:лимит|частот|скорост|ограничени)\w* (?:\w+ )?(?:запрос|обращ|вызов|частоты|скорости)"
    # Spanish, Portuguese, Italian, French
    r"|(?:demasiad[ao]s|muit[ao]s|excesso de) (?:\w+ )?(?:solicitudes|peticiones|intentos|consultas|llamadas"
    r"|requisições|solicitações|pedidos|tentativas|chamadas)"
    r"|trop de (?:requêtes|demandes|tentatives|appels)|requêtes trop fréquentes"
    r"|l[ií]mite (?:de|di) (?:solicitudes|peticiones|velocidad|frecuencia|requisições|solicitações|taxa|frequência"
    r"|requêtes|débit|richieste|frequenza)|tropp[ei] (?:richieste|chiamate|tentativi)"
    # German, Dutch, Polish, Turkish, Vietnamese, Indonesian, Arabic, Thai
    r"|zu viele (?:\w+ )?(?:anfragen|aufrufe|versuche|zugriffe)|anfrage(?:limit|rate)|ratenbegrenzung|ratenlimit"
    r"|te veel (?:verzoeken|aanvragen|pogingen)"
    r"|zbyt wiele (?:żądań|zapytań|prób)|çok (?:fazla|sık) (?:istek|deneme|talep)"
    r"|(?:istek|hız) (?:sınırı|limiti)|quá nhiều (?:yêu cầu|lượt|lần)|giới hạn (?:tốc độ|yêu cầu)"
    r"|terlalu banyak (?:permintaan|percobaan)|طلبات كثيرة|عدد كبير من الطلبات|คำขอมากเกินไป"
)
_USED_UP = re.compile(
    r"quota|balance|credit|\bdaily|monthly|weekly|\bper (?:day|month|week)|prompts? per"
    r"|余额|餘額|额度|額度|配额|欠费|每日|每天|今日|当日|當日|本月|每月|残高|本日|1日|일일|하루|월간|잔액|баланс|дневн|суточн|сутки|месяч"
    r"|diari[ao]|mensual|mensal|mensuel|mensile|giornalier|quotidien|journali|täglich|tageslimit|kontingent|monatlich"
    r"|guthaben|saldo|solde|günlük|aylık|hàng ngày|hàng tháng"
)
"""What comes back tomorrow, or with money: a pause of seconds does not help."""
_SOON = re.compile(r"\bper[ _-]?(?:minute|second)|每分钟|每秒|/分钟")


def says_slow_down(word: str) -> bool:
    """Whether a complaint's text or code says that requests come too fast, and not that a quota is used up."""
    plain = word[:_LONGEST_WORDING].casefold()
    if _THROTTLED.search(plain) is None and _TOO_OFTEN.search(plain) is None:
        return False
    return "throttl" in plain or _USED_UP.search(plain) is None or _SOON.search(plain) is not None
