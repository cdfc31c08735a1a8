"""The likeliest reason why an answer does not stream, by its headers, and the lines of configuration that mend it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from .findings import Fix
from .front import products

_PATH = "/wp-json/mwai-ui/"


def find_fixes(
    headers: Mapping[str, str], *, plugins: Sequence[str] = (), is_plain: bool = False, block: int = 0
) -> tuple[Fix, ...]:
    """Return the changes that may make an answer stream, the likeliest first.

    ``headers`` are those of the answer. ``plugins`` are those that cache, as far as the page shows them. ``is_plain``
    says that the site has plain permalinks. ``block`` is the usual number of bytes that arrived at once, or 0 for the
    whole answer.
    """
    found = products(headers)
    coding = headers.get("content-encoding", "").strip().lower()
    fixes = []
    if coding not in ("", "identity"):
        sign = f"the answer is compressed ({coding}), though this program asked for no compression"
        fixes += [_fix(product, sign, is_plain=is_plain) for product in _compressors(found)]
    if "content-length" in headers:
        fixes.append(Fix("a plugin", "the answer has a Content-Length, so its end was known before it began", _PLUGIN))
    if 4000 <= block <= 4200:
        fixes.append(Fix("PHP", "the answer comes in blocks of 4096 bytes, the usual size of output_buffering", _PHP))
    servers = [product for product in found if product in _SERVERS]
    networks = [product for product in found if product in _LINES and product not in _SERVERS]
    fixes += [_fix(product, _SIGNS[product], is_plain=is_plain) for product in servers]
    if plugins:
        fixes.append(Fix("a plugin", f"the page shows {', '.join(plugins)}, which can hold answers back", _PLUGIN))
    fixes.append(Fix("PHP", "its buffer and its compression are behind every web server", _PHP))
    fixes.append(Fix("a plugin", "a plugin that compresses, caches or optimises can hold answers back", _PLUGIN))
    fixes += [_fix(product, _SIGNS[product], is_plain=is_plain) for product in networks]
    if networks and not servers:
        hidden = f"{networks[0]} hides the web server behind it, which may be this one"
        fixes += [_fix(product, hidden, is_plain=is_plain) for product in _SERVERS]
    first = {fix.product: fix for fix in reversed(fixes)}
    return tuple(first[product] for product in dict.fromkeys(fix.product for fix in fixes))


def _compressors(found: list[str]) -> list[str]:
    """Return the products in front that compress, or PHP if none is known."""
    return [product for product in found if product in _LINES] or ["PHP"]


def _fix(product: str, sign: str, *, is_plain: bool) -> Fix:
    lines = _LINES.get(product, _PHP)
    if is_plain:
        lines = _PLAIN.get(product, lines)
    return Fix(product, sign, lines)


_PHP = (
    "; php.ini, or .user.ini in the folder of WordPress",
    "output_buffering = Off",
    "zlib.output_compression = Off",
    "; then restart PHP-FPM; for .user.ini, wait 5 minutes",
)
_PLUGIN = (
    f"exclude {_PATH} from caches, compression and optimisers",
    "(W3 Total Cache, WP Rocket, LiteSpeed Cache, Autoptimize, ...);",
    "then turn such plugins off one after the other, and ask again",
)
_SIGNS = {
    "nginx": (
        "the header Server names nginx; it holds answers back if its configuration ignores X-Accel-Buffering, or if "
        "another nginx stands behind it"
    ),
    "Apache": "the header Server names Apache; mod_proxy_fcgi and mod_deflate hold answers back",
    "LiteSpeed": "the headers name LiteSpeed, which buffers and compresses by itself",
    "Cloudflare": "the headers name Cloudflare, which compresses text; it holds nothing back unless that is ordered",
    "Varnish": "the headers name Varnish, which compresses and stores answers",
}
_SERVERS = ("nginx", "Apache", "LiteSpeed")
_LINES = {
    "nginx": (
        "# in the block that has fastcgi_pass (nginx in front of PHP)",
        "fastcgi_buffering off;",
        "gzip off;",
        "# or in the block that has proxy_pass (nginx in front of a web server)",
        "proxy_buffering off;",
        "gzip off;",
        "# then: nginx -t && nginx -s reload",
    ),
    "Apache": (
        "# in the configuration of the site; the address is that of PHP-FPM",
        '<Proxy "fcgi://127.0.0.1:9000">',
        "    ProxySet flushpackets=on",
        "</Proxy>",
        "# then: apachectl configtest && apachectl graceful",
        "# in the same place, or in .htaccess",
        f'SetEnvIf Request_URI "^{_PATH}" no-gzip',
    ),
    "LiteSpeed": (
        "# .htaccess, above the lines of WordPress",
        "RewriteEngine On",
        f"RewriteRule ^{_PATH[1:]} - [E=no-gzip:1,E=noabort:1]",
        "# OpenLiteSpeed, in the block extprocessor lsphp",
        "respBuffer              0",
    ),
    "Cloudflare": (
        "# Rules, Compression Rules: Disable compression, for",
        f'starts_with(http.request.uri.path, "{_PATH}")',
        "# if it does not help: DNS, set the record of the site to DNS only, and ask again",
    ),
    "Varnish": (
        "sub vcl_backend_response {",
        f'    if (bereq.url ~ "^{_PATH}") {{',
        "        set beresp.do_stream = true;",
        "        set beresp.do_gzip = false;",
        "        set beresp.uncacheable = true;",
        "    }",
        "}",
    ),
}
_PLAIN = {
    "Apache": (
        *_LINES["Apache"][:-1],
        'SetEnvIfExpr "%{QUERY_STRING} =~ m#rest_route=/mwai-ui/#" no-gzip',
    ),
    "LiteSpeed": (
        "# .htaccess, above the lines of WordPress",
        "RewriteEngine On",
        "RewriteCond %{QUERY_STRING} rest_route=/mwai-ui/",
        "RewriteRule .* - [E=no-gzip:1,E=noabort:1]",
        *_LINES["LiteSpeed"][3:],
    ),
    "Cloudflare": (
        _LINES["Cloudflare"][0],
        'http.request.uri.query contains "rest_route=/mwai-ui/"',
        _LINES["Cloudflare"][2],
    ),
    "Varnish": (
        _LINES["Varnish"][0],
        '    if (bereq.url ~ "rest_route=/mwai-ui/") {',
        *_LINES["Varnish"][2:],
    ),
}
