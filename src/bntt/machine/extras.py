"""How to install what only some commands need: the one place that says it."""


def how_to_install(extra: str) -> str:
    """The command that brings an extra; the package is on no index, so from a clone.

    Args:
        extra: ``data``, ``plot``, ``aedat4`` or another of pyproject.toml's.
    """
    return f'in the clone of bntt: pip install -c constraints.txt ".[{extra}]"'
