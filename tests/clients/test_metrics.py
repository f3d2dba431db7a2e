"""Health and metrics."""
import httpx
from conftest import TINY
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
