"""Mutants of the table of reactions: each deletes, changes or adds a row."""

from __future__ import annotations

from collections.abc import Iterator

from chatgpt4online.protocol.calls.policies import REACTIONS, TABLE, Reaction, Refusal, Step

from .change import Mutant, constant

Row = tuple[tuple[Step, ...], Refusal, tuple[Reaction, ...]]
Table = tuple[Row, ...]

_TESTS = ("test_characterisation", "test_discovery", "test_turn", "test_calls")


def reactions(table: Table) -> dict[tuple[Step, Refusal], tuple[Reaction, ...]]:
    """Return the reactions of a table."""
    return {(step, refusal): listed for steps, refusal, listed in table for step in steps}


def changed_rows(row: Row) -> Iterator[tuple[str, tuple[Row, ...]]]:
    """Yield each change of one row: a description, and the rows that replace it."""
    steps, refusal, listed = row
    yield "row deleted", ()
    for step in steps if len(steps) > 1 else ():
        yield f"without the step {step.name}", ((tuple(one for one in steps if one is not step), refusal, listed),)
    for reaction in listed if len(listed) > 1 else ():
        kept = tuple(one for one in listed if one is not reaction)
        yield f"without {reaction.name}", ((steps, refusal, kept),)
    if len(listed) > 1:
        yield "reactions in reverse order", ((steps, refusal, listed[::-1]),)
    for reaction in Reaction:
        if reaction not in listed:
            yield f"{reaction.name} instead", ((steps, refusal, (reaction,)),)


def _mutants() -> Iterator[Mutant]:
    for number, row in enumerate(TABLE):
        steps = "any step" if len(row[0]) == len(Step) else " ".join(step.name for step in row[0])
        for what, rows in changed_rows(row):
            table = (*TABLE[:number], *rows, *TABLE[number + 1 :])
            yield _mutant(f"({steps}, {row[1].name}): {what}", table)
    for step in Step:
        for refusal in Refusal:
            if (step, refusal) not in REACTIONS:
                yield _mutant(
                    f"({step.name}, {refusal.name}): RETRY added", (*TABLE, ((step,), refusal, (Reaction.RETRY,)))
                )


def _mutant(name: str, table: Table) -> Mutant:
    return Mutant(name, "protocol.calls.policies:REACTIONS", constant(reactions(table)), _TESTS)


MUTANTS = list(_mutants())
