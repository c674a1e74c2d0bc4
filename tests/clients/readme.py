"""Fails unless the README shows what the report prints: readme.py README.md OUTPUT."""

import sys


def main():
    readme, report = open(sys.argv[1], encoding="utf-8").read(), sys.argv[2].strip("\n")
    shown = [line.rstrip() for line in readme.splitlines()]
    missing = [line for line in report.splitlines() if line.strip() and line.rstrip() not in shown]
    if missing:
        sys.exit("the README does not show these lines of the report:\n" + "\n".join(missing))
    print(f"{len(report.splitlines())} lines of the report are in the README")


main()
