"""An OpenAI-compatible HTTP API in front of AI Engine sites, as an ASGI application.

::

    app = create_app(GatewayOptions([SiteOptions("https://example.org")]))

A gateway needs the extra ``gateway``. Its options need only the standard library.
"""

from __future__ import annotations

from .factory import Gateway, create_app, serve
from .options import ENVIRONMENT_VARIABLE, GatewayOptions, SiteOptions

__all__ = ["ENVIRONMENT_VARIABLE", "Gateway", "GatewayOptions", "SiteOptions", "create_app", "serve"]
