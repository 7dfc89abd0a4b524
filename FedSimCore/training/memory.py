"""What to do when memory runs out: the same step in smaller parts."""

from __future__ import annotations

import gc

import torch

from FedSimCore.training.task import TrainingError


def is_out_of_memory(error: BaseException) -> bool:
    """Tell whether an error says that a graphics card's memory, or the computer's, does not suffice."""
    if isinstance(error, torch.OutOfMemoryError | MemoryError):
        return True
    # The CPU's allocator and some CUDA libraries only say so in words.
    words = ("not enough memory", "can't allocate memory", "CUBLAS_STATUS_ALLOC_FAILED", "CUDNN_STATUS_ALLOC_FAILED")
    return isinstance(error, RuntimeError) and any(word in str(error) for word in words)


def free_unused() -> None:
    """Give back what a failed attempt has left."""
    gc.collect()
    if torch.cuda.is_available():
        torch.cuda.empty_cache()


def smaller_micro_batch(present: int, step: int, device: torch.device, advice: str) -> int:
    """Return half of a micro-batch.

    Raises:
        TrainingError: it is one case already; the sentence says what to lower.
    """
    if present > 1:
        return present // 2
    where = "the computer's memory"
    if device.type == "cuda":
        free, total = (number / 2**30 for number in torch.cuda.mem_get_info(device))
        where = f"the memory of {torch.cuda.get_device_name(device)} ({free:.1f} of {total:.1f} GiB free)"
    raise TrainingError(
        f"Step {step} does not fit into {where}, even one case at a time; {advice}, then resume the run."
    )
