"""How the recorded releases of the plugin differ."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Version:
    """How a release differs: a key that is absent from ``reply`` or ``usage`` is not sent."""

    php_session: str | None  # a PHP session is opened where this is in the request's path
    reply: frozenset[str]
    usage: tuple[str, ...]
    params: str
    system: str
    plugin_url: str = "/wp-content/plugins/ai-engine"
    theme_css: bool = True
    session: bool = True  # start_session exists, and with it the cookie
    session_by_query: bool = True
    default_bot: bool = True  # it answers for an unknown one
    in_bytes: bool = False  # the unit of textInputMaxLength
    notices: bool = True
    instead: tuple[str, ...] = ("newFileId", "newFileIds", "shortcutId")  # of newMessage


_REPLY_2_4 = frozenset(("success", "reply", "images", "usage"))
_REPLY = _REPLY_2_4 | {"actions", "shortcuts", "blocks", "responseId", "new_token"}
_TOKENS = ("prompt_tokens", "completion_tokens", "total_tokens")
_COMMON_PARAMS = (
    '{"aiName":"AI: ","userName":"User: ","guestName":"Guest: ","textSend":"Send","textClear":"Clear",%s'
    '"textInputPlaceholder":"Type your message...","textInputMaxLength":512,"textCompliance":"",'
    '"startSentence":"Hi! How can I help you?","localMemory":true,"themeId":"chatgpt","window":false,"icon":"",'
    '"iconText":"","iconTextDelay":1,"iconAlt":"AI Engine Chatbot","iconPosition":"bottom-right",%s"iconBubble":false,'
    '%s"fullscreen":false,"copyButton":false%s}'
)
_PARAMS = _COMMON_PARAMS % (
    '"imageUpload":false,"fileUpload":false,"multiUpload":false,"maxUploads":1,"fileUploads":0,"mode":"chat",',
    '"centerOpen":false,"width":"","openDelay":"",',
    '"windowAnimation":"zoom",',
    ',"pdfButton":false,"headerSubtitle":"Discuss with","containerType":"standard","headerType":"standard",'
    '"messagesType":"standard","inputType":"standard","footerType":"standard"',
)
_SYSTEM = (
    '{"stream":true,"debugMode":false,"eventLogs":false,"speech_recognition":false,"speech_synthesis":false,'
    '"typewriter":false,%s"actions":[],"blocks":[],"shortcuts":[]}'
)
# No page of 2.8.9 was recorded: its widget is that of 3.6.2 without what came later (protocol section 3.2).
VERSIONS = {
    "3.6.2": Version(
        "/mwai/v1/", _REPLY, (*_TOKENS, "price", "queries", "accuracy"), _PARAMS, _SYSTEM % '"crossSite":false,'
    ),
    "2.8.9": Version(
        "",
        _REPLY,
        (*_TOKENS, "price", "queries"),
        _PARAMS,
        _SYSTEM % "",
        session_by_query=False,
        default_bot=False,
        instead=("newFileId",),
    ),
    "2.4.3": Version(
        None,
        _REPLY_2_4,
        _TOKENS,
        _COMMON_PARAMS % ("", "", "", ""),
        '{"debugMode":true,"typewriter":false,"speech_recognition":false,"speech_synthesis":false,"stream":true}',
        plugin_url="/wp-content/plugins/ai-engine/",
        theme_css=False,
        session=False,
        default_bot=False,
        in_bytes=True,
        notices=False,
        instead=("newFileId",),
    ),
}
