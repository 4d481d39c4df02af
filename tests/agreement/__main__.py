# SPDX-FileCopyrightText: 2026 pve.mobility contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""``python -m tests.agreement [--cases N] [--first SEED] [--seed SEED]``: the long run, or one case."""

from __future__ import annotations

import argparse
import sys
import time
from collections import Counter, defaultdict

from tests.agreement.draw import draw
from tests.agreement.run import Word, run
from tests.agreement.shrink import shrink


def main() -> int:
    parser = argparse.ArgumentParser(prog="python -m tests.agreement", description=__doc__)
    parser.add_argument("--cases", type=int, default=2000)
    parser.add_argument("--first", type=int, default=0, help="the first seed")
    parser.add_argument("--seed", type=int, help="only this case, told in full")
    parser.add_argument("--show", type=int, default=10, help="disagreements that are printed")
    parser.add_argument(
        "--shrink", action="store_true", help="make the cluster files that are printed as small as possible"
    )
    arguments = parser.parse_args()
    if arguments.seed is not None:
        result = run(draw(arguments.seed))
        print((shrink(result) if arguments.shrink and result.bad else result).text())
        return int(result.bad)
    began = time.monotonic()
    words: Counter[Word] = Counter()
    found: Counter[str] = Counter()
    causes: dict[str, list[int]] = defaultdict(list)
    shown = differing = 0
    for seed in range(arguments.first, arguments.first + arguments.cases):
        result = run(draw(seed))
        words[result.word] += 1
        differing += bool(result.differs)
        found.update({item.id for item in result.blocking})
        if result.bad:
            causes[f"{result.word.name} {result.cause}"].append(seed)
        if result.bad and shown < arguments.show:
            shown += 1
            print((shrink(result) if arguments.shrink else result).text(), flush=True)
    for cause, seeds in sorted(causes.items(), key=lambda item: -len(item[1])):
        print(f"{len(seeds):6} {cause} (seeds {', '.join(map(str, seeds[:4]))})")
    for word in Word:
        print(f"{words[word]:6} {word.value}")
    print(f"{differing:6} with a precondition that was foreseen wrongly")
    print("blocking:", ", ".join(f"{name} {count}" for name, count in found.most_common()))
    print(f"{arguments.cases} cases in {time.monotonic() - began:.0f} s")
    return int(differing or any(word.bad for word in words))


if __name__ == "__main__":
    sys.exit(main())
