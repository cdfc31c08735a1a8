"""The steps ``rest`` and ``plugin``: the REST API, and the release of AI Engine."""

from __future__ import annotations

import re

from .fetch import README, Unreachable, next_hop, origin, shown
from .findings import Finding, Fix
from .releases import Evidence, Release, features, find_release, readme_release
from .site import Root, Site


async def check_rest(site: Site) -> Finding:
    """Find the REST API, its form, and whether it is open to guests."""
    root = await site.find_root()
    chats_are_open = False
    if root.state == "closed":
        chats_are_open = (await site.sessions())[0].status == 200
    return read_rest(root, chats_are_open=chats_are_open)


def read_rest(root: Root, *, chats_are_open: bool = False) -> Finding:
    """Return the finding for a REST API. ``chats_are_open`` is about a closed one whose chats are still open."""
    form = "plain permalinks" if root.is_plain else "pretty permalinks"
    data = {"root": root.url, "form": "plain" if root.is_plain else "pretty", "state": root.state}
    where = f"the REST API is at {root.url} ({form})"
    status = root.answer.status if root.answer else 0
    code = root.answer.code if root.answer else ""
    if root.named is not None and root.named.failure:
        seen = f"{where}, but the page names {root.named.url}, which cannot be reached: {root.named.failure}"
        return Finding("rest", "problem", seen, _MOVED, data=data)
    if root.named is not None and root.named.answer is not None:
        status, other = root.named.answer.status, root.named.url
        if next_hop(root.named.answer):
            seen = f"{where}, but the page names {other}, which redirects: HTTP {status}"
            return Finding("rest", "problem", seen, _MOVED, data=data)
        seen = f"{where}, but the page names {other}, where there is none: HTTP {status}"
        return Finding("rest", "problem", seen, _RULES, _REWRITE, data)
    if root.state == "open":
        return Finding("rest", "ok", where, data=data)
    if root.state == "hidden":
        return Finding("rest", "ok", f"{where}; its index is hidden", data=data)
    if root.state == "closed" and chats_are_open:
        return Finding("rest", "ok", f"{where}; it is closed to guests, but not for chats", data=data)
    if root.state == "closed":
        return Finding("rest", "problem", f"{where}, and refuses guests: HTTP {status} {code}", _OPEN, data=data)
    if root.state == "blocked":
        seen = f"another server answers {shown(root.url)} with HTTP {status}; see the step front"
        return Finding("rest", "unknown", seen, data=data)
    if root.failure:
        seen = f"the page names {root.url} as its REST API, which cannot be reached: {root.failure}"
        return Finding("rest", "problem", seen, _MOVED, data=data)
    return Finding(
        "rest", "problem", f"there is no REST API: HTTP {status} from {shown(root.url)}", _MISSING, data=data
    )


_TRY = "try_files $uri $uri/ /index.php?$args;"
_OPEN = (
    "Look for the security plugin that closes the REST API, and allow /mwai/v1/start_session and all of /mwai-ui/v1/ "
    "there. Visitors of the chat are guests."
)
_MISSING = "Check that the address is a WordPress site, and the one of its home page or of a page."
_MOVED = (
    "The chat window sends its questions to the named address, and a redirect loses them. Set both addresses in "
    "Settings, General of WordPress to the one to which the redirect leads."
)
_RULES = (
    "The chat window uses the address that the page names. Save Settings, Permalinks in WordPress once: for Apache "
    "that writes the rules for it into .htaccess again. Then look into the configuration of the web server:"
)
_REWRITE = (
    Fix("nginx", "WordPress does not write its rules", ("location / {", f"    {_TRY}", "}")),
    Fix("Apache", "it reads .htaccess only if its configuration allows that", ("AllowOverride All",)),
)


async def check_plugin(site: Site) -> Finding:
    """Find AI Engine, and its release as far as it shows."""
    root = await site.root()
    sessions = await site.sessions()
    page = await site.page()
    home = (await site.visit())[-1]
    plugin = plugin_address(home.text)
    folder = plugin or _site_address(root.url) + "/wp-content/plugins/ai-engine"
    stated = await _stated_release(site, folder + README, home.url)
    evidence = Evidence(home.text, await site.routes(), sessions[0], stated, bool(page.bots))
    return read_plugin(root, find_release(evidence), evidence)


async def _stated_release(site: Site, readme: str, page: str) -> str:
    """Return the release in the readme file, or ``""``. A network for files that does not answer is no problem."""
    try:
        return readme_release((await site.fetcher.get(readme)).text)
    except Unreachable:
        if origin(readme) == origin(page):
            raise
        return ""


def read_plugin(root: Root, release: Release, evidence: Evidence) -> Finding:
    """Return the finding for the plugin."""
    data: dict[str, object] = {
        "release": release.exact,
        "at_least": release.least,
        "at_most": release.most,
        "installed": release.installed,
    }
    is_listed = any(name.startswith("mwai") for name in root.namespaces)
    has_chats = "mwai-ui/v1" in root.namespaces or bool(evidence.routes)
    if root.state == "closed" and not evidence.shows_plugin:
        return Finding("plugin", "unknown", "the REST API is closed, and the page shows no bot", _OPEN, data=data)
    if not is_listed and (root.state == "open" or not evidence.shows_plugin):
        return Finding("plugin", "problem", "the REST API has no route of AI Engine", _ACTIVATE, data=data)
    if root.state == "open" and not has_chats:
        return Finding("plugin", "problem", "AI Engine is active, but its chatbots are off", _CHATBOTS, data=data)
    able, unable = features(release)
    data = {**data, "features": able, "missing_features": unable}
    without = f", without {', '.join(unable)}" if unable else ""
    seen = f"AI Engine, {release.words()}{without}"
    if release.is_between((2, 9, 0), (2, 9, 1)):
        return Finding("plugin", "problem", f"{seen}: guests get no nonce, and cannot chat", _UPDATE, data=data)
    if release.most and release.most_number < (2, 0, 1):
        return Finding("plugin", "problem", f"{seen}: guests cannot chat, and this program does not know it", _UPDATE)
    return Finding("plugin", "ok", seen, data=data)


_ACTIVATE = "Activate AI Engine. If it is active, look for a plugin that removes routes of the REST API."
_CHATBOTS = "Turn on Chatbots in the settings of AI Engine."
_UPDATE = "Update AI Engine."


def plugin_address(page: str) -> str:
    """Return the address of the plugin's folder that a page names, or ``""``."""
    match = re.search(r"(https?:(?:\\?/){2}[^\s\"'<>&]+?/plugins\\?/ai-engine(?:-pro)?)(?![\w-])", page)
    return match[1].replace("\\/", "/") if match else ""


def _site_address(root: str) -> str:
    return root.partition("/wp-json")[0].partition("/index.php")[0].partition("/?")[0]
