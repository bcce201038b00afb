"""The error tree: each error tells a person what happened; each reason is one name."""

from __future__ import annotations

import re
from collections.abc import Iterator

import pytest

from uzel import errors
from uzel.errors import CertificateError, ExitCode, NotTrustedError, Reason, UzelError


def all_errors(kind: type[UzelError] = UzelError) -> Iterator[type[UzelError]]:
    yield kind
    for below in kind.__subclasses__():
        yield from all_errors(below)


ERRORS = sorted(set(all_errors()), key=lambda kind: kind.__name__)


@pytest.mark.parametrize("kind", ERRORS)
def test_each_error_speaks_to_a_person(kind: type[UzelError]) -> None:
    assert kind.__module__ == errors.__name__
    text = str(kind())
    assert text.endswith((".", "here.", "!"))
    assert "\n" not in text
    assert "  " not in text
    assert str(kind("a detail")) == f"{text} (a detail)"
    assert kind("a detail").detail == "a detail"
    assert kind.__name__.endswith("Error")


@pytest.mark.parametrize("kind", [kind for kind in ERRORS if kind is not UzelError])
def test_each_error_has_a_reason_and_an_exit_code(kind: type[UzelError]) -> None:
    assert re.fullmatch("[a-z_]+", kind.reason)
    assert kind.exit_code in ExitCode
    assert kind(reason=Reason.SILENCE).reason is Reason.SILENCE
    assert kind().reason == kind.reason


def test_errors_of_trust_exit_with_4() -> None:
    assert {kind.exit_code for kind in all_errors(NotTrustedError)} == {4}
    assert issubclass(CertificateError, NotTrustedError)


def test_reasons_are_names_for_logs_and_counters() -> None:
    for reason in Reason:
        assert reason.value == reason.name.lower()
        assert re.fullmatch("[a-z][a-z0-9_]*", reason.value)
