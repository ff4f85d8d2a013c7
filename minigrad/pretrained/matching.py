"""A folder's weights under a model's names: with a head or without, tied, old names, wrong shapes."""

# old names of a layer norm's parameters
OLD_NAMES = {"gamma": "weight", "beta": "bias"}
# buffers that old versions wrote down, and that can be counted
COUNTED = ("position_ids", "token_type_ids")


def match(model, given: dict, folder, ignore_mismatched: bool = False) -> tuple[dict, dict]:
    """(the tensors that have a place in the model, what was missing, unexpected, mismatched).

    Raises RuntimeError for tensors of another shape, unless they are to be ignored, and for weights
    of the model without its head that are missing; `model.optional` ones may be. Tied names for which
    the folder has two tensors that differ become parameters of their own.
    """
    ours = model.state_dict()
    prefix = f"{model.base_model_prefix}."
    has_head = any(name.startswith(prefix) for name in ours)
    given = renamed(given, ours, prefix, has_head)
    model.untie(_differing(given, model.ties()))
    given = _tied(given, model.ties())
    name_of_class = type(model).__name__
    wrong = sorted(n for n, t in given.items() if n in ours and t.shape != ours[n].shape)
    if wrong and not ignore_mismatched:
        name = wrong[0]
        raise RuntimeError(
            f"{name_of_class}: {folder} has {name} of shape {tuple(given[name].shape)}, the model "
            f"{tuple(ours[name].shape)} ({len(wrong)} such): change the configuration, or pass "
            "ignore_mismatched_sizes=True to start these anew"
        )
    unexpected = sorted(given.keys() - ours.keys())
    wanted = ours.keys() - model.ties().keys()
    missing = sorted(n for n in wanted - given.keys() if not n.endswith(model.known))
    kept = {name: t for name, t in given.items() if name not in {*wrong, *unexpected}}
    needed = [
        name
        for name in missing
        if (name.startswith(prefix) or not has_head)
        and not name.removeprefix(prefix).startswith(model.optional)
    ]
    if needed:
        more = f" and {len(needed) - 1} more weights" if len(needed) > 1 else ""
        others = f" ({', '.join(unexpected[:3])} ...)" if unexpected else ""
        raise RuntimeError(
            f"{name_of_class}: {folder} lacks {needed[0]}{more}; it has {len(kept)} of the model's "
            f"{len(wanted)} and {len(unexpected)} others{others}"
        )
    info = {"missing_keys": missing, "unexpected_keys": unexpected, "mismatched_keys": wrong}
    return kept, info | {"error_msgs": []}


def renamed(given: dict, ours, prefix: str, has_head: bool) -> dict:
    """A file's tensors under a model's names: old names made new, the base's prefix added or taken."""
    found = {}
    for name, tensor in given.items():
        stem, _, leaf = name.rpartition(".")
        if leaf in COUNTED:
            continue
        if leaf in OLD_NAMES and name not in ours:
            name = f"{stem}.{OLD_NAMES[leaf]}"
        if name not in ours:
            if has_head and prefix + name in ours:
                name = prefix + name
            elif not has_head:
                name = name.removeprefix(prefix)
        found[name] = tensor
    return found


def _differing(given: dict, tied: dict[str, str]) -> list[str]:
    """The tied names that a file has beside their source, of one shape, with other numbers."""
    both = [name for name, source in tied.items() if name in given and source in given]
    return [
        name
        for name in both
        if given[name].shape == given[tied[name]].shape and not given[name].equal(given[tied[name]])
    ]


def _tied(given: dict, tied: dict[str, str]) -> dict:
    """Tied tensors under the name of their source; a file may have either name, or both."""
    found = {name: tensor for name, tensor in given.items() if name not in tied}
    for name, source in tied.items():
        if name in given:
            found.setdefault(source, given[name])
    return found
