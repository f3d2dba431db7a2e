"""Parquet files by pyarrow, one for each encoding, codec, page version, type and shape, and their rows as the hub shows them.

`python tables.py FOLDER` writes small ones as seeds for the fuzzer."""
import datetime
import decimal
import math
import sys

import pyarrow as pa
import pyarrow.parquet as pq

N = 400


def every_type(n):
    t0 = datetime.datetime(1969, 12, 31, 23, 59, 58)
    null = [i % 7 == 3 for i in range(n)]

    def col(fn, kind):
        return pa.array([None if null[i] else fn(i) for i in range(n)], kind)
    return pa.table({
        "bool": col(lambda i: i % 3 == 0, pa.bool_()), "i8": col(lambda i: i % 256 - 128, pa.int8()), "i16": col(lambda i: i * 80 - 32768, pa.int16()),
        "i32": col(lambda i: i * 100003 - 2 ** 31, pa.int32()), "i64": col(lambda i: i * 10 ** 15 - 2 ** 63 + i, pa.int64()),
        "u8": col(lambda i: i % 256, pa.uint8()), "u16": col(lambda i: i * 160, pa.uint16()), "u32": col(lambda i: 2 ** 32 - 1 - i, pa.uint32()),
        "u64": col(lambda i: 2 ** 64 - 1 - i, pa.uint64()), "f16": col(lambda i: i / 4, pa.float16()), "f32": col(lambda i: math.nan if i == 5 else i / 3, pa.float32()),
        "f64": col(lambda i: -math.inf if i == 6 else i / 7, pa.float64()), "text": col(lambda i: "é" * (i % 9) + str(i), pa.string()),
        "bytes": col(lambda i: b"\xff" * (i % 11), pa.binary()), "fixed": col(lambda i: bytes([i % 256] * 5), pa.binary(5)),
        "day": col(lambda i: datetime.date(1, 1, 1) + datetime.timedelta(days=i * 9000), pa.date32()),
        "ms": col(lambda i: t0 + datetime.timedelta(milliseconds=i * 37), pa.timestamp("ms")),
        "us": col(lambda i: t0 + datetime.timedelta(microseconds=i * 12345), pa.timestamp("us", "UTC")),
        "time": col(lambda i: datetime.time(i % 24, i % 60, 3, i * 1000), pa.time64("us")),
        "dec9": col(lambda i: decimal.Decimal(i - 200).scaleb(-2), pa.decimal128(9, 2)), "dec38": col(lambda i: decimal.Decimal(-(10 ** 30) * i).scaleb(-5), pa.decimal128(38, 5)),
        "dictionary": col(lambda i: f"word {i % 5}", pa.string()).dictionary_encode(),
    })


def nested(n):
    lists = [None if i % 11 == 4 else [None if k == 2 else i * k for k in range(i % 5)] for i in range(n)]
    return pa.table({
        "list": pa.array(lists, pa.list_(pa.int64())),
        "deep": pa.array([None if i % 13 == 5 else [None if k == 1 else [str(j) for j in range(k)] for k in range(i % 4)] for i in range(n)], pa.list_(pa.list_(pa.string()))),
        "struct": pa.array([None if i % 6 == 1 else {"a": i, "b": None if i % 4 == 0 else {"c": str(i)}} for i in range(n)],
                           pa.struct([("a", pa.int32()), ("b", pa.struct([("c", pa.string())]))])),
        "structs": pa.array([None if i % 9 == 2 else [None if k == 1 else {"x": k, "y": list(range(k))} for k in range(i % 4)] for i in range(n)],
                            pa.list_(pa.struct([("x", pa.int16()), ("y", pa.list_(pa.int32()))]))),
        "map": pa.array([None if i % 5 == 2 else [(f"k{k}", k) for k in range(i % 3)] for i in range(n)], pa.map_(pa.string(), pa.int32())),
        "none": pa.nulls(n),
    })


def plain(n):
    return pa.table({"i32": pa.array(range(n), pa.int32()), "i64": pa.array([i * i for i in range(n)], pa.int64()), "f32": pa.array([i / 8 for i in range(n)], pa.float32()),
                     "f64": pa.array([i / 3 for i in range(n)], pa.float64()), "text": pa.array([f"common beginning {i // 3}" for i in range(n)]),
                     "fixed": pa.array([i.to_bytes(6, "big") for i in range(n)], pa.binary(6)), "bool": pa.array([i % 5 < 2 for i in range(n)])})


CODECS = ["none", "snappy", "gzip", "zstd", "lz4"]
ENCODINGS = {"PLAIN": None, "DELTA_BINARY_PACKED": ["i32", "i64"], "DELTA_LENGTH_BYTE_ARRAY": ["text"], "DELTA_BYTE_ARRAY": ["text", "fixed"],
             "BYTE_STREAM_SPLIT": ["i32", "i64", "f32", "f64", "fixed"], "RLE": ["bool"]}


def cases(n=N):
    """(name, table, options of write_table)"""
    for version in ("1.0", "2.0"):
        v = {"data_page_version": version}
        for codec in CODECS:
            yield f"types-{codec}-{version}", every_type(n), {"compression": codec, **v}
            yield f"nested-{codec}-{version}", nested(n), {"compression": codec, **v}
        yield f"groups-{version}", nested(n), {"row_group_size": 37, **v}
        for part in ("types", "nested"):
            table = every_type(n) if part == "types" else nested(n)
            yield f"pages-{part}-{version}", table, {"data_page_size": 64, "write_batch_size": 10, "dictionary_pagesize_limit": 100, **v}
            yield f"no-dictionary-{part}-{version}", table, {"use_dictionary": False, "data_page_size": 500, "write_batch_size": 30, **v}
        for encoding, columns in ENCODINGS.items():
            table = plain(n) if columns is None else plain(n).select(columns)
            yield f"{encoding}-{version}", table, {"use_dictionary": False, "column_encoding": {c: encoding for c in table.column_names}, "data_page_size": 600,
                                                   "write_batch_size": 100, **v}
    old = every_type(n).select(["i32", "u8", "text", "day", "ms", "dec9"])
    yield "old", old.set_column(4, "ms", old["ms"].cast(pa.timestamp("ns"))), {"version": "1.0", "use_deprecated_int96_timestamps": True}
    yield "empty", plain(0), {}
    yield "two-level", nested(n).select(["list", "deep"]), {"use_compliant_nested_type": False}


def names():
    return [f"{name}.parquet" for name, _, _ in cases(0)]


def write_all(folder, n=N):
    out = {}
    for name, table, options in cases(n):
        pq.write_table(table, f"{folder}/{name}.parquet", **options)
        out[f"{name}.parquet"] = table
    return out


def stamp(v, kind):
    whole = v.strftime("%Y-%m-%dT%H:%M:%S")
    whole = "0" * (19 - len(whole)) + whole
    if v.microsecond:
        whole += f".{v.microsecond * 1000:09d}" if kind.unit == "ns" else f".{v.microsecond // 1000:03d}" if kind.unit == "ms" else f".{v.microsecond:06d}"
    return whole + ("Z" if kind.tz else "")


def shown(v, kind):
    """A value of pyarrow as the hub shows it."""
    if v is None:
        return None
    if pa.types.is_dictionary(kind):
        return shown(v, kind.value_type)
    if pa.types.is_map(kind):
        return [{"key": shown(k, kind.key_type), "value": shown(x, kind.item_type)} for k, x in v]
    if pa.types.is_list(kind):
        return [shown(x, kind.value_type) for x in v]
    if pa.types.is_struct(kind):
        return {f.name: shown(v[f.name], f.type) for f in kind}
    if isinstance(v, bytes):
        return {"bytes": len(v)}
    if isinstance(v, datetime.datetime):
        return stamp(v, kind)
    if isinstance(v, datetime.time):
        return v.strftime("%H:%M:%S") + (f".{v.microsecond:06d}" if v.microsecond else "")
    if isinstance(v, datetime.date):
        return v.isoformat()
    if isinstance(v, decimal.Decimal):
        return f"{v:f}"
    if isinstance(v, float) and not math.isfinite(v):
        return "NaN" if math.isnan(v) else "Infinity" if v > 0 else "-Infinity"
    if isinstance(v, int) and v >= 2 ** 63:
        return str(v)
    return float(v) if pa.types.is_floating(kind) else v


def rows_of(table):
    columns = [[shown(v, f.type) for v in table.column(i).to_pylist()] for i, f in enumerate(table.schema)]
    return [list(r) for r in zip(*columns)]


if __name__ == "__main__":
    write_all(sys.argv[1], 12)
