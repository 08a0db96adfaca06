"""One cluster for all tests of this folder."""

import cluster as slurm_cluster
import pytest


@pytest.fixture(scope="session")
def cluster(tmp_path_factory):
    reason = slurm_cluster.missing()
    if reason is not None:
        pytest.skip(reason)
    with slurm_cluster.Cluster(tmp_path_factory.mktemp("slurm")) as running:
        yield running
