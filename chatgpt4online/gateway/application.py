"""The ASGI application: its routes, and the endpoints that answer no question."""

from __future__ import annotations

from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from importlib.resources import files

from starlette.applications import Starlette
from starlette.exceptions import HTTPException
from starlette.middleware import Middleware
from starlette.middleware.cors import CORSMiddleware
from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route
from starlette.types import Receive, Scope, Send

from .. import ChatError
from .answering import Endpoint, Service
from .chat_completions import ChatWriter
from .errors import Refusal, failure, refusal_of
from .http import Bodies
from .keys import Keys
from .metrics import Metrics
from .options import GatewayOptions
from .requests import read_chat, read_responses
from .responses import ResponseWriter
from .sites import Sites

# The page loads its own script, calls its own origin, and shows the pictures that its user attaches, and nothing else.
# The browser itself sends no form, since an API key would become a part of the address if the script failed.
_PAGE_POLICY = (
    "default-src 'none'; script-src 'self'; style-src 'self'; connect-src 'self'; img-src data:; base-uri 'none'; "
    "form-action 'none'; frame-ancestors 'none'"
)
_PAGE_FILES = {
    "/": ("index.html", "text/html"),
    "/page.js": ("page.js", "text/javascript"),
    "/page.css": ("page.css", "text/css"),
}


class Application:
    """The routes of a gateway. See :class:`~chatgpt4online.gateway.Gateway`."""

    def __init__(self, options: GatewayOptions) -> None:
        self._service = service = Service(
            options, Sites(options), Keys(options.api_keys), Metrics(), Bodies(options.max_body)
        )
        chat, responses = "/v1/chat/completions", "/v1/responses"
        self._app = Starlette(
            routes=[
                Route(chat, Endpoint(service, chat, read_chat, ChatWriter), methods=["POST"]),
                Route(responses, Endpoint(service, responses, read_responses, ResponseWriter), methods=["POST"]),
                Route("/v1/models", self._for_keys(self._models)),
                Route("/v1/models/{id:path}", self._for_keys(self._model)),
                Route("/metrics", self._for_keys(self._metrics)),
                Route("/healthz", _health),
                *(Route(path, _page_file(name, kind)) for path, (name, kind) in _PAGE_FILES.items()),
            ],
            middleware=_middleware(options),
            exception_handlers={HTTPException: _not_found, Refusal: _refused, ChatError: _failed, Exception: _broken},
            lifespan=self._lifespan,
        )

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        await self._app(scope, receive, send)

    async def aclose(self) -> None:
        """Close the connections to all sites."""
        await self._service.sites.aclose()

    @asynccontextmanager
    async def _lifespan(self, _: Starlette) -> AsyncIterator[None]:
        try:
            yield
        finally:
            await self.aclose()

    def _for_keys(self, endpoint: Callable[[Request], Awaitable[Response]]) -> Callable[[Request], Awaitable[Response]]:
        """Return an endpoint that checks the API key first."""

        async def checked(request: Request) -> Response:
            self._service.keys.check(request.scope)
            return await endpoint(request)

        return checked

    async def _models(self, _: Request) -> Response:
        return JSONResponse({"object": "list", "data": await self._service.sites.list()})

    async def _model(self, request: Request) -> Response:
        name = request.path_params["id"]
        model = await self._service.sites.find(name)
        return JSONResponse(model.to_dict() | {"id": name})

    async def _metrics(self, _: Request) -> Response:
        return Response(self._service.metrics.text(), media_type="text/plain; version=0.0.4")


def _middleware(options: GatewayOptions) -> list[Middleware]:
    """Return the middleware that lets the web pages of the named origins call the gateway."""
    if not options.cors_origins:
        return []
    cors = Middleware(
        CORSMiddleware,
        allow_origins=list(options.cors_origins),
        allow_methods=["GET", "POST"],
        allow_headers=["*"],  # OpenAI's clients send many of their own
        expose_headers=["Retry-After", "X-Request-Id", "X-Should-Retry"],
    )
    return [cors]


async def _health(_: Request) -> Response:
    """Return that the process works. The sites are not asked, since the failure of one would stop all processes."""
    return JSONResponse({"status": "ok"})


def _page_file(name: str, kind: str) -> Callable[[Request], Awaitable[Response]]:
    """Return an endpoint that sends a file of the page."""
    content = files("chatgpt4online.gateway").joinpath("page", name).read_bytes()
    headers = {
        "Content-Security-Policy": _PAGE_POLICY,
        "X-Content-Type-Options": "nosniff",
        "Cache-Control": "no-cache",
    }

    async def send(_: Request) -> Response:
        return Response(content, media_type=kind, headers=headers)

    return send


async def _refused(_: Request, error: Exception) -> Response:
    assert isinstance(error, Refusal)  # noqa: S101  # the handler of this class
    return JSONResponse({"error": error.error()}, error.status, error.headers())


async def _failed(request: Request, error: Exception) -> Response:
    assert isinstance(error, ChatError)  # noqa: S101  # the handler of this class
    return await _refused(request, refusal_of(error))


async def _broken(request: Request, _: Exception) -> Response:
    return await _refused(request, failure())


async def _not_found(request: Request, error: Exception) -> Response:
    """Return the refusal for a path or a method that the gateway does not have."""
    assert isinstance(error, HTTPException)  # noqa: S101  # the handler of this class
    path, base = request.scope["path"][:200], f"{request.scope.get('root_path', '')}/v1"
    message = (
        f"{request.method} {path} is not a part of this gateway. It answers POST {base}/chat/completions, "
        f"POST {base}/responses and GET {base}/models."
    )
    return await _refused(request, Refusal(error.status_code, message, code="unknown_url"))
