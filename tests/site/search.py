"""The search of the site's posts (protocol section 1.7)."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from html import escape

from chatgpt4online.protocol.parsing.events import Json
from chatgpt4online.testing.exchange import Exchange
from chatgpt4online.testing.php import BLANK
from chatgpt4online.testing.routes import Route

_MOST_RESULTS = 20
_EXCERPT = 30  # words


@dataclass(frozen=True, slots=True)
class Post:
    """A public post: its number, its title and its text without markup."""

    id: int
    title: str
    text: str


class Search:
    """The Search module of the plugin without Pro. The newest of the ``posts`` comes first."""

    def __init__(self, posts: Sequence[Post], number: tuple[int, int, int]) -> None:
        self._posts = posts
        self._number = number

    def routes(self) -> Iterator[Route]:
        """Yield the routes of the release."""
        if self._number >= (2, 8, 3):
            yield Route("/mwai-ui/v1/search", self._answer, lambda exchange: True)

    def _answer(self, exchange: Exchange) -> None:
        text, method = (str(exchange.fields.get(name) or "") for name in ("search", "method"))
        method = method or "wordpress"
        words = text.strip(BLANK).lower().split()
        if not words or words == ["0"]:  # PHP calls "0" empty
            return exchange.say_json(400, {"success": False, "message": "Empty search"})
        if method == "embeddings":
            refusal = {"success": False, "message": "Embeddings module not available", "debug": None}
            return exchange.say_json(200, refusal)
        if method == "wordpress":
            found = [_row(post) for post in self._posts if _count(post, words) == len(words)]
        else:
            scores = [(_count(post, words) / len(words), post) for post in self._posts]
            scores.sort(key=lambda pair: -pair[0])
            found = [_row(post) | {"score": score, "found_with": text} for score, post in scores if score]
        results = found[:_MOST_RESULTS]
        debug = {"query": text, "found": len(results)}
        return exchange.say_json(200, {"success": True, "results": results, "method": method, "debug": debug})


def _count(post: Post, words: Sequence[str]) -> int:
    """Return how many of the words are in the post."""
    text = f"{post.title} {post.text}".lower()
    return sum(word in text for word in words)


def _row(post: Post) -> Json:
    words = post.text.split()
    excerpt = " ".join(words[:_EXCERPT])
    return {
        "id": post.id,
        "title": escape(post.title),
        "excerpt": escape(excerpt) + ("&hellip;" if len(words) > _EXCERPT else ""),
    }
