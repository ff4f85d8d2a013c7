"""generate held against transformers': the same folder, prompts, options, seeds; the same ids.

ours, model = saved("GPT2LMHeadModel", config, folder)
check_generate(ours, model, ids, mask, num_beams=3, max_new_tokens=12)
"""

import numpy
from pretrained_checks import both, torch

import minigrad as mg

DRAW = numpy.random.default_rng(11)


def prompts(vocab=50, lowest=5, batch=3, length=7, pad=0, left=True):
    """ids (B, T) and their mask: a whole prompt, one 3 shorter, one of 2 tokens."""
    ids = DRAW.integers(lowest, vocab, (batch, length))
    mask = numpy.ones_like(ids)
    for row, keep in zip(mask, (length, length - 3, 2), strict=False):
        row[: length - max(keep, 1)] = 0
    if not left:
        mask = mask[:, ::-1]
    return numpy.where(mask == 1, ids, pad), numpy.ascontiguousarray(mask)


def saved(name, config, folder):
    """(ours, transformers') with the same weights, both ready to generate."""
    ours, model = both(name, config, folder)
    model.generation_config.do_sample = False
    return ours.eval(), model.eval()


def run(ours, model, ids, mask=None, *, seed=7, **options):
    """What both give for the same call: ids, or outputs."""
    torch.manual_seed(seed)
    mg.manual_seed(seed)
    theirs = {k: torch.tensor(v) if isinstance(v, numpy.ndarray) else v for k, v in options.items()}
    mine = {k: mg.tensor(v) if isinstance(v, numpy.ndarray) else v for k, v in options.items()}
    if mask is not None:
        theirs["attention_mask"], mine["attention_mask"] = torch.tensor(mask), mg.tensor(mask)
    expected = model.generate(torch.tensor(ids), **theirs)
    return ours.generate(mg.tensor(ids), **mine), expected


def check_generate(ours, model, ids, mask=None, **options):
    """The same ids from both; they are given back."""
    found, expected = run(ours, model, ids, mask, **options)
    numpy.testing.assert_array_equal(found.numpy(), expected.numpy(), str(options))
    return found
