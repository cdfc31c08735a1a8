"""The site of ``chatgpt4online.testing`` with more: other versions of the plugin, discussions, search, the public API.

It adds a ``Version``, routes and a function that stores conversations to the site in the package. Only the tests of the
package need them.
"""

from __future__ import annotations

from .search import Post
from .site import serve_site

__all__ = ["Post", "serve_site"]
