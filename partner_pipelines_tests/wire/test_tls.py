"""TLS 1.2 and above, verified: by the system's authorities and those of the bundle, for the host that was asked for."""

from __future__ import annotations

import socket
import socketserver
import ssl
import threading
import time
import warnings
from datetime import timedelta
from pathlib import Path

import pytest

from partner_pipelines.errors import APIConnectionError, APITimeoutError
from partner_pipelines_tests.wire.bench import Bench, SandboxBench, open_wire
from partner_pipelines_tests.wire.certificates import Authority
from partner_pipelines_tests.wire.raw_server import RawServer, answer


@pytest.fixture
def authority(tmp_path: Path) -> Authority:
    return Authority(tmp_path)


def trusting(origin: str, bundle: Path | None) -> Bench:
    return Bench(origin, wire=open_wire(bundle))


def test_a_server_of_the_bundles_authority_is_answered(authority: Authority) -> None:
    with RawServer(answer(b"{}"), authority.server()) as server:
        assert trusting(server.origin, authority.bundle).ask().status == 200


def test_without_the_bundle_it_is_refused_and_receives_nothing(authority: Authority) -> None:
    with RawServer(answer(b"{}"), authority.server()) as server:
        bench = trusting(server.origin, None)
        error = bench.refusal()
        assert server.requests == []
    assert type(error) is APIConnectionError
    assert str(error).startswith(f"ask: no whole answer from {server.origin}: its certificate is refused (")
    assert "check OPENMOOVE_BASE_URL" in str(error)
    assert str(error).endswith("; if this authority is to be trusted, add it to PARTNER_CA_BUNDLE")
    assert bench.trail.words == ["network_error"] * 4


@pytest.mark.parametrize("address", ["127.0.0.2", "api.resman.com"])
def test_a_certificate_for_another_host_is_refused(authority: Authority, address: str) -> None:
    with RawServer(answer(b"{}"), authority.server(address)) as server:
        error = trusting(server.origin, authority.bundle).refusal()
        assert server.requests == []
    assert type(error) is APIConnectionError
    assert "its certificate is refused (" in str(error)
    assert "PARTNER_CA_BUNDLE" not in str(error)  # another authority's word would not change the name


class _Plain(socketserver.BaseRequestHandler):
    def handle(self) -> None:
        self.request.sendall(b"HTTP/1.1 400 Bad Request\r\nContent-Length: 0\r\n\r\n")


def test_a_server_that_speaks_no_tls_is_named(authority: Authority) -> None:
    with socketserver.ThreadingTCPServer(("127.0.0.1", 0), _Plain) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        origin = f"https://127.0.0.1:{server.server_address[1]}"
        error = trusting(origin, authority.bundle).refusal()
        server.shutdown()
    assert str(error).startswith(f"ask: no whole answer from {origin}: no TLS connection (")
    assert "): check OPENMOOVE_BASE_URL" in str(error)


def test_a_certificate_that_has_expired_is_refused(authority: Authority) -> None:
    with RawServer(answer(b"{}"), authority.server(expires_in=timedelta(hours=-1))) as server:
        assert type(trusting(server.origin, authority.bundle).refusal()) is APIConnectionError
        assert server.requests == []


def test_the_bundle_of_another_authority_does_not_help(authority: Authority, tmp_path: Path) -> None:
    (tmp_path / "other").mkdir()
    other = Authority(tmp_path / "other")
    with RawServer(answer(b"{}"), authority.server()) as server:
        assert type(trusting(server.origin, other.bundle).refusal()) is APIConnectionError


@pytest.mark.parametrize(
    ("version", "taken"),
    [(ssl.TLSVersion.TLSv1_1, False), (ssl.TLSVersion.TLSv1_2, True), (ssl.TLSVersion.TLSv1_3, True)],
)
def test_only_tls_1_2_and_above_is_spoken(authority: Authority, version: ssl.TLSVersion, taken: bool) -> None:
    context = authority.server()
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", DeprecationWarning)  # TLS 1.1 is what is tested
        context.minimum_version = ssl.TLSVersion.TLSv1
        context.maximum_version = version
    context.set_ciphers("ALL:@SECLEVEL=0")
    with RawServer(answer(b"{}"), context) as server:
        bench = trusting(server.origin, authority.bundle)
        if taken:
            assert bench.ask().status == 200
        else:
            assert type(bench.refusal()) is APIConnectionError
            assert server.requests == []


def test_a_client_that_speaks_tls_1_1_would_reach_that_server(authority: Authority) -> None:
    """Else the test above would show nothing."""
    context = authority.server()
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", DeprecationWarning)
        context.minimum_version = context.maximum_version = ssl.TLSVersion.TLSv1_1
        context.set_ciphers("ALL:@SECLEVEL=0")
        client = ssl.create_default_context(cafile=str(authority.bundle))
        client.set_ciphers("ALL:@SECLEVEL=0")
        client.minimum_version = ssl.TLSVersion.TLSv1_1
    with RawServer(answer(b"{}"), context) as server:
        port = int(server.origin.rpartition(":")[2])
        with (
            socket.create_connection(("127.0.0.1", port)) as plain,
            client.wrap_socket(plain, server_hostname="127.0.0.1") as secured,
        ):
            assert secured.version() == "TLSv1.1"


def test_a_handshake_that_never_ends_is_bounded_by_the_deadline() -> None:
    """A plain server that takes the ClientHello for the begin of a request and waits for the rest."""
    with RawServer(answer(b"{}")) as server:
        bench = trusting(server.origin.replace("http:", "https:"), None)
        began = time.monotonic()
        assert type(bench.refusal(deadline_seconds=0.5)) is APITimeoutError
        assert time.monotonic() - began < 5


def test_a_server_that_speaks_no_tls_is_refused() -> None:
    with RawServer(answer(b"{}")) as plain:
        error = trusting(plain.origin.replace("http:", "https:"), None).refusal(deadline_seconds=1)
    assert isinstance(error, APIConnectionError)


@pytest.mark.parametrize("name", ["HTTP_PROXY", "http_proxy", "ALL_PROXY", "HTTPS_PROXY"])
def test_no_proxy_is_taken_from_the_environment(
    bench: SandboxBench, monkeypatch: pytest.MonkeyPatch, name: str
) -> None:
    monkeypatch.delenv("NO_PROXY", raising=False)
    monkeypatch.delenv("no_proxy", raising=False)
    with RawServer(answer(b"{}")) as proxy:
        monkeypatch.setenv(name, proxy.origin)
        bench.wire = open_wire()
        bench.good_openmoove().get_detail(bench.property_id(), "new")
        assert proxy.requests == []


def test_session_keys_are_written_nowhere(
    authority: Authority, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setenv("SSLKEYLOGFILE", str(tmp_path / "keys"))
    with RawServer(answer(b"{}"), authority.server()) as server:
        assert trusting(server.origin, authority.bundle).ask().status == 200
    assert not (tmp_path / "keys").exists()


def test_no_credentials_are_taken_from_a_netrc(
    bench: SandboxBench, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    (tmp_path / ".netrc").write_text("machine 127.0.0.1 login evil password evil\n")
    (tmp_path / ".netrc").chmod(0o600)
    monkeypatch.setenv("HOME", str(tmp_path))
    with RawServer(answer(b"{}")) as server:
        bench.origin = server.origin
        bench.ask()
    assert b"authorization" not in server.requests[0].lower()
