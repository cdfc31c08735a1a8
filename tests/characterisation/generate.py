"""Write the table again, from the present behaviour: ``python -m tests.characterisation.generate``."""

from __future__ import annotations

import json

from .replay import TABLE, all_rows, play


def main() -> None:
    """Write the table with one row in each line, sorted, so that equal behaviour gives an equal file."""
    lines = sorted(
        json.dumps({"row": row, **play(row)}, ensure_ascii=False, separators=(",", ":")) for row in set(all_rows())
    )
    TABLE.write_text("".join(f"{line}\n" for line in lines), encoding="utf-8")
    print(f"{len(lines)} rows, {TABLE.stat().st_size // 1000} kB")


if __name__ == "__main__":
    main()
