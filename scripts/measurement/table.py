"""Tables and units."""


def print_table(rows):
    """Prints rows, each a dictionary of texts, as columns of a Markdown table."""
    names = list(dict.fromkeys(name for row in rows for name in row))
    table = [[name, *(row.get(name, "") for row in rows)] for name in names]
    table[0][0] = ""
    table.insert(1, ["---"] * len(table[0]))
    widths = [max(len(line[column]) for line in table) for column in range(len(table[0]))]
    for line in table:
        cells = (cell.ljust(width, "-" if cell == "---" else " ")
                 for cell, width in zip(line, widths))
        print("|", " | ".join(cells), "|", flush=True)
    print()


def megabytes(count):
    return f"{count / 1e6:.1f} MB"


def milliseconds(seconds):
    return f"{seconds * 1e3:.1f} ms"


def ratio(part, whole):
    return f"{part / whole:.1f}" if part is not None and whole > 0 else ""
