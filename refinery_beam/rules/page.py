"""The page docs/errors.md, as text."""

from __future__ import annotations

from collections.abc import Iterable

from refinery_beam.rules import SECTIONS
from refinery_beam.rules.findings import FINDINGS
from refinery_beam.rules.reasons import REASONS
from refinery_beam.rules.rule import fill

PAGE = """\
# Errors

An error says where, what was found, which rule that breaks and what to do:

```text
error: recipe.yaml:14:11: unknown key 'ratioes' in Splits
  rule:   Splits takes ratios, key_assignment, stratify_by, ...
  remedy: did you mean 'ratios'?
```

The words below are stable: programs may rely on them. `--json` gives errors as objects ([command line](cli.md#for-programs)),
`--debug` shows the traceback. What to do is said in general here, with words in capitals for what an error names; the error itself
is often more exact.

## Ledger reasons

Why a record did not come out ([bad files](bad-files.md)). Under `Input.on_error: fail` they are the code of the error that stops the run.
The last three are what the recipe asked for, and never stop a run.

{reasons}

## Error codes

{codes}

## Findings of `verify`

{findings}
"""


def page() -> str:
    """The whole page."""
    sections = (
        f"### {section.title} (exit {section.exit_code}{', or 130' if section.exit_code == 4 else ''})\n\n"
        + _table(("code", "", "what to do"), ((f"`{code}`", r.meaning, fill(r.remedy, {})) for code, r in section.rules.items()))
        for section in SECTIONS
    )
    return PAGE.format(
        reasons=_table(("reason", ""), ((f"`{word}`", reason.meaning) for word, reason in REASONS.items())),
        codes="\n\n".join(sections),
        findings=_table(("code", ""), ((", ".join(f"`{word}`" for word in words), meaning) for words, meaning in FINDINGS.items())),
    )


def _table(head: tuple[str, ...], rows: Iterable[tuple[str, ...]]) -> str:
    return "\n".join([_row(head), "|" + "---|" * len(head), *map(_row, rows)])


def _row(cells: Iterable[str]) -> str:
    return "|" + "".join(f" {cell} |" if cell else " |" for cell in (cell.replace("|", "\\|").replace("*", "\\*") for cell in cells))
