"""Training a network on a task, reproducibly, and recording the run."""

from spectraledge.training.config import RunConfig
from spectraledge.training.loop import InMemory, Progress, Recorder, train
from spectraledge.training.protocols import PROTOCOLS, Protocol
from spectraledge.training.run_folder import RunFolder, train_in_folder
from spectraledge.training.trainer import Evaluation, NonFiniteLossError, Trainer

__all__ = [
    "PROTOCOLS",
    "Evaluation",
    "InMemory",
    "NonFiniteLossError",
    "Progress",
    "Protocol",
    "Recorder",
    "RunConfig",
    "RunFolder",
    "Trainer",
    "train",
    "train_in_folder",
]
