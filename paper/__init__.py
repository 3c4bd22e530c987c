"""A local Alpaca: an HTTP and websocket server with a book of its own, driven by recorded market days.

Clients written for Alpaca (alpaca-py through ``url_override``) talk to it unchanged. It is a program of its own:
nothing here imports another package of this repository, so that a mistake there cannot hide itself here.

Start reading at `server` (what is wired to what), then `exchange` (what happens to an order), then `rules` (what is
refused, and in which words).
"""

from paper.options import AccountOption, Options
from paper.server import main, serve

__all__ = ["AccountOption", "Options", "main", "serve"]
