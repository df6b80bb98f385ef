"""Whether the text of a refusal says that there is no such task, in the wordings and languages of gateways."""

from __future__ import annotations

import re

_LONGEST_READ = 5000
"""Characters of all texts together that are searched for a wording."""
_LONGEST_WORDING = 500

_EAST_ASIAN_TASK = r"(?:任务|任務|作业|作業|记录|記錄|作品|视频|視頻|タスク|ジョブ|생성|작업|태스크)"
_LATIN_TASK = r"(?:(?<!/)(?:task|generation|job|record|video|creation|prediction))"
"""Not as a part of a path."""
_TASK = (
    rf"(?:{_LATIN_TASK}|{_EAST_ASIAN_TASK}"
    r"|tarea|tarefa|trabajo|trabalho|tâche|aufgabe|auftrag|taak|tugas|görev|attività|tác vụ|nhiệm vụ|zadani|úloha|úkol"
    r"|génération|generación|geração|задач|задани|генераци|завдан|مهمة|المهمة|งาน"
    r"|generierung|uppgift|opgave|oppgave|tehtäv|feladat|sarcin|εργασί|משימ|कार्य|टास्क)"
)
_THINGS = (
    r"channel|model|user|token|account|group|queue|image|picture|file|param|prompt|url|path|route|endpoint|session"
    r"|template|(?<!of )\btype|action|subscription|quota|coupon"
    r"|archivo|arquivo|fichier|datei|imagen|imagem|bild|canal|kanal|usuario|utilisateur|benutzer"
    r"|渠道|通道|模型|令牌|用户|用戶|账号|分组|图片|文件|参数|файл|модел|канал|пользовател"
    r"|密钥|接口|路径|类型|模板|会话|订阅|モデル|모델|modèle|mô hình|نموذج"
    r"|bruger|bruker|användare|uživatel|kullanıcı|pengguna|käyttäj|felhasználó|utilizator|χρήστη|משתמש|उपयोगकर्ता"
    r"|soubor|dosya|billede|bilde|tiedosto|fájl|fișier"
)
_STORES = (
    r"tables?|relations?|collections?|schemas?|columns?|procedures?|functions?|methods?|class(?:es)?|beans?|modules?"
    r"|buckets?|namespaces?|indexe?s?|topics?|streams?|exchanges?"
)
_MACHINES = (
    r"service|worker|handler|scheduler|backend|runner|controller|server|repository|executor|processor|consumer|dispatcher"
    r"|servicio|serviço|servidor|serveur|dienst|tabelle|tabla|tabela|сервис|сервер|очеред|таблиц|обработчик|служб"
    r"|服务|服務|队列|隊列|节点|節點|数据表|数据库|集合|处理器|处理程序|调度|后端|执行器|サービス|サーバ|キュー|テーブル|ワーカー|ノード"
    r"|서비스|서버|큐|테이블|워커|노드"
)
_MACHINERY = (
    r"(?<!\bin )(?<!\bon )(?<!\bby )(?<!\bthis )(?<!\bthe )"
    rf"(?:{_MACHINES}|(?:(?<![a-z])|(?<=task)|(?<=job))(?:{_STORES}|nodes?|databases?|db|apis?|pods?|hosts?|clusters?)(?![a-z]))"
)
"""What works on tasks, or holds them. ``the task does not exist on this server`` is about the task."""
_ANOTHER_THING = rf"{_THINGS}|{_MACHINERY}|\bkey\b|fail|error|échou|fallid|falh|fehl|失败|ошибк"
_GAP = rf"(?:(?!{_ANOTHER_THING})[^.!?。！？])"
"""Between a task and its absence, without anything else that may be absent."""
_NEGATED = (
    rf"\b(?:no|não|nao|non|nicht|niet|pas|не)\b{_GAP}{{0,20}}?"
    r"(?:encontr|exist|localiz|trouv|trovat|esist|gefunden|vorhanden|gevonden|bestaa|найден|существ|обнаруж|знайден|існу)"
)
"""A negation, and the stem of *found* or *exist* after it."""
_ABSENT = (
    r"(?:not[ _-]?(?:be[ _-])?(?:found|exist)|do(?:es)?[ _-]?n['’o]?t[ _-]?exist"
    r"|no longer (?:exist|available)|not[ _-]belong"
    r"|(?:has |have |was |were |is |been |already )+(?:expired and (?:been )?)?(?:deleted|removed|purged)"
    r"|不存在|未找到|没有找到|沒有找到|找不到|已(?:经|經)?被?(?:删除|刪除|移除|清理)"
    r"|存在しません|見つかりません|見つかりませんでした|없습니다|존재하지|삭제"
    rf"|{_NEGATED}|existe pas|existiert nicht|bestaat niet|introuvable|(?:in|non[ -]?)(?:existente?|existant|esistente)"
    r"|tidak ditemukan|tidak ada|bulunamadı|mevcut değil|không tồn tại|không tìm thấy"
    r"|nie istnieje|nie znalezion|neexistuje|nenalezen|отсутству"
    r"|غير موجود|لم يتم العثور|لا توجد|لا يوجد|ไม่พบ"
    r"|\byok\b|nebyl[aoy]? nalezen|hitta(?:de)?s inte|finns inte|inte hittas?"
    r"|(?:ikke|ikkje) (?:fundet|funnet|funne)"
    r"|findes ikke|finnes ikke|eksisterer ikke|नहीं मिल|मौजूद नहीं|tidak dijumpai|tidak wujud|ei löy[td]|nem található"
    r"|nu a fost găsit|nu există|δεν βρέθηκε|δεν υπάρχει|לא נמצא)"
)
_LIKE_THE_ID = r"(?: (?:this|that|the|such|your|given|specified|requested|provided|an?|matching|task|job|generation))*"
_OF_FRAMEWORKS = (
    rf"\bno {_LATIN_TASK} matches the given query|\bno query results for model \[?(?:\w+\\)*{_LATIN_TASK}(?![a-z])"
    rf"|\bno (?:such )?{_LATIN_TASK} (?:with|for|by|has|under){_LIKE_THE_ID} (?:uu)?id\b"
    rf"|{_LATIN_TASK} with (?:the )?id [\w'\"-]+ is missing"
    r"|(?:タスク|ジョブ|動画)(?:id|データ|情報|記録)?(?:は|が|も)(?:あり|ござい)ません"
)
_IS_INVALID = (
    r"(?:[ _-]?ids?[ _-]?(?:is |was |が|是)?(?:not recogni[sz]ed|unrecogni[sz]ed|invalid|not valid|wrong|incorrect"
    r"|无效|無效|無効|错误|錯誤|有误|不正确|不正確|非法|不合法)"
    r"|[ _-]?(?:is )?(?:unknown|无效|無效|無効)$)"
)
_OTHER_WORDS_FIRST = (
    rf"(?:no se {_GAP}{{0,12}}?encontr\w*|no existe|não {_GAP}{{0,16}}?encontr\w*|nie znalezion\w*|không tìm thấy|ไม่พบ"
    r"|존재하지 않는|찾을 수 없는|없는|存在しない|見つからない|найти|(?:не найден|не знайден)\w*|introuvable"
    r"|لم يتم العثور على"
    r"|\b(?:keine?[rmn]?|aucune?|ningun[ao]?|nessun[ao]?|nenhuma?|geen|brak)\b)"
)
_NONE_IN_CHINESE = (
    r"(?:找不到|未找到|未能找到|没有找到|沒有找到|没有|沒有|无此|無此|查无|查無|未查询到|未查詢到|查询不到|查詢不到|查不到"
    r"|不存在的|无效的?|無效的?)"
)
_NO_SUCH = (
    r"(?:no such|unknown|unrecogni[sz]ed|invalid|non-?existent|not found:?"
    r"|(?:can ?not|can't|could not|couldn't|unable to) find)"
    r"(?:[ _-]|\b(?:the|a|an|any|this|that|your|specified|given|requested|corresponding|matching|luma|video)\b)*"
    r"(?:[a-z]\w*[.]){0,8}"
)
_GOES_ON = r"(?=[ _-](?:(?:with|for|in|or|was|is|does|by|named|please)\b|\w*[0-9]))"
_NO_FURTHER_NOUN = rf"(?:[ _-]?(?:id|uuid)s?\b)?(?:(?![ _-]?[a-z])|{_GOES_ON})"
"""``unknown task type`` is about the type."""
_NOT_FOUND = re.compile(
    rf"{_TASK}{_GAP}{{0,80}}?{_ABSENT}"
    r"|\b(?:request|id)s?(?: id)?(?: was| is)? (?:not found|unknown)\b"
    rf"|{_TASK}{_IS_INVALID}|{_OF_FRAMEWORKS}"
    rf"|{_NO_SUCH}{_LATIN_TASK}{_NO_FURTHER_NOUN}"
    rf"|\bno {_GAP}{{0,12}}{_LATIN_TASK}{_GAP}{{0,12}}\b(?:found|exists?)\b"
    rf"|{_OTHER_WORDS_FIRST}{_GAP}{{0,12}}{_TASK}(?!\w{{0,4}}[ _-]?(?:{_MACHINERY}|{_THINGS}))"
    rf"|{_NONE_IN_CHINESE}{_GAP}{{0,8}}?{_EAST_ASIAN_TASK}(?:id|编号|信息|记录|号)?(?!\w)"
)
_NOTHING_ELSE = re.compile(
    r"(?:the )?(?:requested )?(?:resource |entity |object |item )?(?:was |is |could )?not[ _]?(?:be )?found"
    r"|不存在|does not exist|key (?:does not|doesn['’]t) exist|key not found"
)
_NOT_STORED = re.compile(
    r"\bredis: ?nil\b|\bnil returned\b"
    r"|\bno rows?(?: was| were)?(?: found(?: when one was required)?| in result(?: ?set)?)\b"
    r"|\bno documents? in result\b"
    r"|\b(?:redis|memcached?|cache|etcd|leveldb|rocksdb|badger|dynamodb|kv)\b[\w :'\"]{0,60}?"
    r"\b(?:(?:not|n[o']t be) found|(?:does not|doesn['’]t) exist)"
    r"|(?:^|\b(?:task|job|generation|record)[ _-])key [\w:'\"-]{0,80} ?(?:not found|(?:does not|doesn['’]t) exist)"
)
"""What a storage says of a record that it does not have; of which one, only the words around tell."""
_ANOTHER_RECORD = re.compile(rf"{_THINGS}|secret|(?:api|access|private|public)[ _-]?key|\bsk-")
_NEUTRAL = re.compile(
    r"(?:err(?:or)?|fail(?:ed|ure)?|to|from|in|of|the|on|with|for|while|when|rpc|code|desc|errnil|active|internal|server"
    r"|db|database|storage|sql|pgx|mongo|gorm|redis|redigo|cache|query|get|fetch|find|load|read|scan|lookup|select"
    r"|unknown|luma|no|this|that|your|such|any|requested|specified|given|matching|corresponding"
    r"|查询|获取|该|此|[\s\d_!-/:-@])*"
)
"""Words that name nothing that may be absent."""
_AUXILIARY = r"(?:[ _-](?:has|have|had|is|was|been|already|probably|now|or))*"
_EXPIRED = re.compile(
    r"(?<!/)(?:task|generation|job|creation|prediction)s?(?:[ _-]?(?:with|id|uuid|record|data|info|entry)\b)*"
    rf"(?:[ :#`'\"(]+[\w.-]*\d[\w.-]*[`'\")]*)?{_AUXILIARY}[ _-]?expired\b(?![ _-]?(?:token|key|link|sign))"
    r"|(?:任务|任務|作业|作業)(?:id|记录|記錄|信息|数据|的)*(?:已|经|經)*(?:过期|過期|失效)|(?:タスク|ジョブ).{0,6}期限(?:が)?切れ"
    rf"|(?:tarea|tarefa|trabajo|trabalho|tâche|aufgabe|auftrag|taak|attività|задач|задани){_GAP}{{0,20}}?"
    r"(?:expirad|expirou|expirée?|caduc|abgelaufen|verlopen|scadut|исте[кч]|истёк)"
)
_RECORD = re.compile(r"(?:record|记录|記錄|requests?|ids?)\b|记录|記錄")
_OF = (
    r"(?:for|of|in|de|del|da|do|das|dos|du|des|para|pour|für|von|van|voor|per|di|для)"
    r"(?: (?:the|this|that|your|a|la|las|los|el|les|die|den|der|das|diese[nr]?|esta|cette|il|de))?"
)
_OF_IT = re.compile(
    rf"(?:{_ANOTHER_THING}|{_STORES}|{_MACHINES}|secret|queue)\w* {_OF} [\"'`\[]?$"
    rf"|\b(?:{_STORES}|models?)[ :]+(?:named |called )?[\"'`\[“][a-z0-9_.:\\/-]*$|\b(?:{_STORES}|models?) [a-z0-9_.-]*$"
    rf"|(?:{_MACHINES}|database|queue|node)\w* (?:named |called )?[\"'`\[“][a-z0-9_.:\\/-]*$"
    r"|\bno ?such ?(?!task|job|generation)[a-z]+: [a-z0-9_.-]*$"
    r"|(?:сервер|сервис|очеред|таблиц|модел|обработчик|служб)\w* $"
    r"|(?:模型|数据表|集合|队列|函数|字段|渠道)[ \"'“「]+[a-z0-9_.-]*$"
)
"""What else may be absent, before the task that it belongs to or is named after."""
_NOT_YET = re.compile(
    r"\b(?:not|n['’]t)\b(?: been| be)? (?:found|ready|available|exist|complete|finish|done|generat|process|start)\w*"
    r"(?: [\w']+){0,3} yet\b|\bnot yet (?:been )?(?:found|ready|available|exist|complete|finish|done|generat|process)"
    r"|\bstill (?:being |in )?(?:process|running|generat|render|queue|progress|pending)"
    r"|(?:还未|尚未|还没有?|還沒有?)(?:完成|生成|准备|处理|就绪)|(?:还在|仍在|正在)(?:处理|生成|排队|运行)|まだ(?:完了|生成|準備|処理)"
    r"|noch nicht (?:fertig|bereit|gefunden|verfügbar)|(?:ещё|еще) не (?:готов|найден|заверш)"
    r"|pas encore (?:prête?|trouv|dispon|termin)"
    r"|(?:aún|todavía) no (?:está|existe|se)|ainda não (?:está|existe|foi)|아직 (?:완료|준비|생성|처리)"
)


def first_of(words: list[str]) -> list[str]:
    """Return the first of *words*, cut to the length of a wording, until they are long enough together."""
    first: list[str] = []
    left = _LONGEST_READ
    for word in words:
        if left <= 0:
            break
        first.append(word[:_LONGEST_WORDING])
        left -= len(first[-1]) + 1
    return first


def says_no_such_task(word: str) -> bool:
    """Whether a complaint's text says that there is no such task."""
    plain = _wording(word)
    if _NOT_YET.search(plain) is not None:
        return False
    spellings = (plain, re.sub("[_-]", "", plain))
    found = (
        (spelling[: match.start()], match[0])
        for spelling in spellings
        for pattern in (_NOT_FOUND, _EXPIRED)
        for match in pattern.finditer(spelling)
    )
    if not all(ends_in_another_thing(before) or _is_another_record(before, said) for before, said in found):
        return True
    return _lacks_a_record(plain) and re.search(_TASK, plain) is not None


def says_not_yet(word: str) -> bool:
    """Whether a complaint's text says that a task is still in the making, or not to be found yet."""
    plain = _wording(word)
    return _NOT_YET.search(plain) is not None and re.search(_TASK, plain) is not None


def _is_another_record(before: str, said: str) -> bool:
    """Whether what is *said* of a record, or of an id, is about another thing, which the text *before* names."""
    if _RECORD.match(said) is None:
        return False
    of_a_task = re.search(rf"{_TASK}.*[:：,，] ?", before) is not None and _ANOTHER_RECORD.search(before) is None
    return not of_a_task and _NEUTRAL.fullmatch(before) is None


def _lacks_a_record(plain: str) -> bool:
    """Whether a storage says that it does not have a record, and nothing names another thing than a task."""
    return _NOT_STORED.search(plain) is not None and _ANOTHER_RECORD.search(plain) is None


def ends_in_another_thing(before: str) -> bool:
    """Whether the text *before* a task names something of this task, such as its channel, which is absent instead."""
    return _OF_IT.search(before) is not None


def says_nothing_but_not_found(word: str) -> bool:
    """Whether a complaint's text does not say what is not found."""
    plain = _wording(word)
    if _NOTHING_ELSE.fullmatch(plain) is not None:
        return True
    return _lacks_a_record(plain) and _NEUTRAL.fullmatch(_NOT_STORED.sub("", plain)) is not None


def _wording(text: str) -> str:
    return text[:_LONGEST_WORDING].casefold().strip(" .!。！")
