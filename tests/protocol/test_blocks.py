"""Block pages give the name of their product. Other answers, which are in a second table, do not count as blocks."""

from __future__ import annotations

import json

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from chatgpt4online.protocol.parsing.blocks import _ROWS, UNNAMED, find_block
from chatgpt4online.protocol.parsing.bodies import read_answer
from chatgpt4online.protocol.parsing.errors import Blocked, StatusError

from ..support.strategies import NO_ROUTE, STALE, php

SITEGROUND = (
    '<html><head><link rel="icon" href="data:;"><meta http-equiv="refresh" content="0;/.well-known/sgcaptcha/?r=%2F'
    'wp-json&y=ipr:192.0.2.1:1.5"></meta></head></html>'
)
SLOW_AES = (
    '<html><body><script type="text/javascript" src="/aes.js" ></script><script>function toNumbers(d){}var a=toNumbers('
    '"f6");document.cookie="__test="+toHex(slowAES.decrypt(c,2,a,b))+"; path=/";location.href="http://x.org/?i=1";'
    "</script><noscript>This site requires Javascript to work</noscript></body></html>"
)
JUST_A_MOMENT = (
    "<!DOCTYPE html><html><head><title>Just a moment...</title><style>*{}</style></head><body><script>"
    "window._cf_chl_opt={cvId:'3'};a.src='/cdn-cgi/challenge-platform/h/b/orchestrate/chl_page/v1?ray=8'</script></body></html>"
)
BLOCKED_BY_CLOUDFLARE = (
    "<!DOCTYPE html><html><head><title>Access denied | example.org used Cloudflare to restrict access</title></head>"
    "<body><span>Error</span><span>1020</span></body></html>"
)


def page(title: str, body: str = "<p>Some words</p>", head: str = "") -> str:
    return f"<!DOCTYPE html>\n<html><head><title>{title}</title>{head}</head><body>{body}</body></html>"


BLOCKS: list[tuple[str, int, dict[str, str], str]] = [
    ("SiteGround", 202, {"sg-captcha": "challenge", "content-type": "text/html"}, SITEGROUND),
    ("SiteGround", 202, {"sg-captcha": "challenge"}, ""),
    ("SiteGround", 200, {}, SITEGROUND),
    ("SiteGround", 307, {"location": "https://example.org/.well-known/sgcaptcha/?r=%2F"}, ""),
    ("SiteGround", 200, {}, '<meta http-equiv="refresh" content="0;/.well-known/captcha/?r=%2F">'),
    ("SiteGround", 302, {"location": "/.well-known/captcha/?r=%2F"}, ""),
    ("SiteGround", 403, {}, page("Robot Challenge Screen", "Our system thinks you might be a robot!")),
    ("SiteGround", 403, {}, page("403", "Access is restricted due to a security rule")),
    ("Hostinger hCDN", 200, {"server": "hcdn"},
     page("Checking your browser before accessing. Just a moment...", '<script src="/hcdn-cgi/jschallenge"></script>')),
    ("the host's JavaScript check", 200, {}, SLOW_AES),
    ("WPMU DEV", 403, {}, page("403", "<h1>Whoops, this request has been blocked!</h1>")),
    ("Cloudflare", 403, {"cf-mitigated": "challenge", "server": "cloudflare"}, JUST_A_MOMENT),
    ("Cloudflare", 503, {"cf-mitigated": "challenge"}, ""),
    ("Cloudflare", 503, {"server": "cloudflare"}, JUST_A_MOMENT),
    ("Cloudflare", 200, {}, JUST_A_MOMENT),
    ("Cloudflare", 403, {}, page("Un momento…", "<script>window._cf_chl_opt={}</script>")),
    ("Cloudflare", 403, {}, page("Attention Required! | Cloudflare")),
    ("Cloudflare", 403, {"server": "cloudflare"}, BLOCKED_BY_CLOUDFLARE),
    ("Cloudflare", 403, {"server": "cloudflare"}, "error code: 1020"),
    ("Cloudflare", 403, {"server": "cloudflare"}, "error code: 1010\n"),
    ("Sucuri", 403, {"x-sucuri-block": "EXPVP16"}, ""),
    ("Sucuri", 403, {}, page("Sucuri WebSite Firewall - Access Denied")),
    ("Sucuri", 200, {}, page("Access Denied - Sucuri Website Firewall")),
    ("Sucuri", 200, {}, page("You are being redirected...", "<script>sucuri_cloudproxy_js='';</script>")),
    ("Sucuri", 403, {},
     page("Denied", head='<link href="https://cdn.sucuri.net/sucuri-firewall-block.css" rel="stylesheet">')),
    ("GoDaddy", 403, {}, page("GoDaddy Website Firewall - Access Denied")),
    ("GoDaddy", 403, {}, page("GoDaddy Security - Access Denied")),
    ("Imperva", 200, {"x-iinfo": "1"},
     '<html><head><META NAME="ROBOTS" CONTENT="NOINDEX, NOFOLLOW"></head><body><iframe id="main-iframe" '
     'src="/_Incapsula_Resource?CWUDNSAI=5">Request unsuccessful. Incapsula incident ID: 5-1</iframe></body></html>'),
    ("Imperva", 200, {}, '<html><iframe id="main-iframe" src="/_Incapsula_Resource?SWUDNSAI=31"></iframe></html>'),
    ("Imperva", 403, {"x-iinfo": "1"},
     '<html><META NAME="robots" CONTENT="noindex,nofollow"><script src="/_Incapsula_Resource?SWJIYLWA=7"></script>'),
    ("Imperva", 200, {}, "Request unsuccessful. Incapsula incident ID: 5-1"),
    ("Imperva", 403, {}, page("Error", "This page can't be displayed. The incident ID is: 1.")),
    ("Akamai", 403, {"server": "AkamaiGHost"},
     "<HTML><HEAD><TITLE>Access Denied</TITLE></HEAD><BODY><H1>Access Denied</H1>Reference&#32;&#35;18&#46;1"
     "<P>https&#58;&#47;&#47;errors&#46;edgesuite&#46;net&#47;18</P></BODY></HTML>"),
    ("Akamai", 403, {}, page("Access Denied", "Reference #18.1 https://errors.edgesuite.net/18.1")),
    ("Fastly", 406, {"x-served-by": "cache-fra-eddf1"}, page("406 Not Acceptable")),
    ("Fastly", 403, {"set-cookie": "_fs_ch_st_FSBmUei20MqUiJb4=Ad; Path=/"}, page("Client Challenge")),
    ("Vercel", 429, {"x-vercel-mitigated": "challenge"}, ""),
    ("Vercel", 429, {}, page("Vercel Security Checkpoint")),
    ("StackPath", 403, {}, page("StackPath - Blocked")),
    ("StackPath", 403, {},
     page("x", "x.org is using a security service for protection against online attacks. An action has triggered the "
          "service and blocked your request.")),
    ("DDoS-Guard", 403, {"server": "ddos-guard"}, page("DDoS-Guard")),
    ("DDoS-Guard", 403, {}, page("Loading", '<script src="/.well-known/ddos-guard/js-challenge/index.js"></script>')),
    ("AWS WAF", 202, {"x-amzn-waf-action": "challenge"}, ""),
    ("AWS WAF", 405, {"x-amzn-waf-action": "captcha"}, page("Human Verification")),
    ("AWS WAF", 403, {"x-blocked-by-waf": "Blocked_by_custom_response_for_AWSManagedRules"}, ""),
    ("Amazon CloudFront", 403, {"x-cache": "Error from cloudfront"}, page("ERROR", "<hr>Request blocked.")),
    ("Amazon CloudFront", 403, {}, page("ERROR: The request could not be satisfied", "Request blocked.")),
    ("Azure Front Door", 403, {"x-azure-ref": "2026"}, page("403", "<h2>The request is blocked.</h2>")),
    ("Azure Front Door", 403, {"x-azure-ref": "2026"}, "The request is blocked."),
    ("Azure Application Gateway", 403, {},
     page("403 Forbidden", "<center><h1>403 Forbidden</h1></center><center>Microsoft-Azure-Application-Gateway/v2")),
    ("Google Cloud Armor", 403, {"via": "1.1 google"}, "<!doctype html><title>403</title>403 Forbidden"),
    ("Google Cloud Armor", 403, {"via": "1.1 google"}, "403 Forbidden"),
    ("Alibaba Cloud", 405, {}, page("405", "<script src='https://errors.aliyun.com/error.js'></script>")),
    ("Tencent Cloud", 403, {}, page("403", "https://waf.tencent-cloud.com/403page.html")),
    ("DataDome", 403, {"x-dd-b": "1"}, ""),
    ("DataDome", 403, {"x-datadome": "protected"},
     page("x.org", "<script src='https://ct.captcha-delivery.com/c.js'></script>")),
    ("DataDome", 403, {}, '{"url":"https://geo.captcha-delivery.com/captcha/?initialCid=A"}'),
    ("HUMAN", 403, {}, page("Denied", '<div id="px-captcha"></div>')),
    ("HUMAN", 403, {}, page("Access to this page has been denied.")),
    ("HUMAN", 403, {}, '{"appId":"PXabc123","jsClientSrc":"/abc123/init.js","blockScript":"/abc123/captcha.js"}'),
    ("Reblaze", 403, {}, page("x", "Access denied (403)<br>Current session has been terminated.")),
    ("Anubis", 200, {}, page("Making sure you're not a bot!", '<script id="anubis_challenge" type="json">{}</script>')),
    ("Radware", 403, {}, page("Unauthorized Request Blocked")),
    ("Radware", 403, {}, page("x", "<img src='https://CloudWebSec.radware.com/x.png'>")),
    ("Radware", 302, {"location": "https://validate.perfdrive.com/?ssa=1"}, ""),
    ("Imunify360", 200, {"server": "imunify360-webshield/1.21"},
     page("One moment, please...", "<script>fetch('/z0f76a?wsidchk=1')</script>")),
    ("Imunify360", 403, {}, page("Imunify360 - bot-protection")),
    ("Imunify360", 415, {"server": "imunify360-webshield/1.21"}, ""),
    ("Imunify360", 200, {}, page("x", '<div class="imunify360 preloader">')),
    ("Imunify360", 200, {},
     '{"message":"Access denied by Imunify360 bot-protection. IPs used for automation should be whitelisted"}'),
    ("ModSecurity", 406, {},
     page("Not Acceptable!", "No appropriate representation was found. This error was generated by Mod_Security.")),
    ("ModSecurity", 403, {"server": "Mod_Security"}, ""),
    ("BitNinja", 403, {}, page("Security check by BitNinja.IO")),
    ("BitNinja", 403, {}, page("Wait", "Security check by BitNinja")),
    ("BitNinja", 200, {}, page("Visitor anti-robot validation")),
    ("LiteSpeed", 200, {"server": "LiteSpeed"}, page("Verifying that you are not a robot...")),
    ("LiteSpeed", 200, {"server": "LiteSpeed"}, page("x", '<form action="/.lsrecap/recaptcha" method="POST">')),
    ("NAXSI", 403, {}, page("x", "Blocked by NAXSI")),
    ("Comodo", 403, {"server": "Protected by COMODO WAF"}, ""),
    ("CrowdSec", 403, {}, page("CrowdSec Ban")),
    ("SafeLine", 403, {}, page("x", "SafeLine") + "<!-- event id: 5 -->"),
    ("F5 BIG-IP", 200, {},
     "<html><head><title>Request Rejected</title></head><body>The requested URL was rejected. Please consult with your "
     "administrator.<br><br>Your support ID is: 123</body></html>"),
    ("FortiWeb", 403, {}, page("Web Page Blocked!", "Web Page Blocked! Attack ID: 20000021")),
    ("FortiWeb", 200, {}, page("x", '<img class="fgd_icon"> Attack ID: 1')),
    ("Barracuda", 403, {}, page("x", "Barracuda Networks, Inc.")),
    ("SonicWall", 403, {}, page("Web Site Blocked")),
    ("Wordfence", 503, {},
     page("Your access to this site has been limited by the site owner", "<p>Generated by Wordfence at</p>")),
    ("Wordfence", 403, {}, page("403 Forbidden", "<p>Generated by Wordfence at</p>")),
    ("Wordfence", 503, {}, page("Your access to this site has been temporarily limited by the site owner")),
    ("Wordfence", 403, {"server": "wf-WAF"}, ""),
    ("Solid Security", 403, {}, page("Forbidden", "You have been locked out due to too many invalid login attempts.")),
    ("All-In-One Security", 403, {},
     page("403", "Access from your IP address has been blocked for security reasons.")),
    ("NinjaFirewall", 403, {}, page("NinjaFirewall: 403 Forbidden")),
    ("MalCare", 403, {}, page("x", "Blocked because of Malicious Activities")),
    ("Shield Security", 403, {}, page("x", "You were blocked by the Shield.")),
    ("SecuPress", 403, {}, page("SecuPress")),
    ("Patchstack", 403, {}, page("x", "<img src='/wp-content/plugins/webarx/includes/logo.png'>")),
    ("WP Cerber", 403, {}, page("403 Access Forbidden", "We're sorry, you are not allowed to proceed")),
    ("BulletProof Security", 403, {}, page("x", "<div id='bpsMessage'>403 Forbidden Error Page")),
    ("SiteLock", 403, {}, page("x", "SiteLock Incident ID: 1")),
    (UNNAMED, 200, {}, page("Just a moment...")),
    (UNNAMED, 404, {}, page("\n Attention   Required! ")),
    (UNNAMED, 200, {}, page("Captcha")),
    (UNNAMED, 403, {}, "\ufeff\r\n" + page("Access denied")),
]  # fmt: skip

ARTICLE = page(
    "How we moved away from Cloudflare, Sucuri and Wordfence",
    "<p>The page says <q>Just a moment...</q>, &lt;title&gt;Just a moment...&lt;/title&gt; or Access denied. "
    "Reference #1. Request blocked. Attention Required! | Cloudflare. Generated by Wordfence. px-captcha. "
    "Request unsuccessful. Incapsula incident ID: 5. error code: 1020. Web Page Blocked, Attack ID. "
    "The requested URL was rejected. Please consult with your administrator. Sucuri WebSite Firewall. "
    '&lt;meta http-equiv="refresh" content="0;/.well-known/sgcaptcha/"&gt; window._cf_chl_opt '
    '&lt;script src="/aes.js"&gt; slowAES.decrypt( Security check by BitNinja. captcha-delivery.com</p>',
)
CLOUDFLARE = {"server": "cloudflare", "cf-ray": "8f0-FRA", "cf-cache-status": "DYNAMIC"}
# Cloudflare adds this script to any page, also to the error pages of a site.
DETECTIONS = "<script>a.src='/cdn-cgi/challenge-platform/scripts/jsd/main.js'</script>"
NOT_BLOCKS: list[tuple[str, int, dict[str, str], str]] = [
    ("an article about blocks", 200, CLOUDFLARE, ARTICLE),
    ("an article about one of them", 200, {}, page("Just a moment... with the author")),
    ("an article with a captcha in its title", 200, {}, page("Captcha and the web - Example")),
    ("a member's page", 200, {}, page("Access denied? Read this first")),
    ("a site's own 404 behind Cloudflare", 404, CLOUDFLARE, page("Page not found", DETECTIONS)),
    ("a site's own page behind Cloudflare", 200, CLOUDFLARE, page("Example", DETECTIONS)),
    ("a site's own failure behind Cloudflare", 500, CLOUDFLARE, page("Error", DETECTIONS)),
    ("a failure of the site that Cloudflare reports", 521, CLOUDFLARE, "error code: 521"),
    ("a host that Cloudflare cannot find", 530, CLOUDFLARE, "error code: 1016"),
    ("Cloudflare's rate limit", 429, CLOUDFLARE, "error code: 1015"),
    ("Cloudflare's rate limit as a page", 429, CLOUDFLARE, BLOCKED_BY_CLOUDFLARE),
    ("a page with Turnstile", 200, {}, page("Contact", '<script src="https://challenges.cloudflare.com/turnstile/v0/api.js">')),
    ("a page behind Imperva", 200, {"x-iinfo": "1", "x-cdn": "Incapsula"},
     page("Example", '<script src="/_Incapsula_Resource?SWJIYLWA=7"></script>')),
    ("a page behind Sucuri", 404, {"x-sucuri-id": "11005", "server": "Sucuri/Cloudproxy"}, page("Page not found")),
    ("a page behind DataDome", 404, {"x-datadome": "protected"}, page("Page not found")),
    ("a page behind HUMAN", 404, {}, page("Page not found", "<script>window._pxAppId='PX1'</script>")),
    ("a page behind Akamai", 404, {"server": "AkamaiGHost"}, page("Not Found")),
    ("a page behind Front Door", 404, {"x-azure-ref": "2026"}, page("Not Found")),
    ("a page behind CloudFront", 404, {"x-cache": "Error from cloudfront"}, page("Page not found")),
    ("a page behind Google", 404, {"via": "1.1 google"}, page("404")),
    ("a page behind hCDN", 404, {"server": "hcdn", "platform": "hostinger"}, page("Page not found")),
    ("a page behind LiteSpeed", 404, {"server": "LiteSpeed"},
     page("404 Not Found", "Proudly powered by LiteSpeed Web Server")),
    ("a site with Wordfence", 404, {}, page("Page not found", "<script src='/wp-content/plugins/wordfence/js/a.js'>")),
    ("maintenance", 503, {"retry-after": "600"}, page("Maintenance", "Briefly unavailable for scheduled maintenance.")),
    ("a login page", 200, {}, page("Log In &lsaquo; Example - WordPress", "<form id='loginform'>")),
    ("a redirect", 302, {"location": "https://example.org/wp-login.php"}, ""),
    ("words", 200, {}, "Just a moment..."),
    ("words with a title", 200, {}, "Use <title>Just a moment...</title> here"),
    ("a title within a script", 200, {}, "<html><script>'<b>'</script><title>Shop</title><svg><title>Blocked</title>"),
    ("nothing", 200, {}, ""),
    ("a mark that comes too late", 200, {}, page("Shop", "x" * 70_000 + "<script id=\"anubis_challenge\"")),
]  # fmt: skip


@pytest.mark.parametrize(
    ("product", "status", "headers", "body"), BLOCKS, ids=[f"{number}-{row[0]}" for number, row in enumerate(BLOCKS)]
)
def test_block_names_its_product(product: str, status: int, headers: dict[str, str], body: str) -> None:
    """Both the table and the error name it. The error says what to do, and no way around the block."""
    assert find_block(status, headers, body) == product
    error = read_answer(body, status, headers)
    assert type(error) is Blocked
    assert error.status == status
    assert f"[{product} answered in place of the site; ask the site's owner to let this client in]" in str(error)


@pytest.mark.parametrize(
    ("status", "headers", "body"), [row[1:] for row in NOT_BLOCKS], ids=[row[0] for row in NOT_BLOCKS]
)
def test_page_that_resembles_a_block_is_not_blocked(status: int, headers: dict[str, str], body: str) -> None:
    """These products add headers and scripts to good answers too, and a page may be an article about blocks."""
    assert find_block(status, headers, body) == ""
    assert not isinstance(read_answer(body, status, headers), Blocked)


def test_every_row_has_a_source_and_a_sign() -> None:
    """Texts are in lower case, and each product of the table has a page in this file."""
    for row in _ROWS:
        assert row.source
        assert row.headers or row.title or row.page or row.start, row
        assert all(
            text == text.lower() for text in (row.title, row.start, *row.page, *row.headers, *row.headers.values())
        )
    products = {row[0] for row in BLOCKS}
    assert products == {row.product for row in _ROWS} | {UNNAMED}


@pytest.mark.parametrize(
    "headers", [{"cf-mitigated": "challenge"}, {"sg-captcha": "challenge"}, {"x-sucuri-block": "1"}]
)
def test_json_of_wordpress_is_never_a_block(headers: dict[str, str]) -> None:
    """JSON of WordPress comes from the site itself, whatever its headers and texts are."""
    answer = {"success": True, "reply": "<title>Just a moment...</title>"}
    assert read_answer(json.dumps(answer), 200, headers) == answer
    for refusal, status in ((STALE, 403), (NO_ROUTE, 404), ({"code": "x", "message": "<title>Captcha</title>"}, 403)):
        error = read_answer(php(refusal), status, headers)
        assert isinstance(error, StatusError)
        assert not isinstance(error, Blocked)
    assert not isinstance(read_answer("<b>Warning</b>", 200, headers, streamed=True), Blocked)


@given(st.integers(), st.dictionaries(st.text(max_size=12), st.text(max_size=12), max_size=3), st.text())
@example(403, {"cf-mitigated": "\ud800"}, "<title>\ud800")
@example(-1, {}, "<title>İ&#" + "9" * 5000)
def test_find_block_never_raises(status: int, headers: dict[str, str], body: str) -> None:
    assert isinstance(find_block(status, headers, body), str)


@pytest.mark.parametrize("text", ["<", "<title", "<title>", "Just a moment ", "<script ", " ", "&#", "\n<"])
def test_large_body_is_searched_only_at_its_beginning(text: str) -> None:
    """With quadratic work, ten megabytes would take hours."""
    assert find_block(503, {}, "<" + text * (10_000_000 // len(text))) == ""
