"""The dashboard's listening socket, apart from its server: it may be made in one process and served by another."""

import socket

from config.errors import ConfigurationError

BACKLOG = 2048


def listen(host: str, port: int) -> socket.socket:
    """A socket that listens; port 0 takes a free one. Raises ConfigurationError where the address cannot be had."""
    try:
        family, kind, protocol, _, address = socket.getaddrinfo(
            host, port, type=socket.SOCK_STREAM, flags=socket.AI_PASSIVE
        )[0]
        listener = socket.socket(family, kind, protocol)
        try:
            listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            listener.bind(address)
            listener.listen(BACKLOG)
        except OSError:
            listener.close()
            raise
    except OSError as error:
        raise ConfigurationError(f"dashboard.host, dashboard.port: cannot listen on {host}:{port}: {error}") from error
    return listener


def url_of(listener: socket.socket, host: str) -> str:
    """The address people open. host: as it is set, which may be a name."""
    named = f"[{host}]" if ":" in host else host
    return f"http://{named}:{listener.getsockname()[1]}"
