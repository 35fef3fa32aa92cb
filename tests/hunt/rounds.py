"""What a random search is asked on the command line, and how its rounds go on."""

import argparse
import time


def hunt(about, run_round, steps):
    """Do the round of `--seed`, or rounds of new seeds for `--minutes`; each raises what it finds.

    *run_round* takes a seed, *steps* is how many steps a round has; *about* is shown by `--help`.
    """
    parser = argparse.ArgumentParser(description=about.splitlines()[0])
    parser.add_argument("--minutes", type=float, default=1.0)
    parser.add_argument("--seed", type=int)
    asked = parser.parse_args()
    if asked.seed is not None:
        run_round(asked.seed)
        print(f"seed {asked.seed}: nothing found")
        return
    first = time.time_ns() % 1_000_000_000
    print(f"seeds from {first} on")
    ends = time.monotonic() + asked.minutes * 60
    rounds = 0
    while time.monotonic() < ends:
        run_round(first + rounds)
        rounds += 1
    print(f"{rounds} rounds of {steps} steps: nothing found")
