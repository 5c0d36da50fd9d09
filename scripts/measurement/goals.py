"""The goals of the comparison, and whether they are reached."""

AT_LEAST, AT_MOST = "at least", "at most"
SMALL, LARGE, LARGEST = "10x100", "1000x100", "10000x100"
LARGE_SIZES = (LARGE, LARGEST)
# The row, the bound, and the sizes to which it applies.
GOALS = (
    *((f"{case}: ratio", AT_LEAST, 1.0, LARGE_SIZES)
      for case in ("identity, 1 conn.", "identity, 8 conn.", "gzip, 1 conn.", "gzip, 8 conn.")),
    ("pushgateway / scrape", AT_LEAST, 120, LARGE_SIZES),
    ("5 % changed: pushgateway / scrape", AT_LEAST, 100, LARGE_SIZES),
    ("first gzip / scrape", AT_MOST, 3, LARGE_SIZES),
    ("first round, CPU / bare client", AT_MOST, 4, LARGE_SIZES),
    ("first round with storage, CPU / bare client", AT_MOST, 10, LARGE_SIZES),
    ("that / text", AT_MOST, 3, (LARGE,)),
    ("that / text", AT_MOST, 1.2, (LARGEST,)),
    ("RSS at the peak of an identity scrape", AT_MOST, 20, (SMALL,)),
)


def judge(rows):
    """A row for each goal and measured size."""
    judged = []
    for row in rows:
        for name, direction, bound, sizes in GOALS:
            if row["size"] not in sizes or name not in row:
                continue
            if not row[name]:
                judged.append((row["size"], name, f"{direction} {bound}", "-", "not known"))
                continue
            reached = float(row[name].removesuffix(" MB"))
            held = reached >= bound if direction == AT_LEAST else reached <= bound
            judged.append((row["size"], name, f"{direction} {bound}", row[name],
                           "yes" if held else "NO"))
    return judged


def print_goals(rows):
    print("| size | goal | bound | measured | reached |")
    print("| --- | --- | --- | --- | --- |")
    for row in judge(rows):
        print("|", " | ".join(row), "|")
    print()
