"""lm-evaluation-harness through `local-completions`, without a network: its own request code, a small task, and scores equal
to those of the command line's raw numbers."""
import math
import subprocess

import numpy
import pytest
from conftest import TINY
from serving import BIN

lm_eval = pytest.importorskip("lm_eval")

TEXTS = [("the rain in", " spain"), ("one and", " two"), ("a", " the the"), ("water is", " here")]


def adapter(server, **kw):
    from lm_eval.models.openai_completions import LocalCompletionsAPI
    return LocalCompletionsAPI(model=TINY, base_url=server.url + "/v1/completions", tokenizer_backend="remote", **kw)


def requests():
    from lm_eval.api.instance import Instance
    return [Instance("loglikelihood", {}, (context, more), i, ("t", 0, 1)) for i, (context, more) in enumerate(TEXTS)]


def reference(model, folder, ids, n_context):
    """Sum of log-probabilities and whether each was the likeliest, from `cloche logits`."""
    out = folder / "logits.npy"
    subprocess.run([BIN, "logits", model, "--tokens", ",".join(map(str, ids)), "--out", out, "--data", folder], check=True)
    rows = numpy.load(out).astype(numpy.float64)
    total, greedy = 0.0, True
    for i in range(n_context, len(ids)):
        row = rows[i - 1]
        total += row[ids[i]] - row.max() - math.log(numpy.exp(row - row.max()).sum())
        greedy = greedy and int(row.argmax()) == ids[i]
    return total, greedy


@pytest.mark.parametrize("batch", [1, 16])
def test_scores_are_those_of_the_raw_numbers(server, models, tmp_path, batch):
    lm = adapter(server, batch_size=batch)
    got = lm.loglikelihood(requests(), disable_tqdm=True)
    assert got == adapter(server, batch_size=1).loglikelihood(requests(), disable_tqdm=True)
    for (context, more), (score, greedy) in zip(TEXTS, got):
        n_context, whole = len(lm.tok_encode(context)), lm.tok_encode(context + more)
        want, want_greedy = reference(models[TINY], tmp_path, whole, n_context)
        assert abs(score - want) < 1e-9 * abs(want) + 1e-12 and greedy == want_greedy


def test_the_likeliest_text_is_known_as_such(server):
    from lm_eval.api.instance import Instance
    lm = adapter(server)
    (more,) = lm.generate_until([Instance("generate_until", {}, ("the rain", {"until": ["\0"], "max_gen_toks": 6, "temperature": 0}), 0, ("t", 0, 1))],
                                disable_tqdm=True)
    context = lm.tok_encode("the rain")
    if lm.tok_encode("the rain" + more)[:len(context)] == context and len(lm.tok_encode("the rain" + more)) == len(context) + 6:
        ((_, greedy),) = lm.loglikelihood([Instance("loglikelihood", {}, ("the rain", more), 0, ("t", 0, 1))], disable_tqdm=True)
        assert greedy


def test_generation_stops_where_it_is_told(server):
    from lm_eval.api.instance import Instance
    lm = adapter(server)
    (text,) = lm.generate_until([Instance("generate_until", {}, ("the rain", {"until": ["e"], "max_gen_toks": 20, "temperature": 0}), 0, ("t", 0, 1))],
                                disable_tqdm=True)
    assert isinstance(text, str) and "e" not in text
