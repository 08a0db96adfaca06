"""Config -> processes: who runs where, on which GPUs, in which environment."""

import os

import pytest

from launchers.placement import cores_here
from launchers.ports import NodePorts
from launchers.process_plan import make_plan
from sgg.config.compose import compose_config
from sgg.config.derived import gpus_per_node, node_count
from sgg.config.hardware import SERVERS_VARIABLE

GPUS = ["hardware=local", "model=qwen2_5_vl_7b", "data=vg150"]
SERVING = [*GPUS, "stage=grpo", "hardware.rollout.mode=server", "hardware.processes_per_node=4"]
COPIES = [*SERVING, "hardware.rollout.tensor_parallel=4"]


def plan_of(*words, **more):
    config = compose_config(list(words))
    return config, make_plan(config, **more)


def test_one_process_on_a_laptop():
    config, plan = plan_of()
    assert (node_count(config), gpus_per_node(config)) == (1, 0)
    assert [(p.name, p.gpus) for p in plan.processes] == [("rank0", ())]


def test_ranks_of_two_nodes_have_torchruns_environment():
    _, plan = plan_of(
        *("hardware.nodes=2", "hardware.processes_per_node=2", "stage.optimizer.kind=trl"),
        hosts=("left", "right"),
        ports={0: NodePorts(1234)},
    )
    last = plan.on(1)[-1]
    assert last.name == "rank3"
    assert last.environment == {
        "RANK": "3",
        "LOCAL_RANK": "1",
        "WORLD_SIZE": "4",
        "LOCAL_WORLD_SIZE": "2",
        "MASTER_ADDR": "left",
        "MASTER_PORT": "1234",
    }


def test_a_rank_computes_on_its_gpu_and_sees_its_neighbours():
    config, plan = plan_of(*GPUS, "stage=sft", "hardware.processes_per_node=4")
    assert gpus_per_node(config) == 4
    assert [(p.gpus, p.visible_gpus) for p in plan.processes] == [
        ((i,), (0, 1, 2, 3)) for i in range(4)
    ]


def test_servers_on_the_other_gpus_of_training_nodes():
    config, plan = plan_of(*COPIES, "hardware.nodes=2", "hardware.rollout.gpus_per_node=4")
    assert (node_count(config), gpus_per_node(config)) == (2, 8)
    assert [(s.node, s.gpus, s.address) for s in plan.servers] == [
        (0, (4, 5, 6, 7), "http://node0:8000"),
        (1, (4, 5, 6, 7), "http://node1:8000"),
    ]
    ranks = [p for p in plan.processes if not p.is_server]
    assert {r.environment[SERVERS_VARIABLE] for r in ranks} == {
        "http://node0:8000,http://node1:8000"
    }
    assert all(set(r.visible_gpus).isdisjoint(plan.servers[0].visible_gpus) for r in ranks)


def test_each_copy_of_the_model_has_a_server_of_its_own():
    _, plan = plan_of(
        *SERVING, "hardware.rollout.gpus_per_node=4", "hardware.rollout.tensor_parallel=2"
    )
    assert [(s.name, s.gpus, s.address) for s in plan.servers] == [
        ("server0", (4, 5), "http://node0:8000"),
        ("server1", (6, 7), "http://node0:8001"),
    ]
    _, plan = plan_of("stage=grpo", "hardware.rollout.mode=server")
    assert [(s.gpus, s.address) for s in plan.servers] == [((), "http://node0:8000")]


def test_servers_on_nodes_of_their_own_come_last():
    config, plan = plan_of(*COPIES, "hardware.nodes=2", "hardware.rollout.nodes=1")
    assert node_count(config) == 3
    assert [(s.node, s.gpus) for s in plan.servers] == [(2, (0, 1, 2, 3))]
    assert {p.node for p in plan.processes if not p.is_server} == {0, 1}


@pytest.mark.parametrize("stage", ["sft", "eval"])
def test_only_grpo_has_servers(stage):
    _, plan = plan_of(*SERVING, f"stage={stage}", "hardware.rollout.nodes=1")
    assert not plan.servers
    assert len(plan.hosts) == 1


def test_the_profiles_environment_reaches_every_process():
    _, plan = plan_of(
        *SERVING, "hardware.rollout.gpus_per_node=4", "hardware.environment.NCCL_DEBUG=WARN"
    )
    assert all(p.environment["NCCL_DEBUG"] == "WARN" for p in plan.processes)


@pytest.mark.parametrize(
    ("words", "cores", "threads"),
    [
        (["hardware.processes_per_node=4"], 288, "72"),
        (["hardware.processes_per_node=4"], 2, "1"),
        (["hardware.processes_per_node=4"], None, None),
        (["hardware.processes_per_node=4", "hardware.threads=3"], 288, "3"),
        (["hardware.threads=3"], None, "3"),
        (["hardware.environment.OMP_NUM_THREADS=5"], 288, "5"),
    ],
)
def test_ranks_share_out_the_cores_of_their_node(words, cores, threads):
    _, plan = plan_of(*words, "stage.optimizer.kind=trl", cores=cores)
    assert {p.environment.get("OMP_NUM_THREADS") for p in plan.processes} == {threads}


def test_cores_of_a_job_are_no_more_than_it_has_or_sees(monkeypatch):
    visible = len(os.sched_getaffinity(0))
    for given, cores in ((1, 1), (10_000, visible)):
        monkeypatch.setenv("SLURM_CPUS_ON_NODE", str(given))
        assert cores_here() == cores
    monkeypatch.delenv("SLURM_CPUS_ON_NODE")
    assert cores_here() == visible


def test_describe_names_nodes_gpus_commands_and_the_batch():
    _, plan = plan_of(*COPIES, "hardware.nodes=2", "hardware.rollout.gpus_per_node=4")
    text = plan.describe()
    assert text.startswith("2 nodes, 8 ranks, 2 rollout servers\n")
    assert "  rank5    GPU 1    RANK=5 LOCAL_RANK=1" in text
    assert "  server1  GPU 4-7 " in text
    assert "launchers.rank RUN_DIR/config.yaml" in text
    assert "batch: 256 samples a step = 8 ranks × 2 in a micro batch × 16 accumulated" in text
