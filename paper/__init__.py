"""A local Alpaca: an HTTP and websocket server with a book of its own, driven by recorded market days.

Clients written for Alpaca (alpaca-py through ``url_override``) talk to it unchanged. It is a program of its own:
nothing here imports another package of this repository, so that a mistake there cannot hide itself here.

Start reading at `server` (what is wired to what), then `exchange` (what happens to an order), then `rules` (what is
refused, and in which words). `main` and `serve` are here; the server is imported when one of them is called, because
it brings the HTTP library with it.
"""

from paper.options import AccountOption, Options

__all__ = ["AccountOption", "Options", "main", "serve"]


def serve(options: Options) -> int:
    """Serve until SIGTERM or SIGINT and return the exit code (see `paper.server.serve`)."""
    from paper import server

    return server.serve(options)


def main(argv: list[str]) -> int:
    """Read a command line, serve, and return the exit code."""
    from paper import server

    return server.main(argv)
