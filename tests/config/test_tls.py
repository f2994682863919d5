"""Files of mqtt.tls that cannot be used are named with their setting."""

import shutil
from pathlib import Path

import pytest

from config.errors import ConfigurationError
from config.settings import TlsSettings
from config.tls import tls_context
from tests.support.certificates import Certificates


@pytest.fixture(scope="module")
def certificates(tmp_path_factory: pytest.TempPathFactory) -> Certificates:
    return Certificates(tmp_path_factory.mktemp("certificates"))


def test_without_tls_there_is_no_context() -> None:
    assert tls_context(TlsSettings()) is None


def test_the_systems_certificates_hold_where_none_are_named() -> None:
    context = tls_context(TlsSettings(enabled=True))
    assert context is not None
    assert context.check_hostname


def test_own_certificates_are_taken(certificates: Certificates) -> None:
    own = TlsSettings(
        enabled=True, ca_file=certificates.ca, cert_file=certificates.client, key_file=certificates.client_key
    )
    assert tls_context(own) is not None


def test_one_file_may_hold_certificate_and_key(certificates: Certificates, tmp_path: Path) -> None:
    both = tmp_path / "both.pem"
    both.write_text(certificates.client.read_text() + certificates.client_key.read_text())
    assert tls_context(TlsSettings(enabled=True, cert_file=both)) is not None


@pytest.mark.parametrize("name", ["ca_file", "cert_file", "key_file"])
@pytest.mark.parametrize("kind", ["missing", "folder", "empty", "another"])
def test_a_file_that_cannot_be_used_is_named(certificates: Certificates, tmp_path: Path, name: str, kind: str) -> None:
    good = {"ca_file": certificates.ca, "cert_file": certificates.client, "key_file": certificates.client_key}
    wrong = tmp_path / "wrong.pem"
    if kind == "folder":
        wrong.mkdir()
    elif kind == "empty":
        wrong.touch()
    elif kind == "another":
        shutil.copy(certificates.broker_key, wrong)
    # OpenSSL does not say whether certificate or key is to blame for not fitting together.
    named = "cert_file|key_file" if name == "cert_file" else name
    with pytest.raises(ConfigurationError, match=rf"mqtt\.tls\.({named}): .*expected"):
        tls_context(TlsSettings(enabled=True, **{**good, name: wrong}))


def test_a_key_alone_is_refused(certificates: Certificates) -> None:
    with pytest.raises(ConfigurationError, match=r"mqtt\.tls\.key_file: stands alone"):
        tls_context(TlsSettings(enabled=True, key_file=certificates.client_key))
