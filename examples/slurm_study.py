"""A study on the nodes of a cluster that SLURM runs: every worker is a job of one core.

    pip install 'rgstep[cluster]'
    python examples/slurm_study.py FILE.toml FOLDER [--jobs 20] [--memory 4GB] [--walltime 04:00:00] [--partition NAME]

Start it where `sbatch` works, with the folder on a disk that all nodes see. It stays, hands out tasks and ends with the
study; if it is killed, the same command goes on. `rgstep study status FOLDER` says from any node how far it is.
"""

import argparse

from dask_jobqueue import SLURMCluster
from distributed import Client

import rgstep as rg


def main() -> None:
    """Ask SLURM for jobs, and run the study on them."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("file")
    parser.add_argument("folder")
    parser.add_argument("--jobs", type=int, default=20)
    parser.add_argument("--memory", default="4GB")
    parser.add_argument("--walltime", default="04:00:00")
    parser.add_argument("--partition")
    given = parser.parse_args()
    job = {"cores": 1, "processes": 1, "memory": given.memory, "walltime": given.walltime, "queue": given.partition}
    with SLURMCluster(**job) as cluster, Client(cluster) as client:
        cluster.scale(jobs=given.jobs)
        print(f"asked for {given.jobs} jobs; dashboard: {client.dashboard_link}")
        print(rg.run_study(given.file, given.folder, executor=client.get_executor()))


if __name__ == "__main__":
    main()
