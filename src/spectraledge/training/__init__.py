"""Training a network on a task, reproducibly, and recording the run."""

from spectraledge.training.config import RunConfig
from spectraledge.training.evaluation import Evaluation
from spectraledge.training.in_folders import train_in_folder, train_in_folders
from spectraledge.training.loop import InMemory, Progress, Recorder, train, train_together
from spectraledge.training.member import Member, NonFiniteLossError
from spectraledge.training.protocols import PROTOCOLS, Protocol
from spectraledge.training.run_folder import RunFolder
from spectraledge.training.stack import Stack, Trainer
from spectraledge.training.step_rules import OPTIMIZERS

__all__ = [
    "OPTIMIZERS",
    "PROTOCOLS",
    "Evaluation",
    "InMemory",
    "Member",
    "NonFiniteLossError",
    "Progress",
    "Protocol",
    "Recorder",
    "RunConfig",
    "RunFolder",
    "Stack",
    "Trainer",
    "train",
    "train_in_folder",
    "train_in_folders",
    "train_together",
]
