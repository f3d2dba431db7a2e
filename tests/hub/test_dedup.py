"""What a model's next version costs on disk: a safetensors file, and a copy of it in which the tensors that hold 5 % of the bytes
are others. With -s it prints what each way stored anew."""
import json
import pathlib
import random
import struct

import pytest
from test_xet import noise, run_hf

TENSORS, TENSOR_BYTES = 100, 600_000


def write_model(path, numbers):
    """A tensor for each number, which says what it holds."""
    header = json.dumps({f"layers.{i}.weight": {"dtype": "U8", "shape": [TENSOR_BYTES], "data_offsets": [i * TENSOR_BYTES, (i + 1) * TENSOR_BYTES]}
                         for i in range(len(numbers))}).encode()
    path.write_bytes(struct.pack("<Q", len(header)) + header + b"".join(noise(TENSOR_BYTES, n) for n in numbers))
    return path


def on_disk(hub):
    """Bytes of xorbs and of large files that lie whole."""
    return sum(f.stat().st_size for where in ("xorbs", "lfs") for f in (hub.data / where).rglob("*") if f.is_file())


@pytest.mark.parametrize("way, together, most", [("xet", True, 0.08), ("xet", False, 0.08), ("lfs", False, 1.001)],
                         ids=["xet, side by side", "xet, scattered", "git-lfs"])
def test_a_changed_copy(hub, tmp_path, way, together, most):
    repo, home = f"alice/dedup-{way}-{together}".lower(), tmp_path / "home"
    first = [f"{repo} {i}" for i in range(TENSORS)]
    rng = random.Random(1)
    new = range(40, 40 + TENSORS // 20) if together else rng.sample(range(TENSORS), TENSORS // 20)
    second = [n + " changed" if i in new else n for i, n in enumerate(first)]
    sizes = [on_disk(hub)]
    for name, numbers in (("a", first), ("b", second)):
        path = write_model(tmp_path / f"{name}.safetensors", numbers)
        run_hf(hub, home, "upload", repo, path, "model.safetensors", **({"HF_HUB_DISABLE_XET": "1"} if way == "lfs" else {}))
        sizes.append(on_disk(hub))
    whole, anew = sizes[1] - sizes[0], sizes[2] - sizes[1]
    print(f"\n{way}, {'side by side' if together else 'scattered'}: {path.stat().st_size} bytes, {len(new) * TENSOR_BYTES} changed; stored {whole}, then {anew} anew "
          f"({100 * anew / path.stat().st_size:.1f} %)")
    assert whole >= TENSORS * TENSOR_BYTES and len(new) * TENSOR_BYTES <= anew <= most * path.stat().st_size
    if way == "lfs":
        assert anew == path.stat().st_size, "a file that is new in part is new"
    got = hub.api("alice").hf_hub_download(repo, "model.safetensors", cache_dir=tmp_path / "got")
    assert pathlib.Path(got).read_bytes() == path.read_bytes()
