"""Certificates made up for one test run, with OpenSSL: two authorities, a broker's and a client's."""

import subprocess
from pathlib import Path


class Certificates:
    """Files in PEM form. The broker is called broker.example; ``other_ca`` has signed nothing that is used."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self.ca = self._authority("ca")
        self.other_ca = self._authority("other")
        self.broker, self.broker_key = self._signed("broker.example")
        self.client, self.client_key = self._signed("gridwhistle")

    def listener(self, port: int) -> str:
        """A listener of Mosquitto that asks its clients for a certificate, too."""
        return (
            f"listener {port} 127.0.0.1\ncafile {self.ca}\ncertfile {self.broker}\nkeyfile {self.broker_key}\n"
            "require_certificate true"
        )

    def _authority(self, name: str) -> Path:
        path = self._folder / f"{name}.pem"
        self._openssl(
            "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes", "-days", "2",
            "-subj", f"/CN=made-up authority {name}", "-keyout", str(path.with_suffix(".key")), "-out", str(path),
        )  # fmt: skip
        return path

    def _signed(self, name: str) -> tuple[Path, Path]:
        path = self._folder / f"{name}.pem"
        key, request, extra = path.with_suffix(".key"), path.with_suffix(".csr"), path.with_suffix(".ext")
        extra.write_text(f"subjectAltName=DNS:{name}\n")
        self._openssl(
            "req", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes", "-subj", f"/CN={name}",
            "-keyout", str(key), "-out", str(request),
        )  # fmt: skip
        self._openssl(
            "x509", "-req", "-in", str(request), "-CA", str(self.ca), "-CAkey", str(self.ca.with_suffix(".key")),
            "-CAcreateserial", "-days", "2", "-extfile", str(extra), "-out", str(path),
        )  # fmt: skip
        return path, key

    def _openssl(self, *arguments: str) -> None:
        subprocess.run(["openssl", *arguments], check=True, capture_output=True)
