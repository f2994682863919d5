"""From ``mqtt.tls`` to what the standard library's sockets and every MQTT client understand."""

import socket
import ssl
from pathlib import Path

from config.errors import ConfigurationError
from config.settings import TlsSettings


class _Socket(ssl.SSLSocket):
    """Closes itself where no TLS can be agreed on: paho would leave it open."""

    def do_handshake(self, block: bool = False) -> None:
        """See ssl.SSLSocket.do_handshake."""
        try:
            super().do_handshake(block)
        except (ssl.SSLWantReadError, ssl.SSLWantWriteError):
            raise
        except OSError:
            self.close()
            raise


class NamedContext(ssl.SSLContext):
    """A client's context that asks for a certificate of ``expected_name`` where one is set, not of the address dialled.

    Clients that pass on the host name they dial (paho, aiomqtt) can so reach a broker by its address.
    """

    expected_name: str | None = None
    sslsocket_class = _Socket

    def wrap_socket(  # noqa: PLR0917  # the standard library's own
        self,
        sock: socket.socket,
        server_side: bool = False,
        do_handshake_on_connect: bool = True,
        suppress_ragged_eofs: bool = True,
        server_hostname: str | bytes | None = None,
        session: ssl.SSLSession | None = None,
    ) -> ssl.SSLSocket:
        """See ssl.SSLContext.wrap_socket."""
        name = self.expected_name or server_hostname
        return super().wrap_socket(
            sock, server_side, do_handshake_on_connect, suppress_ragged_eofs, server_hostname=name, session=session
        )


def tls_context(settings: TlsSettings) -> NamedContext | None:
    """The context to speak TLS with; None where it is not enabled. At least TLS 1.2, the broker always verified.

    Raises ConfigurationError, naming the setting, for a file that is missing or holds something else.
    """
    if not settings.enabled:
        return None
    context = NamedContext(ssl.PROTOCOL_TLS_CLIENT)
    context.minimum_version = ssl.TLSVersion.TLSv1_2
    context.expected_name = settings.server_name
    if settings.ca_file is None:
        context.load_default_certs()
    else:
        _check(settings.ca_file, "mqtt.tls.ca_file", "certificates in PEM form")
        try:
            context.load_verify_locations(settings.ca_file)
        except (ssl.SSLError, OSError) as error:
            raise _wrong("mqtt.tls.ca_file", settings.ca_file, error, "certificates in PEM form") from error
    _own_certificate(context, settings)
    return context


def _own_certificate(context: ssl.SSLContext, settings: TlsSettings) -> None:
    if settings.cert_file is None:
        if settings.key_file is not None:
            raise ConfigurationError("mqtt.tls.key_file: stands alone; expected the certificate in mqtt.tls.cert_file")
        return
    _check(settings.cert_file, "mqtt.tls.cert_file", "a certificate in PEM form")
    if settings.key_file is not None:
        _check(settings.key_file, "mqtt.tls.key_file", "the certificate's key in PEM form, not encrypted")
    try:
        # Without a password given here OpenSSL would ask for one on the terminal.
        context.load_cert_chain(settings.cert_file, settings.key_file, password="")
    except (ssl.SSLError, OSError) as error:
        name, path = (
            ("mqtt.tls.key_file", settings.key_file)
            if settings.key_file is not None
            else ("mqtt.tls.cert_file", settings.cert_file)
        )
        raise _wrong(name, path, error, "a certificate and its own key in PEM form, not encrypted") from error


def _check(path: Path, name: str, expected: str) -> None:
    if not path.exists():
        raise ConfigurationError(f"{name}: {path} is not found; expected a file with {expected}")
    if not path.is_file():
        raise ConfigurationError(f"{name}: {path} is not a file; expected a file with {expected}")


def _wrong(name: str, path: Path, error: Exception, expected: str) -> ConfigurationError:
    return ConfigurationError(f"{name}: {path} cannot be used ({error}); expected {expected}")
