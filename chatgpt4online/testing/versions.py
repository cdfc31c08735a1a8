"""The differences between the recorded releases of the plugin."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Version:
    """The behaviour of one release. Keys that are not in ``reply`` or ``usage`` are not sent."""

    number: tuple[int, int, int]
    php_session: str | None  # requests whose path contains this text open a PHP session; "" means the whole REST API
    reply: frozenset[str]
    usage: tuple[str, ...]
    params: str
    upload_params: bool  # whether a widget has them even if they have the usual values
    system: str
    plugin_url: str = "/wp-content/plugins/ai-engine"
    theme_css: bool = True
    instead: tuple[str, ...] = ("newFileId",)  # fields that may replace newMessage

    @property
    def session(self) -> bool:
        """Whether start_session and its cookie exist."""
        return self.number >= (2, 4, 4)

    @property
    def session_everywhere(self) -> bool:
        """Whether start_session exists at every address of the REST API (protocol section 1.1)."""
        return self.number >= (3, 3, 0)

    @property
    def default_bot(self) -> bool:
        """Whether the default bot answers for an unknown one."""
        return self.number >= (3, 0, 3)

    @property
    def in_bytes(self) -> bool:
        """Whether textInputMaxLength is in bytes."""
        return self.number < (2, 4, 9)

    @property
    def notices(self) -> bool:
        """Whether ``live`` events with a subtype exist."""
        return self.number >= (2, 8, 3)

    @property
    def secret_shortcuts(self) -> bool:
        """Whether shortcuts have ids in place of their text."""
        return self.number >= (3, 3, 3)

    @property
    def owned_files(self) -> bool:
        """Whether files have owners, and are deleted by the ids of their upload."""
        return self.number >= (2, 9, 6)


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
# No page of 2.8.9 was recorded. Its widget here is that of 3.6.2 without later fields (protocol section 3.2).
VERSIONS = {
    "3.6.2": Version(
        (3, 6, 2),
        "/mwai/v1/",
        _REPLY,
        (*_TOKENS, "price", "queries", "accuracy"),
        _PARAMS,
        True,
        _SYSTEM % '"crossSite":false,',
        instead=("newFileId", "newFileIds", "shortcutId"),
    ),
    "2.8.9": Version((2, 8, 9), "", _REPLY, (*_TOKENS, "price", "queries"), _PARAMS, True, _SYSTEM % ""),
    "2.4.3": Version(
        (2, 4, 3),
        None,
        _REPLY_2_4,
        _TOKENS,
        _COMMON_PARAMS % ("", "", "", ""),
        False,
        '{"debugMode":true,"typewriter":false,"speech_recognition":false,"speech_synthesis":false,"stream":true}',
        plugin_url="/wp-content/plugins/ai-engine/",
        theme_css=False,
    ),
}
