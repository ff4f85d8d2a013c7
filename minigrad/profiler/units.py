"""Times, sizes and percentages as the table prints them."""


def as_time(us: float, unit: str | None = None) -> str:
    """A time with three decimals; where no unit is given, the largest that keeps it at least 1."""
    if unit is None:
        unit = "s" if us >= 1e6 else "ms" if us >= 1e3 else "us"
    return f"{us / {'us': 1, 'ms': 1e3, 's': 1e6}[unit]:.3f} {unit:>2}"


def as_memory(size: int) -> str:
    for factor, unit in ((2**30, "GB"), (2**20, "MB"), (2**10, "KB")):
        if size >= factor:
            return f"{size / factor:.2f} {unit}"
    return f"{size}  B"


def as_percent(part: float, whole: float) -> str:
    return f"{100 * part / whole if whole else 0:.2f}%"


def shorten(text: str, width: int | None, start: bool = False) -> str:
    """The text in `width` characters; `...` stands for its end, or for its start."""
    if width is None or len(text) <= width or width <= 3:
        return text
    return "..." + text[3 - width :] if start else text[: width - 3] + "..."
