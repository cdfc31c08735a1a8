"""The synchronous client, which sends with requests."""

from __future__ import annotations

import os
import ssl
import weakref
from collections.abc import Iterable, Iterator, Mapping, Sequence
from types import TracebackType
from typing import Any, NoReturn, Self, TypeVar, Unpack

from ..environment import FROM_ENVIRONMENT, FromEnvironment, site_options
from ..files import Progress, Source
from ..net.url import origin
from ..operations import Operations
from ..options import (
    ClientOptions,
    DerivedOptions,
    NoOptions,
    check_flag,
    check_proxy,
    check_session,
    refuse_client_options,
    refuse_derived_options,
    refuse_question_options,
)
from ..protocol.calls.deadline import Timeout
from ..protocol.calls.endpoints import Discussion, File, SearchMethod, SearchResult
from ..protocol.calls.exchange import Exchange
from ..protocol.calls.page import Bot
from ..protocol.calls.prompt import Message, Prompt
from ..protocol.calls.request import Session
from ..protocol.calls.roots import rest_roots
from ..protocol.calls.turn import Drivable
from ..protocol.parsing.bodies import shown_url
from ..protocol.parsing.errors import InvalidState
from ..protocol.parsing.events import Event, Reply, View, texts, without_failure
from ..protocol.parsing.parser import DEFAULT_LIMIT, DEFAULT_TEXT_LIMIT
from ..tracing import start_logging
from .api import Api
from .conversation import Conversation
from .discussions import Discussions
from .stream import Stream
from .transport import Connections, RequestsSession, Transport

T = TypeVar("T")


class Client:
    """A client for the chats of one site. Threads may share it; they then share its nonce and its connections.

    ``with Client(...) as client:`` closes the connections at the end of the block. These are the options:

    - ``site`` (str) is the address of the site. The default is the variable ``CHATGPT4ONLINE_SITE`` of the environment,
      or else https://chatgpt4online.org.
    - ``bot_id`` (str) is the id of the bot. The default is ``CHATGPT4ONLINE_BOT``, or else ``"default"``, which exists
      on every site. A site of version 3 answers with its default bot if it does not know the id. :meth:`bots` lists the
      bots of a page.
    - ``custom_id`` (str) is the id of a bot that a page defines. With the default, None, ``bot_id`` names it.
    - ``context_id`` (int) is the number of the post that the question is about. The default, None, means no post.
    - ``bot`` (:class:`Bot`) is one of :meth:`bots`. It replaces the three options above, and its limits are checked
      before a question is sent. The default is None.
    - ``timeout`` (:class:`Timeout` or a number of seconds) limits the waits for the site. A number limits each wait.
      The default is ``Timeout()``: 10 seconds for a connection, 120 for the first byte, 60 for each later byte.
    - ``retries`` (int) is how often a request is sent again after a failed connection or a busy site (503 and the
      like). The default is 2. A request is never sent again after a part of its answer has arrived.
    - ``proxy`` (str) is the address of a proxy, such as ``http://user:password@proxy:3128``. The default, None, means
      the proxy that the environment names, if any.
    - ``headers`` (dict of strings) are sent with every request. The default, None, means no more headers.
    - ``cookies`` (dict of strings) are sent with every request, for example those of a login. The default is None.
    - ``auth`` (pair of strings) is the user name and the application password of a WordPress login. The default is
      ``CHATGPT4ONLINE_USER`` with ``CHATGPT4ONLINE_PASSWORD``, or else None. None means a guest.
    - ``token`` (str) is the bearer token of the site's public API, which only :attr:`api` uses. The default is
      ``CHATGPT4ONLINE_TOKEN``, or else None.
    - ``verify`` (bool, str or ``ssl.SSLContext``) is how certificates are checked. The default, True, uses the trusted
      authorities of the environment. A string is the path of a file or directory of authorities. False checks nothing.
    - ``max_event_size`` (int) is the largest size of one event of a stream, in bytes. The default is 16 MiB.
    - ``max_body_size`` (int) is the largest size of a body that is not a stream, in bytes. The default is 16 MiB.
    - ``max_text_size`` (int) is the largest size of the text of an answer, in bytes of UTF-8. The default is 64 MiB.
    - ``http`` (``requests.Session``) is a session of your own that sends the requests. The client does not close it.
      It has its own settings for proxies and TLS, so ``proxy`` and ``verify`` cannot be given too. The default, None,
      means a session that belongs to the client.

    The variables of the environment are read when the client is made, and only if it gets no ``site``. An option that
    is given, also with the value None, replaces its variable.

    The attribute :attr:`session` holds the nonce and the session id. Raises InvalidInput for an option or a variable
    that cannot be used, and TypeError for an unknown option.
    """

    def __init__(
        self,
        site: str | FromEnvironment = FROM_ENVIRONMENT,
        *,
        bot_id: str | FromEnvironment | None = FROM_ENVIRONMENT,
        custom_id: str | None = None,
        context_id: int | None = None,
        bot: Bot | None = None,
        timeout: Timeout | float = Timeout(),  # noqa: B008  # it cannot be changed
        retries: int = 2,
        proxy: str | None = None,
        headers: Mapping[str, str] | None = None,
        cookies: Mapping[str, str] | None = None,
        auth: tuple[str, str] | FromEnvironment | None = FROM_ENVIRONMENT,
        token: str | FromEnvironment | None = FROM_ENVIRONMENT,
        verify: bool | str | ssl.SSLContext = True,
        max_event_size: int = DEFAULT_LIMIT,
        max_body_size: int = DEFAULT_LIMIT,
        max_text_size: int = DEFAULT_TEXT_LIMIT,
        http: RequestsSession | None = None,
        **unknown: Unpack[NoOptions],
    ) -> None:
        refuse_client_options(unknown, type(self).__name__)
        start_logging()
        place = site_options(
            os.environ,
            site=site,
            bot_id=bot_id,
            auth=auth,
            token=token,
            bot=bot,
            custom_id=custom_id,
            headers=headers,
        )
        self._operations = Operations(
            site=place.site,
            bot_id=place.bot_id,
            custom_id=custom_id,
            context_id=context_id,
            bot=bot,
            timeout=Timeout.of(timeout),
            headers=headers,
            cookies=cookies,
            auth=place.auth,
            token=place.token,
            retries=retries,
            max_event_size=max_event_size,
            max_body_size=max_body_size,
            max_text_size=max_text_size,
        )
        check_proxy(proxy)
        self._transport = Transport(Connections(http, proxy, verify, origin(rest_roots(place.site)[0])))
        self._streams: weakref.WeakValueDictionary[int, Stream[Any]] = weakref.WeakValueDictionary()
        self._parent: Client | None = None
        self._closed = False

    def __repr__(self) -> str:
        derived = "" if self._parent is None else ", derived"
        return f"<Client of {shown_url(self._operations.site)}{derived}{', closed' if self._is_closed() else ''}>"

    def __reduce__(self) -> NoReturn:
        raise TypeError("Client cannot be pickled or copied, since it holds connections: make a new one")

    @property
    def session(self) -> Session:
        """The session that all questions of this client share: the nonce, the session id and the REST root."""
        return self._operations.session

    @session.setter
    def session(self, session: Session) -> None:
        check_session(session)
        self._operations.session = session
        self._transport = self._transport.for_session(own_cookies=False)

    def with_options(self, *, new_session: bool = False, **options: Unpack[DerivedOptions]) -> Self:
        """Return a client that is derived from this one: with these options, and with the same connections.

        ``options`` are those of the client, except ``site``, ``proxy``, ``verify`` and ``http``. An option that is not
        given keeps the value of this client. None is a value: ``auth=None`` takes a login away. ``bot`` replaces
        ``bot_id``, ``custom_id`` and ``context_id``. If one of these three is given without ``bot``, the derived client
        has no ``bot``.

        The derived client shares the :attr:`session` and the cookies. There are two exceptions, in which it gets a
        session and cookies of its own: ``new_session`` is true, or an option with credentials is given or taken away
        (``auth``, ``cookies``, ``token``, or ``headers`` such as ``Authorization``). The new session has the REST root
        of this one. It has the nonce only if both clients are guests. It has no session id, so that the site sees
        another visitor. With ``http=``, the settings and headers of your own session are sent, but not its cookies.

        Closing the derived client closes its own streams. Closing this client closes the derived client too. Raises
        InvalidInput for a value that cannot be used, and TypeError for another option.
        """
        refuse_derived_options(options, type(self).__name__)
        check_flag("new_session", new_session)
        transport = self._transport
        operations = self._operations.derive(
            options, new_session=new_session, may_copy_nonce=not transport.may_hold_login
        )
        derived = type(self).__new__(type(self))
        vars(derived).update(vars(self))  # a subclass may have more attributes
        if operations.session is not self.session:
            derived._transport = transport.for_session(own_cookies=True)
        derived._operations = operations
        derived._streams = weakref.WeakValueDictionary()
        derived._parent, derived._closed = self, False
        return derived

    def close(self) -> None:
        """Close all open streams and connections. It may be called again, and in a signal handler."""
        self._closed = True
        # valuerefs() takes no lock, and other threads may open streams during the loop.
        for stream in [reference() for reference in self._streams.valuerefs()]:
            if stream is not None:
                stream.close()
        if self._parent is None:
            self._transport.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def ask(
        self,
        prompt: Prompt,
        *,
        chat_id: str | None = None,
        flatten: bool = False,
        files: Sequence[str | File] = (),
        timeout: Timeout | float | None = None,
        **unknown: Unpack[NoOptions],
    ) -> Reply:
        """Return the whole reply to a prompt. :meth:`events` explains the parameters and the errors."""
        return self._drain(
            self.stream(prompt, chat_id=chat_id, flatten=flatten, files=files, timeout=timeout, **unknown)
        )

    def stream(
        self,
        prompt: Prompt,
        *,
        chat_id: str | None = None,
        flatten: bool = False,
        files: Sequence[str | File] = (),
        timeout: Timeout | float | None = None,
        **unknown: Unpack[NoOptions],
    ) -> Stream[str]:
        """Return the pieces of the answer, which are strings, as they arrive.

        :meth:`events` explains the parameters and the errors.
        """
        refuse_question_options(unknown)
        question = self._operations.question(prompt, chat_id, flatten, files)
        return self._stream(texts, self._operations.turn(question), timeout)

    def events(
        self,
        prompt: Prompt,
        *,
        chat_id: str | None = None,
        flatten: bool = False,
        files: Sequence[str | File] = (),
        timeout: Timeout | float | None = None,
        **unknown: Unpack[NoOptions],
    ) -> Stream[Event]:
        """Return the events of the answer as they arrive: ``Text`` and ``Notice``, and ``Done`` at the end.

        Nothing is sent before the first event is read. ``prompt`` is a string, or a list of
        ``{"role": str, "content": ...}`` dicts in the form of OpenAI. The last dict is the question and has the role
        ``user``; the others are the history. Pictures in the last dict (``data:`` URLs) are uploaded first. With
        ``flatten`` all messages are joined to one text. ``chat_id`` names the conversation; without it, the question
        starts a new one. ``files`` is a list of uploaded files or of their ids. ``timeout`` replaces the timeout of the
        client for this answer: a Timeout or a number of seconds.

        This method raises InvalidInput for a question that cannot be sent, and InvalidState if the client is closed.
        The iteration raises the error that ended the answer: ConnectionFailed, ProtocolError, StatusError or
        ServerError. Its ``partial_text`` is the text that had arrived. Source: protocol sections 1.4 and 2.
        """
        refuse_question_options(unknown)
        question = self._operations.question(prompt, chat_id, flatten, files)
        return self._stream(without_failure, self._operations.turn(question), timeout)

    def conversation(
        self,
        *,
        chat_id: str | None = None,
        messages: Sequence[Message] = (),
        start_sentence: str | None = None,
        discussion: Discussion | None = None,
    ) -> Conversation:
        """Return a conversation, which keeps its history.

        It is new, or continues ``messages`` (a list of ``{"role": str, "content": str}`` dicts) or a ``discussion`` of
        :meth:`discussions`. A discussion gives its messages, its chat id and the response id with which the site
        continues it; the question goes to the bot of this client. ``chat_id`` names the conversation; without it, the
        one of the discussion or a random name is used. ``start_sentence`` is the first message of the bot; without it,
        the one of the client's ``bot`` is used. It is not added to earlier messages.
        """
        return Conversation(
            self, chat_id=chat_id, messages=messages, start_sentence=start_sentence, discussion=discussion
        )

    def start_session(self) -> Session:
        """Return the client's session after fetching a new nonce for it.

        Questions fetch a nonce themselves when they need one. Raises ConnectionFailed, ProtocolError or StatusError.
        Source: protocol section 1.3.
        """
        self._drain(self._stream(without_failure, self._operations.handshake(), None))
        return self.session

    def bots(self, page: str = "/") -> list[Bot]:
        """Return a list of the chat widgets of a page, each a :class:`Bot` for ``Client(bot=...)``.

        ``page`` is a path of the site or a web address. Raises InvalidInput for another value, NotAiEngine if the page
        has no chat widget, and ConnectionFailed, ProtocolError or StatusError. Source: protocol section 3.2.
        """
        return self._perform(self._operations.visit(page))

    def upload(self, source: Source, name: str | None = None, *, on_progress: Progress | None = None) -> File:
        """Upload a file, and return the :class:`File` to pass in ``files=[...]`` of a question.

        ``source`` is a path, a binary file object that can seek, or bytes together with a ``name``. It is read while it
        is sent. ``on_progress`` is called with the number of bytes sent so far and the size of the whole body. Raises
        InvalidInput for a file that cannot be read or that the client's ``bot`` does not accept, ServerError if the
        site refuses the file, and ConnectionFailed, ProtocolError or StatusError. Source: protocol section 1.5.
        """
        return self._perform(self._operations.upload(source, name, on_progress))

    def delete_files(self, files: Iterable[str | File]) -> int:
        """Return how many of these uploaded files were deleted. ``files`` is a list of files or of their ids.

        Raises ServerError if the site refuses, and ConnectionFailed, ProtocolError or StatusError. Source: protocol
        section 1.5.
        """
        return self._perform(self._operations.delete_files(files))

    def discussions(self, *, offset: int = 0, limit: int = 10) -> list[Discussion]:
        """Return a list of the stored conversations of the logged-in user with this bot.

        Pass one to ``conversation(discussion=...)``. ``offset`` is the number of conversations to skip, and ``limit``
        the largest number to return. Raises ServerError if the client is not logged in, and NotAiEngine if the site
        stores no conversations. Source: protocol section 1.6.
        """
        return self._perform(self._operations.discussions(offset, limit))

    def iter_discussions(self, *, page_size: int = 10) -> Iterator[Discussion]:
        """Return an iterator over all stored conversations of the logged-in user with this bot, the newest first.

        Nothing is sent before the first one is read. Each page is requested when its first conversation is needed.
        ``page_size`` is how many the client asks for at once. The default is the page size of the plugin's own client;
        a page holds whole conversations, so a large one takes long and can exceed ``max_body_size``. Each conversation
        is returned once, also if the list changes meanwhile. A conversation that another program changes meanwhile may
        be missing.

        This method raises InvalidInput for a wrong ``page_size``. The iteration raises the errors of
        :meth:`discussions`, and InvalidState if the client is closed. After an error, the iterator continues with the
        page that failed. One thread reads the iterator at a time. It holds no connection between two pages, so it need
        not be closed. Source: protocol section 1.6.
        """
        return Discussions(self._operations, self._perform, page_size)

    def rename_discussion(self, chat_id: str, title: str) -> None:
        """Change the title of a stored conversation. Raises ServerError or StatusError if the site refuses."""
        self._perform(self._operations.rename_discussion(chat_id, title))

    def delete_discussions(self, chat_ids: Iterable[str]) -> None:
        """Delete stored conversations. Raises StatusError if one belongs to another user."""
        self._perform(self._operations.delete_discussions(chat_ids))

    def search(
        self,
        text: str,
        *,
        method: SearchMethod = "wordpress",
        env_id: str | None = None,
        website_context: str | None = None,
    ) -> list[SearchResult]:
        """Return a list of the site's public posts that a search finds: at most 20 on most sites.

        Results with a score come with the best first, others with the newest first. ``method`` is how the site
        searches. ``"wordpress"`` is the search of WordPress itself. With ``"keywords"`` the site's model makes search
        terms from ``text``, which the site's owner pays for; ``website_context`` is a sentence about the site that
        helps the model. ``"embeddings"`` compares meanings in the environment ``env_id`` of the site, and needs the Pro
        version of the plugin. A search sends no nonce.

        Raises InvalidInput for an empty text and for a value that the method does not use, NotAiEngine if the site has
        no search, ServerError if the site reports a failure, and ConnectionFailed, ProtocolError or StatusError.
        Source: protocol section 1.7.
        """
        return self._perform(self._operations.search(text, method, env_id, website_context))

    @property
    def api(self) -> Api:
        """The functions of the site's public API. Source: protocol section 1.8."""
        return Api(self._operations, self._perform)

    def _stream(self, view: View[T], exchange: Drivable, timeout: Timeout | float | None) -> Stream[T]:
        limits = self._operations.timeout if timeout is None else Timeout.of(timeout)
        stream = Stream(self._transport, exchange, limits, view)
        for client in self._lineage():
            client._streams[id(stream)] = stream
        if self._is_closed():  # after the stream is registered, since another thread may close the client meanwhile
            raise InvalidState("this client is closed; make a new one")
        return stream

    def _lineage(self) -> Iterator[Client]:
        """Yield this client and all clients that it is derived from, the nearest first."""
        client: Client | None = self
        while client is not None:
            yield client
            client = client._parent

    def _is_closed(self) -> bool:
        return any(client._closed for client in self._lineage())

    def _drain(self, stream: Stream[Any]) -> Reply:
        with stream:
            return stream.until_done()

    def _perform(self, exchange: Exchange[T]) -> T:
        self._drain(self._stream(without_failure, exchange, None))
        return exchange.result()


def ask(
    prompt: Prompt,
    *,
    site: str | FromEnvironment = FROM_ENVIRONMENT,
    http: RequestsSession | None = None,
    **options: Unpack[ClientOptions],
) -> Reply:
    """Return a site's whole reply to a prompt. ``options`` are those of :class:`Client`; it raises its errors."""
    with Client(site, http=http, **options) as client:
        return client.ask(prompt)


def stream(
    prompt: Prompt,
    *,
    site: str | FromEnvironment = FROM_ENVIRONMENT,
    http: RequestsSession | None = None,
    **options: Unpack[ClientOptions],
) -> Stream[str]:
    """Return the pieces of a site's answer, which are strings, as they arrive.

    ``options`` are those of :class:`Client`. The errors are those of :meth:`Client.events`.
    """
    # The client is deleted together with the stream, and its connections are closed then.
    return Client(site, http=http, **options).stream(prompt)
