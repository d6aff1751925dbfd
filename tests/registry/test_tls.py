"""What MLflow's client honours about certificates holds in the first question too, also beside REQUESTS_CA_BUNDLE."""

from __future__ import annotations

import datetime
import ipaddress
import ssl
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec

from flint_ml.errors import OutsideError
from flint_ml.registry.address import resolve
from flint_ml.registry.store import connect


class Empty(BaseHTTPRequestHandler):
    """A server on which nothing is registered."""

    def do_GET(self) -> None:
        self.send_response(404 if "/alias" in self.path else 200)
        body = b'{"error_code": "RESOURCE_DOES_NOT_EXIST", "message": "none"}' if "/alias" in self.path else b"{}"
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *_: object) -> None:
        """Quiet."""


def certificate(folder: Path) -> Path:
    """A certificate for 127.0.0.1 that signed itself, with its key."""
    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, "127.0.0.1")])
    now = datetime.datetime.now(datetime.UTC)
    made = (
        x509.CertificateBuilder()
        .subject_name(name)
        .issuer_name(name)
        .public_key(key.public_key())
        .serial_number(1)
        .not_valid_before(now - datetime.timedelta(days=1))
        .not_valid_after(now + datetime.timedelta(days=1))
        .add_extension(x509.SubjectAlternativeName([x509.IPAddress(ipaddress.ip_address("127.0.0.1"))]), critical=False)
        .add_extension(x509.BasicConstraints(ca=True, path_length=None), critical=True)
        .sign(key, hashes.SHA256())
    )
    pem = made.public_bytes(serialization.Encoding.PEM)
    (folder / "authority.pem").write_bytes(pem)
    private = key.private_bytes(
        serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
    )
    (folder / "server.pem").write_bytes(private + pem)
    return folder / "authority.pem"


@pytest.fixture
def server(tmp_path: Path) -> Iterator[tuple[str, Path]]:
    authority = certificate(tmp_path)
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(tmp_path / "server.pem")
    http = ThreadingHTTPServer(("127.0.0.1", 0), Empty)
    http.socket = context.wrap_socket(http.socket, server_side=True)
    thread = threading.Thread(target=http.serve_forever, args=(0.05,))
    thread.start()
    yield f"https://127.0.0.1:{http.server_port}/ml", authority
    http.shutdown()
    http.server_close()
    thread.join()


def test_certificates(
    server: tuple[str, Path], tmp_path_factory: pytest.TempPathFactory, monkeypatch: pytest.MonkeyPatch
) -> None:
    uri, authority = server
    other = certificate(tmp_path_factory.mktemp("other"))

    def asked(env: dict[str, str]) -> str:
        try:
            store = connect(resolve(uri, env, Path()), env)
            assert store.alias("soc", "staging") is None
        except OutsideError as error:
            return str(error.message)
        return "answered"

    ours = {"MLFLOW_TRACKING_SERVER_CERT_PATH": str(authority)}
    insecure = {"MLFLOW_TRACKING_INSECURE_TLS": "true"}
    untrusted = "the model registry cannot be reached: its certificate is not trusted"
    # The runner's own bundle, which does not know this server.
    for bundle in (None, str(other)):
        if bundle:
            monkeypatch.setenv("REQUESTS_CA_BUNDLE", bundle)
        assert asked({}) == untrusted
        assert asked(ours) == "answered"
        assert asked(insecure) == "answered"
        assert asked(ours | insecure) == "answered"
        assert asked({"MLFLOW_TRACKING_SERVER_CERT_PATH": str(other)}) == untrusted
    monkeypatch.setenv("REQUESTS_CA_BUNDLE", str(authority))
    assert asked({}) == "answered"


def test_a_certificate_file_that_is_not_there(server: tuple[str, Path]) -> None:
    env = {"MLFLOW_TRACKING_SERVER_CERT_PATH": "/nowhere/authority.pem"}
    with pytest.raises(OutsideError, match=r"/nowhere/authority\.pem"):
        connect(resolve(server[0], env, Path()), env)
