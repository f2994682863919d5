"""A broker of one's own words."""

import contextlib
import socket
import threading
from collections.abc import Callable
from typing import Self


class Script(threading.Thread):
    """A broker that answers what it is told, whatever it is asked; remembers what it heard."""

    def __init__(self, *answers: bytes, then: Callable[[socket.socket], None] | None = None) -> None:
        super().__init__(daemon=True)
        self.listener = socket.create_server(("127.0.0.1", 0))
        self.port: int = self.listener.getsockname()[1]
        self.answers, self.then = answers, then
        self.heard: list[bytes] = []
        self.over = threading.Event()

    def run(self) -> None:
        while not self.over.is_set():
            with contextlib.suppress(OSError):
                connection, _ = self.listener.accept()
                with connection:
                    connection.settimeout(20)
                    self.talk(connection)

    def talk(self, connection: socket.socket) -> None:
        for answer in self.answers:
            self.heard.append(connection.recv(65_536))
            connection.sendall(answer)
        if self.then is not None:
            self.then(connection)

    def __enter__(self) -> Self:
        self.start()
        return self

    def __exit__(self, *_: object) -> None:
        self.over.set()
        with contextlib.suppress(OSError):
            socket.create_connection(("127.0.0.1", self.port), 1).close()
        self.join()
        self.listener.close()
