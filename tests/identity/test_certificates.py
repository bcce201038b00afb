"""Certificates: ours can be read; each wrong one gets its named error; hostile bytes get no other."""

from __future__ import annotations

import pytest
from cryptography.hazmat.primitives.asymmetric import ec, ed448, rsa
from cryptography.x509 import ObjectIdentifier
from cryptography.x509.oid import ExtendedKeyUsageOID
from hypothesis import given, settings
from hypothesis import strategies as st

from identity.identity_helpers import AnyKey, certificate_with, cheap_identity, real_identity, rich_certificate
from uzel.errors import CertificateError, Reason
from uzel.identity import Identity, PeerCertificate, check_uin, read_certificate, read_node_certificate
from uzel.identity.certificates import MAX_CERTIFICATE
from uzel.names import Uin

SERVER, CLIENT = ExtendedKeyUsageOID.SERVER_AUTH, ExtendedKeyUsageOID.CLIENT_AUTH
P256 = ec.generate_private_key(ec.SECP256R1())


def test_ours_can_be_read() -> None:
    mine = real_identity()
    certificate = read_certificate(mine.certificate_der)
    assert certificate == PeerCertificate(mine.uin, mine.fingerprint, mine.spki)
    assert read_node_certificate(mine.certificate_der).fingerprint == mine.fingerprint
    check_uin(certificate)


def test_p256_can_be_read() -> None:
    mine = Identity(P256, Uin(99))
    assert read_certificate(mine.certificate_der) == PeerCertificate(Uin(99), mine.fingerprint, mine.spki)


def test_a_uin_of_another_key_is_named() -> None:
    with pytest.raises(CertificateError, match="does not belong") as caught:
        check_uin(read_certificate(cheap_identity().certificate_der))
    assert caught.value.reason is Reason.UIN_NOT_OF_KEY


@pytest.mark.parametrize("uses", [None, [SERVER, CLIENT], [CLIENT, SERVER]])
@pytest.mark.parametrize("years", [(1970, 1971), (2200, 2300)])
def test_dates_are_ignored_and_both_uses_allowed(uses: list[ObjectIdentifier] | None, years: tuple[int, int]) -> None:
    assert read_certificate(certificate_with(["4294967295"], uses=uses, years=years)).uin == 4294967295


@pytest.mark.parametrize(
    "names",
    [
        [],
        ["1", "1"],
        ["0"],
        ["01"],
        ["4294967296"],
        ["-1"],
        ["+1"],
        [" 1"],
        ["1\n"],
        ["1\0"],
        ["node"],
        ["1_0"],
        ["٣"],
        ["1" * 60],
    ],
)
def test_names_that_are_not_one_uin(names: list[str]) -> None:
    der = certificate_with(names)
    with pytest.raises(CertificateError) as caught:
        read_certificate(der)
    assert caught.value.reason is Reason.CERTIFICATE_MALFORMED
    read_node_certificate(der)  # a node's name means nothing


@pytest.mark.parametrize("uses", [[SERVER], [CLIENT], [ExtendedKeyUsageOID.CODE_SIGNING]])
def test_half_the_uses(uses: list[ObjectIdentifier]) -> None:
    with pytest.raises(CertificateError, match="extended key usage") as caught:
        read_certificate(certificate_with(["1"], uses=uses))
    assert caught.value.reason is Reason.CERTIFICATE_MALFORMED


@pytest.mark.parametrize(
    "key",
    [
        ed448.Ed448PrivateKey.generate(),
        ec.generate_private_key(ec.SECP384R1()),
        ec.generate_private_key(ec.SECP256K1()),
        rsa.generate_private_key(65537, 2048),
    ],
)
def test_other_keys(key: AnyKey) -> None:
    for read in (read_certificate, read_node_certificate):
        with pytest.raises(CertificateError) as caught:
            read(certificate_with(["1"], key=key))
        assert caught.value.reason is Reason.CERTIFICATE_KEY_TYPE


def test_a_key_type_that_nobody_knows() -> None:
    der = certificate_with(["1"]).replace(bytes.fromhex("06032b6570032100"), bytes.fromhex("06032b657f032100"))
    with pytest.raises(CertificateError) as caught:
        read_certificate(der)
    assert caught.value.reason is Reason.CERTIFICATE_KEY_TYPE


@pytest.mark.parametrize("serial", ["020100", "0201ff", "020180", "0200"])
def test_a_serial_number_that_is_not_positive_warns_nobody(serial: str) -> None:
    der = certificate_with(["1"]).replace(bytes.fromhex("020105"), bytes.fromhex(serial).ljust(3, b"\0"), 1)
    with pytest.raises(CertificateError, match=r"serial|cannot be read") as caught:
        read_certificate(der)
    assert caught.value.reason is Reason.CERTIFICATE_MALFORMED


def test_too_long() -> None:
    with pytest.raises(CertificateError, match="longer"):
        read_certificate(certificate_with(["1"]) + bytes(MAX_CERTIFICATE))


def test_the_self_signature_is_not_examined() -> None:
    der = cheap_identity().certificate_der
    assert read_certificate(der[:-1] + bytes([der[-1] ^ 1])) == read_certificate(der)


def test_other_extensions_are_ignored() -> None:
    assert read_certificate(rich_certificate()).uin == 12


def test_a_name_that_the_library_warns_of_is_silent() -> None:
    der = certificate_with(["1"], state="DEU").replace(b"\x55\x04\x08", b"\x55\x04\x06")  # now it is a country
    assert read_certificate(der).uin == 1


def test_a_second_encoding_of_a_key_is_refused() -> None:
    usual = certificate_with(["1"], key=P256)
    at = usual.index(bytes.fromhex("03420004")) + 3
    with pytest.raises(CertificateError) as caught:
        read_certificate(usual[:at] + b"\x06" + usual[at + 1 :])  # a hybrid point
    assert caught.value.reason is Reason.CERTIFICATE_KEY_TYPE


def test_a_point_off_the_curve() -> None:
    usual = certificate_with(["1"], key=P256)
    at = usual.index(bytes.fromhex("03420004")) + 10
    with pytest.raises(CertificateError) as caught:
        read_certificate(usual[:at] + bytes([usual[at] ^ 1]) + usual[at + 1 :])
    assert caught.value.reason is Reason.CERTIFICATE_MALFORMED


BASES = [
    certificate_with(["123"], uses=[SERVER, CLIENT]),
    certificate_with(["123"], key=P256),
    certificate_with(["123"], key=rsa.generate_private_key(65537, 1024)),
    cheap_identity(4000000000).certificate_der,
    rich_certificate(),
]


@settings(max_examples=1500, deadline=None)
@given(
    st.sampled_from(BASES),
    st.lists(st.tuples(st.integers(0, 2000), st.integers(0, 255)), min_size=1, max_size=6),
    st.integers(0, 2000) | st.none(),
)
def test_mutations_raise_only_certificate_errors(base: bytes, changes: list[tuple[int, int]], cut: int | None) -> None:
    der = bytearray(base)
    for at, value in changes:
        der[at % len(der)] = value
    _read_both(bytes(der) if cut is None else bytes(der[: cut % len(der)]))


@pytest.mark.parametrize("base", [*BASES[:2], BASES[-1]])
def test_each_single_byte_wrong(base: bytes) -> None:
    for at in range(len(base)):
        for value in (0, 1, 0x7F, 0x80, 0xFF, base[at] ^ 1, base[at] ^ 0x20):
            _read_both(base[:at] + bytes([value]) + base[at + 1 :])


@given(st.binary(max_size=300))
def test_any_bytes_raise_only_certificate_errors(der: bytes) -> None:
    _read_both(der)


def _read_both(der: bytes) -> None:
    for read in (read_certificate, read_node_certificate):
        try:
            read(der)
        except CertificateError as error:
            assert error.reason in {Reason.CERTIFICATE_MALFORMED, Reason.CERTIFICATE_KEY_TYPE}  # noqa: PT017
