"""bench/gpu/check.py without a GPU: its table, its time limits, and parts of it with a narrow model."""

import json
import subprocess
import sys
import time

import benches
import pytest
import torch
from transformers import AutoModelForImageTextToText

from sgg.config.compose import compose_config
from sgg.models.families import FAMILIES
from sgg.models.qwen_vocabulary import build_tokenizer

sys.path.append(str(benches.FOLDER / "gpu"))
SCRIPT = """
import argparse, sys, time
from turn import OutOfTime, add_arguments, turn
parser = argparse.ArgumentParser()
add_arguments(parser)
try:
    with turn(parser.parse_args()):
        print("began", flush=True)
        try:
            time.sleep(30)
        except Exception:
            print("caught")
except OutOfTime as end:
    print(end)
"""


def script_that_takes_a_turn(folder, *words):
    done = subprocess.run(
        [sys.executable, "-c", SCRIPT, f"--lock={folder}/gpu.lock", *words],
        cwd=benches.FOLDER / "gpu",
        capture_output=True,
        text=True,
        timeout=60,
        check=True,
    )
    return done.stdout.splitlines()


def test_a_turn_ends_when_its_seconds_are_over(tmp_path, monkeypatch):
    """And no `except Exception` on the way up keeps it going."""
    import turn

    monkeypatch.setattr(
        sys.modules[__name__], "SCRIPT", f"import turn; turn.SHORTEST_S = 0\n{SCRIPT}"
    )
    assert turn.SHORTEST_S > 0
    said = script_that_takes_a_turn(tmp_path, "--seconds=1")
    assert said == ["began", "stopped after 1 s"]


def test_nothing_begins_with_too_little_time_left(tmp_path):
    assert script_that_takes_a_turn(tmp_path, f"--until={time.time() + 5}") == ["no time left"]


def test_a_folder_that_does_not_come_is_named_while_there_is_time(tmp_path):
    after, until = tmp_path / "3b", time.time() + 16
    said = script_that_takes_a_turn(tmp_path, f"--after={after}", f"--until={until}")
    assert said == [f"{after} is not there yet"]


def results():
    steps = [
        {"seconds": 9.0, "update": 8.0, "tokens": 100, "completion_tokens": 50, "patches": 0},
        {"seconds": 2.0, "update": 1.0, "tokens": 100, "completion_tokens": 50, "patches": 0},
        {
            "seconds": 7.0,
            "update": 6.0,
            "tokens": 100,
            "completion_tokens": 50,
            "patches": 0,
            "profiled": 1,
        },
    ]
    sizes = {"body": 10**9, "head": 10**8}
    ran = {"steps": steps, "parameters": sizes, "trained": {}, "peak_gib": 12.25}
    top = [{"name": "gemm", "share": 0.75, "calls": 3}]
    return {
        "machine": {"card": "H100", "tflops": 1.0, "took_s": 3.0},
        "plain": {**ran, "kernels": {"seconds": 6.0, "busy": 0.5, "calls": 4, "top": top}},
        "cut": {**ran, "stopped": "stopped after 60 s"},
        "broken": {"failed": "out of memory", "took_s": 1.0},
        "vision": {"one call": {"ms": 12.5}},
        "evaluation": {"steps": [], "run_s": 31.0, "peak_gib": None},
    }


def test_the_table_leaves_out_the_first_step_and_the_profiled_one():
    from table import table

    lines = table(results()).splitlines()
    row = next(line for line in lines if line.startswith("| plain"))
    # 2 operations for each weight and token of the body, and of the head on completions: .21 TFLOP in 1 s
    assert [cell.strip() for cell in row.split("|")[1:-1]] == [
        *("plain", "2.00", "0.00", "0.00", "0.00", "1.00", "0.00", "0.00", "50", "21%", "12.2")
    ]


def test_the_table_says_what_was_cut_what_failed_and_which_kernels_ran():
    from table import table

    lines = table(results()).splitlines()
    assert "- cut: STOPPED: stopped after 60 s" in lines
    assert any(line.startswith("| cut | 2.00") for line in lines)  # what was measured counts
    assert "- broken: FAILED: out of memory" in lines
    assert "- plain, one update: 6.00 s, a kernel ran in 50% of them; 4 kernels" in lines
    assert "  - 75.0% in 3 × `gemm`" in lines
    assert "- vision: one call (ms 12.5)" in lines
    assert "- evaluation: run_s 31" in lines


@pytest.mark.parametrize("model", ["qwen2_5_vl_3b", "qwen2_5_vl_7b", "qwen3_vl_4b"])
def test_models_of_true_size_have_the_published_number_of_parameters(model):
    from true_folder import SIZES, config_of

    size = SIZES[model]
    config = config_of(size, build_tokenizer(FAMILIES[size.family]))
    with torch.device("meta"):
        made = AutoModelForImageTextToText.from_config(config)
    made.tie_weights()
    published = compose_config([f"model={model}", "stage=eval"]).model
    assert sum(p.numel() for p in made.parameters()) == published.parameters
    width, layers = config.text_config.hidden_size, config.text_config.num_hidden_layers
    assert width * layers == published.activations_per_token


@pytest.mark.slow
@pytest.mark.thorough
def test_its_parts_run_on_a_cpu(tmp_path):
    recipe = "GRPO 3B LoRA, 24 GB"
    parts = ["machine", "vision", "folders", "SFT 3B LoRA", "logp", recipe]
    words = ["--device=cpu", f"--out={tmp_path}", "--minutes=9", "--parts", *parts]
    script = benches.FOLDER / "gpu" / "check.py"
    done = subprocess.run([sys.executable, script, *words], capture_output=True, text=True)
    assert done.returncode == 0, done.stdout + done.stderr
    found = json.loads((tmp_path / "gpu-check.json").read_text())
    assert set(found) == set(parts)
    loop, grouped = (told for told in found["vision"].values() if isinstance(told, dict))
    assert loop["ratio"] == 1
    assert grouped["largest_difference"] == 0
    run = found["SFT 3B LoRA"]
    assert [step.get("profiled") for step in run["steps"]] == [None, 1]
    assert all(step["update"] > 0 and step["tokens"] > 0 for step in run["steps"])
    assert sum(k["share"] for k in run["kernels"]["top"]) <= 1.000001
    assert len(run["kernels"]["top"]) == 8
    assert all(step["generation"] > 0 for step in found[recipe]["steps"])
    assert found["logp"]["bf16 weights"]["max"] < 0.1
