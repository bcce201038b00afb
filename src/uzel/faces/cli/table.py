"""Columns of text for a terminal, and quantities as a person reads them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from uzel.faces.cli.output import printable

_UNITS = ("B", "KiB", "MiB", "GiB", "TiB")


def table(heads: Sequence[str], rows: Sequence[Sequence[str]], *, right: frozenset[str] = frozenset()) -> list[str]:
    """Lines of aligned columns, the heads first; those named in `right` end at one edge. Nothing in it is obeyed."""
    cells = [list(heads), *([_cell(cell) for cell in row] for row in rows)]
    widths = [max(len(row[column]) for row in cells) for column in range(len(heads))]
    lines = []
    for row in cells:
        aligned = [
            cell.rjust(width) if head in right else cell.ljust(width)
            for head, cell, width in zip(heads, row, widths, strict=True)
        ]
        lines.append("  ".join(aligned).rstrip())
    return lines


def facts(pairs: Sequence[tuple[str, str]], *, indent: str = "") -> list[str]:
    """Lines of a name and what it is, aligned. Nothing in it is obeyed."""
    cells = [(_cell(name), _cell(value)) for name, value in pairs]
    width = max(len(name) for name, _ in cells)
    return [f"{indent}{name:<{width}}  {value}".rstrip() for name, value in cells]


def counts(title: str, numbers: Mapping[str, int]) -> list[str]:
    """A title, and below it how often what was; or that there was nothing of it."""
    shown = [(name, str(count)) for name, count in numbers.items()]
    return [title, *facts(shown, indent="  ")] if shown else [f"no {title}"]


def size(count: int) -> str:
    """Bytes in binary units: 0 B, 1.5 KiB."""
    amount, unit = float(count), 0
    while amount >= 1000 and unit < len(_UNITS) - 1:
        amount, unit = amount / 1024, unit + 1
    return f"{amount:.1f} {_UNITS[unit]}" if unit else f"{count} B"


def duration(seconds: float) -> str:
    """Seconds in the two largest units that matter: 0.4 s, 12 s, 3 min 5 s, 2 h 0 min, 5 d 3 h."""
    if seconds < 10:
        return f"{seconds:.1f} s"
    whole = round(seconds)
    if whole < 60:
        return f"{whole} s"
    if whole < 3600:
        return f"{whole // 60} min {whole % 60} s"
    if whole < 86_400:
        return f"{whole // 3600} h {whole % 3600 // 60} min"
    return f"{whole // 86_400} d {whole % 86_400 // 3600} h"


def _cell(text: str) -> str:
    """Untrusted text on one line."""
    return printable(" ".join(text.split()))
