"""The behaviour of the plugin that is not the same for every version of it."""

from __future__ import annotations

from dataclasses import dataclass

_PARAMS = (
    '{"aiName":"AI: ","userName":"User: ","guestName":"Guest: ","textSend":"Send","textClear":"Clear",'
    '"imageUpload":false,"fileUpload":false,"multiUpload":false,"maxUploads":1,"fileUploads":0,"mode":"chat",'
    '"textInputPlaceholder":"Type your message...","textInputMaxLength":512,"textCompliance":"",'
    '"startSentence":"Hi! How can I help you?","localMemory":true,"themeId":"chatgpt","window":false,"icon":"",'
    '"iconText":"","iconTextDelay":1,"iconAlt":"AI Engine Chatbot","iconPosition":"bottom-right",'
    '"centerOpen":false,"width":"","openDelay":"","iconBubble":false,"windowAnimation":"zoom","fullscreen":false,'
    '"copyButton":false,"pdfButton":false,"headerSubtitle":"Discuss with","containerType":"standard",'
    '"headerType":"standard","messagesType":"standard","inputType":"standard","footerType":"standard"}'
)
_SYSTEM = (
    '{"stream":true,"debugMode":false,"eventLogs":false,"speech_recognition":false,"speech_synthesis":false,'
    '"typewriter":false,"crossSite":false,"actions":[],"blocks":[],"shortcuts":[]}'
)


@dataclass(frozen=True, slots=True)
class Version:
    """The behaviour of one version of the plugin. The defaults are those of the version that ``serve_site`` emulates.

    Keys that are not in ``reply`` or ``usage`` are not sent. ``params`` and ``system`` are JSON in a page. ``instead``
    are the fields that may replace ``newMessage`` in a question.
    """

    php_session: str | None = "/mwai/v1/"  # requests whose path contains this text open a PHP session; "" means any
    session: bool = True  # whether start_session and its cookie exist
    default_bot: bool = True  # whether the default bot answers for an unknown one
    in_bytes: bool = False  # whether textInputMaxLength is in bytes
    notices: bool = True  # whether live events with a subtype exist
    secret_shortcuts: bool = True  # whether shortcuts have ids in place of their text
    instead: tuple[str, ...] = ("newFileId", "newFileIds", "shortcutId")
    reply: frozenset[str] = frozenset(
        ("success", "reply", "images", "actions", "shortcuts", "blocks", "usage", "responseId", "new_token")
    )
    usage: tuple[str, ...] = ("prompt_tokens", "completion_tokens", "total_tokens", "price", "queries", "accuracy")
    params: str = _PARAMS
    system: str = _SYSTEM
    guest_session: str | None = None  # the session id in a guest's page
    plugin_url: str = "/wp-content/plugins/ai-engine"
    theme_css: bool = True  # whether the theme has an address


VERSION = Version()
