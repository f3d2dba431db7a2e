"""Health and metrics."""
import json
import re
import subprocess
import time

import httpx
from conftest import TINY
from serving import BIN, Server
from prometheus_client.parser import text_string_to_metric_families


def families(server):
    r = httpx.get(server.url + "/metrics")
    assert r.headers["content-type"] == "text/plain; version=0.0.4; charset=utf-8" and r.text.endswith("\n")
    seen = [x.split()[2] for x in r.text.splitlines() if x.startswith("# TYPE")]
    assert len(seen) == len(set(seen))
    return {f.name: f for f in text_string_to_metric_families(r.text)}


def test_probes(server):
    for path, text in (("/livez", "ok"), ("/readyz", '{"status":"ok"}\n'), ("/health", '{"status":"ok"}\n'),
                       ("/v1/health", '{"status":"ok"}\n'), ("/ping", ""), ("/", "Ollama is running")):
        r = httpx.get(server.url + path)
        assert (r.status_code, r.text) == (200, text), path
    assert httpx.get(server.url + "/version").json()["numerics"] == "n1"


def test_every_family_parses_and_counts(server):
    httpx.post(server.url + "/v1/completions", json={"model": TINY, "prompt": "the", "max_tokens": 4, "ignore_eos": True})
    before = families(server)
    httpx.post(server.url + "/v1/completions", json={"model": TINY, "prompt": "the", "max_tokens": 4, "ignore_eos": True})
    after = families(server)
    assert set(before) == set(after)

    def value(f, name, **labels):
        return sum(s.value for s in f[name].samples if all(s.labels.get(k) == v for k, v in labels.items()) and not s.name.endswith("_created"))
    assert value(after, "cloche_generation_tokens", model=TINY) == value(before, "cloche_generation_tokens", model=TINY) + 4
    assert value(after, "cloche_models_loaded") == 2 and value(after, "cloche_context_length", model=TINY) == 1024
    h = [s for s in after["cloche_time_to_first_token_seconds"].samples if s.labels.get("model") == TINY]
    buckets = [s.value for s in h if s.name.endswith("_bucket")]
    assert buckets == sorted(buckets) and buckets[-1] == next(s.value for s in h if s.name.endswith("_count")) > 0
    for name, f in before.items():
        if f.type == "counter":
            for s in f.samples:
                if s.name.endswith("_total"):
                    now = next((x.value for x in after[name].samples if x.name == s.name and x.labels == s.labels), None)
                    assert now is not None and now >= s.value, s


def test_names_that_the_contract_gives(server):
    have = set(families(server))
    assert have >= {"cloche_build_info", "cloche_http_requests", "cloche_http_request_duration_seconds", "cloche_requests_running",
                    "cloche_requests_waiting", "cloche_requests_rejected", "cloche_request_success", "cloche_prompt_tokens",
                    "cloche_generation_tokens", "cloche_cached_tokens", "cloche_time_to_first_token_seconds",
                    "cloche_inter_token_latency_seconds", "cloche_e2e_request_latency_seconds", "cloche_request_queue_time_seconds",
                    "cloche_request_prefill_time_seconds", "cloche_request_decode_time_seconds", "cloche_kv_cache_usage_ratio",
                    "cloche_models_loaded", "cloche_model_memory_bytes", "cloche_context_length", "cloche_model_loads",
                    "cloche_model_unloads", "process_resident_memory_bytes", "process_cpu_seconds", "process_start_time_seconds",
                    "process_open_fds"}


# --- what promtool's lint looks at, and the names of other servers ----------------------------------------------------------
def lint(text):
    """Faults of the text format 0.0.4, as `promtool check metrics` and the format's description have them."""
    faults, types, helps, order, seen = [], {}, {}, [], set()
    last = {}
    for n, line in enumerate(text.split("\n")[:-1], 1):
        if line.startswith("# "):
            _, what, name, rest = line.split(" ", 3)
            book = {"HELP": helps, "TYPE": types}[what]
            if name in book:
                faults.append(f"line {n}: {what} of {name} twice")
            book[name] = rest
            if what == "HELP" and not rest.strip():
                faults.append(f"line {n}: {name} has no help")
            continue
        m = re.fullmatch(r'([a-zA-Z_:][a-zA-Z0-9_:]*)(?:\{((?:[a-zA-Z_][a-zA-Z0-9_]*="(?:[^"\\\n]|\\["\\n])*",?)*)\})? (\S+)', line)
        if not m:
            faults.append(f"line {n}: no sample: {line}")
            continue
        name, labels, value = m.group(1), dict(re.findall(r'(\w+)="((?:[^"\\]|\\.)*)"', m.group(2) or "")), float(m.group(3))
        family = name if name in types else re.sub(r"_(bucket|sum|count)$", "", name)
        kind = types.get(family)
        if not kind or family not in helps:
            faults.append(f"line {n}: {name} has no TYPE or no HELP")
        if not order or order[-1] != family:
            order.append(family)
        if (name, tuple(sorted(labels.items()))) in seen:
            faults.append(f"line {n}: {line} twice")
        seen.add((name, tuple(sorted(labels.items()))))
        if kind == "counter" and not name.endswith("_total") and name != "llamacpp:n_tokens_max":
            faults.append(f"line {n}: a counter without _total: {name}")
        if kind != "counter" and name.endswith("_total"):
            faults.append(f"line {n}: no counter, but _total: {name}")
        if kind in ("counter", "histogram") and not value >= 0:
            faults.append(f"line {n}: {value}")
        if kind == "histogram":
            key = (family, tuple(sorted((k, v) for k, v in labels.items() if k != "le")))
            if name.endswith("_bucket"):
                le = float(labels["le"])
                if key in last and not (le > last[key][0] and value >= last[key][1]):
                    faults.append(f"line {n}: buckets out of order: {line}")
                last[key] = (le, value)
            elif name.endswith("_count") and last[key] != (float("inf"), value):
                faults.append(f"line {n}: the last bucket is not the count: {line}")
    faults += [f"{f} is not in one piece" for f in set(order) if order.count(f) > 1]
    faults += [f"{name} has no sample" for name in types if name not in order and types[name] != "histogram"
               and not name.startswith(("cloche_http", "cloche_requests_r", "cloche_requests_w", "cloche_kv", "cloche_model_m", "cloche_context"))]
    if not text.endswith("\n"):
        faults.append("no newline at the end")
    return faults


LLAMACPP = {"prompt_tokens_total", "prompt_seconds_total", "tokens_predicted_total", "tokens_predicted_seconds_total", "n_decode_total", "n_tokens_max",
            "prompt_tokens_seconds", "predicted_tokens_seconds", "requests_processing", "requests_deferred", "kv_cache_usage_ratio"}
VLLM = {"num_requests_running", "num_requests_waiting", "kv_cache_usage_perc", "gpu_cache_usage_perc", "prompt_tokens_total", "generation_tokens_total",
        "request_success_total", "num_preemptions_total", "prefix_cache_queries_total", "prefix_cache_hits_total", "time_to_first_token_seconds",
        "time_per_output_token_seconds", "e2e_request_latency_seconds", "request_queue_time_seconds", "request_inference_time_seconds",
        "request_prefill_time_seconds", "request_decode_time_seconds", "request_prompt_tokens", "request_generation_tokens", "request_params_n",
        "request_params_max_tokens"}


def types_of(text, prefix):
    return {x.split()[2].removeprefix(prefix): x.split()[3] for x in text.splitlines() if x.startswith("# TYPE " + prefix)}


def test_the_linter_finds_faults():
    good = '# HELP a_total x\n# TYPE a_total counter\na_total{m="1"} 1\n'
    assert not lint(good)
    for bad in (good[:-1], good + good, good.replace("# HELP a_total x\n", ""), good.replace("a_total{", "b{"), good.replace("a_total", "a"), good.replace(" 1\n", " x\n"),
                good.replace('"1"', "1"), good + 'a_total{m="1"} 2\n', '# HELP h x\n# TYPE h histogram\nh_bucket{le="1"} 2\nh_bucket{le="+Inf"} 1\nh_sum 1\nh_count 1\n'):
        try:
            assert lint(bad), bad
        except (ValueError, KeyError):
            pass


def test_names_of_other_servers_are_told_only_when_asked_for(server, models, tmp_path):
    text = httpx.get(server.url + "/metrics").text
    assert not lint(text) and "vllm:" not in text and "llamacpp:" not in text
    s = Server(tmp_path, "--model", models[TINY], "--metrics-compat", "llamacpp,vllm")
    assert not lint(httpx.get(s.url + "/metrics").text)
    for i in range(3):
        httpx.post(s.url + "/v1/completions", json={"model": TINY, "prompt": "the same " * 100, "max_tokens": 8, "ignore_eos": True, "seed": i, "n": 2})
    text = httpx.get(s.url + "/metrics").text
    assert not lint(text), lint(text)
    l, v = types_of(text, "llamacpp:"), types_of(text, "vllm:")
    assert set(l) == LLAMACPP and set(v) == VLLM
    assert {k for k, t in v.items() if t == "histogram"} == {k for k in VLLM if k.endswith("_seconds") or k.startswith(("request_prompt", "request_gen", "request_params"))}

    def value(name, **labels):
        found = re.findall(rf'^{name}\{{(.*)\}} (\S+)$', text, re.M)
        return sum(float(x) for have, x in found if all(f'{k}="{y}"' in have for k, y in labels.items()))
    assert value("vllm:generation_tokens_total", model_name=TINY, engine="0") == value("llamacpp:tokens_predicted_total", model=TINY) == 48
    assert value("vllm:request_success_total", finished_reason="length") == 6 and value("vllm:request_params_n_sum") == 6 and value("vllm:request_params_n_count") == 3
    assert value("vllm:request_generation_tokens_sum") == 48 and value("vllm:request_params_max_tokens_sum") == 48
    queries, hits = value("vllm:prefix_cache_queries_total"), value("vllm:prefix_cache_hits_total")
    assert queries > hits > 0 and value("llamacpp:prompt_tokens_total") == queries - hits
    assert value("llamacpp:n_decode_total") >= 8 and value("llamacpp:n_tokens_max") > 8 and value("llamacpp:predicted_tokens_seconds") > 0
    assert value("vllm:request_inference_time_seconds_sum") >= value("vllm:request_decode_time_seconds_sum") > 0
    assert s.stop() == 0, s.errors


def test_counters_go_on_when_models_come_and_go(models, tmp_path):
    s = Server(tmp_path, "--model", models[TINY], "--metrics-compat", "vllm,llamacpp")

    def counters():
        text = httpx.get(s.url + "/metrics").text
        assert not lint(text), lint(text)
        kinds = types_of(text, "")
        return {(name, labels): float(x) for name, labels, x in re.findall(r"^([\w:]+)(\{.*\})? (\S+)$", text, re.M)
                if kinds.get(name) == "counter" or kinds.get(re.sub(r"_(bucket|sum|count)$", "", name)) == "histogram"}
    before = counters()
    for turn in range(3):
        httpx.post(s.url + "/api/generate", json={"model": TINY, "prompt": "x", "stream": False, "options": {"num_predict": 5}, "keep_alive": 0}, timeout=60)
        for _ in range(100):
            now = counters()
            assert all(now.get(k, -1) >= v for k, v in before.items()), {k: (v, now.get(k)) for k, v in before.items() if now.get(k, -1) < v}
            before = now
            if now[("cloche_model_unloads_total", f'{{model="{TINY}"}}')] == turn + 1:
                break
            time.sleep(0.05)
        assert now[("cloche_model_unloads_total", f'{{model="{TINY}"}}')] == turn + 1
        assert now[("llamacpp:n_decode_total", f'{{model="{TINY}"}}')] >= 2 * (turn + 1)
    assert s.stop() == 0, s.errors
    for bad in ("x", ",", "vllm llamacpp"):
        p = subprocess.run([BIN, "serve", "--metrics-compat", bad, "--listen", "127.0.0.1:0", "--data", str(tmp_path)], capture_output=True, text=True, timeout=60)
        assert p.returncode == 2 and "--metrics-compat" in p.stderr


def test_receipts_and_their_replays_are_counted(models, tmp_path):
    s = Server(tmp_path, "--model", models[TINY])
    receipt = httpx.post(s.url + "/v1/completions", json={"model": TINY, "prompt": "x", "max_tokens": 4, "x_receipt": True}).json()["choices"][0]["x_receipt"]["text"]
    assert httpx.post(s.url + "/v1/receipts/replay", content=receipt).json()["same"]
    other = json.loads(receipt)
    other["seed"] = "99999"
    other["kv"] = "F32"
    assert not httpx.post(s.url + "/v1/receipts/replay", content=json.dumps(other) + "\n").json()["same"]
    assert s.metric("cloche_receipts_total", model=TINY) == 1
    assert s.metric("cloche_receipt_replays_total", result="match") == s.metric("cloche_receipt_replays_total", result="mismatch") == 1
    assert s.stop() == 0, s.errors
