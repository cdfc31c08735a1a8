"""Recognise the firewalls and bot checks that answer in place of a site.

One table has a row for each sign of a product. A row matches when everything in it matches. Most of these products add
headers and scripts to good answers too. So a row has only signs of a block: a header that is sent with a block only,
the title of the block page, or a phrase together with the status of a refusal. Source: protocol section 4.3, and the
``source`` of each row.
"""

from __future__ import annotations

import re
from collections.abc import Collection, Mapping
from typing import NamedTuple

UNNAMED = "a firewall or bot check"
"""What :func:`find_block` returns for a block page that names no product."""

_SEARCHED = 65_536  # characters of a page that are searched; block pages are smaller
_TITLE = re.compile(r"<title[^<>]*>([^<]*)<")
_TITLE_ALONE = re.compile(
    r"(?:just a moment|one moment,? please|attention required|access denied|checking your browser(?: before accessing)?"
    r"|security check(?: required)?|ddos protection|bot verification|you have been blocked|blocked|captcha"
    r"|human verification|verify(?:ing)? (?:that )?you are (?:not a robot|human)|robot challenge screen)[\s.!…]*"
)

_ANY = range(1000)
_REFUSED = (401, 403, 405, 406, 409, 415, 418, 429, 503)  # the statuses that these products send with a block

# The sources of rows that no document of the vendor confirms.
_WAFW00F = "wafw00f 2.4.2, signatures (public list)"
_IS_ANTIBOT = "is-antibot, providers.json (public list)"
_GENERAL = "general knowledge, not checked"


class _Row(NamedTuple):
    """One way to recognise a product. All texts are in lower case.

    ``headers`` has the names of headers, each with a text that its value contains (``""`` for any value). ``title`` is
    the beginning of the page's title, and ``page`` has texts that the page contains. Both are compared in HTML only.
    ``start`` is the beginning of a body of any type.
    """

    product: str
    source: str
    headers: Mapping[str, str] = {}
    title: str = ""
    page: tuple[str, ...] = ()
    start: str = ""
    statuses: Collection[int] = _ANY


# fmt: off
_ROWS: tuple[_Row, ...] = (
    # Hosts
    _Row("SiteGround", "WooCommerce issue 52896 (answer as received)", {"sg-captcha": "challenge"}),
    _Row("SiteGround", "WooCommerce issue 52896 (answer as received)",
         page=('<meta http-equiv="refresh"', 'content="0;/.well-known/sgcaptcha/')),
    _Row("SiteGround", _GENERAL, {"location": "/.well-known/sgcaptcha/"}),
    _Row("SiteGround", _GENERAL, page=('<meta http-equiv="refresh"', 'content="0;/.well-known/captcha/')),
    _Row("SiteGround", _GENERAL, {"location": "/.well-known/captcha/"}),
    _Row("SiteGround", _WAFW00F, page=("our system thinks you might be a robot!",), statuses=_REFUSED),
    _Row("SiteGround", _WAFW00F, page=("access is restricted due to a security rule",), statuses=_REFUSED),
    _Row("Hostinger hCDN", "is-antibot pull request 79", page=("/hcdn-cgi/jschallenge", "<script"),
         title="checking your browser"),
    _Row("the host's JavaScript check", _GENERAL,  # iFastNet: InfinityFree, ByetHost and others
         page=('src="/aes.js"', "slowaes.decrypt(", "__test=")),
    _Row("WPMU DEV", _WAFW00F, page=("<h1>whoops, this request has been blocked!",), statuses=_REFUSED),
    # Networks
    _Row("Cloudflare", "developers.cloudflare.com, Detect a Challenge Page response", {"cf-mitigated": ""}),
    _Row("Cloudflare", _GENERAL, title="just a moment...", page=("/cdn-cgi/challenge-platform/",)),
    _Row("Cloudflare", _GENERAL, page=("window._cf_chl_opt",), statuses=_REFUSED),
    _Row("Cloudflare", _GENERAL, title="attention required! | cloudflare"),
    # Cloudflare's error 1015 has the status 429, because it is a rate limit and not a block.
    _Row("Cloudflare", _GENERAL, title="access denied | ", page=("used cloudflare to restrict access",),
         statuses=(403,)),
    *(_Row("Cloudflare", "developers.cloudflare.com, Cloudflare 1xxx errors", {"server": "cloudflare"},
           start=f"error code: {code}", statuses=(403,)) for code in (*range(1005, 1013), 1020, 1106)),
    _Row("Sucuri", _WAFW00F, {"x-sucuri-block": ""}),
    _Row("Sucuri", _WAFW00F, title="sucuri website firewall"),
    _Row("Sucuri", _WAFW00F, title="access denied - sucuri website firewall"),
    _Row("Sucuri", _GENERAL, title="you are being redirected...", page=("sucuri_cloudproxy_js",)),
    _Row("Sucuri", _WAFW00F, page=("cdn.sucuri.net/sucuri-firewall-block.css",), statuses=_REFUSED),
    _Row("GoDaddy", _WAFW00F, title="godaddy website firewall"),
    _Row("GoDaddy", _WAFW00F, title="godaddy security"),
    _Row("Imperva", _WAFW00F, page=("request unsuccessful. incapsula incident id", "/_incapsula_resource")),
    _Row("Imperva", _GENERAL, page=('<iframe id="main-iframe" src="/_incapsula_resource',)),
    _Row("Imperva", _GENERAL, {"x-iinfo": ""}, page=("/_incapsula_resource", "noindex"), statuses=_REFUSED),
    _Row("Imperva", _GENERAL, start="request unsuccessful. incapsula incident id"),
    _Row("Imperva", _WAFW00F, title="error", page=("this page can't be displayed", "the incident id is"),
         statuses=_REFUSED),
    _Row("Akamai", _GENERAL, title="access denied", page=("errors.edgesuite.net",)),
    _Row("Akamai", _GENERAL, {"server": "akamaighost"}, title="access denied", page=("reference",)),
    _Row("Fastly", _GENERAL, {"x-served-by": "cache-"}, title="406 not acceptable", statuses=(406,)),
    _Row("Fastly", "fastly.com, How client challenges work", {"set-cookie": "_fs_ch_st_"}, statuses=_REFUSED),
    _Row("Vercel", _IS_ANTIBOT, {"x-vercel-mitigated": ""}),
    _Row("Vercel", _WAFW00F, title="vercel security checkpoint"),
    _Row("StackPath", _WAFW00F, title="stackpath"),
    _Row("StackPath", _WAFW00F,
         page=("is using a security service for protection against online attacks",
               "an action has triggered the service and blocked your request")),
    _Row("DDoS-Guard", _GENERAL, title="ddos-guard"),
    _Row("DDoS-Guard", _GENERAL, page=("/.well-known/ddos-guard/",), statuses=_REFUSED),
    # Clouds
    _Row("AWS WAF", "docs.aws.amazon.com, CAPTCHA and Challenge action behavior", {"x-amzn-waf-action": ""}),
    _Row("AWS WAF", _WAFW00F, {"x-blocked-by-waf": ""}),
    _Row("Amazon CloudFront", _WAFW00F, {"x-cache": "error from cloudfront"}, page=("request blocked.",),
         statuses=(403,)),
    _Row("Amazon CloudFront", _WAFW00F, title="error: the request could not be satisfied", page=("request blocked.",),
         statuses=(403,)),
    _Row("Azure Front Door", _GENERAL, {"x-azure-ref": ""}, page=("the request is blocked.",), statuses=(403,)),
    _Row("Azure Front Door", _GENERAL, {"x-azure-ref": ""}, start="the request is blocked.", statuses=(403,)),
    _Row("Azure Application Gateway", _WAFW00F, title="403 forbidden", page=("microsoft-azure-application-gateway",)),
    _Row("Google Cloud Armor", _GENERAL, {"via": "1.1 google"}, title="403", page=("403 forbidden",), statuses=(403,)),
    _Row("Google Cloud Armor", _GENERAL, {"via": "1.1 google"}, start="403 forbidden", statuses=(403,)),
    _Row("Alibaba Cloud", _WAFW00F, page=("errors.aliyun.com",), statuses=(403, 405)),
    _Row("Tencent Cloud", _WAFW00F, page=("waf.tencent-cloud.com/",), statuses=(403, 501)),
    # Bot checks
    _Row("DataDome", _IS_ANTIBOT, {"x-dd-b": ""}, statuses=(401, 403)),
    _Row("DataDome", "docs.datadome.co, Validate request", {"x-datadome": ""}, page=("captcha-delivery.com",),
         statuses=(401, 403)),
    _Row("DataDome", _GENERAL, start='{"url":"https://geo.captcha-delivery.com/', statuses=(401, 403)),
    _Row("HUMAN", _WAFW00F, page=("px-captcha",), statuses=(403, 429)),
    _Row("HUMAN", _GENERAL, title="access to this page has been denied"),
    _Row("HUMAN", _GENERAL, start='{"appid":"px', statuses=(403, 429)),
    _Row("Reblaze", _WAFW00F, page=("access denied (", "current session has been terminated"), statuses=_REFUSED),
    _Row("Anubis", _WAFW00F, page=('<script id="anubis_challenge"',)),
    _Row("Radware", _WAFW00F, title="unauthorized request blocked"),
    _Row("Radware", _WAFW00F, page=("cloudwebsec.radware.com",), statuses=_REFUSED),
    _Row("Radware", _GENERAL, {"location": "//validate.perfdrive.com/"}),
    # Software of the server
    _Row("Imunify360", _GENERAL, title="one moment, please", page=("wsidchk",)),
    _Row("Imunify360", _WAFW00F, title="imunify360"),
    _Row("Imunify360", _WAFW00F, {"server": "imunify360"}, statuses=(403, 406, 415, 429)),
    _Row("Imunify360", _WAFW00F, page=("imunify360 preloader",)),
    _Row("Imunify360", _GENERAL, start='{"message":"access denied by imunify360'),
    _Row("ModSecurity", _WAFW00F, page=("this error was generated by mod_security",)),
    _Row("ModSecurity", _WAFW00F, {"server": "mod_security"}, statuses=(403, 406)),
    _Row("BitNinja", _WAFW00F, title="security check by bitninja"),
    _Row("BitNinja", _WAFW00F, page=("security check by bitninja",), statuses=_REFUSED),
    _Row("BitNinja", _WAFW00F, title="visitor anti-robot validation"),
    _Row("LiteSpeed", "docs.litespeedtech.com, reCAPTCHA", title="verifying that you are not a robot"),
    _Row("LiteSpeed", _GENERAL, {"server": "litespeed"}, page=("/.lsrecap/recaptcha",)),
    _Row("NAXSI", _WAFW00F, page=("blocked by naxsi",), statuses=_REFUSED),
    _Row("Comodo", _WAFW00F, {"server": "protected by comodo waf"}, statuses=(403, 406)),
    _Row("CrowdSec", _GENERAL, title="crowdsec"),
    _Row("SafeLine", _WAFW00F, page=("safeline", "<!-- event id:"), statuses=_REFUSED),
    # Appliances
    _Row("F5 BIG-IP", _WAFW00F, title="request rejected",
         page=("the requested url was rejected. please consult with your administrator",)),
    _Row("FortiWeb", _WAFW00F, page=("web page blocked", "attack id"), statuses=_REFUSED),
    _Row("FortiWeb", _WAFW00F, page=("fgd_icon", "attack id")),
    _Row("Barracuda", _WAFW00F, page=("barracuda networks",), statuses=_REFUSED),
    _Row("SonicWall", _WAFW00F, title="web site blocked"),
    # Plugins of WordPress
    _Row("Wordfence", _WAFW00F, page=("generated by wordfence",), statuses=_REFUSED),
    _Row("Wordfence", _GENERAL, title="your access to this site has been"),
    _Row("Wordfence", _WAFW00F, {"server": "wf-waf"}, statuses=(403,)),
    _Row("Solid Security", _GENERAL, page=("you have been locked out due to too many",), statuses=_REFUSED),
    _Row("All-In-One Security", _GENERAL,
         page=("access from your ip address has been blocked for security reasons",), statuses=_REFUSED),
    _Row("NinjaFirewall", _WAFW00F, title="ninjafirewall"),
    _Row("MalCare", _WAFW00F, page=("blocked because of malicious activities",), statuses=_REFUSED),
    _Row("Shield Security", _WAFW00F, page=("you were blocked by the shield",), statuses=_REFUSED),
    _Row("SecuPress", _WAFW00F, title="secupress"),
    _Row("Patchstack", _WAFW00F, page=("/wp-content/plugins/webarx/includes/",), statuses=_REFUSED),
    _Row("WP Cerber", _WAFW00F, title="403 access forbidden", page=("you are not allowed to proceed",)),
    _Row("BulletProof Security", _WAFW00F, page=("bpsmessage", "403 forbidden error page"), statuses=_REFUSED),
    _Row("SiteLock", _WAFW00F, page=("sitelock incident id",), statuses=_REFUSED),
)
# fmt: on


def find_block(status: int, headers: Mapping[str, str], body: str) -> str:
    """Return the name of the product that answered in place of the site, or ``""`` when this is not a block.

    ``headers`` have lower-case names. ``body`` may be ``""`` when it is not known. A block page without the name of a
    product gives :data:`UNNAMED`. Only the first 65,536 characters of a body are searched.
    """
    page = body[:_SEARCHED].lower().lstrip("\ufeff \t\r\n")
    is_html = page.startswith("<")
    title = _title(page) if is_html else ""
    for row in _ROWS:
        if (
            status in row.statuses
            and headers.keys() >= row.headers.keys()
            and all(text in headers[name].lower() for name, text in row.headers.items())
            and page.startswith(row.start)
            and title.startswith(row.title)
            and (is_html or not row.page)
            and all(text in page for text in row.page)
        ):
            return row.product
    return UNNAMED if _TITLE_ALONE.fullmatch(title) else ""


def _title(page: str) -> str:
    match = _TITLE.search(page)
    return " ".join(match[1].split()) if match else ""
