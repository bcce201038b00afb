"""The page for other devices: HTTPS with a certificate of the user's own, or not at all."""

from __future__ import annotations

import asyncio
import ipaddress
import ssl
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from pathlib import Path

import httpx
import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec, ed25519
from cryptography.x509.oid import NameOID

from core.core_world import run
from faces.api.api_world import good, problem
from faces.web.page_world import Page, paged
from uzel.app.core_page import PagePlan
from uzel.errors import ConfigError
from uzel.faces.web.guard import HEADERS, SECRET
from uzel.faces.web.share import Share

Made = tuple[Path, Path]
Key = ec.EllipticCurvePrivateKey | ed25519.Ed25519PrivateKey


def make(folder: Path, key: Key | None = None, days: int = 9) -> Made:
    """A certificate for localhost, 127.0.0.1 and a name with a star, and its key."""
    key = key or ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "home")])
    hosts = [x509.DNSName("localhost"), x509.DNSName("*.example"), x509.IPAddress(ipaddress.ip_address("127.0.0.1"))]
    now = datetime.now(UTC)
    made = (
        x509.CertificateBuilder().subject_name(name).issuer_name(name).public_key(key.public_key()).serial_number(1)
        .not_valid_before(now - timedelta(days=10)).not_valid_after(now + timedelta(days=days))
        .add_extension(x509.SubjectAlternativeName(hosts), critical=False)
        .sign(key, hashes.SHA256() if isinstance(key, ec.EllipticCurvePrivateKey) else None)
    )  # fmt: skip
    cert, key_file = folder / "cert.pem", folder / "key.pem"
    cert.write_bytes(made.public_bytes(serialization.Encoding.PEM))
    key_file.write_bytes(
        key.private_bytes(serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption())
    )
    key_file.chmod(0o600)
    return cert, key_file


def device(page: Page, cert: Path, host: str = "127.0.0.1") -> httpx.AsyncClient:
    trust = ssl.create_default_context(cafile=str(cert))
    port = page.sessions.shared.rstrip("/").rpartition(":")[2]
    return httpx.AsyncClient(base_url=f"https://{host}:{port}", verify=trust)


def handshakes_may_fail() -> None:
    """In its debug mode, which the tests have on, asyncio tells the loop of each one."""
    asyncio.get_running_loop().set_exception_handler(lambda *_: None)


def test_a_device_elsewhere_is_paired_over_https(tmp_path: Path) -> None:
    cert, key = make(tmp_path)

    async def story() -> None:
        async with (
            paged(tmp_path, share=Share.read("127.0.0.1:0", cert, key)) as page,
            page.signed_in() as browser,
            device(page, cert) as telephone,
        ):
            pairing = good(await browser.post("/v1/devices/pairing"), 201)
            assert pairing["address"] == f"{telephone.base_url}/"
            answer = await telephone.post("/session", json={"code": pairing["code"], "name": "Telephone"})
            telephone.headers[SECRET] = good(answer)["secret"]
            assert "; secure" in answer.headers["set-cookie"].lower()
            assert answer.headers["set-cookie"].startswith("__Host-uzel-")
            assert good(await telephone.get("/session"))["device"]["kind"] == "paired"
            page_itself = await telephone.get("/")
            assert page_itself.headers["content-security-policy"] == HEADERS["content-security-policy"]
            assert page_itself.extensions["network_stream"].get_extra_info("ssl_object").version() == "TLSv1.3"
            port = telephone.base_url.port
            good(await telephone.get("/v1/status", headers={"Host": f"localhost:{port}"}))
            for host in (f"evil.example:{port}", f"a.example:{port}", f"127.0.0.1:{page.port}", "127.0.0.1"):
                problem(await telephone.get("/v1/status", headers={"Host": host}), 403, "foreign_host")
            plain = {"Origin": f"http://127.0.0.1:{port}"}
            problem(await telephone.get("/v1/status", headers=plain), 403, "foreign_origin")
            handshakes_may_fail()
            with pytest.raises(httpx.HTTPError):
                await browser.get(f"http://127.0.0.1:{port}/")
            assert page.sessions.refused() == {"foreign_host": 4, "foreign_origin": 1, "tls_failed": 1}

    run(story)


def test_nothing_older_than_tls_1_3_is_spoken(tmp_path: Path) -> None:
    cert, key = make(tmp_path)

    async def story() -> None:
        async with paged(tmp_path, share=Share.read("127.0.0.1:0", cert, key)) as page:
            old = ssl.create_default_context(cafile=str(cert))
            handshakes_may_fail()
            old.maximum_version = ssl.TLSVersion.TLSv1_2
            async with httpx.AsyncClient(verify=old) as client:
                with pytest.raises(httpx.ConnectError):
                    await client.get(page.sessions.shared)
            assert page.sessions.refused() == {"tls_version": 1}

    run(story)


def others_may_read(cert: Path, key: Path) -> None:
    key.chmod(0o640)


def another_key(cert: Path, key: Path) -> None:
    key.write_bytes(key.read_bytes().replace(key.read_bytes(), make_key()))


def make_key() -> bytes:
    return ec.generate_private_key(ec.SECP256R1()).private_bytes(
        serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
    )


def locked(cert: Path, key: Path) -> None:
    loaded = serialization.load_pem_private_key(key.read_bytes(), None)
    kind = serialization.BestAvailableEncryption(b"x")
    key.write_bytes(loaded.private_bytes(serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, kind))


def no_certificate(cert: Path, key: Path) -> None:
    cert.write_bytes(b"no certificate")


def missing(cert: Path, key: Path) -> None:
    cert.unlink()


def ran_out(cert: Path, key: Path) -> None:
    make(cert.parent, days=-1)


def no_browser_takes_it(cert: Path, key: Path) -> None:
    make(cert.parent, ed25519.Ed25519PrivateKey.generate())


@pytest.mark.parametrize(
    "spoil", [others_may_read, another_key, locked, no_certificate, missing, ran_out, no_browser_takes_it]
)
def test_a_certificate_that_will_not_do_is_refused(tmp_path: Path, spoil: Callable[[Path, Path], None]) -> None:
    cert, key = make(tmp_path)
    Share.read("127.0.0.1:0", cert, key)
    spoil(cert, key)
    with pytest.raises(ConfigError, match="--cert"):
        Share.read("127.0.0.1:0", cert, key)


def test_without_a_certificate_the_way_is_ssh(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match=r"ssh -N -L 8940:127\.0\.0\.1:8940 "):
        PagePlan.read(True, None, "0.0.0.0:8943", None, None)
    with pytest.raises(ConfigError, match="--web"):
        PagePlan.read(False, None, "0.0.0.0:8943", None, None)
    with pytest.raises(ConfigError, match="--share"):
        PagePlan.read(True, None, None, tmp_path, None)
    assert PagePlan.read(False, None, None, None, None) is None


def test_the_names_are_those_of_the_place(tmp_path: Path) -> None:
    cert, key = make(tmp_path)
    assert Share.read("home.lan:1", cert, key).names == ("home.lan", "localhost", "127.0.0.1")
    assert Share.read("0.0.0.0:1", cert, key).names == ("localhost", "127.0.0.1")
    assert Share.read("[::1]:1", cert, key).names == ("[::1]", "localhost", "127.0.0.1")
