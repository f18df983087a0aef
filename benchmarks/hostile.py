"""What hostile input costs, before and after: results/hostile.json; damaged runs: results/hostile-mutants.json.

    python benchmarks/hostile.py [--before FOLDER] [--mutants N]

Each case runs in a process of its own, which may take `LIMIT` CPU seconds, ten times as many by the clock, and `MEMORY` bytes; recorded are its CPU seconds, peak
memory, exit code and last line. `--before` names a folder with an earlier `sightline` package, for comparison. The
mutants of run files are those of tests/hostile.py.
"""

# ruff: noqa: E501 - a case is one line
from __future__ import annotations

import argparse
import json
import os
import resource
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

from machine import described

ROOT = Path(__file__).parents[1]
LIMIT, MEMORY = 60, 12 << 30

MAKE = """
import io, json, os, struct, sys, zlib
from pathlib import Path
import numpy as np
from PIL import Image
def picture(path, n=0):
    Path(path).parent.mkdir(parents=True, exist_ok=True)
    Image.fromarray(np.random.default_rng(n).integers(0, 255, (10, 10, 3), dtype=np.uint8)).save(path)
def chunk(kind, body):
    return struct.pack(">L", len(body)) + kind + body + struct.pack(">L", zlib.crc32(kind + body))
def jpeg():
    out = io.BytesIO()
    Image.fromarray(np.zeros((16, 16, 3), np.uint8)).save(out, "JPEG")
    return out.getvalue()
def gif():
    out = io.BytesIO()
    Image.fromarray(np.zeros((16, 16), np.uint8)).save(out, "GIF")
    return out.getvalue()
def png_profiles():
    out = io.BytesIO()
    Image.fromarray(np.zeros((16, 16, 3), np.uint8)).save(out, "PNG")
    data = out.getvalue()
    text = chunk(b"zTXt", b"Raw profile type exif\\0\\0" + zlib.compress(b"\\n\\n\\n" + b"00" * 500_000, 9))
    return data[:33] + text * (430_000 // len(text)) + data[33:]
def jpeg_fill():
    data = jpeg()
    return data[:2] + b"\\xff" * 20_000_000 + data[2:]
def gif_comment():
    data = gif()
    end = 13 + (3 << (data[10] & 7) + 1 if data[10] & 0x80 else 0)
    return data[:end] + b"!\\xfe" + (b"\\xff" + b"x" * 255) * 80_000 + b"\\0" + data[end:]
def tiff_tiles():
    side, size = 43_008, 16
    tags = [(256, 4, size), (257, 4, size), (258, 3, 8), (259, 3, 8), (262, 3, 1), (277, 3, 1), (322, 4, side), (323, 4, side), (324, 4, 200), (325, 4, 60)]
    head = b"II*\\0" + struct.pack("<LH", 8, len(tags))
    body = b"".join(struct.pack("<HHLL", t, k, 1, v) for t, k, v in tags) + bytes(4)
    return (head + body).ljust(200, b"\\0") + zlib.compress(bytes(1 << 16)) + bytes(4000)
def decoded(data):
    from sightline.preprocessing.decoder import decode
    try:
        print("decoded", decode(data).pixels.shape)
    except Exception as error:
        print(type(error).__name__, str(error)[:120])
def cli(*arguments):
    sys.argv = ["sightline", *map(str, arguments)]
    from sightline.cli.main import run
    run()
def finished():
    for c in ("cat", "dog"):
        for i in range(12): picture(f"photos/{c}/{i}.png", hash_of(c, i))
    import subprocess
    subprocess.run([sys.executable, "-m", "sightline", "train", "photos", "-m", "linear", "--epochs", "2", "--out", "run", "-q"], check=True, capture_output=True)
def hash_of(c, i): return i + 100 * (c == "dog")
"""

CASES: dict[str, str] = {
    "1 data.json of a killed run changed, then resumed": "finished(); os.remove('run/manifest.json'); p = Path('run/data.json'); p.write_text(p.read_text().replace('cat', 'cow')); cli('train', '--resume', 'run', '-q')",
    "2 train into a pipe that closes": "r, w = os.pipe(); os.close(r); os.dup2(w, 2); cli('train', 'digits', '-m', 'linear', '--epochs', '1', '--out', 'run')",
    "3 weights of 1e300": "import torch, safetensors.torch; from sightline.models.create import create_model; n = create_model('resnet8', num_classes=10, in_channels=1); safetensors.torch.save_file({k: v.double() * 0 + 1e300 if v.is_floating_point() else v for k, v in n.state_dict().items()}, 'w.safetensors'); cli('train', 'digits', '-m', 'resnet8', 'model.weights=w.safetensors', '--smoke', '--out', 'run', '-q')",
    "4 PNG of 430 kB with zTXt profiles": "decoded(png_profiles())",
    "5 TIFF of 4 kB with tiles of 43,008 x 43,008": "decoded(tiff_tiles())",
    "6 JPEG with 20 MB of fill bytes": "decoded(jpeg_fill())",
    "6 GIF with a comment of 20 MB": "decoded(gif_comment())",
    "7 Parquet with 3,000,000 null rows": "import pyarrow as pa, pyarrow.parquet as pq; n = 3_000_000; pq.write_table(pa.table({'image': pa.nulls(n, pa.binary()), 'label': pa.nulls(n, pa.int64())}), 'x.parquet'); cli('data', 'x.parquet', '-q')",
    "8 CSV of 4,000 files in other folders": "[picture(f'd/a/{i}/x.png', i) for i in range(4000)]; Path('d/labels.csv').write_text('file,label\\n' + ''.join(f'b/{i}/x.png,{i % 2}\\n' for i in range(4000))); cli('data', 'd/labels.csv', '-q')",
    "9 COCO with 20,000 categories": "picture('d/images/0.png'); Path('d/annotations').mkdir(); Path('d/annotations/instances.json').write_text(json.dumps({'images': [{'id': 1, 'file_name': '0.png', 'height': 10, 'width': 10}], 'annotations': [{'id': 1, 'image_id': 1, 'category_id': 1, 'bbox': [1, 1, 5, 5], 'iscrowd': 0, 'area': 25}], 'categories': [{'id': i, 'name': f'c{i}'} for i in range(20000)]})); cli('data', 'd', '-q')",
    "10 6,000 empty folders named like images": "[picture(f'd/c{i % 2}/{i}.png', i) for i in range(40)]; [os.makedirs(f'd/c0/e{i}.png') for i in range(6000)]; cli('data', 'd', '-q')",
    "11 YAML value !!int abc": "cli('train', 'digits', 'seed=!!int abc')",
    "12 YAML alias bomb": "Path('r.yaml').write_text('a: &a [x,x,x,x,x,x,x,x,x,x]\\n' + ''.join(f'{chr(98 + i)}: &{chr(98 + i)} [' + ','.join(['*' + chr(97 + i)] * 10) + ']\\n' for i in range(6)) + 'fit: {epochs: *g}\\n'); cli('train', 'r.yaml')",
    "13 checkpoint with step as text, hashed again": "finished(); os.remove('run/manifest.json'); sys.path.insert(0, ROOT); from tests.hostile import rehash; f = max(Path('run/checkpoints').iterdir()); s = json.loads((f / 'state.json').read_text()); s['state']['step'] = 'x'; (f / 'state.json').write_text(json.dumps(s)); rehash(f); cli('train', '--resume', 'run', '-q')",
    "14 FIFO among a run's files": "finished(); os.remove('run/data.json'); os.mkfifo('run/data.json'); cli('predict', 'run', 'photos/cat/0.png')",
    "14 /dev/zero among a run's files": "finished(); os.remove('run/preprocessing.json'); os.symlink('/dev/zero', 'run/preprocessing.json'); cli('predict', 'run', 'photos/cat/0.png')",
    "15 10,000 classes, 3,000 images evaluated": "from sightline.evaluation.judgement import judge; from sightline.structures.predictions import ClassRows; r = np.random.default_rng(0); p = r.random((3000, 10000)); p /= p.sum(1, keepdims=True); judge(ClassRows(id=np.arange(3000), target=r.integers(0, 10000, 3000), probability=p), [f'c{i}' for i in range(10000)]); print('done')",
    "16 a name of 300 bytes": "finished(); cli('predict', 'run', 'x' * 300 + '/y.png', '--out', 'x' * 300 + '.csv')",
    "17 train without stderr": "os.close(2); sys.stderr = None; cli('train', 'digits', '-m', 'linear', '--epochs', '1', '--out', 'run')",
    "18 --json into a full disk": "os.dup2(os.open('/dev/full', os.O_WRONLY), 1); cli('models', '--json')",
    "19 fit.epochs=1e308": "cli('train', 'digits', '-m', 'linear', 'fit.epochs=1e308')",
    "19 resnet20, 4 pixels, batch 1": "cli('train', 'digits', '-m', 'resnet20', 'input.size=4', 'fit.batch=1')",
    "20 an image exchanged, same size and mtime": "finished(); p, q = Path('photos/cat/0.png'), Path('photos/cat/1.png'); s = p.stat(); n = max(s.st_size, q.stat().st_size); data = q.read_bytes() if q.stat().st_size == s.st_size else p.read_bytes()[:-20] + b'\\0' * 20; p.unlink(); p.write_bytes(data); os.utime(p, ns=(s.st_atime_ns, s.st_mtime_ns)); cli('evaluate', 'run')",
    "21 geometry.width of 10^30 in a run": "finished(); sys.path.insert(0, ROOT); from tests.hostile import reseal; p = Path('run/preprocessing.json'); d = json.loads(p.read_text()); d['geometry']['width'] = 10**30; p.write_text(json.dumps(d)); reseal(Path('run'), 'preprocessing.json'); cli('predict', 'run', 'photos/cat/0.png')",
    "near: verify names a file outside": "finished(); Path('secret').write_text('secret'); p = Path('run/manifest.json'); d = json.loads(p.read_text()); d['files']['../secret'] = {'bytes': 6, 'sha256': '2bb80d537b1da3e38bd30361aa855686bde0eacd7162fef6a25fe97bf527a25b'}; p.write_text(json.dumps(d)); cli('verify', 'run')",
    "near: data.name=../..": "cli('train', 'digits', 'data.name=../..')",
    "near: a damaged metrics.jsonl, then resumed": "finished(); os.remove('run/manifest.json'); Path('run/metrics.jsonl').write_text('x' * 500); cli('train', '--resume', 'run', '-q')",
    "near: fit.batch=100000 on digits": "cli('train', 'digits', '-m', 'linear', '--smoke', 'fit.batch=100000', '--out', 'run', '-q')",
    "near: SIGTERM before the loop": "import signal, threading; threading.Timer(1.0, os.kill, (os.getpid(), signal.SIGTERM)).start(); cli('train', 'digits', '-m', 'resnet18', '--out', 'run')",
}  # fmt: skip


def limit() -> None:
    resource.setrlimit(resource.RLIMIT_AS, (MEMORY, MEMORY))
    resource.setrlimit(resource.RLIMIT_CPU, (LIMIT, LIMIT + 5))


def measure(code: str, package: Path) -> dict[str, Any]:
    """Run one case with the given package, in a folder of its own."""
    with tempfile.TemporaryDirectory() as place:
        environment = {
            **os.environ, "PYTHONPATH": str(package), "SIGHTLINE_CACHE": f"{place}/cache", "OMP_NUM_THREADS": "1",
        }  # fmt: skip
        script = f"ROOT = {str(ROOT)!r}\n{MAKE}\n{code}\n"
        start = time.perf_counter()
        child = subprocess.Popen(
            [sys.executable, "-c", script], cwd=place, env=environment, stdin=subprocess.DEVNULL, text=True,
            stdout=subprocess.PIPE, stderr=subprocess.STDOUT,
            preexec_fn=limit,
        )  # fmt: skip
        try:
            output = child.communicate(timeout=120 if "mkfifo" in code else 10 * LIMIT)[0]
        except subprocess.TimeoutExpired:
            child.kill()
            output = child.communicate()[0] + "\nstill waiting"
        usage = resource.getrusage(resource.RUSAGE_CHILDREN)
        lines = output.strip().splitlines() or [""]
        traceback = "Traceback" in output or "this is a bug" in output
        return {
            "exit": child.returncode,
            "traceback": traceback,
            "wall_seconds": round(time.perf_counter() - start, 1),
            "cpu_seconds": round(usage.ru_utime + usage.ru_stime, 1),
            "peak_mb": round(usage.ru_maxrss / 1024),
            "last_line": lines[-1][:200].replace(place, "."),
            "still_waiting": "still waiting" in output,
        }


def alone(code: str, package: Path) -> dict[str, Any]:
    """`measure` in a process of its own, so that the peak of one case is not that of all before it."""
    command = [sys.executable, __file__, "--case", code, "--package", str(package)]
    done = subprocess.run(command, capture_output=True, text=True, check=True)
    found: dict[str, Any] = json.loads(done.stdout.splitlines()[-1])
    return found


def mutants(count: int) -> dict[str, Any]:
    """So many mutants of run files through verbs, as in the tests."""
    sys.path.insert(0, str(ROOT))
    from typer.testing import CliRunner

    from sightline.cli.main import app
    from tests.asking import folder
    from tests.hostile import attempt

    with tempfile.TemporaryDirectory() as place:
        os.environ["SIGHTLINE_CACHE"] = f"{place}/cache"
        photos = folder(Path(place, "photos"), {"cat": 12, "dog": 12})
        run = Path(place, "finished")
        done = CliRunner().invoke(app, ["train", photos, "-m", "linear", "--epochs", "2", "--out", str(run), "-q"])
        assert done.exit_code == 0, done.output
        found = [attempt(run, Path(photos, "cat", "0.png"), Path(place), number) for number in range(count)]
    codes = [row["exit"] for row in found]
    problems = [{**row, "problem": row["problem"].replace(place, ".")} for row in found if row["problem"]]
    return {"count": count, "exit_codes": {str(c): codes.count(c) for c in sorted(set(codes))}, "problems": problems}


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("--before", type=Path)
    parser.add_argument("--mutants", type=int, default=1_000)
    parser.add_argument("--only", default="")
    parser.add_argument("--case")
    parser.add_argument("--package", type=Path)
    options = parser.parse_args()
    if options.case is not None:
        print(json.dumps(measure(options.case, options.package)))
        return
    path = ROOT / "results" / "hostile.json"
    known: dict[str, Any] = json.loads(path.read_text()) if path.exists() else {}
    cases: dict[str, Any] = known.get("cases", {})
    for name, code in CASES.items() if options.only != "mutants" else ():
        if options.only and options.only not in name:
            continue
        row = cases.get(name, {})
        if options.before is not None:
            row["before"] = alone(code, options.before)
        cases[name] = {**row, "after": alone(code, ROOT / "src")}
        print(name, json.dumps(cases[name]), flush=True)
        found = {
            "command": "python benchmarks/hostile.py --before FOLDER (a checkout of 4093de0)",
            "machine": described(),
            "limits": {"cpu_seconds": LIMIT, "memory_bytes": MEMORY},
            "note": "CPU seconds include the start of Python and, where a case needs a run, its training",
            "cases": {known_name: cases[known_name] for known_name in CASES if known_name in cases},
        }
        path.write_text(json.dumps(found, indent=1) + "\n")
    if options.mutants and options.only in ("", "mutants"):
        found = {"command": "python benchmarks/hostile.py", "machine": described(), **mutants(options.mutants)}
        (ROOT / "results" / "hostile-mutants.json").write_text(json.dumps(found, indent=1) + "\n")
        print(json.dumps(found)[:3000])


if __name__ == "__main__":
    main()
