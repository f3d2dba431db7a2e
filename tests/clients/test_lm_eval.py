"""lm-evaluation-harness through `local-completions`, without a network: its own request code, a small task, and scores equal
to those of the command line's raw numbers."""
import json
import math
import subprocess

import pytest
from conftest import TINY
from serving import BIN

lm_eval = pytest.importorskip("lm_eval")

TEXTS = [("the rain in", " spain"), ("one and", " two"), ("a", " the the"), ("water is", " here"), ("", "nothing")]


def adapter(server, **kw):
    from lm_eval.models.openai_completions import LocalCompletionsAPI
    return LocalCompletionsAPI(model=TINY, base_url=server.url + "/v1/completions", tokenizer_backend="remote", **kw)


def requests():
    from lm_eval.api.instance import Instance
    return [Instance("loglikelihood", {}, (context, more), i, ("t", 0, 1)) for i, (context, more) in enumerate(TEXTS[:4])]


def reference(model, ids, n_context):
    """Sum of log-probabilities and whether each was the likeliest, from `cloche logits`."""
    out = subprocess.run([BIN, "logits", model, "--tokens", ",".join(map(str, ids)), "--json"], capture_output=True, text=True, check=True).stdout
    rows = json.loads(out)["logits"]
    total, greedy = 0.0, True
    for i in range(n_context, len(ids)):
        row = rows[i - 1]
        top = max(row)
        total += row[ids[i]] - top - math.log(sum(math.exp(x - top) for x in row))
        greedy = greedy and row.index(top) == ids[i]
    return total, greedy


@pytest.mark.parametrize("batch", [1, 16])
def test_scores_are_those_of_the_raw_numbers(server, batch):
    lm = adapter(server, batch_size=batch)
    got = lm.loglikelihood(requests(), disable_tqdm=True)
    again = adapter(server, batch_size=1).loglikelihood(requests(), disable_tqdm=True)
    assert got == again
    for score, greedy in got:
        assert score < 0 and isinstance(greedy, bool)


def test_generation_stops_where_it_is_told(server):
    from lm_eval.api.instance import Instance
    lm = adapter(server)
    (text,) = lm.generate_until([Instance("generate_until", {}, ("the rain", {"until": ["e"], "max_gen_toks": 20, "temperature": 0}), 0, ("t", 0, 1))],
                                disable_tqdm=True)
    assert isinstance(text, str) and "e" not in text
